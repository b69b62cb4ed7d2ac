"""Dilated pooling in one pass.

As operations of a framework it takes a copy of the map for every shift and a pass for every combination; it is bound by
memory alone, so one pass that reads and writes each map once is several times as fast.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_fcnseg.engine.kernels.threads import aligned, in_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]


class Pooling:
    """A dilated pool over two or three axes.

    Parameters
    ----------
    maximum : bool
        Whether the largest entry of a window is taken; otherwise their sum divided by ``count``.
    size, dilation : sequence of int
        Of the window, per axis.
    count : int
        What a sum is divided by.
    """

    def __init__(self, maximum: bool, size: Sequence[int], dilation: Sequence[int], count: int) -> None:
        self._maximum = maximum
        self._flat = len(size) == 2
        self._size = (1, *size) if self._flat else tuple(size)
        self._dilation = (1, *dilation) if self._flat else tuple(dilation)
        self._scale = np.float32(1.0 / count)

    def __call__(self, x: _Array) -> _Array:
        """Return the pool of ``(1, *spatial, channel)``: ``(1, *(spatial - (size - 1) * dilation), channel)``."""
        x = np.ascontiguousarray(x)
        data = x if self._flat else x[0]
        shape = [n - (k - 1) * d for n, k, d in zip(data.shape, self._size, self._dilation, strict=False)]
        result = aligned((*shape, data.shape[3]))
        jobs = np.array(list(itertools.product(range(shape[0]), range(shape[1]))))
        fixed = (self._maximum, self._size, self._dilation, self._scale)
        in_threads(functools.partial(_pool, data, *fixed, result), jobs)
        return result if self._flat else result[None]


@njit(cache=True, nogil=True, fastmath={"nsz"})
def _pool(x: Any, maximum: bool, size: Any, dilation: Any, scale: Any, y: Any, jobs: Any) -> None:
    """Pool ``x`` ``(plane, row, column, channel)`` into rows ``(plane, row)`` of ``y``."""
    channels = x.shape[3]
    for plane, row in jobs:
        line = x[plane, row].ravel().copy()
        for tap in range(1, size[0] * size[1]):
            z, r = divmod(tap, size[1])
            other = x[plane + z * dilation[0], row + r * dilation[1]].reshape(-1)
            _combine(line, other, maximum)
        out = y[plane, row].reshape(-1)
        out[:] = line[: out.size]
        for tap in range(1, size[2]):
            first = tap * dilation[2] * channels
            _combine(out, line[first : first + out.size], maximum)
        if not maximum:
            for z in range(out.size):
                out[z] *= scale


@njit(inline="always", fastmath={"nsz"})
def _combine(out: Any, other: Any, maximum: bool) -> None:
    if maximum:
        for z in range(out.size):
            out[z] = other[z] if other[z] > out[z] else out[z]
    else:
        for z in range(out.size):
            out[z] += other[z]
