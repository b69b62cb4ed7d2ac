"""Dilated convolution with a large window by the Fourier transform of small blocks.

A block of ``n`` pixels per axis, each ``dilation`` from the next, gives ``n - window + 1`` results per axis. In the
Fourier domain the convolution is a product of matrices at each frequency, over the channels, in complex numbers: three
real products. The blocks are so small that the transform, too, is best done as a product with its matrix. For a window
of 10 by 10 that is a fourteenth of the plain sum's arithmetic.

Imported in the engine's child process alone.

References
----------
M. Mathieu, M. Henaff, Y. LeCun, "Fast training of convolutional networks through FFTs", 2013, arXiv 1312.5851.
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

_BLOCKS = 96  # that go through the product at once: below it the weights are not read often enough
_BYTES = 2**28  # of the blocks' transforms


def block_length(window: int) -> int:
    """Return the block for a window: twice its size, about where the arithmetic per result is least for its memory."""
    return 2 * window


def weight_bytes(window: Sequence[int], inputs: int, outputs: int) -> int:
    """Return the bytes that the transformed weights take."""
    rows, columns = map(block_length, window)
    return 3 * 4 * (rows // 2 + 1) * columns * inputs * outputs


class Fourier:
    """A dilated convolution with a fixed kernel, a bias, and a rectifier if asked for.

    Parameters
    ----------
    kernel : ndarray, shape (row, column, in, out)
        The window.
    bias : ndarray, shape (out,)
        Added to every pixel.
    dilation : tuple of int
        Along rows and columns.
    relu : bool
        Whether negative results become zero.
    """

    def __init__(self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], dilation: Sequence[int], relu: bool) -> None:
        high, wide, inputs, outputs = kernel.shape
        self._window, self._dilation, self._relu = (high, wide), tuple(dilation), relu
        self._shape = block_length(high), block_length(wide)
        self._bias = np.ascontiguousarray(bias, np.float32)
        self._weights = _transformed(kernel, self._shape)
        self._there = _rows_forward(self._shape[0]), _columns_forward(self._shape[1])
        results = self._shape[0] - high + 1, self._shape[1] - wide + 1
        self._back = _rows_backward(self._shape[0], results[0]), _columns_backward(self._shape[1], results[1])
        self._results = results
        per_block = 2 * 4 * len(self._weights) * (inputs + outputs)
        self._at_once = max(16, min(4 * _BLOCKS, _BYTES // per_block))

    def __call__(self, x: _Array) -> _Array:
        """Return the convolution of ``(1, row, column, in)``: ``(1, *(size - (window - 1) * dilation), out)``."""
        image = np.ascontiguousarray(x[0])
        sizes = [n - (k - 1) * d for n, k, d in zip(image.shape, self._window, self._dilation, strict=False)]
        result = aligned((1, *sizes, len(self._bias)))
        blocks = self._blocks(sizes)
        frequencies, _, inputs, outputs = self._weights.shape
        most = -(-len(blocks) // -(-len(blocks) // self._at_once))
        before = np.empty((frequencies, 2, most, inputs), np.float32)
        after = np.empty((frequencies, 2, most, outputs), np.float32)
        for first in range(0, len(blocks), most):
            some = blocks[first : first + most]
            there = functools.partial(_forward, image, some, *self._there, self._dilation, before)
            product = functools.partial(_multiply, before, self._weights, len(some), after)
            back = functools.partial(
                _backward, after, some, *self._back, self._dilation, self._bias, self._relu, result[0]
            )
            in_threads(there, np.arange(len(some)))
            in_threads(product, np.arange(frequencies))
            in_threads(back, np.arange(len(some)))
        return result

    def _blocks(self, sizes: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the first row and column of each block, those of all phases."""
        starts = [
            [first + phase for first in range(0, size, m * d) for phase in range(min(d, size - first))]
            for size, m, d in zip(sizes, self._results, self._dilation, strict=True)
        ]
        return np.array(list(itertools.product(*starts)))


def _transformed(kernel: npt.NDArray[Any], shape: tuple[int, int]) -> _Array:
    """Return what three real products need of a kernel's transform ``t``: ``(frequency, 3, in, out)``.

    They are the real part, the imaginary less the real part, and their sum; of the conjugate, for a correlation.
    """
    high, wide, inputs, outputs = kernel.shape
    rows = np.exp(1j * _angles(shape[0] // 2 + 1, high, shape[0]))
    columns = np.exp(1j * _angles(shape[1], wide, shape[1]))
    both = np.einsum("ua,vb->uvab", rows, columns).reshape(-1, high * wide)
    weights = np.empty((len(both), 3, inputs, outputs), np.float32)
    for channel in range(inputs):  # the whole transform in double precision would take gigabytes
        flat = kernel[:, :, channel].reshape(high * wide, outputs).astype(np.float64)
        real, imaginary = both.real @ flat, both.imag @ flat
        weights[:, 0, channel], weights[:, 1, channel], weights[:, 2, channel] = (
            real,
            imaginary - real,
            real + imaginary,
        )
    return weights


def _angles(rows: int, columns: int, length: int) -> npt.NDArray[np.float64]:
    """Return the angle of each pair of a row and a column index of the transform's matrix."""
    return 2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / length


def _rows_forward(n: int) -> _Array:
    """Return the matrix from ``n`` real numbers to half the frequencies, each a real and an imaginary row."""
    angle = _angles(n // 2 + 1, n, n)
    return np.stack([np.cos(angle), -np.sin(angle)], axis=1).reshape(-1, n).astype(np.float32)


def _columns_forward(n: int) -> _Array:
    """Return the matrix from ``n`` real and ``n`` imaginary parts to as many of the transform."""
    angle = _angles(n, n, n)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.block([[cos, sin], [-sin, cos]]).astype(np.float32)


def _columns_backward(n: int, results: int) -> _Array:
    """Return the matrix from a transform to the first results' real and imaginary parts."""
    angle = _angles(results, n, n)
    cos, sin = np.cos(angle) / n, np.sin(angle) / n
    return np.block([[cos, -sin], [sin, cos]]).astype(np.float32)


def _rows_backward(n: int, results: int) -> _Array:
    """Return the matrix from half a transform's real and imaginary rows to the first results, which are real."""
    frequencies = n // 2 + 1
    angle = _angles(results, frequencies, n)
    twice = np.full(frequencies, 2.0)  # those that are left out are the conjugates of these
    twice[0] = twice[-1] = 1
    matrix = np.stack([twice * np.cos(angle), -twice * np.sin(angle)], axis=2) / n
    return matrix.reshape(results, -1).astype(np.float32)


@njit(cache=True, nogil=True)
def _forward(image: Any, blocks: Any, rows: Any, columns: Any, dilation: Any, transforms: Any, part: Any) -> None:
    """Write the transforms of blocks into ``(frequency, 2, block, channel)``; there are zeros outside of the image."""
    high, wide, channels = rows.shape[1], columns.shape[1] // 2, image.shape[2]
    pixels = np.empty((high, wide * channels), np.float32)
    half = np.empty((rows.shape[0], wide * channels), np.float32)
    whole = np.empty((2 * wide, channels), np.float32)
    for block in part:
        top, left = blocks[block]
        for r in range(high):
            row = top + r * dilation[0]
            for c in range(wide):
                column = left + c * dilation[1]
                o = c * channels
                if row < image.shape[0] and column < image.shape[1]:
                    pixels[r, o : o + channels] = image[row, column]
                else:
                    pixels[r, o : o + channels] = 0
        np.dot(rows, pixels, half)
        for u in range(rows.shape[0] // 2):
            np.dot(columns, half[2 * u : 2 * u + 2].reshape(2 * wide, channels), whole)
            for v in range(wide):
                transforms[u * wide + v, 0, block] = whole[v]
                transforms[u * wide + v, 1, block] = whole[wide + v]


@njit(cache=True, nogil=True)
def _multiply(before: Any, weights: Any, count: int, after: Any, part: Any) -> None:
    """Multiply transforms and weights at each frequency: complex products by three real ones (Gauss)."""
    both = np.empty((count, before.shape[3]), np.float32)
    first = np.empty((count, after.shape[3]), np.float32)
    for frequency in part:
        real, imaginary = before[frequency, 0, :count], before[frequency, 1, :count]
        both[:] = real + imaginary
        np.dot(both, weights[frequency, 0], first)
        np.dot(imaginary, weights[frequency, 2], after[frequency, 0, :count])
        np.dot(real, weights[frequency, 1], after[frequency, 1, :count])
        after[frequency, 0, :count] = first - after[frequency, 0, :count]
        after[frequency, 1, :count] += first


@njit(cache=True, nogil=True)
def _backward(
    transforms: Any, blocks: Any, rows: Any, columns: Any, dilation: Any, bias: Any, relu: bool, out: Any, part: Any
) -> None:
    """Bring transforms back to pixels, add the bias, rectify, and write what lies in the image."""
    wide, channels = columns.shape[1] // 2, bias.size
    results = columns.shape[0] // 2
    whole = np.empty((2 * wide, channels), np.float32)
    half = np.empty((rows.shape[1], results * channels), np.float32)
    pixels = np.empty((rows.shape[0], results * channels), np.float32)
    for block in part:
        top, left = blocks[block]
        for u in range(rows.shape[1] // 2):
            for v in range(wide):
                whole[v] = transforms[u * wide + v, 0, block]
                whole[wide + v] = transforms[u * wide + v, 1, block]
            np.dot(columns, whole, half[2 * u : 2 * u + 2].reshape(2 * results, channels))
        np.dot(rows, half, pixels)
        for r in range(rows.shape[0]):
            row = top + r * dilation[0]
            for c in range(results):
                column = left + c * dilation[1]
                if row < out.shape[0] and column < out.shape[1]:
                    for k in range(channels):
                        value = pixels[r, c * channels + k] + bias[k]
                        out[row, column, k] = max(value, np.float32(0)) if relu else value
