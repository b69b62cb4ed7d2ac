"""Regions of a mask as runs of pixels, and their depth: how often their rim can be eroded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Depth from which on regions count as equally deep, and pixels around a block that are read for it.
DEEP = 16


@dataclass(frozen=True, eq=False)
class RegionParts:
    """Parts of regions, or whole ones; an entry each.

    Attributes
    ----------
    pixels : ndarray of int, shape (parts,)
        Their sizes.
    sums : ndarray of float, shape (parts, axes)
        Sums of their pixels' coordinates.
    first, last : ndarray of int, shape (parts, axes)
        The box around each: its first and its last pixel.
    depth : ndarray of int, shape (parts,)
        How often the rim can be peeled off.
    deepest, deepest_sums : ndarray
        How many pixels are that deep, and the sums of their coordinates.
    at : ndarray of int, shape (parts, axes)
        The one of them nearest to their middle.
    """

    pixels: Ints
    sums: Floats
    first: Ints
    last: Ints
    depth: Ints
    deepest: Ints
    deepest_sums: Floats
    at: Ints

    def order(self) -> Ints:
        """Return them in the order in which one would look at them: deepest first, then largest, then from the top."""
        return np.lexsort((*self.first.T[::-1], -self.pixels, -self.depth))

    def chosen(self, which: Mask) -> RegionParts:
        """Return some of them."""
        return RegionParts(*(getattr(self, field.name)[which] for field in fields(self)))


class _Runs:
    """Pixels of a block as stretches along the last axis, with the numbers of their regions."""

    def __init__(self, on: Mask, labels: npt.NDArray[np.int32], corner: Ints) -> None:
        begin, end = on.copy(), on.copy()
        begin[..., 1:] &= ~on[..., :-1]
        end[..., :-1] &= ~on[..., 1:]
        starts, stops = np.flatnonzero(begin), np.flatnonzero(end)
        self.label = labels.reshape(-1)[starts].astype(np.int64) - 1
        self.length = stops - starts + 1
        self.first = np.stack(np.unravel_index(starts, on.shape), axis=1) + corner
        self.last = self.first.copy()
        self.last[:, -1] += self.length - 1

    def kept(self, which: Mask) -> _Runs:
        """Return some of the runs."""
        runs: _Runs = object.__new__(_Runs)
        runs.label, runs.length, runs.first, runs.last = (
            every[which] for every in (self.label, self.length, self.first, self.last)
        )
        return runs

    def sums(self, count: int) -> tuple[Ints, Floats]:
        """Return the pixels of each region and the sums of their coordinates."""
        middle = (self.first + self.last) / 2 * self.length[:, None]  # a run is straight
        return _summed(self.label, self.length, count), _sums_along(self.label, middle, count)

    def nearest(self, points: Floats) -> tuple[Ints, Ints]:
        """Return the regions, ascending, and the pixel of each that is nearest to its point."""
        wanted = points[self.label]
        pixel = self.first.copy()
        pixel[:, -1] = np.clip(np.rint(wanted[:, -1]), self.first[:, -1], self.last[:, -1])
        order = np.lexsort((((pixel - wanted) ** 2).sum(1), self.label))
        labels, at = np.unique(self.label[order], return_index=True)
        return labels, pixel[order[at]]


def region_depths(
    on: Mask, own: tuple[slice, ...], labels: npt.NDArray[np.int32], count: int, corner: Ints, axes: Sequence[int]
) -> RegionParts:
    """Return what is known of the regions of a block; their depths by peeling all of them at once.

    Parameters
    ----------
    on : ndarray of bool
        The pixels of regions, in the block and up to ``DEEP`` around it.
    own : tuple of slice
        Where the block is in it.
    labels : ndarray of int
        Numbers of the regions in the block, from 1.
    count : int
        How many regions there are; some may lie outside the block.
    corner : ndarray of int
        The block's first pixel.
    axes : sequence of int
        Those that regions extend along.
    """
    runs = _Runs(on[own], labels, corner)
    pixels, sums = runs.sums(count)
    first, last = _bounds(runs.label, runs.first, runs.last, count)
    depth, deepest, deepest_sums = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros((count, on.ndim))
    at = np.zeros((count, on.ndim), np.int64)
    for level in range(1, DEEP + 1):
        depth[runs.label] = level
        if level < DEEP and len(runs.label):
            on = _without_rim(on, axes, corners=level % 2 == 0)
            rest = _Runs(on[own], labels, corner)
        else:
            rest = runs.kept(np.zeros(len(runs.label), bool))
        goes_on = np.zeros(count, bool)
        goes_on[rest.label] = True
        ended = runs.kept(~goes_on[runs.label])
        number, total = ended.sums(count)
        deepest += number
        deepest_sums += total
        which, pixel = ended.nearest(total / np.maximum(number, 1)[:, None])
        at[which] = pixel
        runs = rest
    return RegionParts(pixels, sums, first, last, depth, deepest, deepest_sums, at)


def _without_rim(on: Mask, axes: Sequence[int], *, corners: bool) -> Mask:
    """Return a mask without the pixels that touch its outside with a side, or with a corner too."""
    rest = on.copy()
    for axis in axes:
        before = rest.copy() if corners else on
        here, there = np.moveaxis(rest, axis, 0), np.moveaxis(before, axis, 0)
        here[1:] &= there[:-1]
        here[:-1] &= there[1:]
    return rest


def merge_parts(several: Sequence[RegionParts], which: Ints) -> RegionParts:
    """Return whole regions, given for each part which one it belongs to; ``at`` is near the middle of the deepest."""
    parts = RegionParts(
        *(np.concatenate([getattr(part, field.name) for part in several]) for field in fields(RegionParts))
    )
    size = int(which.max()) + 1
    first, last = _bounds(which, parts.first, parts.last, size)
    depth = np.zeros(size, np.int64)
    np.maximum.at(depth, which, parts.depth)
    among = np.flatnonzero(parts.depth == depth[which])
    own = which[among]
    deepest, sums = _summed(own, parts.deepest[among], size), _sums_along(own, parts.deepest_sums[among], size)
    away = parts.at[among] - (sums / np.maximum(deepest, 1)[:, None])[own]
    order = np.lexsort(((away**2).sum(1), own))
    at = parts.at[among[order[np.unique(own[order], return_index=True)[1]]]]
    pixels, total = _summed(which, parts.pixels, size), _sums_along(which, parts.sums, size)
    return RegionParts(pixels, total, first, last, depth, deepest, sums, at)


def _bounds(which: Ints, first: Ints, last: Ints, size: int) -> tuple[Ints, Ints]:
    low, high = np.full((size, first.shape[1]), np.iinfo(np.int64).max), np.full((size, first.shape[1]), -1)
    for axis in range(first.shape[1]):
        np.minimum.at(low[:, axis], which, first[:, axis])
        np.maximum.at(high[:, axis], which, last[:, axis])
    return low, high


def _summed(which: Ints, numbers: Ints, size: int) -> Ints:
    """Add up whole numbers by place; exact, since a sum of pixels is below 2^53."""
    return np.bincount(which, numbers, size).astype(np.int64)


def _sums_along(which: Ints, numbers: Floats, size: int) -> Floats:
    return np.stack([np.bincount(which, along, size) for along in numbers.T], axis=1)
