"""What a search does with a block, in stages; between two of them blocks learn of each other.

A stage needs nothing but the labels and the room that all share, and writes nothing that it reads, so that any process
can do it with any block, and do it again.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.frame_source import ChunkedSource, chunk_shape_of
from napari_fcnseg.errors import ImageError
from napari_fcnseg.instances.basins import EDGE, INTERIOR, Cutter
from napari_fcnseg.instances.blocks import Grid, slices
from napari_fcnseg.instances.cutting import BlockCutter
from napari_fcnseg.instances.joining import label_block
from napari_fcnseg.instances.settings import WATERSHED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.scratch import Scratch
    from napari_fcnseg.instances.settings import InstanceSettings

    Index = tuple[int, ...]
    Kinds = Callable[[Box], Numbers]

#: The stages: holes of the interior are found, and filled once it is known how large they are; then those of interior
#: and edge class together; parts of components are found; pieces in several blocks are cut, and then all others.
GAPS, FILLED, OUTER_GAPS, OUTER_FILLED = "gaps", "filled", "outer-gaps", "outer-filled"
PARTS, PIECES, CUT = "parts", "pieces", "cut"
#: What blocks are told of each other: their parts of pieces that cross them; at last the instances of all numbers.
CROSSING, TABLE = "crossing", "table"
LABELS, NUMBERS = "labels", "numbers"
_FRAMES: Final = 2  # of which a process keeps what it read last, or as many small ones as have so many pixels
_NEAR: Final = 2**24


def filling_stages(settings: InstanceSettings) -> list[tuple[str, str]]:
    """Return the stages that fill holes: how they are found, and filled."""
    inner, outer = [(GAPS, FILLED)], [(OUTER_GAPS, OUTER_FILLED)]
    return (inner + outer * (settings.edge is not None)) if settings.fill_holes else []


@dataclass(frozen=True)
class Task:
    """What is searched, and for what.

    Attributes
    ----------
    labels, scores : array_like
        As for :func:`~napari_fcnseg.find_instances`.
    settings : InstanceSettings
        For what.
    sampling : tuple of float
        Length of a pixel along each axis, the finest being 1.
    grid : Grid
        How a frame is cut.
    """

    labels: Any
    scores: Any
    settings: InstanceSettings
    sampling: tuple[float, ...]
    grid: Grid

    @property
    def stack(self) -> tuple[int, ...]:
        """Frames along each axis that they are stacked along."""
        return tuple(self.labels.shape)[: -len(self.grid.shape)]

    def note(self, kind: str, index: Index, block: int) -> str:
        """Return the name of what is noted of a block."""
        return "-".join(map(str, (kind, *index, block)))


class LabelsError(ImageError):
    """What was given as labels are none."""


class FrameArray:
    """One frame of an array, for reading and writing."""

    def __init__(self, array: Any, index: Index) -> None:
        self._array, self._index = array, index

    def __getitem__(self, where: tuple[slice, ...]) -> npt.NDArray[Any]:
        return np.asarray(self._array[(*self._index, *where)])

    def __setitem__(self, where: tuple[slice, ...], numbers: npt.NDArray[Any]) -> None:
        self._array[(*self._index, *where)] = numbers


@dataclass(frozen=True, eq=False)
class Meanwhile:
    """Room for what is known of some frames between the stages.

    Attributes
    ----------
    scratch : Scratch
        The room.
    first, count : int
        The number of the first frame, and how many there are.
    """

    scratch: Scratch
    first: int
    count: int

    @classmethod
    def within(cls, room: Scratch, first: int, count: int) -> Meanwhile:
        """Return room within another one, which can be emptied alone."""
        return cls(room.inner(f"meanwhile-{first}"), first, count)


class Stages:
    """Does the stages of a search.

    Parameters
    ----------
    task : Task
        The search.
    room : Scratch
        For what stays until the end: the numbers in each block, and what they stand for.
    meanwhile : Meanwhile
        For what is needed of some frames between the stages.
    proceed : callable
        Called again and again.
    """

    def __init__(self, task: Task, room: Scratch, meanwhile: Meanwhile, proceed: Callable[[], None]) -> None:
        self._task, self._room, self._meanwhile, self._proceed = task, room, meanwhile.scratch, proceed
        self._first, self._count = meanwhile.first, meanwhile.count
        self._read: OrderedDict[tuple[Index, str], Kinds] = OrderedDict()

    def make_room(self) -> None:
        """Make the arrays that the stages write into."""
        task, settings = self._task, self._task.settings
        shape, chunks = (self._count, *task.grid.shape), (1, *task.grid.block)
        for gaps, filled in filling_stages(settings):
            self._meanwhile.make(gaps, shape, np.uint32, chunks)
            self._meanwhile.make(filled, shape, np.uint8, chunks)
        if settings.method == WATERSHED:
            self._meanwhile.make(PARTS, shape, np.uint32, chunks)

    def _between(self, kind: str, index: Index) -> FrameArray:
        """Return a frame of what lies between the stages."""
        number = int(np.ravel_multi_index(index, self._task.stack)) if index else 0
        return FrameArray(self._meanwhile.array(kind), (number - self._first,))

    def do(self, stage: str, index: Index, block: int) -> None:
        """Do a stage with a block of a frame."""
        self._proceed()
        box = self._task.grid.box(block)
        if stage == GAPS:
            self._label(stage, self._kinds(index, LABELS)(box) != INTERIOR, index, block)
        elif stage == OUTER_GAPS:
            self._label(stage, self._kinds(index, FILLED)(box) == 0, index, block)
        elif stage == FILLED:
            self._fill((GAPS, FILLED), LABELS, INTERIOR, index, block)
        elif stage == OUTER_FILLED:
            self._fill((OUTER_GAPS, OUTER_FILLED), FILLED, EDGE, index, block)
        elif stage == PARTS:
            self._label(stage, self._kinds(index)(box) > 0, index, block)
        elif stage == PIECES:
            found = self._cutter(index).pieces(self._crossing(index, block))
            self._meanwhile.note(self._task.note(PIECES, index, block), **found)
        else:
            self._cut(index, block)

    def _label(self, kind: str, mask: Mask, index: Index, block: int) -> None:
        grid, settings = self._task.grid, self._task.settings
        box = grid.box(block)
        local, facts = label_block(mask, box, grid.shape, settings.connectivity)
        self._parts(kind, index)[slices(box)] = local
        self._meanwhile.note(self._task.note(kind, index, block), **facts)

    def _parts(self, kind: str, index: Index) -> FrameArray:
        """Return where the numbers of a stage are; those of components are those of instances."""
        if kind == PARTS and self._task.settings.method != WATERSHED:
            return FrameArray(self._room.array(NUMBERS), index)
        return self._between(kind, index)

    def _fill(self, stages: tuple[str, str], source: str, filling: int, index: Index, block: int) -> None:
        """Write kinds with the holes filled that ``skimage.morphology.remove_small_holes`` fills.

        What the threshold of that function means depends on its version.
        """
        box, (gaps, filled) = self._task.grid.box(block), stages
        (small,) = self._meanwhile.noted(self._task.note(filled, index, block), "small")
        holes = small[self._between(gaps, index)[slices(box)]]
        kinds = np.where(holes, np.uint8(filling), self._kinds(index, source)(box))
        self._between(filled, index)[slices(box)] = kinds

    def _cut(self, index: Index, block: int) -> None:
        task, box = self._task, self._task.grid.box(block)

        def pieces(home: int, *keys: str) -> list[npt.NDArray[Any]]:
            return self._meanwhile.noted(task.note(PIECES, index, home), *keys)

        names = ("size", "first", "low", "high")
        own = dict(zip(names, self._meanwhile.noted(task.note(PARTS, index, block), *names), strict=True))
        local = self._parts(PARTS, index)[slices(box)]
        numbers, facts = self._cutter(index).block(box, local, own, self._crossing(index, block), pieces)
        FrameArray(self._room.array(NUMBERS), index)[slices(box)] = numbers
        self._meanwhile.note(task.note(CUT, index, block), **facts)

    def _crossing(self, index: Index, block: int) -> dict[str, npt.NDArray[Any]]:
        names = ("local", "root", "home", "piece", "first", "low", "high")
        return dict(
            zip(names, self._meanwhile.noted(self._task.note(CROSSING, index, block), *names), strict=True)
        )  # fmt: skip

    def _cutter(self, index: Index) -> BlockCutter:
        task, kinds = self._task, self._kinds(index)
        scores = None if task.scores is None else FrameArray(task.scores, index)
        read = None if scores is None else lambda box: scores[(*slices(box), slice(None))]
        cutter = Cutter(kinds, read, task.grid.shape, task.settings, task.sampling, self._proceed)
        return BlockCutter(cutter, kinds, task.settings.connectivity)

    def _kinds(self, index: Index, source: str = "") -> Kinds:
        """Return what reads the kinds of pixels in a frame: of the labels, or after a stage, if not given the last."""
        source = source or next((filled for _, filled in reversed(filling_stages(self._task.settings))), LABELS)
        if source == LABELS:
            return self._near((index, source), self._kinds_of(FrameArray(self._task.labels, index)), self._task.labels)
        frame = self._between(source, index)
        return self._near((index, source), lambda box: frame[slices(box)], self._meanwhile.array(source))

    def _kinds_of(self, frame: FrameArray) -> Kinds:
        settings = self._task.settings

        def kinds(box: Box) -> Numbers:
            labels = frame[slices(box)]
            if labels.dtype.kind == "i" and labels.min() < 0:
                raise LabelsError(
                    f"Labels are whole numbers from 0; these hold {labels.min()}. Give the labels of a run."
                )
            found = np.zeros(labels.shape, np.uint8)
            if settings.edge is not None:
                found[labels == settings.edge] = EDGE
            for number in settings.classes:
                found[labels == number] = INTERIOR
            return found

        return kinds

    def _near(self, name: tuple[Index, str], read: Kinds, array: Any) -> Kinds:
        """Return what reads an array on disk and keeps what it read last; an array in memory is near."""
        grid = self._task.grid
        if isinstance(array, np.ndarray):
            return read
        if name not in self._read:
            chunks = tuple(map(min, (chunk_shape_of(array) or grid.block)[-len(grid.block) :], grid.block))
            near = ChunkedSource(lambda box: read(box)[..., None], grid.shape, chunks)
            self._read[name] = lambda box: near.read(box)[..., 0]
            while len(self._read) > max(_FRAMES, _NEAR // math.prod(grid.shape)):
                self._read.popitem(last=False)
        return self._read[name]
