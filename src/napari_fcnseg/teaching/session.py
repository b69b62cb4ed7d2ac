"""Teaching as somebody paints: what is known stays known from one fit to the next, and the last good head is kept."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine import engine
from napari_fcnseg.proof.certificate import image_sha256
from napari_fcnseg.system.memory import free_memory
from napari_fcnseg.teaching.basis import Basis, with_head
from napari_fcnseg.teaching.doubt import Doubt, most_doubtful
from napari_fcnseg.teaching.known import KnownNumbers
from napari_fcnseg.teaching.lesson import Lesson
from napari_fcnseg.teaching.provenance import taught_on
from napari_fcnseg.teaching.strokes import read_strokes
from napari_fcnseg.teaching.teach import Teaching, fitted
from napari_fcnseg.teaching.tiles import FeatureTiles, doubt_of, scores_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.layout import Layout
    from napari_fcnseg.teaching.settings import TeachSettings

Index = tuple[int, ...]
Labels = npt.NDArray[np.uint8]
_ROOM: Final = 2**30  # bytes of tiles' numbers, at most
_SHARE: Final = 0.25  # of the free memory


@dataclass(frozen=True, eq=False)
class _Taught:
    """An image, and what is known of it."""

    image: Any
    layout: Layout
    known: KnownNumbers
    tiles: FeatureTiles
    sha256: str | None


class TeachingSession:
    """Images that are painted on, and the head that follows from the strokes; safe to use from several threads.

    Parameters
    ----------
    base : PatchModel or None
        The model to begin with.
    settings : TeachSettings
        What the user chose.
    channels : int
        Of the images, where there is no model.

    Attributes
    ----------
    lesson : Lesson or None
        The last fit that went well.
    """

    def __init__(self, base: PatchModel | None, settings: TeachSettings, channels: int = 1) -> None:
        self.basis = Basis(base, settings, channels)
        self.lesson: Lesson | None = None
        self._images: dict[int, _Taught] = {}
        self._lock = threading.Lock()
        engine().start_reference()  # it takes seconds, in which somebody paints

    def set_image(self, number: int, image: Any, layout: Layout) -> None:
        """Take an image under a number of the caller's; one that it had before is forgotten.

        Raises
        ------
        FcnSegError
            If the image does not fit the model.
        """
        plan = self.basis.plan(image, layout)
        room = min(_ROOM, int(free_memory() * _SHARE))
        known = KnownNumbers(plan, turned=self.basis.settings.turned)
        taught = _Taught(image, layout, known, FeatureTiles(plan, room), image_sha256(image))
        with self._lock:
            self._images[number] = taught
            if self.lesson is not None and number in self.lesson.images:
                self.lesson = replace(self.lesson, painted=replace(self.lesson.painted, sha256=""))

    def drop_image(self, number: int) -> None:
        """Forget an image."""
        with self._lock:
            self._images.pop(number, None)

    def learn(
        self, strokes: Mapping[int, Any], names: Sequence[str], stop: threading.Event | None = None
    ) -> Lesson | None:
        """Fit a head to what is painted now.

        Parameters
        ----------
        strokes : mapping of int to array_like
            By the number of the image what is painted on it, in the order of the labels' axes.
        names : sequence of str
            Of the classes.
        stop : threading.Event, optional
            Set to have nothing come of it.

        Returns
        -------
        Lesson or None
            None if it was stopped. What was learned before stays then, and after an error.

        Raises
        ------
        FcnSegError
            With a sentence that says what is missing, or went wrong.
        """
        with self._lock:
            images = {number: self._images[number] for number in painted_on(strokes, self._images)}
            arrays = [strokes[number] for number in images]
            layouts = [taught.layout for taught in images.values()]
            painted = read_strokes(arrays, layouts, self.basis.settings.seed, names)
            last = self.lesson
            if last is not None and (last.painted.sha256, last.images) == (painted.sha256, tuple(images)):
                return last  # nothing was painted since
            pairs = list(zip(images.values(), painted.points, strict=True))
            numbers = np.concatenate([taught.known.at(points) for taught, points in pairs], axis=1)
            head, scores = fitted(numbers, painted, self.basis.settings, names)
            if stop is not None and stop.is_set():
                return None
            self.lesson = Lesson(head, scores, painted, tuple(images))
            return self.lesson

    def look(
        self, number: int, index: Index, view: Region, focus: Sequence[int] | None = None
    ) -> Iterator[tuple[Region, Labels | None]]:
        """Label what somebody looks at, tile by tile, the nearest first.

        Parameters
        ----------
        number : int
            Of the image.
        index : tuple of int
            Of the frame.
        view : Region
            The part of the frame.
        focus : sequence of int, optional
            The pixel to begin at; the middle otherwise.

        Yields
        ------
        region : Region
            A tile.
        labels : ndarray of uint8 or None
            Its labels; None before anything was learned, when its numbers are computed ahead.

        Raises
        ------
        FcnSegError
            If the image cannot be read there, or the computing process ended.
        """
        tiles = self._images[number].tiles
        for region, numbers in self._numbers(tiles, index, tiles.grid(view, focus)):
            lesson = self.lesson
            if lesson is None:
                yield region, None
            else:
                yield region, (scores_of(numbers, lesson.head).argmax(axis=-1) + 1).astype(np.uint8)

    def doubtful(
        self, number: int, index: Index, view: Region, avoid: Sequence[Sequence[int]] = (), seconds: float = 2.0
    ) -> Doubt | None:
        """Return the place of a frame where the taught model is least sure.

        Parameters
        ----------
        number, index, view
            As for :meth:`look`.
        avoid : sequence of points
            Where it was found before.
        seconds : float
            After which no further tile is computed; those that are kept come first.

        Returns
        -------
        Doubt or None
            None before anything was learned, or if all is near what is to be avoided.
        """
        if self.lesson is None:
            return None
        tiles, head, end = self._images[number].tiles, self.lesson.head, time.monotonic() + seconds
        grid = tiles.grid(view)
        order = np.random.default_rng(len(avoid)).permutation(len(grid)).tolist()
        order.sort(key=lambda place: not tiles.known(index, grid[place]))
        found = []
        for region, numbers in self._numbers(tiles, index, [grid[place] for place in order]):
            found.append((region, doubt_of(scores_of(numbers, head))))
            if time.monotonic() > end:
                break
        return most_doubtful(found, len(grid), avoid, self.basis.network.patch_shape)

    def model(self, names: Sequence[str], colors: Sequence[str]) -> PatchModel | None:
        """Return the model of the last fit, None before the first; parameters as for :func:`teach`."""
        lesson = self.lesson
        if lesson is None or not all(number in self._images for number in lesson.images):
            return None
        images = [self._images[number] for number in lesson.images]
        facts = taught_on(
            self.basis.base, [taught.image for taught in images], [taught.layout for taught in images], lesson.painted,
            self.basis.settings, lesson.scores, [taught.sha256 for taught in images],
        )  # fmt: skip
        classes = lesson.painted.classes
        return self.basis.model(
            with_head(self.basis.network, lesson.head), classes, tuple(names)[:classes], tuple(colors)[:classes], facts
        )

    def teaching(self, strokes: Mapping[int, Any]) -> Teaching:
        """Return the same as :func:`teach` would do it, from the strokes alone: what is saved is what that gives."""
        with self._lock:
            images = {number: self._images[number] for number in painted_on(strokes, self._images)}
        pairs = [(taught.image, np.array(strokes[number])) for number, taught in images.items()]
        layouts = tuple(taught.layout for taught in images.values())
        return Teaching(pairs, self.basis.base, self.basis.settings, layouts)

    def _numbers(
        self, tiles: FeatureTiles, index: Index, regions: Sequence[Region]
    ) -> Iterator[tuple[Region, npt.NDArray[np.float32]]]:
        steps = tiles.numbers(index, regions)
        while True:
            with self._lock:
                step = next(steps, None)
            if step is None:
                return
            yield step


def painted_on(strokes: Mapping[int, Any], images: Mapping[int, object]) -> list[int]:
    """Return the numbers of the images that something is painted on; of all where nothing is."""
    numbers = [number for number in sorted(strokes) if number in images]
    return [number for number in numbers if np.any(strokes[number])] or numbers
