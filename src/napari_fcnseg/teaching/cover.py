"""Rectangles around scattered points, so that a dense network computes little beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_fcnseg.arrays.frame_source import Region

Points: TypeAlias = npt.NDArray[np.integer[Any]]
_Part: TypeAlias = "tuple[float, list[Points]]"  # what it costs, and the points of each region


def cover(points: Points, reach: tuple[int, ...], most: tuple[int, ...]) -> list[tuple[Region, Points]]:
    """Return regions that hold all points, and the numbers of the points in each.

    A region costs as much as its pixels and the halo around them. Points are halved again and again along the longer
    side, and every two halves are put together again unless the two cost less.

    Parameters
    ----------
    points : ndarray of int, shape (n, axes)
        The points, at least one.
    reach : tuple of int
        Pixels that the network sees per axis; the halo is one less.
    most : tuple of int
        Largest region.
    """
    _, parts = _best(points, np.arange(len(points)), np.array(reach), np.array(most))
    return sorted(((_box(points[mine]), mine) for mine in parts), key=lambda item: item[0])


def _best(points: Points, mine: Points, reach: Points, most: Points) -> _Part:
    sides = np.ptp(points[mine], axis=0) + 1
    whole = math.prod((sides + reach - 1).tolist())
    fits = bool((sides <= most).all())
    if fits and bool((4 * sides <= reach).all()):
        return whole, [mine]
    axis = int((sides / reach).argmax()) if fits else int((sides / most).argmax())
    order = mine[np.argsort(points[mine, axis], kind="stable")]
    cut = _cut(points[order, axis])
    if cut is None:
        return whole, [mine]
    (one, left), (two, right) = (_best(points, half, reach, most) for half in (order[:cut], order[cut:]))
    return (whole, [mine]) if fits and whole <= one + two else (one + two, left + right)


def _cut(along: Points) -> int | None:
    """Return before which of sorted coordinates to cut: at the widest gap, or in the middle if none is wide."""
    length = int(along[-1]) - int(along[0]) + 1
    gaps = np.diff(along)
    if not gaps.any():
        return None
    widest = int(gaps.argmax())
    if gaps[widest] * 4 > length:
        return widest + 1
    return int(np.searchsorted(along, int(along[0]) + (length + 1) // 2))


def _box(points: Points) -> Region:
    low, high = points.min(axis=0), points.max(axis=0) + 1
    return tuple(zip(low.tolist(), high.tolist(), strict=True))
