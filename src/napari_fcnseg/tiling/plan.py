"""Which tiles an image is cut into."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

#: A tile: start and stop per spatial axis, in pixels of the image.
Region: TypeAlias = tuple[tuple[int, int], ...]


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
        In row-major order; none overlaps another, none is empty.
    """
    per_axis = [_cut_axis(start, stop, size) for (start, stop), size in zip(extent, tile, strict=True)]
    return [tuple(region) for region in itertools.product(*per_axis)]


def _cut_axis(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    length = stop - start
    if length <= 0:
        return []
    count = math.ceil(length / size)
    size = math.ceil(length / count)
    return [(a, min(a + size, stop)) for a in range(start, stop, size)]


def slices(region: Region) -> tuple[slice, ...]:
    """Return a region as slices."""
    return tuple(slice(start, stop) for start, stop in region)
