"""Connected regions of a map, such as those where two masks differ, in the order in which one would look at them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.comparison.lazy import part_of
from napari_fcnseg.comparison.table import blocks_of
from napari_fcnseg.source import chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.comparison.lazy import Box

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
#: Pixels of a box up to which the deepest pixel of its region is searched.
_SEARCHED = 2**18


@dataclass(frozen=True)
class Place:
    """A connected region.

    Attributes
    ----------
    pixels : int
        Its size.
    core : int
        Its pixels of which all neighbours, side by side, are in it too; 0 for a line however long.
    centroid : tuple of float
        Mean of its pixels.
    box : tuple of (int, int)
        Its first pixel and the one after its last, along each axis.
    at : tuple of int
        A pixel that lies in it, as deep inside as any if its box is small enough to be searched.
    """

    pixels: int
    core: int
    centroid: tuple[float, ...]
    box: Box
    at: tuple[int, ...]


def places(
    mask: Any, *, spatial: int | None = None, most: int = 1000, progress: Callable[[int, int], None] | None = None
) -> tuple[Place, ...]:
    """Find connected regions; first those with the most pixels that are not at their rim.

    That order brings up a missed cell before the outline of one that was drawn a pixel too large. Pixels that touch
    with a side or a corner are connected. The map is read block by block, and regions are joined over their borders.

    Parameters
    ----------
    mask : array_like
        The map; the regions are where it is not 0.
    spatial : int, optional
        How many of the last axes regions extend along; all otherwise.
    most : int
        How many regions are returned at most.
    progress : callable, optional
        Called with the blocks done and their number; what it raises ends it.
    """
    shape = tuple(map(int, mask.shape))
    axes = len(shape)
    spatial = axes if spatial is None else min(spatial, axes)
    blocks = list(blocks_of(shape, chunks_of(mask)))
    found = _Found(shape, spatial)
    for done, block in enumerate(blocks, start=1):
        found.add(mask, tuple((part.start, part.stop) for part in block))
        if progress is not None:
            progress(done, len(blocks))
    return found.places(mask, most)


class _Found:
    """The regions of the blocks seen so far, and what joins them."""

    def __init__(self, shape: tuple[int, ...], spatial: int) -> None:
        self._shape, self._first = shape, len(shape) - spatial
        self._count = 0
        # Per region of a block: pixels, core, sums of coordinates, first and last coordinates, a pixel in it.
        self._regions: list[tuple[Ints, ...]] = []
        self._beyond: list[tuple[Ints, Ints]] = []  # pixels of the next blocks, and the regions here that they are in
        self._begin: list[tuple[Ints, Ints]] = []  # the first pixels of blocks, and the regions that they are in

    def add(self, mask: Any, box: Box) -> None:
        """Find the regions of a block."""
        from scipy.ndimage import binary_erosion, generate_binary_structure, label

        axes = len(box)
        first, structure = self._first, generate_binary_structure(axes, axes)
        sides = generate_binary_structure(axes, 1)
        for axis in range(first):
            for way in (structure, sides):
                np.moveaxis(way, axis, 0)[[0, 2]] = False
        # One pixel more at both ends: to see whether a pixel is at the rim, and to join with what comes.
        wide = tuple(
            (max(0, start - 1), min(n, stop + 1)) if axis >= first else (start, stop)
            for axis, ((start, stop), n) in enumerate(zip(box, self._shape, strict=True))
        )
        on: Mask = part_of(mask, wide) != 0
        core = binary_erosion(on, sides)
        inner = tuple(slice(start - low, None) for (start, _), (low, _) in zip(box, wide, strict=True))
        on, core = on[inner], core[inner]
        labels, count = label(on, structure)
        at = np.nonzero(on)
        if not count:
            return
        own = np.ones(len(at[0]), bool)
        begins = np.zeros(len(at[0]), bool)
        for axis, (start, stop) in enumerate(box):
            own &= at[axis] < stop - start
            begins |= (at[axis] == 0) & (start > 0) & (axis >= first)
        which = labels[at].astype(np.int64) - 1
        coordinates = np.stack([along + start for along, (start, _) in zip(at, box, strict=True)], axis=1)
        flat = np.ravel_multi_index(tuple(coordinates.T), self._shape).astype(np.int64)
        self._beyond.append((flat[~own], which[~own] + self._count))
        self._begin.append((flat[own & begins], which[own & begins] + self._count))
        self._regions.append(_gathered(which[own], core[at][own], coordinates[own], flat[own], count))
        self._count += count

    def places(self, mask: Any, most: int) -> tuple[Place, ...]:
        """Return the regions, joined and ordered."""
        if not self._count:
            return ()
        pixels, core, sums, low, high, inside = (
            np.concatenate(several) for several in zip(*self._regions, strict=True)
        )
        joined = self._joined()
        size = int(joined.max()) + 1
        total, cores = _summed(joined, pixels, size), _summed(joined, core, size)
        order = np.lexsort((-total, -cores))
        order = order[total[order] > 0][:most]
        rank = np.full(size, -1)
        rank[order] = np.arange(len(order))
        kept = np.flatnonzero((rank[joined] >= 0) & (pixels > 0))
        which, axes = rank[joined[kept]], len(self._shape)
        starts, stops = np.full((len(order), axes), np.iinfo(np.int64).max), np.full((len(order), axes), -1)
        np.minimum.at(starts, which, low[kept])
        np.maximum.at(stops, which, high[kept])
        centroid = (
            np.stack([np.bincount(which, sums[kept, axis], len(order)) for axis in range(axes)], axis=1)
            / total[order][:, None]
        )
        deepest = kept[np.lexsort((-pixels[kept], -core[kept]))]  # of a region in several blocks, where most of it is
        _, at = np.unique(rank[joined[deepest]], return_index=True)
        points = np.stack(np.unravel_index(inside[deepest[at]], self._shape), axis=1)
        return tuple(
            self._place(mask, int(total[n]), int(cores[n]), centroid[i], starts[i], stops[i] + 1, points[i])
            for i, n in enumerate(order.tolist())
        )

    def _joined(self) -> Ints:
        """Return one number per region for those that hang together over the borders of blocks."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        (beyond, a), (begin, b) = (
            tuple(np.concatenate(part) for part in zip(*several, strict=True))
            for several in (self._beyond, self._begin)
        )
        order = np.argsort(begin)
        at = np.searchsorted(begin, beyond, sorter=order) if len(begin) else np.zeros(0, int)
        known = order[np.minimum(at, len(order) - 1)] if len(begin) else at
        a, known = (a, known) if len(begin) else (a[:0], known)
        edges = a, b[known]
        graph = coo_array((np.ones(len(edges[0])), edges), (self._count, self._count))
        joined: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
        return joined

    def _place(self, mask: Any, pixels: int, core: int, centroid: Any, start: Ints, stop: Ints, point: Ints) -> Place:
        from scipy.ndimage import distance_transform_edt, generate_binary_structure, label

        box: Box = tuple(zip(start.tolist(), stop.tolist(), strict=True))
        at = tuple(point.tolist())
        spatial = box[self._first :]
        if math.prod(b - a for a, b in spatial) <= _SEARCHED:
            frame = tuple((n, n + 1) for n in at[: self._first])
            part = part_of(mask, (*frame, *spatial)).reshape([b - a for a, b in spatial]) != 0
            labels, _ = label(part, generate_binary_structure(part.ndim, part.ndim))
            here = tuple(n - a for n, (a, _) in zip(at[self._first :], spatial, strict=True))
            depth = distance_transform_edt(np.pad(labels == labels[here], 1))
            deepest = np.unravel_index(int(depth.argmax()), depth.shape)
            at = (*at[: self._first], *(int(n) - 1 + a for n, (a, _) in zip(deepest, spatial, strict=True)))
        return Place(pixels, core, tuple(float(c) for c in centroid), box, at)


def _gathered(which: Ints, core: Mask, coordinates: Ints, flat: Ints, count: int) -> tuple[Ints, ...]:
    axes = coordinates.shape[1]
    pixels = np.bincount(which, minlength=count)
    cores = np.bincount(which[core], minlength=count)
    sums = np.stack([np.bincount(which, coordinates[:, axis], count) for axis in range(axes)], axis=1)
    low, high = np.full((count, axes), np.iinfo(np.int64).max), np.full((count, axes), -1)
    np.minimum.at(low, which, coordinates)
    np.maximum.at(high, which, coordinates)
    inside = np.zeros(count, np.int64)
    inside[which] = flat
    inside[which[core]] = flat[core]
    return pixels, cores, sums, low, high, inside


def _summed(where: Ints, numbers: Ints, size: int) -> Ints:
    return np.bincount(where, numbers, size).astype(np.int64)
