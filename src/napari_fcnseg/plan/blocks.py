"""The blocks of a run: whole chunks of its files, each computed without the others.

A block is what one process computes, writes and notes as finished. It is a group of tiles (:mod:`plan.schedule`), or
several small ones, and the chunks of a file are cut so that no two blocks write one chunk. Blocks are numbered, and
found by counting: there may be any number of them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.plan.tile_size import strips_per_group
from napari_fcnseg.plan.tiles import cut_at, cuts_along

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index

#: Pixels along an axis of a stored chunk: smaller tiles are put together, larger ones divided where that goes evenly.
LEAST, MOST = 256, 2048


@dataclass(frozen=True)
class BlockAxis:
    """How one axis is cut into blocks, tiles and chunks.

    Attributes
    ----------
    start, stop : int
        What is computed.
    base, step : int
        Where tiles are cut (:func:`napari_fcnseg.plan.tiles.cuts_along`).
    first, size : int
        Where blocks are cut.
    chunk : int
        Pixels of a chunk.
    """

    start: int
    stop: int
    base: int
    step: int
    first: int
    size: int
    chunk: int

    @classmethod
    def of(cls, start: int, stop: int, tile: int, together: int = 1, least: int = LEAST) -> BlockAxis:
        """Cut an axis, of which ``together`` tiles are always computed in one go."""
        base, step = cuts_along(start, stop, tile)
        if stop - start <= tile or base % step:  # a few tiles, cut at no chunk's edge, are one block
            return cls(start, stop, base, step, start, stop - start, _chunk(max(step, least)))
        if together == 1:
            size = step * -(-least // step)
            return cls(start, stop, base, step, start // size * size, size, _chunk(size))
        whole = math.gcd(together, base // step)
        chunk = step * max(n for n in range(1, whole + 1) if whole % n == 0 and (n == 1 or n * step <= MOST))
        return cls(start, stop, base, step, base, step * together, chunk)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return -(-(self.stop - self.first) // self.size)

    def block(self, number: int) -> tuple[int, int]:
        """Return start and stop of a block."""
        low = self.first + number * self.size
        return max(low, self.start), min(low + self.size, self.stop)

    def tiles(self, block: tuple[int, int]) -> list[tuple[int, int]]:
        """Return start and stop of the tiles of a block."""
        return cut_at(*block, self.base, self.step)


class Blocks:
    """The blocks of a run, by their numbers.

    Parameters
    ----------
    axes : sequence of BlockAxis
        One per axis of the model.
    stack : tuple of int
        Shape of the stack of frames.

    Attributes
    ----------
    chunks : tuple of int
        Shape of a stored chunk of a frame.
    per_frame : int
        Blocks of a frame.
    """

    def __init__(self, axes: Sequence[BlockAxis], stack: tuple[int, ...]) -> None:
        self.axes, self.stack = tuple(axes), stack
        self.chunks = tuple(axis.chunk for axis in axes)
        self._grid = tuple(map(len, axes))
        self.per_frame = math.prod(self._grid)

    @classmethod
    def of(cls, plan: RunPlan) -> Blocks:
        """Return the blocks of a run."""
        together = (strips_per_group(plan.methods, plan.tile), *(1 for _ in plan.tile[1:]))
        cuts = zip(plan.extent, plan.tile, together, strict=True)
        return cls([BlockAxis.of(*extent, tile, group) for extent, tile, group in cuts], plan.layout.stack_shape)

    def __len__(self) -> int:
        """Return the number of blocks of all frames, whether they are computed or not."""
        return self.per_frame * math.prod(self.stack)

    def number(self, index: Index, region: Region) -> int:
        """Return the number of the block that a tile, or a part of one, lies in."""
        place = [
            (start - axis.first) // axis.size if axis.start <= start < axis.stop else -1
            for (start, _), axis in zip(region, self.axes, strict=True)
        ]
        if min(place) < 0 or any(not 0 <= i < n for i, n in zip(index, self.stack, strict=True)):
            return -1
        return int(np.ravel_multi_index((*index, *place), (*self.stack, *self._grid)))

    def at(self, number: int) -> tuple[Index, Region]:
        """Return the frame of a block, and its region of that."""
        place = [int(i) for i in np.unravel_index(number, (*self.stack, *self._grid))]
        depth = len(self.stack)
        return tuple(place[:depth]), tuple(axis.block(i) for axis, i in zip(self.axes, place[depth:], strict=True))

    def of_frame(self, index: Index) -> range:
        """Return the numbers of a frame's blocks."""
        first = int(np.ravel_multi_index(index, self.stack)) * self.per_frame if index else 0
        return range(first, first + self.per_frame)

    def tiles(self, region: Region) -> list[Region]:
        """Return the tiles of a block, column by column from top to bottom."""
        rows, *sides = [axis.tiles(part) for axis, part in zip(self.axes, region, strict=True)]
        return [(row, *side) for side in itertools.product(*sides) for row in rows]

    def count(self, region: Region) -> int:
        """Return the number of tiles of a block."""
        return math.prod(len(axis.tiles(part)) for axis, part in zip(self.axes, region, strict=True))

    def slabs(self, region: Region) -> list[Region]:
        """Return the parts of a block that are rows of whole chunks, as far as they lie in the block."""
        (start, stop), *sides = region
        return [(row, *sides) for row in cut_at(start, stop, 0, self.chunks[0])]


def wanted_tiles(plan: RunPlan, blocks: Blocks, index: Index, region: Region) -> Iterator[Region]:
    """Yield the tiles of a block that are computed: of a masked run, those that hold something of the mask."""
    mask, inside = plan.schedule.mask, plan.schedule.inside
    chosen = None if mask is None else inside[mask.frame(index)]
    for tile in blocks.tiles(region):
        if chosen is None or tile in chosen:
            yield tile


def _chunk(size: int) -> int:
    """Return the largest size of chunks that go evenly into a block."""
    if size <= MOST:
        return size
    return max((n for n in range(LEAST, MOST + 1) if size % n == 0), default=size)


def chunk_shape(plan: RunPlan, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a chunk shape for a run's labels, or for its scores with the classes last: whole chunks make a block."""
    stack = len(plan.layout.stack_shape)
    chunks = [min(chunk, n) for chunk, n in zip(Blocks.of(plan).chunks, shape[stack:], strict=False)]
    return (*(1,) * stack, *chunks, *(1,) * (len(shape) - stack - len(chunks)))
