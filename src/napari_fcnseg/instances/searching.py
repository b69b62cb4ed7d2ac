"""The search for instances, frame by frame and in a frame block by block, with numbers that depend on no block."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_fcnseg.arrays.frame_source import ChunkedSource
from napari_fcnseg.arrays.lazy import LazyArray, overlap
from napari_fcnseg.instances.basins import separation_of
from napari_fcnseg.instances.blocks import slices
from napari_fcnseg.instances.cutting import SEVERAL
from napari_fcnseg.instances.joining import join_blocks
from napari_fcnseg.instances.scratch import Scratch
from napari_fcnseg.instances.stages import (
    CORES,
    CUT,
    DEEP,
    INTERIORS,
    NUMBERS,
    OWNERS,
    PARTS,
    TABLE,
    FrameArray,
    Meanwhile,
    Stages,
    cutting_stages,
    filling_stages,
    interiors_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.joining import Parts, Table
    from napari_fcnseg.instances.stages import Index, Task

_FEW = 2**16  # instances that 16 bits can number, and one
_MANY = 2**32
_TOGETHER = 2**23  # pixels of small frames that are gone through together
_FEW_BLOCKS = 256  # of a frame, whose notes are little memory
_TABLES = 256  # blocks whose numbers stay known to one who reads


class Found(LazyArray):
    """Instances: numbers from 1 without gaps, in the order of the frames and in a frame of the instances' first pixels.

    Parameters
    ----------
    task : Task
        What was searched.
    room : Scratch
        Has the numbers in each block, and what they stand for.
    dtype : dtype
        That can number all of them.
    sizes : ndarray of int, shape (instances,), optional
        Pixels of each instance, that of instance 1 first.
    """

    def __init__(self, task: Task, room: Scratch, dtype: npt.DTypeLike, sizes: Table | None = None) -> None:
        self._task, self._room, self.sizes = task, room, sizes
        self._numbers, self.block = room.array(NUMBERS), task.grid.block
        self.shape = tuple(self._numbers.shape)
        self.dtype = np.dtype(dtype)
        self.chunks = (*(1,) * len(task.stack), *self.block)
        self._kept: tuple[tuple[int, ...], ChunkedSource] | None = None
        self._table = lru_cache(_TABLES)(self._read_table)

    def read(self, box: Box) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the part in a box."""
        stack, grid = len(self._task.stack), self._task.grid
        frames, within = box[:stack], box[stack:]
        result = np.empty([b - a for a, b in box], self.dtype)
        for place in itertools.product(*(range(b - a) for a, b in frames)):
            index = tuple(a + n for (a, _), n in zip(frames, place, strict=True))
            numbers, frame = self._near(index, within), result[place]
            for block in grid.over(within):
                here = slices(overlap(grid.box(block), within), [low for low, _ in within])
                frame[here] = self._table(index, block)[numbers[here]]
        return result

    def _read_table(self, index: Index, block: int) -> Table:
        (table,) = self._room.noted(self._task.note(TABLE, index, block), TABLE)
        return table

    def _near(self, index: Index, box: Box) -> npt.NDArray[Any]:
        """Return numbers of a frame; of one on disk, what was read last is kept: outlines ask for many small boxes."""
        frame = FrameArray(self._numbers, index)
        if isinstance(self._numbers, np.ndarray):
            return frame[slices(box)]
        if self._kept is None or self._kept[0] != index:
            shape = self.shape[len(index) :]
            self._kept = index, ChunkedSource(lambda part: frame[slices(part)][..., None], shape, self.block)
        return self._kept[1].read(box)[..., 0]


class Workers(Protocol):
    """Who does the stages with the blocks."""

    together: int
    """Blocks from which on there is enough for all of them to do."""
    near: int
    """Pixels of frames of which they need not see on disk what is known meanwhile."""

    def each(
        self, stage: str, blocks: Iterable[tuple[Index, int]], meanwhile: Meanwhile, done: Callable[[], None]
    ) -> None:
        """Do a stage with blocks of frames, in any order; ``done`` is called for each."""


class Here:
    """Does the stages in this process.

    Parameters
    ----------
    task : Task
        The search.
    room : Scratch
        For what stays until the end.
    proceed : callable
        Called again and again.
    """

    def __init__(self, task: Task, room: Scratch, proceed: Callable[[], None]) -> None:
        self._task, self._room, self._proceed = task, room, proceed
        self._stages: tuple[Meanwhile, Stages] | None = None
        self.near = _TOGETHER
        self.together = max(1, _TOGETHER // math.prod(task.grid.block))
        if len(task.grid) <= _FEW_BLOCKS:
            room.keep_notes_here()

    def each(
        self, stage: str, blocks: Iterable[tuple[Index, int]], meanwhile: Meanwhile, done: Callable[[], None]
    ) -> None:
        """Do a stage with blocks of frames; ``done`` is called for each."""
        if self._stages is None or self._stages[0] is not meanwhile:
            self._stages = meanwhile, Stages(self._task, self._room, meanwhile, self._proceed)
        for index, block in blocks:
            self._stages[1].do(stage, index, block)
            done()


class Search:
    """Searches an array for instances: what each block knows is joined between the stages.

    Parameters
    ----------
    task : Task
        What to look for.
    room : Scratch
        Room for what is known on the way.
    workers : Workers
        Who does the stages.
    proceed : callable
        Called again and again.
    progress : callable, optional
        Called with how many times a block is done with a stage, and how many there are in all.
    """

    def __init__(
        self, task: Task, room: Scratch, workers: Workers, proceed: Callable[[], None],
        progress: Callable[[int, int], object] | None = None,
    ) -> None:  # fmt: skip
        self._task, self._room, self._workers, self._proceed = task, room, workers, proceed
        stages = 2 * len(filling_stages(task.settings)) + 1 + len(cutting_stages(task.settings))
        self._progress, self._done = progress, 0
        self._total = stages * math.prod(task.stack) * len(task.grid)

    def run(self) -> Found:
        """Return what there is."""
        task, grid = self._task, self._task.grid
        chunks = (*(1,) * len(task.stack), *grid.block)
        self._room.make(NUMBERS, (*task.stack, *grid.shape), np.uint32, chunks)
        frames = list(np.ndindex(*task.stack))
        at_once = max(1, -(-self._workers.together // len(grid)))
        sizes: list[Table] = [np.zeros(0, np.int64)]
        count = 0
        for start in range(0, len(frames), at_once):
            group = frames[start : start + at_once]
            near = len(group) * math.prod(grid.shape) <= self._workers.near
            room = Scratch() if near else self._room
            meanwhile = Meanwhile.within(room, start, len(group))
            for own in self._searched(group, meanwhile, count):
                sizes.append(own)
                count += len(own)
            meanwhile.scratch.empty()
        dtype = np.uint16 if count < _FEW else np.uint32 if count < _MANY else np.uint64
        return Found(task, self._room, dtype, np.concatenate(sizes))

    def _searched(self, frames: Sequence[Index], meanwhile: Meanwhile, count: int) -> list[Table]:
        """Search frames; return the sizes of the instances of each."""
        settings = self._task.settings
        meanwhile.scratch.begin()
        Stages(self._task, self._room, meanwhile, self._proceed).make_room()
        for gaps, filled in filling_stages(settings):
            self._each(gaps, frames, meanwhile)
            for index in frames:
                self._tell_small_gaps((gaps, filled), index, meanwhile)
            self._each(filled, frames, meanwhile)
        self._each(PARTS, frames, meanwhile)
        parts = [self._joined(PARTS, index, meanwhile) for index in frames]
        cores = self._cut(frames, parts, meanwhile) if cutting_stages(settings) else parts
        sizes = []
        for index, own in zip(frames, cores, strict=True):
            size = self._number(index, own, meanwhile, count)
            count += len(size)
            sizes.append(size)
        return sizes

    def _each(self, stage: str, frames: Iterable[Index], meanwhile: Meanwhile) -> None:
        blocks = range(len(self._task.grid))
        self._workers.each(stage, ((index, block) for index in frames for block in blocks), meanwhile, self._advance)

    def _advance(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _joined(self, stage: str, index: Index, meanwhile: Meanwhile) -> Parts:
        def noted(block: int, *keys: str) -> list[npt.NDArray[Any]]:
            return meanwhile.scratch.noted(self._task.note(stage, index, block), *keys)

        return join_blocks(noted, self._task.grid, self._task.settings.connectivity, self._proceed)

    def _tell_small_gaps(self, stages: tuple[str, str], index: Index, meanwhile: Meanwhile) -> None:
        """Tell each block which of its gaps are holes that are filled."""
        gaps, filled = stages
        parts = self._joined(gaps, index, meanwhile)
        small = parts.size[parts.root] <= self._task.settings.fill_holes
        for block in range(len(self._task.grid)):
            own = np.concatenate([[False], small[parts.of(block)]])
            meanwhile.scratch.note(self._task.note(filled, index, block), small=own)

    def _cut(self, frames: Sequence[Index], parts: Sequence[Parts], meanwhile: Meanwhile) -> list[Parts]:
        """Have cut what touches; return the cores of each frame, with the sizes of the instances that they are of."""
        settings = self._task.settings
        if separation_of(settings):
            stage = interiors_of(settings)
            if stage == INTERIORS:
                self._each(INTERIORS, frames, meanwhile)
            for index, own in zip(frames, parts, strict=True):
                interiors = own if stage == PARTS else self._joined(INTERIORS, index, meanwhile)
                self._tell_deep(stage, index, interiors, meanwhile)
        self._each(CORES, frames, meanwhile)
        cores = [self._joined(CORES, index, meanwhile) for index in frames]
        for index, own, core in zip(frames, parts, cores, strict=True):
            self._tell_owners(index, own, core, meanwhile)
        self._each(CUT, frames, meanwhile)
        return [self._grown(index, core, meanwhile) for index, core in zip(frames, cores, strict=True)]

    def _tell_deep(self, stage: str, index: Index, interiors: Parts, meanwhile: Meanwhile) -> None:
        """Tell each block which of its parts of the interior belong to a component with a deep pixel."""
        blocks, note = range(len(self._task.grid)), self._task.note
        deep = np.zeros(len(interiors.root), bool)
        for block in blocks:
            (own,) = meanwhile.scratch.noted(note(stage, index, block), "deep")
            deep[interiors.root[interiors.of(block)][own]] = True
        deep &= interiors.size < math.prod(self._task.grid.shape)  # nothing is around what is everywhere
        for block in blocks:
            self._proceed()
            table = np.concatenate([[False], deep[interiors.root[interiors.of(block)]]])
            meanwhile.scratch.note(note(DEEP, index, block), deep=table)

    def _tell_owners(self, index: Index, parts: Parts, cores: Parts, meanwhile: Meanwhile) -> None:
        """Tell each block by which cores its parts of cores and of components are known."""
        blocks, note = range(len(self._task.grid)), self._task.note
        low, high = np.full(len(parts.root), len(cores.root), np.int64), np.zeros(len(parts.root), np.int64)
        for block in blocks:
            (part,) = meanwhile.scratch.noted(note(CORES, index, block), "part")
            pieces, own = parts.root[parts.starts[block] + part], cores.root[cores.of(block)]
            np.minimum.at(low, pieces, own)
            np.maximum.at(high, pieces, own)
        owner = np.where(low < high, SEVERAL, high)
        for block in blocks:
            self._proceed()
            tables = {CORES: cores.root[cores.of(block)], PARTS: owner[parts.root[parts.of(block)]]}
            tables = {kind: np.concatenate([[0], table]) for kind, table in tables.items()}
            meanwhile.scratch.note(note(OWNERS, index, block), **tables)

    def _grown(self, index: Index, cores: Parts, meanwhile: Meanwhile) -> Parts:
        """Return cores with the sizes and first pixels of what they have grown to."""
        size, first = np.zeros_like(cores.size), np.full_like(cores.first, math.prod(self._task.grid.shape))
        for block in range(len(self._task.grid)):
            core, own, place = meanwhile.scratch.noted(self._task.note(CUT, index, block), "core", "size", "first")
            np.add.at(size, core, own)
            np.minimum.at(first, core, place)
        return replace(cores, size=size, first=first)

    def _number(self, index: Index, parts: Parts, meanwhile: Meanwhile, count: int) -> Table:
        """Tell each block which instances its numbers are; return the sizes of the instances."""
        kept = np.flatnonzero(parts.is_root & (parts.size >= max(self._task.settings.minimum_size, 1)))
        order = kept[np.argsort(parts.first[kept])]
        rank = np.zeros(len(parts.root), np.int64)
        rank[order] = np.arange(1, len(order) + 1)
        cut = bool(cutting_stages(self._task.settings))
        for block in range(len(self._task.grid)):
            self._proceed()
            known = meanwhile.scratch.noted(self._task.note(CUT, index, block), "core")[0] if cut else None
            self._tell(index, block, rank[parts.root[parts.of(block)] if known is None else known], count)
        return parts.size[order]

    def _tell(self, index: Index, block: int, instances: Table, count: int) -> None:
        """Tell a block which instances its numbers from 1 are; those of earlier frames are counted."""
        table = np.concatenate([[0], np.where(instances > 0, instances + count, 0)])
        self._room.note(self._task.note(TABLE, index, block), table=table)
