"""A run: everything checked before the start, then one finished tile after the other."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from napari_fcnseg import preprocess
from napari_fcnseg.allowance import allowed, keep
from napari_fcnseg.dispatch import Dispatcher
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.extent import extent_of, first_tile, tile_of
from napari_fcnseg.lane import Job
from napari_fcnseg.provenance import provenance_of
from napari_fcnseg.sidecar import agreed_preprocess
from napari_fcnseg.tiling import Layout, check_border, cut, nearest_first, slices, with_first
from napari_fcnseg.tiling.layout import check_dtype
from napari_fcnseg.ways import Way, labels_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Future

    from napari_fcnseg.conversion import DenseNetwork
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.source import Source
    from napari_fcnseg.tiling import Region

T = TypeVar("T")

_log = logging.getLogger("napari_fcnseg")

_Image: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """One finished tile.

    Attributes
    ----------
    where : tuple of slice or int
        Its place in the labels: an index per stack axis, then a slice per spatial axis.
    labels : ndarray of unsigned integer
        Class index + 1.
    scores : ndarray of float32, shape (*tile, class)
        The network's own numbers, averaged over an ensemble.
    done, total : int
        Tiles finished, this one included, and tiles of the whole run; they become more where one that does not fit
        into memory is cut. Tiles of a preview are not counted.
    notes : tuple of str
        What happened since the last tile that the user should know, as sentences.
    preview : bool
        Whether it belongs to a coarse pass: then ``where`` has steps, and tiles of all pixels are to come. Its labels
        are as exact as any.
    """

    where: tuple[int | slice, ...]
    labels: npt.NDArray[np.unsignedinteger[Any]]
    scores: npt.NDArray[np.float32]
    done: int
    total: int
    notes: tuple[str, ...] = ()
    preview: bool = False


_TOGETHER = 8  # strips that are computed one after the other, though others may be nearer to the focus


class Run:
    """One image, one or more models and settings, checked against each other.

    Parameters
    ----------
    image : array_like
        Any numeric type; spatial axes last, a channel axis anywhere, other axes are a stack of frames.
    models : sequence of PatchModel
        An ensemble that fits together (:func:`napari_fcnseg.model.as_ensemble`).
    settings : RunSettings
        What the user chose.
    focus : tuple of int, optional
        A pixel of the labels: an index per stack axis and per spatial axis of the image. What is nearest to it comes
        first, beginning with a small tile. Otherwise tiles come column by column, from top to bottom.

    Attributes
    ----------
    frames : list of tuple of int
        The index of every frame in the stack, in the order in which they come.
    tiles, first_tiles : list of Region
        Those of every frame, and of the first one, whose first tile may be smaller.
    hold : Future or None
        If it is set, no tile but the first is begun before it is done; ``opened`` is the first frame meanwhile.
    notes : list of str
        What the user should know of how the run goes, as sentences, in the order in which it came up.

    Raises
    ------
    ImageError, SettingsError
        If they do not fit together.
    """

    def __init__(
        self, image: Any, models: Sequence[PatchModel], settings: RunSettings, focus: Sequence[int] | None = None
    ) -> None:
        self.image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
        check_dtype(np.dtype(self.image.dtype))
        check_border(settings.border)
        self.models = tuple(models)
        steps = settings.preprocess
        if steps is None:
            steps = agreed_preprocess([(m.name, m.sidecar) for m in self.models])
        self.settings = replace(settings, preprocess=steps)
        self.steps = preprocess.parse(steps)
        self._bound: dict[tuple[int, ...], list[preprocess.Bound]] = {}
        self.networks: tuple[DenseNetwork, ...] = tuple(m.fcn.network for m in self.models)
        first = self.networks[0]
        spatial = len(first.patch_shape)
        self.layout = Layout.of(tuple(self.image.shape), first.channels, spatial, settings.channel_axis)
        self.patch = tuple(max(n.patch_shape[axis] for n in self.networks) for axis in range(spatial))
        self.extent = extent_of(self.layout.frame_shape, [n.patch_shape for n in self.networks], settings)
        places = math.prod(stop - start for start, stop in self.extent) * math.prod(self.layout.stack_shape)
        self.ways = tuple(Way(m, settings, places) for m in self.models)
        self.notes: list[str] = []
        self.allowance = allowed(self.ways, settings)
        sizes = tuple(stop - start for start, stop in self.extent)
        self.tile = tile_of(self.ways, sizes, settings, self.allowance, self.notes.append)
        self.tiles = cut(self.extent, self.tile)
        self.frames = list(self.layout.frames())
        self.focus = tuple(focus) if focus is not None else None
        self.first_tiles = self._in_order()
        self.hold: Future[None] | None = None
        self.opened: Source | None = None
        self.devices: tuple[Device, ...] = ()
        self.seconds = 0.0
        self._start, self.done, self._told, self._added = 0.0, 0, 0, 0

    @property
    def outputs(self) -> int:
        """Numbers per pixel."""
        return self.networks[0].outputs

    @property
    def device(self) -> str | None:
        """The names of the devices that compute, None before they are known."""
        return ", ".join(map(str, self.devices)) or None

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the labels; along the model's axes one entry per ``every`` pixels of the image."""
        every = self.settings.every
        return (*self.layout.stack_shape, *(-(-n // every) for n in self.layout.frame_shape))

    @property
    def total(self) -> int:
        """Number of tiles over all frames; it grows where a tile that does not fit into memory is cut."""
        return len(self.first_tiles) + len(self.tiles) * (len(self.frames) - 1) + self._added

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer that holds every label."""
        return np.min_scalar_type(self.networks[0].classes)

    def source(self, index: tuple[int, ...]) -> Source:
        """Return one frame, prepared, to be read region by region; a small one is read now.

        Raises
        ------
        ImageError
            If the frame holds values that are not finite; of a large one, reading them raises it.
        """
        return preprocess.prepare(self.layout.source(self.image, index), self.steps, self._bound.setdefault(index, []))

    def execute(self, poll: float | None = None) -> Generator[Tile | None, None, None]:
        """Compute tile after tile.

        Parameters
        ----------
        poll : float, optional
            Seconds after which None is yielded while a tile is not ready, so that the caller can stop. Without it
            only tiles are yielded.

        Yields
        ------
        Tile or None
        """
        reader = ThreadPoolExecutor(1, "napari-fcnseg-frames")
        dispatcher = None
        for note in self.notes:  # from planning
            _log.warning(note)
        try:
            choice = engine().choose(self.settings.device, self.settings.precision)
            devices = self.devices = yield from _await(choice, poll)
            dispatcher = Dispatcher(self.ways, devices, self.allowance, self._tell)
            yield from dispatcher.load(poll)
            self._start, self.done, self._told, self._added = time.perf_counter(), 0, 0, 0
            for finished in dispatcher.answers(self._jobs(reader), poll):
                self._added, self.devices = dispatcher.added, dispatcher.devices
                yield self._tile(*finished) if finished is not None else None
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
            if dispatcher is not None:
                keep(dispatcher.allowances, self.ways, self.settings)
                engine().release()

    def estimate(self) -> float:
        """Return the seconds that computing will take, from the time of a small part."""
        self.devices = engine().devices_for(self.settings.device, self.settings.precision)
        source = self.source((0,) * len(self.layout.stack_shape))
        seconds = sum(way.estimate(way.reader(source), self.tiles, self.devices[0]) for way in self.ways)
        return seconds * math.prod(self.layout.stack_shape) / len(self.devices)

    def provenance(self) -> dict[str, Any]:
        """Return what another person needs to get the same result, as plain data for JSON."""
        return provenance_of(self)

    def _frames(self, reader: ThreadPoolExecutor) -> Iterator[tuple[tuple[int, ...], Future[Source]]]:
        """Yield each frame as it is being read and prepared, with the next one already begun."""
        ahead: deque[tuple[tuple[int, ...], Future[Source]]] = deque()
        for index in self.frames:
            ahead.append((index, reader.submit(self.source, index)))
            if len(ahead) > 1:
                yield ahead.popleft()
        yield from ahead

    def _jobs(self, reader: ThreadPoolExecutor) -> Iterator[Job | Future[Any]]:
        """Yield every frame's tiles, and before them the frame's future as long as it is being read."""
        for index, coming in self._frames(reader):
            if not coming.done():
                yield coming
            readers = tuple(way.reader(coming.result()) for way in self.ways)
            first = index == self.frames[0]
            for number, region in enumerate(self.first_tiles if first else self.tiles):
                if first and number == 1 and self.hold is not None:
                    self.opened = coming.result()
                    yield self.hold
                yield Job(index, region, readers)

    def _in_order(self) -> list[Region]:
        """Put what is nearest to the focus first; return the first frame's tiles."""
        if self.focus is None:
            return self.tiles
        axes = len(self.layout.stack_shape)
        if len(self.focus) != axes + len(self.patch):
            raise SettingsError(f"The focus {self.focus} is no pixel of labels with {axes + len(self.patch)} axes.")
        stack, pixel = self.focus[:axes], self.focus[axes:]
        self.frames.sort(key=lambda index: math.dist(index, stack))
        places = tuple(i / self.settings.every for i in pixel)
        in_strips = all(way.in_strips for way in self.ways)
        self.tiles = nearest_first(self.tiles, places, _TOGETHER if in_strips else 1)
        if len(self.tiles) == 1 or not in_strips:
            return [*with_first(self.tiles[0], first_tile(self.ways, self.tile), places), *self.tiles[1:]]
        most = tuple(stop - start for start, stop in self.extent) if self.settings.tile is None else self.tile
        small = first_tile(self.ways, most)
        if math.prod(small) >= math.prod(self.tile):
            return self.tiles
        # It lies over strips that come later: to cut these around it would take more than to compute it twice.
        return [with_first(self.extent, small, places)[0], *self.tiles]

    def _tell(self, note: str) -> None:
        """Tell the user something: who computes by hand is told by the log, whose warnings go to standard error."""
        self.notes.append(note)
        _log.warning(note)

    def _tile(self, job: Job, answers: list[_Image]) -> Tile:
        """Return a finished tile."""
        scores = answers[0] if len(answers) == 1 else np.stack(answers).mean(axis=0, dtype=np.float32)
        labels = labels_of(scores, self.networks[0].head, self.label_dtype)
        self.done += 1
        self.seconds = time.perf_counter() - self._start
        new, self._told = tuple(self.notes[self._told :]), len(self.notes)
        return Tile((*job.index, *slices(job.region)), labels, scores, self.done, self.total, new)


def _await(future: Future[T], poll: float | None) -> Generator[None, None, T]:
    """Wait for a future, yielding None every ``poll`` seconds."""
    while True:
        try:
            return future.result(timeout=poll)
        except TimeoutError:
            if future.done():
                raise
            yield None
