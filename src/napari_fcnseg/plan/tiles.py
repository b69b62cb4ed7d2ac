"""Cut an extent into tiles, and group and sort them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.frame_source import Region

_MANY = 4  # tiles along an axis; one more of so many is no matter
_Group = TypeVar("_Group", bound="Sequence[Region]")


def cut_tiles(extent: Region, tile: tuple[int, ...]) -> list[Region]:
    """Cut a region into tiles of at most a given size, all of nearly the same size.

    Parameters
    ----------
    extent : Region
        What is to be covered.
    tile : tuple of int
        Largest tile, in pixels per axis.

    Returns
    -------
    list of Region
        Column by column of tiles, each from top to bottom, so that most tiles come right after the one above them;
        none overlaps another, none is empty.
    """
    if any(stop <= start for start, stop in extent):
        return []
    rows, *sides = [_cut_axis(start, stop, size) for (start, stop), size in zip(extent, tile, strict=True)]
    return [(row, *side) for side in itertools.product(*sides) for row in rows]


def cuts_along(start: int, stop: int, size: int) -> tuple[int, int]:
    """Return where tiles along an axis are cut: at a place at or before its start, and then every so many pixels.

    Cuts are at multiples of the tile's size from the image's edge, not from the start of what is computed: so chunks of
    a file, which are counted from there, can be whole tiles. Not so where that would make more of a few tiles.
    """
    length = stop - start
    if length <= size:
        return start, length
    count = math.ceil(length / size)
    sizes = np.arange(math.ceil(length / count), size + 1)
    counts = -(-stop // sizes) - start // sizes
    best = int(np.argmin(counts))
    if counts[best] > count and count < _MANY:
        return start, int(sizes[0])
    return start // int(sizes[best]) * int(sizes[best]), int(sizes[best])


def cut_at(start: int, stop: int, base: int, step: int) -> list[tuple[int, int]]:
    """Return the parts of a range that lie between cuts, as :func:`cuts_along` returns them."""
    edges = range(base + (start - base) // step * step, stop, step)
    return [(max(edge, start), min(edge + step, stop)) for edge in edges]


def _cut_axis(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    return cut_at(start, stop, *cuts_along(start, stop, size))


def group_columns(tiles: Sequence[Region], together: int) -> list[list[Region]]:
    """Return tiles in groups: so many of a column below each other, in their order.

    Parameters
    ----------
    tiles : sequence of Region
        As :func:`cut_tiles` returns them.
    together : int
        Tiles of a group, fewer at the end of a column.
    """
    columns = [list(column) for _, column in itertools.groupby(tiles, key=lambda tile: tile[1:])]
    return [column[first : first + together] for column in columns for first in range(0, len(column), together)]


def sort_nearest_first(groups: Sequence[_Group], focus: tuple[float, ...]) -> list[_Group]:
    """Return groups of tiles by how far they are from a place: the one it is in first.

    Among equally far ones the one whose middle is nearer comes first.

    Parameters
    ----------
    groups : sequence of sequence of Region
        As :func:`group_columns` returns them.
    focus : tuple of float
        The place.
    """

    def distance(group: _Group) -> tuple[float, float]:
        whole = [(axis[0][0], axis[-1][1]) for axis in zip(*group, strict=True)]
        gaps = [max(start - f, f - stop, 0.0) for (start, stop), f in zip(whole, focus, strict=True)]
        middles = [(start + stop) / 2 - f for (start, stop), f in zip(whole, focus, strict=True)]
        return math.hypot(*gaps), math.hypot(*middles)

    return sorted(groups, key=distance)


def tile_around(extent: Region, size: tuple[int, ...], focus: Sequence[float]) -> Region:
    """Return a tile of some size with a place in its middle, or as near to that as the extent allows."""
    firsts = [
        min(max(round(f - n / 2), start), max(stop - n, start))
        for (start, stop), n, f in zip(extent, size, focus, strict=True)
    ]
    return tuple((a, min(a + n, stop)) for a, n, (_, stop) in zip(firsts, size, extent, strict=True))


def as_slices(region: Region) -> tuple[slice, ...]:
    """Return a region as slices."""
    return tuple(slice(start, stop) for start, stop in region)
