"""Resample one map onto the grid of another, lazily: shifted, or by nearest neighbour."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.lazy import Box, LazyArray, LazyBox, read_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.comparison.alignment.placed import Placed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Pixels by which a place may be off and still be the place that was meant: numbers in files are rounded.
_NOISE = 1e-6
#: Pixels by which a map may lie beside the grid before it is said.
_SAID = 1e-3


class Shift:
    """A map whose pixels lie on those of the grid, or all beside them by the same part of a pixel."""

    def __init__(self, offset: Floats) -> None:
        self._offset = offset
        self.steps: Ints = np.floor(offset + 0.5 + _NOISE).astype(np.int64)

    def reach(self, shape: Sequence[int], other: Sequence[int]) -> Box:
        """Return the grid's pixels that the map has."""
        return tuple((max(0, -s), min(n, m - s)) for s, n, m in zip(self.steps.tolist(), shape, other, strict=True))

    def on(self, data: Any, box: Box) -> Any:
        """Return the map on a box of the grid."""
        moved = tuple((start + s, stop + s) for (start, stop), s in zip(box, self.steps.tolist(), strict=True))
        if all(start == 0 and stop == n for (start, stop), n in zip(moved, data.shape, strict=True)):
            return data
        return LazyBox(data, moved) if is_lazy(data) else data[_slices(moved)]

    def notes(self, first: Placed, other: Placed) -> list[str]:
        """Return what is to be said."""
        beside = float(np.abs(self._offset - self.steps).max())
        if beside <= _SAID:
            return []
        return [
            f"{other.name!r} lies up to {beside:.2g} pixels beside {first.name!r}: each pixel takes the nearest label."
        ]


class Scaled:
    """A map whose axes are those of the grid, with pixels of another length."""

    def __init__(self, factors: Floats, offset: Floats) -> None:
        self._factors, self._offset = factors, offset

    def _coordinates(self, axis: int, pixels: Ints) -> Ints:
        coordinates: Floats = self._factors[axis] * pixels + self._offset[axis]
        return np.floor(coordinates + 0.5 + _NOISE).astype(np.int64)

    def reach(self, shape: Sequence[int], other: Sequence[int]) -> Box:
        """Return the grid's pixels that the map has."""
        box = []
        for axis, (n, m) in enumerate(zip(shape, other, strict=True)):
            coordinates = self._coordinates(axis, np.arange(n))
            hit = np.flatnonzero((coordinates >= 0) & (coordinates < m))
            box.append((int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, 0))
        return tuple(box)

    def on(self, data: Any, box: Box) -> Any:
        """Return the map on a box of the grid."""
        return _Resampled(data, [self._coordinates(axis, np.arange(*span)) for axis, span in enumerate(box)])

    def notes(self, first: Placed, other: Placed) -> list[str]:
        """Return what is to be said."""
        return [_other_pixels(first, other)]


class Affine:
    """A map that is turned against the grid, or sheared."""

    def __init__(self, linear: Floats, offset: Floats) -> None:
        self._linear, self._offset = linear, offset

    def reach(self, shape: Sequence[int], other: Sequence[int]) -> Box:
        """Return a box that holds the grid's pixels that the map has."""
        corners = np.array(list(itertools.product(*((-0.5, n - 0.5) for n in other))))
        at = np.linalg.solve(self._linear, (corners - self._offset).T)
        low, high = np.floor(at.min(1)).astype(int), np.ceil(at.max(1)).astype(int) + 1
        return tuple((max(0, a), min(n, b)) for a, b, n in zip(low.tolist(), high.tolist(), shape, strict=True))

    def on(self, data: Any, box: Box) -> Any:
        """Return the map on a box of the grid."""
        start = np.array([first for first, _ in box], float)
        return AffineView(data, self._linear, self._offset + self._linear @ start, tuple(b - a for a, b in box))

    def notes(self, first: Placed, other: Placed) -> list[str]:
        """Return what is to be said."""
        return [f"{other.name!r} is turned against {first.name!r}: each pixel takes the nearest label."]


def resampling_between(first: Placed, other: Placed) -> Shift | Scaled | Affine:
    """Return how to get from pixels of the first map to those of another."""
    n = len(first.data.shape)
    matrix = np.linalg.solve(other.affine, first.affine)
    linear, offset = matrix[:n, :n].astype(np.float64), matrix[:n, n].astype(np.float64)
    lengths = np.maximum(first.data.shape, 1)
    if (np.abs(linear - np.diag(np.diag(linear))) * lengths).max() > _SAID:
        return Affine(linear, offset)
    factors = np.diag(linear)
    # The same scale but for rounding: what adds up over the whole length stays below a hundredth of a pixel.
    if (np.abs(factors - 1) * lengths).max() < 1e-2 and np.abs(factors - 1).max() < 1e-6:
        return Shift(offset)
    return Scaled(factors, offset)


def _other_pixels(first: Placed, other: Placed) -> str:
    lengths = [np.linalg.norm(one.affine[:-1, :-1], axis=0) for one in (first, other)]
    a, b = (" × ".join(f"{length:.4g}" for length in own) for own in lengths)
    return f"{other.name!r} has pixels of {b}, {first.name!r} of {a}: each pixel takes the nearest label."


class _Resampled(LazyArray):
    """The nearest labels of another array, axis by axis.

    Parameters
    ----------
    array : array_like
        The other array.
    coordinates : sequence of ndarray of int
        For each axis, the coordinates in the other array; ascending or descending.
    """

    def __init__(self, array: Any, coordinates: Sequence[Ints]) -> None:
        self._array, self._coordinates = array, coordinates
        self.shape, self.dtype = tuple(len(axis) for axis in coordinates), np.dtype(array.dtype)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        chosen = [axis[start:stop] for axis, (start, stop) in zip(self._coordinates, box, strict=True)]
        if any(not len(axis) for axis in chosen):
            return np.empty([len(axis) for axis in chosen], self.dtype)
        needed = tuple((int(axis.min()), int(axis.max()) + 1) for axis in chosen)
        part = read_box(self._array, needed)
        for number, (axis, (first, _)) in enumerate(zip(chosen, needed, strict=True)):
            part = part.take(axis - first, axis=number)
        return part


class AffineView(LazyArray):
    """The nearest labels of an array that is turned against this one; 0 where it has none.

    Parameters
    ----------
    array : array_like
        The other array.
    linear, offset : ndarray
        From a place here to a place there.
    shape : tuple of int
        Of this one.
    """

    def __init__(self, array: Any, linear: Floats, offset: Floats, shape: tuple[int, ...]) -> None:
        self._array, self._linear, self._offset = array, linear, offset
        self.shape, self.dtype = shape, np.dtype(array.dtype)

    def coordinates(self, box: Box) -> tuple[list[Ints], npt.NDArray[np.bool_]]:
        """Return which pixels of the other array the pixels of a box lie in, along each axis, and which do."""
        axes = [np.arange(start, stop, dtype=float) for start, stop in box]
        inside = np.ones([len(axis) for axis in axes], bool)
        found = []
        for row, shift, length in zip(self._linear, self._offset, self._array.shape, strict=True):
            place = np.full(inside.shape, shift + 0.5 + _NOISE)
            for number, (factor, axis) in enumerate(zip(row, axes, strict=True)):
                if factor:
                    place += (factor * axis).reshape([-1 if i == number else 1 for i in range(len(axes))])
            which = np.floor(place, out=place).astype(np.int64)
            inside &= (which >= 0) & (which < length)
            found.append(which)
        return found, inside

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        found, inside = self.coordinates(box)
        result = np.zeros(inside.shape, self.dtype)
        if inside.any():
            chosen = [which[inside] for which in found]
            needed = tuple((int(axis.min()), int(axis.max()) + 1) for axis in chosen)
            part = read_box(self._array, needed)
            result[inside] = part[tuple(axis - first for axis, (first, _) in zip(chosen, needed, strict=True))]
        return result


class InsideView(LazyArray):
    """Where all turned maps have a pixel."""

    def __init__(self, maps: Sequence[AffineView]) -> None:
        self._maps = maps
        self.shape, self.dtype = maps[0].shape, np.dtype(bool)

    def read(self, box: Box) -> npt.NDArray[np.bool_]:
        """Return the part in a box."""
        inside = self._maps[0].coordinates(box)[1]
        for other in self._maps[1:]:
            inside &= other.coordinates(box)[1]
        return inside


def is_lazy(array: Any) -> bool:
    """Whether slicing an array may read it: dask's stay as they are, zarr's and HDF5's do not."""
    return not isinstance(array, np.ndarray) and not hasattr(array, "dask")


def _slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(start, stop) for start, stop in box)
