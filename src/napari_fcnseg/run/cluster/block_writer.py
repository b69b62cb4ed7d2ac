"""Write a block of a run: whole chunks, once each, so that no process ever changes a part of a chunk.

Where a block is computed twice, because a worker seemed to be lost and was not, both write the same bytes.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.blocks import Blocks
    from napari_fcnseg.plan.schedule import Index
    from napari_fcnseg.run.output_kinds import OutputKind
    from napari_fcnseg.run.run import Tile


class BlockWriter:
    """Collects a block's tiles and writes rows of chunks as soon as they are complete.

    Parameters
    ----------
    targets : sequence of (OutputKind, array_like)
        What is written into.
    blocks : Blocks
        How the run is cut.
    index, region
        The block.
    tiles : iterable of Region
        Those that will come; what none of them covers is 0.
    check : callable, optional
        Called before something is written; it raises what ends the writing. A head that was killed leaves workers that
        are still at its blocks, and another one may have begun a result of the same name meanwhile.
    """

    def __init__(
        self, targets: Sequence[tuple[OutputKind, Any]], blocks: Blocks, index: Index, region: Region,
        tiles: Iterable[Region], check: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._check = check
        self._targets, self._index, self._region, self._chunks = targets, index, region, blocks.chunks
        self._slabs = blocks.slabs(region)
        rows = [0] * len(self._slabs)
        for tile in tiles:
            for number, overlap in self._overlaps(tile):
                rows[number] += overlap * _area(tile[1:])
        self._missing, self._buffers, self._next = rows, dict[int, list[npt.NDArray[Any]]](), 0
        self._sums = [0] * len(targets)

    def put(self, tile: Tile) -> None:
        """Take a tile; write what it completes."""
        _, region = tile.place
        for number, overlap in self._overlaps(region):
            if number not in self._buffers:
                self._buffers[number] = [self._empty(number, array) for _, array in self._targets]
            start = max(self._slabs[number][0][0], region[0][0])
            rows = slice(start - region[0][0], start - region[0][0] + overlap)
            origin = [low for low, _ in self._whole(number)]
            into = tuple(
                slice(a - o, b - o)
                for (a, b), o in zip(((start, start + overlap), *region[1:]), origin, strict=True)
            )  # fmt: skip
            for (kind, _), buffer in zip(self._targets, self._buffers[number], strict=True):
                buffer[into] = getattr(tile, kind.array)[rows]
            self._missing[number] -= overlap * _area(region[1:])
        self._flush()

    def finish(self) -> tuple[int, ...]:
        """Return the checksum of each kind's numbers in the block, once all tiles came."""
        self._flush()
        assert self._next == len(self._slabs), "every tile came"
        return tuple(self._sums)

    def _flush(self) -> None:
        while self._next < len(self._slabs) and not self._missing[self._next]:
            number, self._next = self._next, self._next + 1
            whole = self._whole(number)
            buffers = self._buffers.pop(number, None)
            if buffers is not None:
                self._check()
            inside = tuple(slice(a - low, b - low) for (a, b), (low, _) in zip(self._slabs[number], whole, strict=True))
            for n, (_, array) in enumerate(self._targets):
                buffer = self._empty(number, array) if buffers is None else buffers[n]
                if buffers is not None:
                    array[(*self._index, *(slice(a, b) for a, b in whole))] = buffer
                self._sums[n] = zlib.crc32(np.ascontiguousarray(buffer[inside]).data.cast("B"), self._sums[n])

    def _overlaps(self, tile: Region) -> Iterable[tuple[int, int]]:
        """Yield the slabs that a tile lies in, each with the rows that it has there."""
        for number, ((start, stop), *_) in enumerate(self._slabs):
            if (rows := min(stop, tile[0][1]) - max(start, tile[0][0])) > 0:
                yield number, rows

    def _whole(self, number: int) -> Region:
        """Return the whole chunks that a slab lies in."""
        shape = self._targets[0][1].shape[len(self._index) :]
        return tuple(
            (a // chunk * chunk, min(-(-b // chunk) * chunk, n))
            for (a, b), chunk, n in zip(self._slabs[number], self._chunks, shape, strict=False)
        )

    def _empty(self, number: int, array: Any) -> npt.NDArray[Any]:
        whole = self._whole(number)
        classes = array.shape[len(self._index) + len(whole) :]
        return np.zeros((*(stop - start for start, stop in whole), *classes), array.dtype)


def opened_outputs(kinds: Sequence[OutputKind], places: Mapping[str, Any]) -> list[tuple[OutputKind, Any]]:
    """Open the arrays of a run's results, which the head has begun.

    Raises
    ------
    OutputError
        If they are not there, or are others.
    """
    from napari_fcnseg.imagefile.growing_zarr import open_growing

    return [(kind, open_growing(places[kind.name])) for kind in kinds]


def check_outputs(places: Mapping[str, Any]) -> None:
    """Find out whether the arrays of a run's results are still those that the head has begun.

    Raises
    ------
    OutputError
        If not.
    """
    from napari_fcnseg.imagefile.growing_zarr import check_growing

    for place in places.values():
        check_growing(place)


def _area(sides: Region) -> int:
    area = 1
    for start, stop in sides:
        area *= stop - start
    return area
