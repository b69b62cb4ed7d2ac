"""Files with several images: which one is taken, and what is said of the others; images of one size as a stack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import Box, LazyArray
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


def choose(path: Path | str, images: Sequence[Entry], series: int | None) -> tuple[int, tuple[str, ...]]:
    """Return which of the images in a file is meant, and what is to be said of that.

    Parameters
    ----------
    path : Path or str
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


class Stacked(LazyArray):
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

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        (first, last), *rest = box
        return np.stack([np.asarray(array[tuple(slice(*span) for span in rest)]) for array in self._arrays[first:last]])


class Planes(LazyArray):
    """An image that a library reads plane by plane, or a window of one; read only where it is asked for.

    Parameters
    ----------
    stack : tuple of int
        How many planes there are along each axis.
    plane : tuple of int
        Shape of one: rows and columns, and samples if there are any.
    dtype : dtype
        Of the pixels.
    window : callable
        Returns ``[top:bottom, left:right]`` of a plane, given its index in the stack and those four.
    chunk : tuple of int
        Rows and columns that are read with little more work than one pixel.
    """

    def __init__(
        self,
        stack: tuple[int, ...],
        plane: tuple[int, ...],
        dtype: np.dtype[Any],
        window: Callable[[tuple[int, ...], tuple[int, int, int, int]], npt.NDArray[Any]],
        chunk: tuple[int, int],
    ) -> None:
        self.shape, self.dtype = (*stack, *plane), dtype
        self.chunks = (*(1,) * len(stack), *map(min, chunk, plane), *plane[2:])
        self._axes, self._window = len(stack), window

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        stack, (rows, columns, *rest) = box[: self._axes], box[self._axes :]
        result: npt.NDArray[Any] = np.empty([stop - start for start, stop in box], self.dtype)
        samples: Any = (..., *(slice(*span) for span in rest))
        if result.size:
            for target in np.ndindex(*result.shape[: self._axes]):
                place = tuple(start + n for (start, _), n in zip(stack, target, strict=True))
                result[target] = self._window(place, (*rows, *columns))[samples]
        return result
