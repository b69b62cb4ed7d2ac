"""A run: everything checked before the start, then one finished tile after the other."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.border import check_border
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.sidecar import agreed_preprocess
from napari_fcnseg.plan.layout import Layout, check_dtype
from napari_fcnseg.plan.mask import Mask
from napari_fcnseg.plan.memory_budget import FRAMEWORK, memory_budget_for, remember_budgets
from napari_fcnseg.plan.method import choose_method
from napari_fcnseg.plan.tile_order import PlanSummary, Schedule, chosen_frames
from napari_fcnseg.plan.tile_size import early_tile, extent_of, strips_per_group, tile_size_for
from napari_fcnseg.plan.tiles import as_slices, cut_tiles
from napari_fcnseg.run.device_queue import TileJob
from napari_fcnseg.run.dispatcher import Dispatcher, wait_for
from napari_fcnseg.run.labels import labels_of, measures_of
from napari_fcnseg.run.method_runner import MethodRunner
from napari_fcnseg.run.provenance import provenance_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from concurrent.futures import Future

    from napari_fcnseg.arrays.frame_source import FrameSource
    from napari_fcnseg.conversion import DenseNetwork
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.tile_order import Index, Planned, Skip
    from napari_fcnseg.settings import RunSettings

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
        Class index + 1; 0 outside a mask.
    scores : ndarray of float32, shape (*tile, class)
        The network's own numbers, averaged over an ensemble; 0 outside a mask.
    done, total : int
        Tiles finished, this one included, and tiles of the whole run; they become more where one that does not fit
        into memory is cut. Tiles of a preview are not counted.
    notes : tuple of str
        What happened since the last tile that the user should know, as sentences.
    preview : bool
        Whether it belongs to a coarse pass: then ``where`` has steps, and tiles of all pixels are to come. Its labels
        are as exact as any.
    confidence, disagreement : ndarray of float32, shape (*tile), or None
        If the settings ask for them: the number of the class that wins, and the share of an ensemble's members that
        say another class.
    """

    where: tuple[int | slice, ...]
    labels: npt.NDArray[np.unsignedinteger[Any]]
    scores: npt.NDArray[np.float32]
    done: int
    total: int
    notes: tuple[str, ...] = ()
    preview: bool = False
    confidence: npt.NDArray[np.float32] | None = None
    disagreement: npt.NDArray[np.float32] | None = None


class Run:
    """One image, one or more models and settings, checked against each other.

    It may be executed more than once.

    Parameters
    ----------
    image : array_like
        Any numeric type; spatial axes last, a channel axis anywhere, other axes are a stack of frames.
    models : sequence of PatchModel
        An ensemble that fits together (:func:`napari_fcnseg.model.patch_model.as_ensemble`).
    settings : RunSettings
        What the user chose.
    focus : tuple of int, optional
        A pixel of the labels: an index per stack axis and per spatial axis of the image. What is nearest to it comes
        first, in a long run beginning with a small tile. Otherwise tiles come column by column, from top to bottom.
        The order changes no number.
    mask : array_like or Mask, optional
        Labels are wanted where it is not 0: pixels of a frame, or of the whole stack. Tiles are those of the run
        without it; one that holds nothing of it is not computed.

    Attributes
    ----------
    schedule : Schedule
        Which tiles are computed, and in which order.
    skip : callable or None
        Of a frame's index and a tile's places: whether the tile is there already. It then counts as done, and is
        computed only where one below it is computed from what is kept of it.
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
        self, image: Any, models: Sequence[PatchModel], settings: RunSettings, focus: Sequence[int] | None = None,
        mask: Any = None,
    ) -> None:  # fmt: skip
        self.image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
        check_dtype(np.dtype(self.image.dtype))
        check_border(settings.border)
        self.models = tuple(models)
        if settings.disagreement and len(self.models) == 1:
            raise SettingsError("One model cannot disagree with itself. Choose several models, or no disagreement.")
        named = settings.preprocess
        steps = named if named is not None else agreed_preprocess([(m.name, m.sidecar) for m in self.models])
        self.settings = replace(settings, preprocess=steps)
        self.steps = preprocess.parse(steps)
        self._bound: dict[Index, list[preprocess.Bound]] = {}
        self.networks: tuple[DenseNetwork, ...] = tuple(m.fcn.network for m in self.models)
        first = self.networks[0]
        spatial = len(first.patch_shape)
        self.layout = Layout.of(tuple(self.image.shape), first.channels, spatial, settings.channel_axis)
        self.patch = tuple(max(n.patch_shape[axis] for n in self.networks) for axis in range(spatial))
        self.extent = extent_of(self.layout.frame_shape, [n.patch_shape for n in self.networks], settings)
        # All of them, however few are asked for: a part of a run has the numbers of the whole, to the last bit.
        sizes = tuple(stop - start for start, stop in self.extent)
        places = math.prod(sizes) * math.prod(self.layout.stack_shape)
        self.methods = tuple(choose_method(m, settings, places) for m in self.models)
        self.runners = tuple(map(MethodRunner, self.methods))
        self.notes: list[str] = []
        self.memory_budget = memory_budget_for(self.methods, settings)
        self.tile = tile_size_for(self.methods, sizes, settings, self.memory_budget, self.notes.append)
        self.mask = mask if mask is None or isinstance(mask, Mask) else Mask(mask, self.layout, settings.every)
        together = strips_per_group(self.methods, self.tile)
        frames = chosen_frames(self.layout, settings.frames)
        self.schedule = Schedule(cut_tiles(self.extent, self.tile), together, frames, self.mask)
        self.focus = None if focus is None else tuple(focus)
        if self.focus is not None:
            self._turn_to(self.focus)
        self.skip: Skip | None = None
        self.hold: Future[None] | None = None
        self.opened: FrameSource | None = None
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
        return (*self.layout.stack_shape, *(-(-n // self.settings.every) for n in self.layout.frame_shape))

    @property
    def total(self) -> int:
        """Number of tiles over all frames; it grows where a tile that does not fit into memory is cut."""
        return self.schedule.total + self._added

    @property
    def plan(self) -> PlanSummary:
        """What the run is going to do; nothing is computed for it."""
        tile, schedule = self.tile, self.schedule
        return PlanSummary(tile, schedule.total, schedule.pixels, self.memory_budget.expected(tile) + FRAMEWORK)

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer that holds every label."""
        return np.min_scalar_type(self.networks[0].classes)

    def source(self, index: tuple[int, ...]) -> FrameSource:
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
        planned = self.schedule.planned(self.skip)
        self._added, self.done = 0, self.schedule.total - sum(len(parts) for _, parts in planned)
        if not planned:
            return
        reader = ThreadPoolExecutor(1, "napari-fcnseg-frames")
        dispatcher = None
        for note in self.notes[self._told :]:  # from planning
            _log.warning(note)
        try:
            choice = engine().choose(self.settings.device, self.settings.precision)
            devices = self.devices = yield from wait_for(choice, poll)
            dispatcher = Dispatcher(self.runners, devices, self.memory_budget, self._tell)
            yield from dispatcher.load(poll)
            self._start = time.perf_counter() - (self.seconds if self.skip is not None else 0)
            for finished in dispatcher.answers(self._jobs(planned, reader), poll):
                self._added, self.devices = dispatcher.added, dispatcher.devices
                yield self._tile(*finished) if finished is not None else None
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
            if dispatcher is not None:
                remember_budgets(dispatcher.memory_budgets, self.methods, self.settings)
                engine().release()

    def provenance(self) -> dict[str, Any]:
        """Return what another person needs to get the same result, as plain data for JSON."""
        return provenance_of(self)

    def _turn_to(self, focus: tuple[int, ...]) -> None:
        """Have what is nearest to a pixel come first, in a long run beginning with a small tile."""
        axes, schedule = len(self.layout.stack_shape), self.schedule
        if len(focus) != axes + len(self.patch):
            raise SettingsError(f"The focus {focus} is no pixel of labels with {axes + len(self.patch)} axes.")
        place = tuple(i / self.settings.every for i in focus[axes:])
        schedule.nearest_to(focus[:axes], place)
        schedule.begin_with(early_tile(self.methods, self.extent, self.settings, self.tile, schedule.total, place))

    def _jobs(self, planned: Planned, reader: ThreadPoolExecutor) -> Iterator[TileJob | Future[Any]]:
        """Yield every frame's tiles, and before them the frame's future as long as it is being read."""
        ahead: deque[Future[FrameSource]] = deque()  # the next frame is begun before this one is computed
        for number, (index, parts) in enumerate(planned):
            while len(ahead) < min(2, len(planned) - number):
                ahead.append(reader.submit(self.source, planned[number + len(ahead)][0]))
            coming = ahead.popleft()
            if not coming.done():
                yield coming
            readers = tuple(method.reader(coming.result()) for method in self.methods)
            for tile, (group, region) in enumerate(parts):
                if number == 0 and tile == 1 and self.hold is not None:
                    self.opened = coming.result()
                    yield self.hold
                yield TileJob(index, region, readers, group)

    def _tell(self, note: str) -> None:
        """Tell the user something: who computes by hand is told by the log, whose warnings go to standard error."""
        self.notes.append(note)
        _log.warning(note)

    def _tile(self, job: TileJob, answers: list[_Image]) -> Tile:
        """Return a finished tile."""
        head = self.networks[0].head
        scores = answers[0] if len(answers) == 1 else np.stack(answers).mean(axis=0, dtype=np.float32)
        labels = labels_of(scores, head, self.label_dtype)
        arrays: Sequence[Any] = (labels, scores, *measures_of(answers, scores, labels, head, self.settings))
        if self.mask is not None:
            arrays = self.mask.cut_out(job.index, job.region, arrays)
        self.done += 1
        self.seconds = time.perf_counter() - self._start
        new, self._told = tuple(self.notes[self._told :]), len(self.notes)
        labels, scores, *more = arrays
        return Tile((*job.index, *as_slices(job.region)), labels, scores, self.done, self.total, new, False, *more)
