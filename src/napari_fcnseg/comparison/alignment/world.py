"""Align label maps of different sizes, scales and positions on the grid of the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import Box, LazyRepeat, overlap
from napari_fcnseg.comparison.alignment.placed import Floats, Placed
from napari_fcnseg.comparison.alignment.resampling import AffineView, InsideView, Shift, resampling_between
from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class Aligned:
    """Maps on the grid of the first, cut to where all of them are.

    Attributes
    ----------
    maps : tuple of array_like
        Of one shape, in the order given. What lies pixel on pixel is a part of what was given; the others are worked
        out where they are looked at, each pixel with the label of the nearest pixel there.
    inside : array_like of bool or None
        Where all maps have a pixel; None: everywhere.
    affine : ndarray, shape (n + 1, n + 1)
        From the grid's pixels to the world.
    origin : tuple of int
        The grid's first pixel in the first map; 0 along axes that it lacks.
    spacing : tuple of float
        Length of the grid's pixel along each axis, in the world.
    notes : tuple of str
        What was done, as sentences; empty where the maps lie pixel on pixel.
    """

    maps: tuple[Any, ...]
    inside: Any | None
    affine: Floats
    origin: tuple[int, ...]
    spacing: tuple[float, ...]
    notes: tuple[str, ...]


def align(maps: Sequence[Placed]) -> Aligned:
    """Bring maps onto the grid of the first.

    Axes are matched from the last one. A map without a leading axis is the same at every place along it. The label of
    a grid pixel in another map is that of the pixel its middle lies in: coordinates are rounded half up,
    ``floor(x + 0.5)``.

    Parameters
    ----------
    maps : sequence of Placed
        The truth first.

    Raises
    ------
    ImageError
        If a map has no pixels, or they have none in common.
    """
    for one in maps:
        if not one.data.shape or 0 in one.data.shape:
            raise ImageError(f"{one.name!r} has no pixels to compare: its shape is {tuple(one.data.shape)}.")
        if not np.isfinite(one.affine).all() or not np.linalg.det(one.affine):
            raise ImageError(f"{one.name!r} has no extent along an axis: its scale is 0. Give it another scale.")
    full, notes = _extended(maps)
    first = full[0]
    shape = tuple(map(int, first.data.shape))
    ways = [resampling_between(first, other) for other in full[1:]]
    box: Box = tuple((0, n) for n in shape)
    for way, other in zip(ways, full[1:], strict=True):
        reached = way.reach(shape, other.data.shape)
        box = overlap(box, reached)
        if any(start >= stop for start, stop in box):
            raise ImageError(
                f"{first.name!r} and {other.name!r} do not overlap where they lie. Look at the scale and the place of "
                "both (Layer ▸ Transform, or the files they come from)."
            )
        notes += way.notes(first, other)
    notes += _left_out(full, ways, box)
    cut = [way.on(one.data, box) for way, one in zip([Shift(np.zeros(len(shape))), *ways], full, strict=True)]
    turned = tuple(array for array in cut if isinstance(array, AffineView))
    origin = tuple(start for start, _ in box)
    affine = first.affine.copy()
    affine[:-1, -1] += affine[:-1, :-1] @ np.array(origin, float)
    spacing = tuple(float(length) for length in np.linalg.norm(affine[:-1, :-1], axis=0))
    return Aligned(tuple(cut), InsideView(turned) if turned else None, affine, origin, spacing, tuple(notes))


def _extended(maps: Sequence[Placed]) -> tuple[list[Placed], list[str]]:
    """Give all maps the axes of the one that has most."""
    most = max(maps, key=lambda one: len(one.data.shape))
    n = len(most.data.shape)
    full, notes = [], []
    for one in maps:
        own = len(one.data.shape)
        extra = n - own
        if not extra:
            full.append(one)
            continue
        affine = np.eye(n + 1)
        for axis in range(extra):
            affine[axis, axis], affine[axis, -1] = most.affine[axis, axis], most.affine[axis, -1]
        affine[extra:, extra:] = one.affine
        full.append(Placed(one.name, LazyRepeat(one.data, most.data.shape[:extra]), affine))
        has, first = (f"{count} {'axis' if count == 1 else 'axes'}" for count in (own, extra))
        notes.append(f"{one.name!r} has {has} and {most.name!r} {n}: it is the same along the first {first}.")
    return full, notes


def _left_out(full: Sequence[Placed], ways: Sequence[Any], box: Box) -> list[str]:
    """Say what is not compared, because some map does not reach there."""
    first = full[0]
    shape = tuple(map(int, first.data.shape))
    kept, total = math.prod(stop - start for start, stop in box), math.prod(shape)
    notes = []
    if kept < total:
        share = 100 * (total - kept) / total
        notes.append(f"Compared is where all lie: {share:.2g} % of {first.name!r} are left out.")
    beyond = [
        repr(other.name)
        for way, other in zip(ways, full[1:], strict=True)
        if isinstance(way, Shift) and math.prod(other.data.shape) > kept
    ]
    if beyond:
        notes.append(f"Pixels of {', '.join(beyond)} beyond that are not compared.")
    return notes
