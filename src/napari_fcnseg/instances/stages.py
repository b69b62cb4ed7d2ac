"""What a search does with a block, in stages; between two of them blocks learn of each other.

A stage needs nothing but the labels and the room that all share, and writes nothing that it reads, so that any process
can do it with any block, and do it again.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.frame_source import ChunkedSource, chunk_shape_of
from napari_fcnseg.arrays.lazy import overlap
from napari_fcnseg.errors import ImageError
from napari_fcnseg.instances.basins import EDGE, INTERIOR, Terrain, separation_of
from napari_fcnseg.instances.blocks import Grid, slices
from napari_fcnseg.instances.cutting import BlockCutter
from napari_fcnseg.instances.joining import first_places, label_block
from napari_fcnseg.instances.settings import WATERSHED
from napari_fcnseg.instances.widening import Widening

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.joining import Table
    from napari_fcnseg.instances.scratch import Scratch
    from napari_fcnseg.instances.settings import InstanceSettings

    Index = tuple[int, ...]
    Kinds = Callable[[Box], Numbers]

#: The stages: holes of the interior are found, and filled once it is known how large they are; then those of interior
#: and edge class together; parts of components are found, and of the interior where it is to be cut; then the cores of
#: instances, and what belongs to each.
GAPS, FILLED, OUTER_GAPS, OUTER_FILLED = "gaps", "filled", "outer-gaps", "outer-filled"
PARTS, INTERIORS, CORES, CUT = "parts", "interiors", "cores", "cut"
#: What blocks are told of each other: which parts of the interior are deep, by which cores those of cores and of
#: components are known; at last the instances of all numbers.
DEEP, OWNERS, TABLE = "deep", "owners", "table"
LABELS, NUMBERS = "labels", "numbers"
_FRAMES: Final = 4  # of arrays of which a process keeps what it read last, or as many small ones as have so many pixels
_NEAR: Final = 2**24


def filling_stages(settings: InstanceSettings) -> list[tuple[str, str]]:
    """Return the stages that fill holes: how they are found, and filled."""
    inner, outer = [(GAPS, FILLED)], [(OUTER_GAPS, OUTER_FILLED)]
    return (inner + outer * (settings.edge is not None)) if settings.fill_holes else []


def cutting_stages(settings: InstanceSettings) -> list[str]:
    """Return the stages that cut what touches, after components have been found."""
    if settings.method != WATERSHED:
        return []
    necks = settings.edge is not None and separation_of(settings) > 0
    return [INTERIORS] * necks + [CORES, CUT]


def interiors_of(settings: InstanceSettings) -> str:
    """Return the stage in which the components of the interior are found: without an edge class there are no others."""
    return PARTS if settings.edge is None else INTERIORS


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
        self._widening = Widening(task.grid.shape, task.grid.block)

    def make_room(self) -> None:
        """Make the arrays that the stages write into."""
        task, settings = self._task, self._task.settings
        shape, chunks = (self._count, *task.grid.shape), (1, *task.grid.block)
        for gaps, filled in filling_stages(settings):
            self._meanwhile.make(gaps, shape, np.uint32, chunks)
            self._meanwhile.make(filled, shape, np.uint8, chunks)
        stages = cutting_stages(settings)
        for kind in [PARTS] * bool(stages) + stages[:-1]:
            self._meanwhile.make(kind, shape, np.uint32, chunks)

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
        elif stage == INTERIORS:
            self._label(stage, self._kinds(index)(box) == INTERIOR, index, block)
        elif stage == CORES:
            self._find_cores(index, block)
        else:
            self._cut(index, block)

    def _label(self, kind: str, mask: Mask, index: Index, block: int) -> None:
        """Find the components of a mask in a block; of the interior it is noted which are deep, of cores where."""
        grid, settings = self._task.grid, self._task.settings
        box = grid.box(block)
        local, facts = label_block(mask, box, grid.shape, settings.connectivity)
        self._parts(kind, index)[slices(box)] = local
        if kind == CORES:
            facts["part"] = self._parts(PARTS, index)[slices(box)].ravel()[first_places(local)].astype(np.int64)
        elif kind == interiors_of(settings) and settings.method == WATERSHED:
            facts["deep"] = self._cutter(index).deep(box, local)[1:]
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

    def _find_cores(self, index: Index, block: int) -> None:
        task, box = self._task, self._task.grid.box(block)
        if separation_of(task.settings):
            (deep,) = self._meanwhile.noted(task.note(DEEP, index, block), "deep")
            local = self._parts(interiors_of(task.settings), index)[slices(box)]
            mask = self._cutter(index).cores(box, deep[local])
        else:
            mask = self._kinds(index)(box) == INTERIOR
        self._label(CORES, mask, index, block)

    def _cut(self, index: Index, block: int) -> None:
        box = self._task.grid.box(block)
        cores, pieces = (partial(self._named, kind, index) for kind in (CORES, PARTS))
        numbers, facts = self._cutter(index).basins(box, cores, pieces)
        FrameArray(self._room.array(NUMBERS), index)[slices(box)] = numbers
        self._meanwhile.note(self._task.note(CUT, index, block), **facts)

    def _named(self, kind: str, index: Index, box: Box) -> tuple[Numbers, Table]:
        """Return, for each pixel in a box, which of some names its part is known by, and these names."""
        grid, frame = self._task.grid, self._parts(kind, index)
        numbers = self._near((index, kind), lambda part: frame[slices(part)], self._meanwhile.array(kind))(box)
        blocks = list(grid.over(box))
        tables = [self._meanwhile.noted(self._task.note(OWNERS, index, block), kind)[0] for block in blocks]
        names: Table = np.unique(np.concatenate([[0], *tables]))
        result = np.empty([b - a for a, b in box], np.int32)
        for block, table in zip(blocks, tables, strict=True):
            here = overlap(grid.box(block), box)
            there = slices(here, [low for low, _ in box])
            result[there] = np.searchsorted(names, table).astype(np.int32)[numbers[there]]
        return result, names

    def _cutter(self, index: Index) -> BlockCutter:
        task, kinds = self._task, self._kinds(index)
        scores = None if task.scores is None else FrameArray(task.scores, index)
        read = None if scores is None else lambda box: scores[(*slices(box), slice(None))]
        terrain = Terrain(kinds, read, task.grid.shape, task.settings, task.sampling)
        return BlockCutter(terrain, task.settings, self._widening, self._proceed)

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
