"""Which tiles an image is cut into, and in which order they come."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.source import Region


def cut(extent: Region, tile: tuple[int, ...]) -> list[Region]:
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
    rows, *sides = [_cut_axis(start, stop, size) for (start, stop), size in zip(extent, tile, strict=True)]
    return [(row, *side) for side in itertools.product(*sides) for row in rows]


def _cut_axis(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    length = stop - start
    if length <= 0:
        return []
    count = math.ceil(length / size)
    size = math.ceil(length / count)
    return [(a, min(a + size, stop)) for a in range(start, stop, size)]


def nearest_first(tiles: Sequence[Region], focus: tuple[float, ...], together: int = 1) -> list[Region]:
    """Return tiles by how far they are from a place: the one it is in first.

    Among equally far ones the one whose middle is nearer comes first.

    Parameters
    ----------
    tiles : sequence of Region
        As :func:`cut` returns them.
    focus : tuple of float
        The place.
    together : int
        Tiles below each other that stay together, in their order, because that saves work.
    """

    def distance(tiles: Sequence[Region]) -> tuple[float, float]:
        whole = [(axis[0][0], axis[-1][1]) for axis in zip(*tiles, strict=True)]
        gaps = [max(start - f, f - stop, 0.0) for (start, stop), f in zip(whole, focus, strict=True)]
        middles = [(start + stop) / 2 - f for (start, stop), f in zip(whole, focus, strict=True)]
        return math.hypot(*gaps), math.hypot(*middles)

    columns = [list(column) for _, column in itertools.groupby(tiles, key=lambda tile: tile[1:])]
    runs = [column[first : first + together] for column in columns for first in range(0, len(column), together)]
    return [tile for run in sorted(runs, key=distance) for tile in run]


def with_first(tile: Region, first: tuple[int, ...], focus: tuple[float, ...]) -> list[Region]:
    """Cut a smaller tile out of one, around a place in it, and the rest into as few tiles as possible.

    Parameters
    ----------
    tile : Region
        What is to be covered.
    first : tuple of int
        Size of the smaller tile.
    focus : tuple of float
        The place. A smaller tile that would be near an edge of the larger one is moved to that edge.

    Returns
    -------
    list of Region
        The smaller tile, then the others.
    """
    middle = []
    for (start, stop), size, f in zip(tile, first, focus, strict=True):
        last = max(stop - size, start)
        a = min(max(round(f - size / 2), start), last)
        edge = start if a - start <= last - a else last
        a = edge if abs(a - edge) < size / 2 else a
        middle.append((a, min(a + size, stop)))
    rest: list[Region] = []
    left = list(tile)
    for axis, (a, b) in enumerate(middle):
        for part in ((left[axis][0], a), (b, left[axis][1])):
            if part[0] < part[1]:
                rest.append((*left[:axis], part, *left[axis + 1 :]))
        left[axis] = (a, b)
    return [tuple(middle), *rest]


def slices(region: Region) -> tuple[slice, ...]:
    """Return a region as slices."""
    return tuple(slice(start, stop) for start, stop in region)
