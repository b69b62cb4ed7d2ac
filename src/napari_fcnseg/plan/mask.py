"""A mask: the pixels of an image that get labels."""

from __future__ import annotations

import copy
import functools
import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.layout import Layout

_AT_ONCE = 2**26  # pixels that are read at once, to hash them


class Mask:
    """Where labels are wanted: a mask over each frame of an image, or one over its whole stack.

    One in memory is copied, since a person may draw on it while a run goes on; any other is read region by region.

    Parameters
    ----------
    array : array_like
        What is not 0 is inside. Its axes are those of a frame, or those of the stack and of a frame.
    layout : Layout
        The image's axes.
    every : int
        Pixels from one place to the next.

    Attributes
    ----------
    shape : tuple of int
        In pixels.

    Raises
    ------
    SettingsError
        If it does not fit the image.
    """

    def __init__(self, array: Any, layout: Layout, every: int = 1) -> None:
        array = array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)
        self.shape = tuple(int(n) for n in array.shape)
        if self.shape not in (layout.frame_shape, layout.result_shape):
            stack = f", or {format_shape(layout.result_shape)} for its whole stack" if layout.stack_shape else ""
            raise SettingsError(
                f"The mask has the shape {format_shape(self.shape) or 'of one number'}. Choose one as large as the "
                f"image: {format_shape(layout.frame_shape)} pixels{stack}."
            )
        if np.dtype(array.dtype).kind not in "buif":
            raise SettingsError(f"A mask is true and false, or numbers; this one holds values of type {array.dtype}.")
        self._array: Any = array != 0 if type(array) is np.ndarray else array
        self._stacked = self.shape != layout.frame_shape
        self._every = every

    def at_every(self, every: int) -> Mask:
        """Return the same mask, read at other output pixels; its pixels are not copied."""
        other = copy.copy(self)
        other._every = every
        return other

    def frame(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Return which of the mask's frames is that of a frame of the image; ``()`` where one is for all."""
        return index if self._stacked else ()

    def read(self, index: tuple[int, ...], region: Region) -> npt.NDArray[np.bool_]:
        """Return which output pixels of a region of the image's frame are inside."""
        pixels = tuple(slice(start * self._every, (stop - 1) * self._every + 1) for start, stop in region)
        inside: npt.NDArray[np.bool_] = np.asarray(self._array[(*self.frame(index), *pixels)]) != 0
        return inside[(slice(None, None, self._every),) * len(region)]

    def pixels(self) -> npt.NDArray[np.bool_]:
        """Return the whole mask."""
        inside: npt.NDArray[np.bool_] = np.asarray(self._array[...]) != 0
        return inside

    def holds(self, points: npt.NDArray[np.integer[Any]], spatial: int) -> npt.NDArray[np.bool_]:
        """Return which points of the labels are inside, ``(n,)``; their last ``spatial`` numbers are the place."""
        inside = (
            self.read(tuple(point[:-spatial]), tuple((i, i + 1) for i in point[-spatial:])).all()
            for point in points.tolist()
        )
        return np.fromiter(inside, bool, len(points))

    @functools.cached_property
    def _fingerprint(self) -> tuple[str, int]:
        digest, inside = hashlib.sha256(), 0
        rows = max(1, _AT_ONCE // math.prod(self.shape[1:]))
        for start in range(0, self.shape[0], rows):
            part = np.ascontiguousarray(np.asarray(self._array[start : start + rows]) != 0)
            digest.update(part.data)
            inside += int(np.count_nonzero(part))
        return digest.hexdigest(), inside

    def as_dict(self) -> dict[str, Any]:
        """Return what tells it from others, as plain data: hash of its bytes in C order, shape, pixels inside."""
        sha256, inside = self._fingerprint
        return {"sha256": sha256, "shape": list(self.shape), "pixels": inside}

    def cut_out(self, index: tuple[int, ...], region: Region, arrays: Sequence[Any]) -> Sequence[Any]:
        """Return arrays over a region of a frame with zeros outside the mask; None stays None."""
        outside = ~self.read(index, region)
        if not outside.any():
            return arrays
        cut: list[Any] = [None if array is None else np.array(array) for array in arrays]
        for array in cut:
            if array is not None:
                array[outside] = 0
        return cut
