"""Dilated convolution by Winograd's algorithm, nested over the last two axes.

A dilated convolution is an ordinary one on each phase of the pixels, so blocks are made of pixels ``dilation`` apart.
Some blocks at a time go all the way, so that everything between input and output stays in a buffer per thread that fits
the processor's second-level cache: written as operations of a framework, one after the other, the same algorithm is
slower than the plain convolution, for it moves four times the data. The weights of a leading third axis are summed over
as channels are.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_fcnseg.conversion.ways import WINOGRAD_LENGTH as LENGTH
from napari_fcnseg.engine.kernels.blocks import backward, forward
from napari_fcnseg.engine.kernels.compiled import compiled
from napari_fcnseg.engine.kernels.pixelwise import PIXELS, Layers, follow
from napari_fcnseg.engine.kernels.product import WIDEST, multiply, packed, panel, product, vectors
from napari_fcnseg.engine.kernels.threads import below, in_threads
from napari_fcnseg.engine.kernels.toom_cook import matrices
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]

_CACHE = 2**20  # bytes of buffers per thread
_TOGETHER = 4  # vectors of channels that are multiplied before the way back, at most
_LEAST, _MOST = 24, 96  # blocks at a time

FREQUENCIES = LENGTH**2


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
    then : sequence of tuple
        Convolutions of one pixel that follow it: of each the kernel, the bias, and whether it is rectified.
    """

    def __init__(
        self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], dilation: Sequence[int], relu: bool,
        then: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]] = (),
    ) -> None:  # fmt: skip
        rows, columns = matrices(kernel.shape[-4]), matrices(kernel.shape[-3])
        *window, inputs, outputs = kernel.shape
        self._window = tuple(window)
        self._flat = len(window) == 2
        self._dilation = (1, *dilation) if self._flat else tuple(dilation)
        stacked = kernel.astype(np.float64).reshape(-1, *kernel.shape[-4:])
        spectrum = np.einsum("ia,jb,tabxy->ijtxy", rows.kernel, columns.kernel, stacked)
        self._taps = len(stacked)
        self._weights = packed(spectrum.reshape(FREQUENCIES, self._taps * inputs, outputs))
        self._outputs = outputs
        self._bias = np.zeros(vectors(outputs) * LANES, np.float32)
        self._bias[:outputs] = bias
        self._results = len(rows.output), len(columns.output)
        self._floor = np.float32(0 if relu else -np.inf)
        self._depth = vectors(self._taps * inputs) * LANES if inputs % LANES == 0 else self._taps * inputs + LANES
        together = min(vectors(outputs), _TOGETHER) * LANES
        self._layers = Layers.of(outputs, then)
        numbers = FREQUENCIES * (self._depth + together)  # of a block
        numbers += math.prod(self._results) * vectors(outputs) * LANES if then else 0
        self._blocks = min(_MOST, max(_LEAST, _CACHE // (4 * numbers) // 12 * 12))

    def __call__(self, x: _Array, *, above: _Array | None = None) -> _Array:
        """Return the convolution of ``(1, *spatial, in)``: ``(1, *(spatial - (window - 1) * dilation), out)``.

        Rows that are to be ``above`` come first.
        """
        x = np.ascontiguousarray(x)
        spatial = x.shape[1:-1]
        reach = [(k - 1) * d for k, d in zip(self._window, self._dilation[-len(self._window) :], strict=True)]
        shape = tuple(n - r for n, r in zip(spatial, reach, strict=True))
        result, rest = below(above, (1, *shape, self._layers.outputs))
        data, out = (x, rest) if self._flat else (x[0], rest[0])
        rows, columns = (
            _starts(size, results, d)
            for size, results, d in zip(out.shape[1:3], self._results, self._dilation[1:], strict=True)
        )
        blocks = out.shape[0] * len(rows) * len(columns)
        fixed = (
            product(),
            data,
            self._weights,
            self._bias,
            self._floor,
            self._taps,
            self._dilation,
            self._results,
            self._depth,
        )
        work = functools.partial(_convolve, *fixed, rows, columns, self._blocks, self._layers, self._layers.room, out)
        in_threads(work, np.arange(0, blocks, self._blocks))
        return result


def _starts(size: int, results: int, dilation: int) -> npt.NDArray[np.int64]:
    """Return where blocks begin along an axis, those of all phases."""
    firsts = range(0, size, results * dilation)
    return np.array([first + phase for first in firsts for phase in range(min(dilation, size - first))])


@compiled
def _convolve(
    product: int, x: Any, weights: Any, bias: Any, floor: Any, taps: int, dilation: Any, results: Any, depth: int,
    row_starts: Any, column_starts: Any, at_once: int, layers: Any, room: int, y: Any, jobs: Any,
) -> None:  # fmt: skip
    """Convolve ``x`` ``(plane, row, column, in)`` into ``y``; a job is the first of some blocks."""
    outputs, inputs = layers.sizes[0], x.shape[3]
    across = min(bias.size, _TOGETHER * LANES)
    step, product_step = at_once * depth + LANES, at_once * across + LANES
    more, size = layers.floors.size > 0, results[0] * results[1]
    pixels_size = at_once * size * (outputs + layers.sizes[-1]) + room if more else 0
    buffer = np.empty(FREQUENCIES * (step + product_step) + pixels_size + 2 * LANES, np.float32)
    before = np.int64(-(buffer.ctypes.data // 4) % LANES)
    after = before + FREQUENCIES * step
    pixels = after + FREQUENCIES * product_step
    answers = pixels + at_once * size * outputs
    here, rows, columns = np.zeros(1, np.int64), np.empty(LENGTH, np.int64), np.empty(LENGTH, np.int64)
    for first in jobs:
        count = min(at_once, y.shape[0] * row_starts.size * column_starts.size - first)
        _enter(x, first, count, taps, dilation, depth, row_starts, column_starts, rows, columns, buffer, before, step)
        channel = 0
        while channel < bias.size:
            some = _together(bias.size - channel)
            _products(
                product, buffer, before, step, depth, count, here, taps * inputs, weights, bias.size, channel, some,
                after, product_step,
            )  # fmt: skip
            for block in range(count):
                at, high, wide = after + block * some, results[0], results[1]
                if more:
                    for k in range(LENGTH):
                        rows[k], columns[k] = pixels + (block * size + k * wide) * outputs, k * outputs
                    backward(
                        buffer, at, product_step, high, wide, bias, channel, floor,
                        buffer, rows, high, columns, wide, channel, min(some, outputs - channel),
                    )  # fmt: skip
                else:
                    plane, row, column = _place(first + block, row_starts, column_starts)
                    inside = _pixels(y, plane, row, column, dilation, rows, columns)
                    backward(
                        buffer, at, product_step, high, wide, bias, channel, floor, y, rows, min(high, inside[0]),
                        columns, min(wide, inside[1]), channel, min(some, outputs - channel),
                    )  # fmt: skip
            channel += some
        if more:
            room_at, last = answers + at_once * size * layers.sizes[-1], layers.sizes[-1]
            for pixel in range(0, count * size, PIXELS):
                left, at = min(PIXELS, count * size - pixel), pixels + pixel * outputs
                follow(product, buffer, at, outputs, left, layers, room_at, buffer, answers + pixel * last)
            _spread(first, count, buffer, answers, results, dilation, row_starts, column_starts, rows, columns, y)


@njit(nogil=True)
def _enter(
    x: Any, first: Any, count: int, taps: int, dilation: Any, depth: int, row_starts: Any, column_starts: Any,
    rows: Any, columns: Any, buffer: Any, before: Any, step: int,
) -> None:  # fmt: skip
    """Write the transforms of ``count`` blocks from the first on into the buffer."""
    inputs = x.shape[3]
    for block in range(count):
        plane, row, column = _place(first + block, row_starts, column_starts)
        for tap in range(taps):
            _pixels(x, plane + tap * dilation[0], row, column, dilation, rows, columns)
            forward(x, x.size, rows, columns, inputs, buffer, before + block * depth + tap * inputs, step)


@njit(nogil=True)
def _products(
    product: int, buffer: Any, before: Any, step: int, depth: int, count: int, here: Any, inputs: int, weights: Any,
    outputs: int, channel: int, some: int, after: Any, product_step: int,
) -> None:  # fmt: skip
    """Multiply the blocks' transforms with the weights of some channels at each frequency."""
    for frequency in range(FREQUENCIES):
        column = channel
        while column < channel + some:
            wide = panel(outputs - column)
            multiply(
                product, buffer, before + frequency * step, depth, count, here, inputs,
                weights, frequency * weights.shape[1] + column * inputs, wide,
                buffer, after + frequency * product_step + column - channel, some, wide, _ZEROS, 0, 0, _NO_FLOOR,
            )  # fmt: skip
            column += wide


@njit(nogil=True)
def _spread(
    first: Any, count: int, buffer: Any, start: Any, results: Any, dilation: Any, row_starts: Any, column_starts: Any,
    rows: Any, columns: Any, y: Any,
) -> None:  # fmt: skip
    """Write blocks' pixels, which lie one after the other, where they belong."""
    out, channels = y.reshape(-1), y.shape[3]
    for block in range(count):
        plane, row, column = _place(first + block, row_starts, column_starts)
        inside = _pixels(y, plane, row, column, dilation, rows, columns)
        for i in range(min(results[0], inside[0])):
            for j in range(min(results[1], inside[1])):
                at = start + ((block * results[0] + i) * results[1] + j) * channels
                for channel in range(channels):
                    out[rows[i] + columns[j] + channel] = buffer[at + channel]


_ZEROS = np.zeros(WIDEST * LANES, np.float32)
_NO_FLOOR = np.float32(-np.inf)


@njit(nogil=True)
def _together(channels: Any) -> Any:
    """Return how many of so many channels are multiplied before the way back: whole panels."""
    some = panel(channels)
    while some < channels and some + panel(channels - some) <= _TOGETHER * LANES:
        some += panel(channels - some)
    return some


@njit(nogil=True)
def _place(block: Any, row_starts: Any, column_starts: Any) -> tuple[int, int, int]:
    """Return a block's plane, and its first row and column."""
    line, column = divmod(block, column_starts.size)
    plane, row = divmod(line, row_starts.size)
    return plane, row_starts[row], column_starts[column]


@njit(nogil=True)
def _pixels(
    x: Any, plane: int, row: int, column: int, dilation: Any, rows: Any, columns: Any
) -> tuple[int, int]:  # fmt: skip
    """Write where a block's rows and columns begin in an image, and return how many lie in it.

    Beyond its end the last one counts.
    """
    for k in range(LENGTH):
        rows[k] = (plane * x.shape[1] + min(row + k * dilation[1], x.shape[1] - 1)) * x.shape[2] * x.shape[3]
        columns[k] = min(column + k * dilation[2], x.shape[2] - 1) * x.shape[3]
    high, wide = x.shape[1] - row + dilation[1] - 1, x.shape[2] - column + dilation[2] - 1
    return high // dilation[1], wide // dilation[2]
