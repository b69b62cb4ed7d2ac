"""Colours as red, green and blue: of palettes and of CMYK; in memory, or where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import Box, LazyArray

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt


def from_palette(data: Any, table: npt.NDArray[Any]) -> Any:
    """Return the colours ``(…, 3)`` that numbers stand for.

    Parameters
    ----------
    data : array_like of unsigned integer
        The numbers.
    table : ndarray, shape (3, colours)
        Red, green and blue of each, as TIFF has them: 16 bits, of which 8 count.
    """
    colours = (table >> 8 if table.dtype.itemsize > 1 and table.max() > 255 else table).astype(np.uint8).T

    def coloured(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = colours[np.minimum(numbers, len(colours) - 1)]
        return found

    return _mapped(data, coloured, (*data.shape, 3), np.dtype(np.uint8), samples=False)


def from_cmyk(data: Any) -> Any:
    """Return CMYK ``(…, 4)`` of 8 or 16 bits as red, green and blue ``(…, 3)`` of the same type."""
    most = np.iinfo(data.dtype).max

    def converted(inks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        light = (most - inks[..., :4].astype(np.float64)) / most
        return np.rint(light[..., :3] * light[..., 3:4] * most).astype(data.dtype)

    return _mapped(data, converted, (*data.shape[:-1], 3), np.dtype(data.dtype), samples=True)


def grey_of(data: Any, axis: int) -> Any | None:
    """Return the one channel of an image whose colours are all grey, as a view where it can be; None if one is not.

    Parameters
    ----------
    data : array_like
        The image.
    axis : int
        That of the colours, of which the first three count.
    """

    def channel(number: int) -> tuple[Any, ...]:
        return (*(slice(None),) * axis, number)

    if isinstance(data, np.ndarray):
        first = data[channel(0)]
        return first if all(np.array_equal(first, data[channel(n)]) for n in (1, 2)) else None
    if axis != len(data.shape) - 1:
        return None
    whole = (slice(None),) * axis
    for place in range(data.shape[0]):  # row by row, or plane by plane
        part = np.asarray(data[(place, *whole)])
        if not all(np.array_equal(part[..., 0], part[..., n]) for n in (1, 2)):
            return None
    return _mapped(data, lambda part: part[..., 0], data.shape[:-1], np.dtype(data.dtype), samples=True)


class _Mapped(LazyArray):
    """An array whose numbers are changed when they are read; the change may alter the last axis alone."""

    def __init__(
        self, data: Any, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], shape: tuple[int, ...],
        dtype: np.dtype[Any], samples: bool,
    ) -> None:  # fmt: skip
        self._data, self._change = data, change
        self._places = len(data.shape) - samples
        self.shape, self.dtype = shape, dtype
        chunks = getattr(data, "chunks", None)
        self.chunks = None if chunks is None else (*chunks[: self._places], *shape[self._places :])

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        where = [slice(*span) for span in box]
        whole = (slice(None),) * (len(self._data.shape) - self._places)
        changed = self._change(np.asarray(self._data[(*where[: self._places], *whole)]))
        rest: Any = (..., *where[self._places :])
        return changed[rest] if len(where) > self._places else changed


def _mapped(
    data: Any, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any],
    *, samples: bool,
) -> Any:  # fmt: skip
    return change(data) if isinstance(data, np.ndarray) else _Mapped(data, change, shape, dtype, samples)
