"""An image with pixels of another size, and results on it written back on the image's own pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import Box, LazyArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from scipy.sparse import csr_array

_CHUNK = 256  # pixels along an axis that are worked out together
_HELD = 2**28  # bytes up to which all of it is worked out at once


@dataclass(frozen=True)
class Grid:
    """The pixels of a frame, and those of the same frame with another number of pixels; their borders coincide.

    Attributes
    ----------
    shape : tuple of int
        Of the frame as it is.
    scaled : tuple of int
        Of the other one.
    """

    shape: tuple[int, ...]
    scaled: tuple[int, ...]

    @classmethod
    def of(cls, shape: Sequence[int], factors: Sequence[float]) -> Grid:
        """Return the grid of a frame that is to be so many times as large along each axis."""
        return cls(tuple(shape), tuple(max(1, round(n * f)) for n, f in zip(shape, factors, strict=True)))

    @cached_property
    def nearest(self) -> tuple[npt.NDArray[np.intp], ...]:
        """Of each axis, which scaled pixel the centre of each pixel of the frame lies in."""
        # In whole numbers: (i + 1/2) · scaled / n, rounded down, is never off by a rounding error.
        return tuple((2 * np.arange(n) + 1) * m // (2 * n) for n, m in zip(self.shape, self.scaled, strict=True))

    def back(self, array: npt.NDArray[Any], first: int = 0) -> npt.NDArray[Any]:
        """Return an array of scaled pixels on the pixels of the frame; its axes of space begin with the given one."""
        for axis, places in enumerate(self.nearest, start=first):
            array = array.take(places, axis)
        return array


class Rescaled(LazyArray):
    """An image with another number of pixels: linear between pixel centres, or their mean where it becomes smaller.

    Parameters
    ----------
    image : array_like
        The image.
    axes : sequence of int
        Its axes of space.
    grid : Grid
        Of these axes.
    """

    def __init__(self, image: Any, axes: Sequence[int], grid: Grid) -> None:
        self._image, self._axes, self._grid = image, tuple(axes), grid
        sizes = dict(zip(axes, grid.scaled, strict=True))
        self.shape = tuple(sizes.get(axis, n) for axis, n in enumerate(image.shape))
        self.dtype = np.dtype(np.float32)
        self.chunks = tuple(min(_CHUNK, n) if axis in sizes else n for axis, n in enumerate(self.shape))
        if len(self.shape) > len(sizes):  # planes of a stack are read one by one, channels together
            self.chunks = tuple(1 if axis < min(axes) else chunk for axis, chunk in enumerate(self.chunks))

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        where, weights = list(box), {}
        for axis, before, after in zip(self._axes, self._grid.shape, self._grid.scaled, strict=True):
            where[axis], weights[axis] = _weights(before, after, *box[axis])
        part = np.asarray(self._image[tuple(slice(*span) for span in where)])
        if part.dtype.kind not in "buif":  # said where an image is looked at
            return part
        part = part.astype(np.float64 if part.dtype.itemsize > 2 else np.float32)
        for axis, weight in weights.items():
            moved = np.moveaxis(part, axis, 0)
            flat = weight @ moved.reshape(moved.shape[0], -1)
            part = np.moveaxis(flat.reshape(weight.shape[0], *moved.shape[1:]), 0, axis)
        return np.ascontiguousarray(part, np.float32)


def rescaled(image: Any, axes: Sequence[int], grid: Grid) -> Any:
    """Return an image with another number of pixels: all of it where that is little, else to be read in parts."""
    lazy = Rescaled(image, axes, grid)
    return np.asarray(lazy) if math.prod(lazy.shape) * lazy.dtype.itemsize <= _HELD else lazy


class Regridded:
    """An array that results on scaled pixels are written into, each where the pixels of the frame lie.

    Parameters
    ----------
    array : array_like
        With ``shape``, ``dtype`` and slice assignment: the axes of a stack, those of the frame, and maybe one more.
    grid : Grid
        Of the frame.
    stack : int
        Axes before those of the frame.
    """

    def __init__(self, array: Any, grid: Grid, stack: int) -> None:
        self.array, self._grid, self._stack = array, grid, stack
        self.dtype = np.dtype(array.dtype)
        after = stack + len(grid.shape)
        self.shape = (*array.shape[:stack], *grid.scaled, *array.shape[after:])

    def __setitem__(self, where: tuple[int | slice, ...], values: npt.NDArray[Any]) -> None:
        """Write what was computed at some scaled pixels: an index per axis of the stack, then a slice per other one."""
        place: list[int | slice] = list(where[: self._stack])
        for axis, (chosen, nearest) in enumerate(zip(where[self._stack :], self._grid.nearest, strict=False)):
            assert isinstance(chosen, slice), "tiles have an extent along each axis"
            start, stop, _ = chosen.indices(self._grid.scaled[axis])
            first, last = np.searchsorted(nearest, (start, stop))
            place.append(slice(int(first), int(last)))
            values = values.take(nearest[first:last] - start, axis)
        if values.size:
            self.array[tuple(place)] = values


def _weights(before: int, after: int, start: int, stop: int) -> tuple[tuple[int, int], csr_array]:
    """Return which pixels of an axis scaled ones are made of, and how much of each: ``(scaled, pixels)``."""
    from scipy.sparse import csr_array

    scale = before / after
    places = np.arange(start, stop)
    if scale <= 1:  # more pixels: between the two nearest centres
        centres = np.clip((places + 0.5) * scale - 0.5, 0, before - 1)
        low = np.minimum(centres.astype(int), max(before - 2, 0))
        high = np.minimum(low + 1, before - 1)
        rows = np.concatenate([places, places]) - start
        columns, parts = np.concatenate([low, high]), np.concatenate([1 - (centres - low), centres - low])
    else:  # fewer pixels: the mean of all that lie in one, by how much of them does
        left, right = places * scale, np.minimum((places + 1) * scale, before)
        most = math.ceil(scale) + 1
        columns = np.floor(left).astype(int)[:, None] + np.arange(most)
        parts = np.clip(np.minimum(columns + 1, right[:, None]) - np.maximum(columns, left[:, None]), 0, None)
        parts /= parts.sum(axis=1, keepdims=True)
        rows, columns, parts = np.repeat(places - start, most), columns.ravel(), parts.ravel()
        rows, columns, parts = (each[parts > 0] for each in (rows, columns, parts))
    first, last = int(columns.min()), int(columns.max()) + 1
    matrix = csr_array((parts, (rows, columns - first)), shape=(stop - start, last - first))
    return (first, last), matrix
