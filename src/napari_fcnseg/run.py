"""A run: everything checked before the start, then one finished tile after the other."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from napari_fcnseg import preprocess
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import ImageError
from napari_fcnseg.extent import extent_of, tile_of
from napari_fcnseg.sidecar import agreed_preprocess
from napari_fcnseg.tiling import Layout, check_border, cut, slices
from napari_fcnseg.tiling.layout import check_dtype
from napari_fcnseg.ways import Way

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Future

    from napari_fcnseg.conversion import DenseNetwork
    from napari_fcnseg.conversion.fcn import Head
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.settings import RunSettings

T = TypeVar("T")

_Image: TypeAlias = npt.NDArray[np.float32]

_AHEAD = 1  # tiles that wait in the engine's queue behind the one it computes


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
        Tiles finished, this one included, and tiles of the whole run.
    """

    where: tuple[int | slice, ...]
    labels: npt.NDArray[np.unsignedinteger[Any]]
    scores: npt.NDArray[np.float32]
    done: int
    total: int


@dataclass(frozen=True)
class _Job:
    """A tile that the engine has: its place in the labels, and what each network will answer."""

    where: tuple[int | slice, ...]
    answers: list[Future[_Image]]


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

    Raises
    ------
    ImageError, SettingsError
        If they do not fit together.
    """

    def __init__(self, image: Any, models: Sequence[PatchModel], settings: RunSettings) -> None:
        self.image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
        check_dtype(np.dtype(self.image.dtype))
        check_border(settings.border)
        self.models = tuple(models)
        steps = settings.preprocess
        if steps is None:
            steps = agreed_preprocess([(m.name, m.sidecar) for m in self.models])
        self.settings = replace(settings, preprocess=steps)
        self.steps = preprocess.parse(steps)
        self.networks: tuple[DenseNetwork, ...] = tuple(m.fcn.network for m in self.models)
        first = self.networks[0]
        spatial = len(first.patch_shape)
        self.layout = Layout.of(tuple(self.image.shape), first.channels, spatial, settings.channel_axis)
        self.patch = tuple(max(n.patch_shape[axis] for n in self.networks) for axis in range(spatial))
        self.extent = extent_of(self.layout.frame_shape, [n.patch_shape for n in self.networks], settings)
        places = math.prod(stop - start for start, stop in self.extent) * math.prod(self.layout.stack_shape)
        self.ways = tuple(Way(m, settings, places) for m in self.models)
        self.tile = tile_of(self.ways, tuple(stop - start for start, stop in self.extent), settings)
        self.tiles = cut(self.extent, self.tile)
        self.device: Device | None = None
        self.seconds = 0.0
        self._start, self._done = 0.0, 0

    @property
    def outputs(self) -> int:
        """Numbers per pixel."""
        return self.networks[0].outputs

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the labels; along the model's axes one entry per ``every`` pixels of the image."""
        every = self.settings.every
        return (*self.layout.stack_shape, *(-(-n // every) for n in self.layout.frame_shape))

    @property
    def total(self) -> int:
        """Number of tiles over all frames."""
        return len(self.tiles) * math.prod(self.layout.stack_shape)

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer that holds every label."""
        return np.min_scalar_type(self.networks[0].classes)

    def frame(self, index: tuple[int, ...]) -> _Image:
        """Return one frame, prepared: ``(*spatial, channel)`` in float32.

        Raises
        ------
        ImageError
            If the frame holds values that are not finite.
        """
        frame = self.layout.frame(self.image, index)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the result is looked at below
            frame = preprocess.apply(frame, self.steps)
        if self.steps and not np.isfinite(frame.sum(dtype=np.float64)):
            steps = ", ".join(map(str, self.steps))
            raise ImageError(f"Preprocessing ({steps}) made values that are not finite. Choose other steps.")
        return frame

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
        waiting: deque[_Job] = deque()
        reader = ThreadPoolExecutor(1, "napari-fcnseg-frames")
        try:
            yield from _await(engine().start(), poll)
            self.device = engine().device(self.settings.device)
            for way in self.ways:
                yield from _await(way.load(self.device), poll)
            self._start, self._done = time.perf_counter(), 0
            for index, coming in self._frames(reader):
                if not coming.done():  # deliver what is finished while a slow frame is read
                    yield from self._deliver(waiting, 0, poll)
                frame = yield from _await(coming, poll)
                for job in self._jobs(index, frame, self.device):
                    waiting.append(job)
                    yield from self._deliver(waiting, _AHEAD, poll)
            yield from self._deliver(waiting, 0, poll)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
            for job in waiting:
                for future in job.answers:
                    future.cancel()

    def estimate(self) -> float:
        """Return the seconds that computing will take, from the time of a small part."""
        device = self.device = engine().device(self.settings.device)
        frame = self.frame((0,) * len(self.layout.stack_shape))
        seconds = sum(way.estimate(way.reader(frame), self.tiles, device) for way in self.ways)
        return seconds * math.prod(self.layout.stack_shape)

    def provenance(self) -> dict[str, Any]:
        """Return what another person needs to get the same result, as plain data for JSON."""
        return {
            "program": "napari-fcnseg",
            "models": [
                {
                    "name": m.name,
                    "path": str(m.path or ""),
                    "sha256": m.sha256,
                    "output": m.output,
                    "patch_shape": list(m.patch_shape),
                    "method": way.method,
                }
                for m, way in zip(self.models, self.ways, strict=True)
            ],
            "settings": self.settings.as_dict(),
            "image": {"shape": list(self.layout.shape), "dtype": str(self.image.dtype)},
            "channel_axis": self.layout.channel_axis,
            "tile": list(self.tile),
            "device": str(self.device) if self.device is not None else None,
            "seconds": self.seconds,
            "versions": {
                "python": platform.python_version(),
                **{
                    name: importlib.metadata.version(name) for name in ("napari-fcnseg", "tensorflow", "keras", "numpy")
                },
            },
        }

    def _frames(self, reader: ThreadPoolExecutor) -> Iterator[tuple[tuple[int, ...], Future[_Image]]]:
        """Yield each frame as it is being read and prepared, with the next one already begun."""
        ahead: deque[tuple[tuple[int, ...], Future[_Image]]] = deque()
        for index in self.layout.frames():
            ahead.append((index, reader.submit(self.frame, index)))
            if len(ahead) > 1:
                yield ahead.popleft()
        yield from ahead

    def _jobs(self, index: tuple[int, ...], frame: _Image, device: Device) -> Iterator[_Job]:
        """Hand a frame's tiles to the engine, one whenever the next is asked for."""
        readers = [way.reader(frame) for way in self.ways]
        for region in self.tiles:
            answers = [way.begin(reader, region, device) for way, reader in zip(self.ways, readers, strict=True)]
            yield _Job((*index, *slices(region)), answers)

    def _deliver(self, waiting: deque[_Job], keep: int, poll: float | None) -> Generator[Tile | None, None, None]:
        """Yield the oldest tiles until no more than ``keep`` are with the engine."""
        while len(waiting) > keep:
            job = waiting[0]
            answers = []
            for way, future in zip(self.ways, job.answers, strict=True):
                answers.append(way.finish((yield from _await(future, poll))))
            waiting.popleft()
            scores = answers[0] if len(answers) == 1 else np.stack(answers).mean(axis=0, dtype=np.float32)
            labels = labels_of(scores, self.networks[0].head, self.label_dtype)
            self._done += 1
            self.seconds = time.perf_counter() - self._start
            yield Tile(job.where, labels, scores, self._done, self.total)


def labels_of(
    scores: npt.NDArray[np.float32], head: Head, dtype: np.dtype[Any]
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return class index + 1 for the network's numbers ``(…, class)``.

    A single number per pixel tells two classes apart: the second is meant above 0.5 after a sigmoid or softmax, and
    above 0 otherwise.
    """
    if scores.shape[-1] == 1:
        threshold = 0.0 if head == "scores" else 0.5
        index: npt.NDArray[Any] = scores[..., 0] > threshold
    else:
        index = scores.argmax(axis=-1)
    labels: npt.NDArray[np.unsignedinteger[Any]] = (index + 1).astype(dtype)
    return labels


def _await(future: Future[T], poll: float | None) -> Generator[None, None, T]:
    """Wait for a future, yielding None every ``poll`` seconds."""
    while True:
        try:
            return future.result(timeout=poll)
        except TimeoutError:
            if future.done():
                raise
            yield None
