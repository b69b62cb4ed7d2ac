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
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.ways import fourier_length
from napari_fcnseg.engine.kernels.compiled import compiled
from napari_fcnseg.engine.kernels.direct import Direct
from napari_fcnseg.engine.kernels.product import WIDEST, multiply, multiply_all, packed, panel, product
from napari_fcnseg.engine.kernels.threads import aligned, below, in_threads
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]

_BLOCKS = 96  # that go through the product at once: below it the weights are not read often enough
_BYTES = 2**28  # of the blocks' transforms


class Mixed:
    """A sum of dilated convolutions, of which some have windows so large that they are quicker by transforms.

    Parameters
    ----------
    kernels, bias, dilations, relu, then
        As for :class:`~napari_fcnseg.engine.kernels.direct.Direct`.
    large : sequence of bool
        Which of the kernels are; not all.
    """

    def __init__(
        self, kernels: Sequence[npt.NDArray[Any]], bias: npt.NDArray[Any], dilations: Sequence[Sequence[int]],
        relu: bool, then: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]], large: Sequence[bool],
    ) -> None:  # fmt: skip
        pairs = list(zip(kernels, dilations, large, strict=True))
        self._large = list(large)
        biases = itertools.chain([bias], itertools.repeat(np.zeros_like(bias)))
        turned = [(kernel, dilation) for kernel, dilation, is_large in pairs if is_large]
        self._turned = [Fourier(kernel, next(biases), dilation, False) for kernel, dilation in turned]
        rest = [(kernel, dilation) for kernel, dilation, is_large in pairs if not is_large]
        self._rest = Direct([kernel for kernel, _ in rest], bias, [dilation for _, dilation in rest], relu, then)

    def __call__(self, *maps: _Array, above: _Array | None = None) -> _Array:
        """Return the sum (:meth:`~napari_fcnseg.engine.kernels.direct.Direct.__call__`)."""
        turned = [x for x, is_large in zip(maps, self._large, strict=True) if is_large]
        begun = functools.reduce(operator.iadd, (f(x) for f, x in zip(self._turned, turned, strict=True)))
        rest = (x for x, is_large in zip(maps, self._large, strict=True) if not is_large)
        return self._rest(*rest, above=above, begun=begun)


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
        self._window, self._dilation = (high, wide), tuple(dilation)
        self._floor, self._outputs = np.float32(0 if relu else -np.inf), outputs
        self._shape = fourier_length(high), fourier_length(wide)
        self._bias = np.zeros(outputs + WIDEST * LANES, np.float32)
        self._bias[:outputs] = bias
        self._weights = _packed(_transformed(kernel, self._shape))
        self._there = _rows_forward(self._shape[0]), _columns_forward(self._shape[1])
        results = self._shape[0] - high + 1, self._shape[1] - wide + 1
        self._back = _rows_backward(self._shape[0], results[0]), _columns_backward(self._shape[1], results[1])
        self._results = results
        per_block = 2 * 4 * len(self._weights) * (inputs + outputs)
        self._at_once = max(16, min(4 * _BLOCKS, _BYTES // per_block))

    def __call__(self, x: _Array, *, above: _Array | None = None) -> _Array:
        """Return the convolution of ``(1, row, column, in)``: ``(1, *(size - (window - 1) * dilation), out)``.

        Rows that are to be ``above`` come first.
        """
        image = np.ascontiguousarray(x[0])
        sizes = [n - (k - 1) * d for n, k, d in zip(image.shape, self._window, self._dilation, strict=False)]
        result, rest = below(above, (1, *sizes, self._outputs))
        blocks = self._blocks(sizes)
        frequencies, inputs, outputs = len(self._weights), image.shape[2], self._outputs
        most = -(-len(blocks) // -(-len(blocks) // self._at_once))
        before, after = aligned((frequencies, 2, most, inputs)), aligned((frequencies, 2, most, outputs))
        for first in range(0, len(blocks), most):
            some = blocks[first : first + most]
            there = functools.partial(_forward, product(), image, some, *self._there, self._dilation, before)
            multiplied = functools.partial(_multiply, product(), before, self._weights, len(some), after)
            back = functools.partial(
                _backward, product(), after, some, *self._back, self._dilation, self._bias, self._floor, rest[0]
            )
            in_threads(there, np.arange(len(some)))
            in_threads(multiplied, np.arange(frequencies))
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

    They are the real part, the imaginary less the real part, and their sum with its sign changed; of the conjugate, for
    a correlation.
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
            -real - imaginary,
        )
    return weights


def _packed(weights: _Array) -> _Array:
    """Return weights ``(frequency, 3, in, out)`` as products read them."""
    frequencies, parts, inputs, outputs = weights.shape
    return packed(weights.reshape(-1, inputs, outputs)).reshape(frequencies, parts, -1)


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


@compiled
def _forward(
    product: int, image: Any, blocks: Any, rows: Any, columns: Any, dilation: Any, transforms: Any, part: Any
) -> None:
    """Write the transforms of blocks into ``(frequency, 2, block, channel)``; there are zeros outside of the image."""
    high, wide, channels = rows.shape[1], columns.shape[1] // 2, image.shape[2]
    line, step = wide * channels, 2 * transforms.shape[2] * channels
    pixels = np.empty(high * line + WIDEST * LANES, np.float32)
    half = np.empty(rows.shape[0] * line + WIDEST * LANES, np.float32)
    here, zeros, least = np.zeros(1, np.int64), np.zeros(line + WIDEST * LANES, np.float32), np.float32(-np.inf)
    left_side, right_side, out = rows.reshape(-1), columns.reshape(-1), transforms.reshape(-1)
    for block in part:
        top, left = blocks[block]
        for r in range(high):
            row = top + r * dilation[0]
            for c in range(wide):
                column = left + c * dilation[1]
                o = r * line + c * channels
                if row < image.shape[0] and column < image.shape[1]:
                    pixels[o : o + channels] = image[row, column]
                else:
                    pixels[o : o + channels] = 0
        multiply_all(
            product,
            left_side,
            0,
            high,
            rows.shape[0],
            here,
            high,
            pixels,
            0,
            line,
            half,
            0,
            line,
            line,
            zeros,
            0,
            0,
            least,
        )
        for u in range(rows.shape[0] // 2):
            for of in range(2):  # real and imaginary parts
                multiply_all(
                    product, right_side, of * wide * 2 * wide, 2 * wide, wide, here, 2 * wide, half, 2 * u * line,
                    channels, out, ((2 * u * wide + of) * transforms.shape[2] + block) * channels, step, channels,
                    zeros, 0, 0, least,
                )  # fmt: skip


@compiled
def _multiply(product: int, before: Any, weights: Any, count: int, after: Any, part: Any) -> None:
    """Multiply transforms and weights at each frequency: complex products by three real ones (Gauss)."""
    inputs, outputs = before.shape[3], after.shape[3]
    both = np.empty((count, inputs), np.float32)
    first = np.empty((count, WIDEST * LANES), np.float32)
    here, zeros, least = np.zeros(1, np.int64), np.zeros(WIDEST * LANES, np.float32), np.float32(-np.inf)
    for frequency in part:
        real, imaginary = before[frequency, 0].reshape(-1), before[frequency, 1].reshape(-1)
        both[:] = before[frequency, 0, :count] + before[frequency, 1, :count]
        column = 0
        while column < outputs:
            wide = panel(outputs - column)
            some, at = min(wide, outputs - column), column * inputs
            multiply(
                product, both, 0, inputs, count, here, inputs, weights[frequency, 0], at, wide, first, 0, wide, wide,
                zeros, 0, 0, least,
            )  # fmt: skip
            multiply(
                product, imaginary, 0, inputs, count, here, inputs, weights[frequency, 2], at, wide,
                after[frequency, 0], column, outputs, some, first, 0, wide, least,
            )  # fmt: skip
            multiply(
                product, real, 0, inputs, count, here, inputs, weights[frequency, 1], at, wide,
                after[frequency, 1], column, outputs, some, first, 0, wide, least,
            )  # fmt: skip
            column += wide


@compiled
def _backward(
    product: int, transforms: Any, blocks: Any, rows: Any, columns: Any, dilation: Any, bias: Any, floor: Any, out: Any,
    part: Any,
) -> None:  # fmt: skip
    """Bring transforms back to pixels, add the bias, rectify, and write what lies in the image."""
    wide, channels = columns.shape[1] // 2, out.shape[2]
    results, depth = columns.shape[0] // 2, rows.shape[1]
    line, step, most = results * channels, 2 * transforms.shape[2] * channels, transforms.shape[2]
    half = np.empty(depth * line + WIDEST * LANES, np.float32)
    here, zeros, least = np.zeros(1, np.int64), np.zeros(channels + WIDEST * LANES, np.float32), np.float32(-np.inf)
    left_side, right_side, source, target = (
        columns.reshape(-1),
        rows.reshape(-1),
        transforms.reshape(-1),
        out.reshape(-1),
    )
    for block in part:
        top, left = blocks[block]
        high = min(rows.shape[0], (out.shape[0] - top + dilation[0] - 1) // dilation[0])
        for u in range(depth // 2):
            first = 2 * u * wide * most * channels + block * channels
            multiply_all(
                product, left_side, 0, 2 * wide, 2 * results, here, wide, source, first, step, half, 2 * u * line,
                channels, channels, zeros, 0, 0, least,
            )  # fmt: skip
            multiply_all(
                product, left_side, wide, 2 * wide, 2 * results, here, wide, source, first + most * channels, step,
                half, 2 * u * line, channels, channels, half, 2 * u * line, channels, least,
            )  # fmt: skip
        for c in range(results):
            column = left + c * dilation[1]
            if column < out.shape[1]:
                multiply_all(
                    product, right_side, 0, depth, high, here, depth, half, c * channels, line,
                    target, (top * out.shape[1] + column) * channels, dilation[0] * out.shape[1] * channels, channels,
                    bias, 0, 0, floor,
                )  # fmt: skip
