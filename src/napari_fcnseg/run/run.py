"""A run: execute a plan, and yield one finished tile after the other."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import is_large
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.plan.input_check import check_prepared, one_class
from napari_fcnseg.plan.memory_budget import remember_budgets
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.device_queue import TileJob
from napari_fcnseg.run.dispatcher import Dispatcher, wait_for
from napari_fcnseg.run.labels import labels_of, measures_of
from napari_fcnseg.run.method_runner import devices_of, runner_of, usable_of
from napari_fcnseg.run.provenance import provenance_of
from napari_fcnseg.run.time_spent import TimeSpent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.imagefile import GrowingZarr
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index, Planned, Skip
    from napari_fcnseg.run.witnesses import Seen, Witnesses

_log = logging.getLogger("napari_fcnseg")
_STARTING, _PREPARING, _COMPUTING = "Starting the computing process", "Preparing the network", "Computing"

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
    sums : tuple of int, or None
        Of a block that a worker of a cluster has computed and written by itself: a checksum per kind of output. Its
        arrays are then read from the files where somebody asks for them.
    seen : tuple of ndarray, or None
        Of such a block: the pixels whose numbers are wanted, and these numbers.
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
    sums: tuple[int, ...] | None = None
    seen: Seen | None = None

    @property
    def place(self) -> tuple[Index, Region]:
        """The index of its frame, and its region of that; of a preview without the steps."""
        index = tuple(int(w) for w in self.where if not isinstance(w, slice))
        return index, tuple((w.start, w.stop) for w in self.where if isinstance(w, slice))


class Run:
    """Executes a plan; more than once, if need be.

    Parameters
    ----------
    plan : RunPlan
        What to compute, and how (:func:`napari_fcnseg.plan.run_plan.make_plan`).

    Attributes
    ----------
    runners : tuple of MethodRunner or PixelRunner
        What computes each model's numbers.
    notes : list of str
        What the user should know of how the run goes, as sentences, in the order in which it came up; the plan's first.
    devices : tuple of Device
        That compute; empty before they are known.
    spent : TimeSpent
        What it has taken.
    doing : str
        What goes on, as people say it.
    done : int
        Tiles that are finished.
    doubtful : bool
        Whether the user was told to check the normalisation.
    in_part : bool
        Whether tiles were left out, the last time, that were there already.
    opened : FrameSource or None
        The first frame, while the other tiles are held back.
    taken : mapping of tuple to list
        What the preprocessing of some frames needs, taken by an earlier run (:attr:`Bound.numbers`, step by step).
    on_taken : callable or None
        Called with the same of each large frame, once it is taken.
    witnesses : Witnesses or None
        The pixels whose numbers are wanted, also of tiles that others write.
    writes : bool
        Whether it writes its tiles by itself, as on a cluster, where the workers do.
    """

    writes = False

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.runners = tuple(map(runner_of, plan.methods))
        self.notes = list(plan.notes)
        self.devices: tuple[Device, ...] = ()
        self.spent, self.doing, self.done, self.in_part = TimeSpent(), _STARTING, 0, False
        self.opened: FrameSource | None = None
        self.doubtful, self.doubt = False, ""
        self.taken: Mapping[Index, list[preprocess.Numbers]] = {}
        self.on_taken: Callable[[Index, list[preprocess.Numbers]], object] | None = None
        self.witnesses: Witnesses | None = None
        self._bound: dict[Index, list[preprocess.Bound]] = {}
        self._start, self._told, self._added = 0.0, 0, 0
        self._pixels: Counter[int] = Counter()  # by label

    @property
    def device(self) -> str | None:
        """Names of the devices in use; None before they are known."""
        return ", ".join(map(str, self.devices)) or None

    @property
    def total(self) -> int:
        """Number of tiles over all frames; it grows where a tile that does not fit into memory is cut."""
        return self.plan.schedule.total + self._added

    def source(self, index: tuple[int, ...]) -> FrameSource:
        """Return one frame, prepared, to be read region by region; a small one is read now.

        Raises
        ------
        ImageError
            If the frame holds values that are not finite; of a large one, reading them raises it.
        """
        bound = self._bound.setdefault(index, [])
        if not bound and index in self.taken:
            bound += map(preprocess.bind_known, self.plan.steps, self.taken[index])
        known, frame = len(bound), self.plan.layout.source(self.plan.image, index)
        prepared = preprocess.prepare(frame, self.plan.steps, bound)
        if known < len(bound) and is_large(frame.shape):
            self._take(index, [step.numbers for step in bound])
        return prepared

    def _take(self, index: Index, numbers: list[preprocess.Numbers]) -> None:
        """Say that the statistics of a large frame were taken."""
        if self.on_taken is not None:
            self.on_taken(index, numbers)

    def execute(
        self, poll: float | None = None, skip: Skip | None = None, hold: Future[None] | None = None
    ) -> Generator[Tile | None, None, None]:
        """Compute tile after tile.

        Parameters
        ----------
        poll : float, optional
            Seconds after which None is yielded while a tile is not ready, so that the caller can stop. Without it
            only tiles are yielded.
        skip : callable, optional
            Of a frame's index and a tile's region: whether the tile is there already. It then counts as done, and is
            computed only where one below it is computed from what is kept of it.
        hold : Future, optional
            No tile but the first is begun before it is done; ``opened`` is the first frame meanwhile.

        Yields
        ------
        Tile or None
        """
        schedule, settings = self.plan.schedule, self.plan.settings
        planned, self.in_part = schedule.planned(skip), skip is not None
        if not self.in_part:
            self._pixels.clear()
        self._added, self.done = 0, schedule.total - sum(len(parts) for _, parts in planned)
        if not planned:
            return
        reader = ThreadPoolExecutor(1, "napari-fcnseg-frames")
        dispatcher = None
        for note in self.notes[self._told :]:  # from planning
            _log.warning(note)
        before = self.spent if self.in_part else TimeSpent()
        began, self.doing = time.perf_counter(), _STARTING
        try:
            choice = engine().choose(devices_of(self.plan), settings.precision)
            devices = self.devices = self._usable((yield from wait_for(choice, poll)))
            started, self.doing = time.perf_counter(), _PREPARING
            dispatcher = Dispatcher(self.runners, devices, self.plan.memory_budget, self.tell)
            yield from dispatcher.load(poll)
            ready, self.doing = time.perf_counter(), _COMPUTING
            self.spent = TimeSpent(before.starting + started - began, before.preparing + ready - started)
            self._start = ready - before.computing
            for finished in dispatcher.answers(self._jobs(planned, reader, hold), poll):
                self._added, self.devices = dispatcher.added, dispatcher.devices
                yield self._tile(*finished) if finished is not None else None
        finally:
            reader.shutdown(wait=False, cancel_futures=True)
            if dispatcher is not None:
                self._leave(dispatcher)

    def _leave(self, dispatcher: Dispatcher) -> None:
        """Keep what was learned, and give memory back."""
        remember_budgets(dispatcher.memory_budgets, self.plan.methods, self.plan.settings)
        engine().release()

    def writes_into(self, arrays: Mapping[str, Any], growing: Mapping[str, GrowingZarr]) -> None:
        """Take what the tiles are written into, and what of that is new, by the kinds; of use to one that writes."""

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the result, as plain data for JSON."""
        return provenance_of(self.plan, self.devices, self.spent, self.notes)

    def _jobs(
        self, planned: Planned, reader: ThreadPoolExecutor, hold: Future[None] | None
    ) -> Iterator[TileJob | Future[Any]]:
        """Yield every frame's tiles, and before them the frame's future as long as it is being read."""
        ahead: deque[Future[FrameSource]] = deque()  # the next frame is begun before this one is computed
        for number, (index, parts) in enumerate(planned):
            while len(ahead) < min(2, len(planned) - number):
                ahead.append(reader.submit(self.source, planned[number + len(ahead)][0]))
            coming = ahead.popleft()
            if not coming.done():
                yield coming
            if number == 0:
                self._doubt(coming.result(), [region for _, region in parts])
            readers = tuple(method.reader(coming.result()) for method in self.plan.methods)
            for tile, (group, region) in enumerate(parts):
                if number == 0 and tile == 1 and hold is not None:
                    self.opened = coming.result()
                    yield hold
                    self.opened = None
                yield TileJob(index, region, readers, group)

    def tell(self, note: str) -> None:
        """Add a note for the user, and log it as a warning, which Python shows on standard error."""
        self.notes.append(note)
        _log.warning(note)

    def _usable(self, devices: Sequence[Device]) -> tuple[Device, ...]:
        """Return the devices that compute, which is said where they are not those that were chosen."""
        usable = usable_of(self.plan, devices)
        if usable != tuple(devices):
            self.tell(f"Models that label every pixel themselves are run by ONNX Runtime: on {usable[0]}.")
        return usable

    def _doubt(self, frame: FrameSource, regions: Sequence[Region]) -> None:
        """Tell the user, once, if a prepared frame does not look like what the models were trained on."""
        if self.in_part:
            return
        tiles = [self.plan.methods[0].pixels(region) for region in regions]
        if doubt := check_prepared(frame, self.plan.models, self.plan.steps, tiles):
            self.doubtful, self.doubt = True, doubt
            self.tell(f"{doubt} Check the normalisation.")

    def _count(self, labels: npt.NDArray[np.unsignedinteger[Any]]) -> None:
        """Count labels."""
        self._pixels.update(dict(enumerate(np.bincount(labels.ravel()).tolist())))
        self._say_one_class()

    @property
    def counts(self) -> Mapping[int, int]:
        """Pixels by label, of the tiles that are finished."""
        return self._pixels

    def _say_one_class(self) -> None:
        """Tell the user at the end if there is one class nearly everywhere."""
        if self.done == self.total and (said := one_class(self._pixels, self._class, doubted=self.doubtful)):
            self.doubtful = True
            self.tell(said)

    def _class(self, label: int) -> str:
        names = self.plan.models[0].class_names
        return repr(names[label - 1]) if len(names) >= label else f"class {label}"

    def _tile(self, job: TileJob, answers: list[_Image]) -> Tile:
        """Return a finished tile."""
        plan, head = self.plan, self.plan.networks[0].head
        scores = answers[0] if len(answers) == 1 else np.stack(answers).mean(axis=0, dtype=np.float32)
        labels = labels_of(scores, head, plan.label_dtype)
        arrays: Sequence[Any] = (labels, scores, *measures_of(answers, scores, labels, head, plan.settings))
        if plan.mask is not None:
            arrays = plan.mask.cut_out(job.index, job.region, arrays)
        self.done += 1
        self.spent.computing = time.perf_counter() - self._start
        self._count(labels)
        new, self._told = tuple(self.notes[self._told :]), len(self.notes)
        labels, scores, *more = arrays
        return Tile((*job.index, *as_slices(job.region)), labels, scores, self.done, self.total, new, False, *more)
