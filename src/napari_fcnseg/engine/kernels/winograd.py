"""Dilated convolution by Winograd's algorithm, nested over the last two axes.

A dilated convolution is an ordinary one on each phase of the pixels, so blocks are made of pixels ``dilation`` apart;
phases that lie side by side are worked on together. Everything between input and output stays in a buffer per thread
that fits the processor's second-level cache: written as operations of a framework, one after the other, the same
algorithm is slower than the plain convolution, for it moves four times the data. A leading third axis is summed over
its weights before the way back.

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
from napari_fcnseg.engine.kernels.toom_cook import LENGTH, matrices

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]

_CACHE = 3 * 2**18  # bytes of buffers per thread


class Winograd:
    """A dilated convolution with a fixed kernel, a bias, and a rectifier if asked for.

    Parameters
    ----------
    kernel : ndarray, shape (*window, in, out)
        The window has two or three axes, the last two of 2 to 5 entries.
    bias : ndarray, shape (out,)
        Added to every pixel.
    dilation : tuple of int
        Per axis.
    relu : bool
        Whether negative results become zero.
    """

    def __init__(self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], dilation: Sequence[int], relu: bool) -> None:
        rows, columns = matrices(kernel.shape[-4]), matrices(kernel.shape[-3])
        stacked = kernel.astype(np.float64).reshape(-1, *kernel.shape[-4:])
        spectrum = np.einsum("ia,jb,tabxy->tijxy", rows.kernel, columns.kernel, stacked)
        self._window = kernel.shape[:-2]
        self._flat = len(self._window) == 2
        self._dilation = (1, *dilation) if self._flat else tuple(dilation)
        self._weights = np.ascontiguousarray(spectrum.reshape(len(stacked), LENGTH**2, *kernel.shape[-2:]), np.float32)
        self._bias = np.ascontiguousarray(bias, np.float32)
        self._rows = rows.data.astype(np.float32), rows.output.astype(np.float32)
        self._columns = columns.data.astype(np.float32), columns.output.astype(np.float32)
        per_tile = LENGTH * kernel.shape[-2] + (LENGTH + 10 + len(rows.output) * len(columns.output)) * kernel.shape[-1]
        self._tiles = max(16, _CACHE // (4 * per_tile))
        self._relu = relu

    def __call__(self, x: _Array) -> _Array:
        """Return the convolution of ``(1, *spatial, in)``: ``(1, *(spatial - (window - 1) * dilation), out)``."""
        x = np.ascontiguousarray(x)
        spatial = x.shape[1:-1]
        reach = [(k - 1) * d for k, d in zip(self._window, self._dilation[-len(self._window) :], strict=True)]
        shape = tuple(n - r for n, r in zip(spatial, reach, strict=True))
        result = aligned((1, *shape, len(self._bias)))
        data, out = (x, result) if self._flat else (x[0], result[0])
        blocks, jobs = self._jobs(out.shape)
        fixed = (self._weights, self._bias, *self._rows, *self._columns, self._dilation, blocks, self._relu, out)
        in_threads(functools.partial(_convolve, data, *fixed), jobs)
        return result

    def _jobs(self, shape: Sequence[int]) -> tuple[int, npt.NDArray[np.int64]]:
        """Return how many blocks a job has, and each job's plane, row and first block."""
        planes, height, width = shape[:3]
        high, wide = len(self._rows[1]), len(self._columns[1])
        _, dr, dc = self._dilation
        rows = [row for first in range(0, height, high * dr) for row in range(first, min(first + dr, height))]
        all_blocks = -(-width // (wide * dc))
        segments = -(-all_blocks // max(1, self._tiles // dc))
        blocks = -(-all_blocks // segments)
        return blocks, np.array(list(itertools.product(range(planes), rows, range(0, all_blocks, blocks))))


@njit(fastmath={"contract", "nsz"}, inline="always")
def _mix(out: Any, by: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> None:
    """Write a linear combination of six rows."""
    for z in range(out.size):
        out[z] = by[0] * a[z] + by[1] * b[z] + by[2] * c[z] + by[3] * d[z] + by[4] * e[z] + by[5] * f[z]


@njit(fastmath={"contract", "nsz"}, inline="always")
def _load(out: Any, by: Any, x: Any, row: int, step: int, first: int) -> None:
    """Combine six rows of the image, ``step`` apart, from entry ``first`` on; there are zeros outside of it."""
    last, length = x.shape[0] - 1, min(out.size, x.shape[1] - first)
    rows = [x[min(row + k * step, last), first : first + length] for k in range(6)]
    _mix(out[:length], by, rows[0], rows[1], rows[2], rows[3], rows[4], rows[5])
    out[length:] = 0


@njit(fastmath={"contract", "nsz"}, inline="always")
def _spread(out: Any, by: Any, line: Any, blocks: int, run: int, results: int) -> None:
    """Take a line of pixels into the domain where a convolution is a product, block by block."""
    for block in range(blocks):
        o = block * results * run
        for j in range(6):
            _mix(
                out[j, block * run : (block + 1) * run], by[j],
                line[o : o + run], line[o + run : o + 2 * run], line[o + 2 * run : o + 3 * run],
                line[o + 3 * run : o + 4 * run], line[o + 4 * run : o + 5 * run], line[o + 5 * run : o + 6 * run],
            )  # fmt: skip


@njit(fastmath={"contract", "nsz"}, inline="always")
def _gather(total: Any, row_by: Any, by: Any, parts: Any, line: Any, blocks: int, run: int) -> None:
    """Bring products back to pixels and add them to each of the block's rows."""
    results = by.shape[0]
    for block in range(blocks):
        o = block * run
        for j in range(results):
            _mix(
                line[(block * results + j) * run : (block * results + j + 1) * run], by[j],
                parts[0, o : o + run], parts[1, o : o + run], parts[2, o : o + run],
                parts[3, o : o + run], parts[4, o : o + run], parts[5, o : o + run],
            )  # fmt: skip
    for row in range(total.shape[0]):
        factor, sums = row_by[row], total[row]
        if factor != 0:
            for z in range(line.size):
                sums[z] += factor * line[z]


@njit(fastmath={"contract", "nsz"}, inline="always")
def _finish(out: Any, sums: Any, bias: Any, relu: bool) -> None:
    """Add the bias, rectify, and write a row as far as it lies in the image."""
    channels = bias.size
    for pixel in range(min(out.size, sums.size) // channels):
        for c in range(channels):
            value = sums[pixel * channels + c] + bias[c]
            out[pixel * channels + c] = max(value, np.float32(0)) if relu else value


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _convolve(
    x: Any, weights: Any, bias: Any, rows_in: Any, rows_out: Any, columns_in: Any, columns_out: Any,
    dilation: Any, blocks: int, relu: bool, y: Any, jobs: Any,
) -> None:  # fmt: skip
    """Convolve ``x`` ``(plane, row, column, in)`` into ``y``.

    A job ``(plane, row, first)`` is a run of blocks along one row of blocks, from block ``first`` on.
    """
    taps, ci, co = weights.shape[0], x.shape[3], y.shape[3]
    dz, dr, dc = dilation
    high, wide = rows_out.shape[0], columns_out.shape[0]  # a block's results along either axis
    count = blocks * dc
    line = np.empty((blocks * wide + 6 - wide) * dc * ci, np.float32)
    data = np.empty((6, count * ci), np.float32)
    parts = np.empty((6, count * co), np.float32)
    more = np.empty((count, co), np.float32)
    back = np.empty(wide * count * co, np.float32)
    total = np.empty((high, wide * count * co), np.float32)
    for plane, row, first in jobs:
        total[:] = 0
        for i in range(6):
            for tap in range(taps):
                image = x[plane + tap * dz].reshape(x.shape[1], -1)
                _load(line, rows_in[i], image, row, dr, first * wide * dc * ci)
                _spread(data, columns_in, line, blocks, dc * ci, wide)
                for j in range(6):
                    part = parts[j].reshape(count, co)
                    if tap == 0:
                        np.dot(data[j].reshape(count, ci), weights[tap, i * 6 + j], part)
                    else:
                        np.dot(data[j].reshape(count, ci), weights[tap, i * 6 + j], more)
                        part += more
            _gather(total, rows_out[:, i], columns_out, parts, back, blocks, dc * co)
        target = y[plane].reshape(y.shape[1], -1)
        for r in range(high):
            if row + r * dr < y.shape[1]:
                _finish(target[row + r * dr, first * wide * dc * co :], total[r], bias, relu)
