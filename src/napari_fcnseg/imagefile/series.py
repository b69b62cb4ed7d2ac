"""Files with several images: which one is taken, and what is said of the others; images of one size as a stack."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

_MOST_NAMED = 6  # images in a sentence


@dataclass(frozen=True)
class Entry:
    """One of the images in a file.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    name : str
        What the file calls it.
    """

    shape: tuple[int, ...]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name!r}, {format_shape(self.shape)}" if self.name else format_shape(self.shape)


def choose(path: Path, images: Sequence[Entry], series: int | None) -> tuple[int, tuple[str, ...]]:
    """Return which of the images in a file is meant, and what is to be said of that.

    Parameters
    ----------
    path : Path
        The file.
    images : sequence of Entry
        What is in it.
    series : int, optional
        Which one the user wants; otherwise the one with the most pixels, the first of several.

    Returns
    -------
    number : int
        From 0.
    notes : tuple of str
        A sentence, where somebody might have meant another one.

    Raises
    ------
    ImageError
        If there is no such image, or none at all.
    """
    if not images:
        raise ImageError(f"{path} holds no image. Choose another file.")
    if series is not None:
        if not 0 <= series < len(images):
            there = (
                "one image, number 0" if len(images) == 1 else f"{len(images)} images, numbers 0 to {len(images) - 1}"
            )
            raise ImageError(f"{path} has no image {series}: it holds {there}.")
        return series, ()
    sizes = [math.prod(image.shape) for image in images]
    number = sizes.index(max(sizes))
    if len(images) == 1:
        return number, ()
    named = "; ".join(f"{n}: {image}" for n, image in enumerate(images[:_MOST_NAMED]))
    more = " …" if len(images) > _MOST_NAMED else ""
    largest = "the largest" if sizes.count(max(sizes)) == 1 else "the first of the largest"
    said = (
        f"{path} holds {len(images)} images ({named}{more}). Image {number} is taken, {largest}; --series N takes "
        "another one (in Python series=N)."
    )
    return number, (said,)


class Stacked:
    """Arrays of one shape and type as a stack along a new first axis; read only where they are asked for.

    Parameters
    ----------
    arrays : sequence of array_like
        The arrays.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = tuple(arrays)
        self.shape = (len(arrays), *arrays[0].shape)
        self.dtype = np.dtype(arrays[0].dtype)
        self.chunks = (1, *(getattr(arrays[0], "chunks", None) or arrays[0].shape))

    def __getitem__(self, where: Any) -> npt.NDArray[Any]:
        """Return the part that an index, or one per axis, chooses."""
        first, *rest = where if isinstance(where, tuple) else (where,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, slice):
            return np.stack([np.asarray(array[tuple(rest)]) for array in self._arrays[first]])
        return np.asarray(self._arrays[first][tuple(rest)])


class Planes:
    """An image that a library reads plane by plane, or a window of one; read only where it is asked for.

    Parameters
    ----------
    stack : tuple of int
        How many planes there are along each axis.
    plane : tuple of int
        Shape of one: rows and columns, and samples if there are any.
    dtype : dtype
        Of the pixels.
    read : callable
        Returns ``[top:bottom, left:right]`` of a plane, given its index in the stack and those four.
    chunk : tuple of int
        Rows and columns that are read with little more work than one pixel.
    """

    def __init__(
        self,
        stack: tuple[int, ...],
        plane: tuple[int, ...],
        dtype: np.dtype[Any],
        read: Callable[[tuple[int, ...], tuple[int, int, int, int]], npt.NDArray[Any]],
        chunk: tuple[int, int],
    ) -> None:
        self.shape, self.dtype = (*stack, *plane), dtype
        self.chunks = (*(1,) * len(stack), *map(min, chunk, plane), *plane[2:])
        self._stack, self._plane, self._read = stack, plane, read

    def __getitem__(self, where: Any) -> npt.NDArray[Any]:
        """Return the part that an index, or one per axis, chooses."""
        index = _one_per_axis(where, len(self.shape))
        chosen = [
            range(n)[i] if isinstance(i, slice) else (range(n)[i],) for n, i in zip(self.shape, index, strict=True)
        ]
        result: npt.NDArray[Any] = np.empty(tuple(map(len, chosen)), self.dtype)
        stack, (rows, columns, *_) = chosen[: len(self._stack)], chosen[len(self._stack) :]
        if result.size:
            top, left = min(rows), min(columns)
            inner = np.ix_(np.subtract(rows, top), np.subtract(columns, left))
            window = (top, max(rows) + 1, left, max(columns) + 1)
            for target, place in zip(np.ndindex(*map(len, stack)), itertools.product(*stack), strict=True):
                plane = self._read(place, window)[inner]
                result[target] = plane[..., chosen[-1]] if len(self._plane) > 2 else plane
        return result[tuple(slice(None) if isinstance(i, slice) else 0 for i in index)]


def _one_per_axis(where: Any, axes: int) -> tuple[Any, ...]:
    index = where if isinstance(where, tuple) else (where,)
    at = next((n for n, i in enumerate(index) if i is Ellipsis), len(index))
    after = index[at + 1 :]
    return (*index[:at], *(slice(None),) * (axes - at - len(after)), *after)
