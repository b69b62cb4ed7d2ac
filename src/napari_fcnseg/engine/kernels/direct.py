"""Dilated convolution as the definition says it, on maps that have their channels last.

Some pixels of a row times the weights of some channels are summed in registers over the whole window: nothing is
copied or transposed, and bias and rectifier cost nothing. A window of one pixel is a product of matrices.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine.kernels.compiled import compiled
from napari_fcnseg.engine.kernels.pooling import windows
from napari_fcnseg.engine.kernels.product import multiply, packed, panel, vectors
from napari_fcnseg.engine.kernels.threads import aligned, in_threads
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]

_PIXELS = 48  # of a row that go through the weights of a panel one after the other


class Direct:
    """A dilated convolution with a fixed kernel, a bias, and a rectifier if asked for.

    Parameters
    ----------
    kernel : ndarray, shape (*window, in, out)
        The window has up to three axes.
    bias : ndarray, shape (out,)
        Added to every pixel.
    dilation : tuple of int
        Per axis.
    relu : bool
        Whether negative results become zero.
    """

    def __init__(self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], dilation: Sequence[int], relu: bool) -> None:
        *window, _inputs, self._outputs = kernel.shape
        self._window, self._dilation = window, dilation
        self._weights = packed(kernel.reshape(1, -1, self._outputs))[0]
        self._bias = np.zeros(vectors(self._outputs) * LANES, np.float32)
        self._bias[: self._outputs] = bias
        self._floor = np.float32(0 if relu else -np.inf)

    def __call__(self, x: _Array) -> _Array:
        """Return the convolution of ``(1, *spatial, in)``: ``(1, *(spatial - (window - 1) * dilation), out)``."""
        x = np.ascontiguousarray(x)
        shape = [n - (k - 1) * d for n, k, d in zip(x.shape[1:-1], self._window, self._dilation, strict=True)]
        result = aligned((1, *shape, self._outputs))
        taps, starts = windows(x, self._window, self._dilation, shape)
        fixed = x.reshape(-1), x.shape[-1], self._weights, self._bias, self._floor, taps, starts
        in_threads(
            functools.partial(_convolve, *fixed, result.reshape(-1, shape[-1], self._outputs)), np.arange(len(starts))
        )
        return result


@compiled
def _convolve(
    x: Any, inputs: int, weights: Any, bias: Any, floor: Any, taps: Any, starts: Any, y: Any, lines: Any
) -> None:  # fmt: skip
    """Convolve what begins at ``starts`` in ``x`` into some lines ``(pixel, out)`` of ``y``."""
    width, outputs = y.shape[1], y.shape[2]
    depth = taps.size * inputs
    out = y.reshape(-1)
    for line in lines:
        for pixel in range(0, width, _PIXELS):
            channel = 0
            while channel < outputs:
                columns = panel(outputs - channel)
                multiply(
                    x, starts[line] + pixel * inputs, inputs, min(_PIXELS, width - pixel), taps, inputs,
                    weights, channel * depth, columns, out, (line * width + pixel) * outputs + channel, outputs,
                    min(columns, outputs - channel), bias, channel, 0, floor,
                )  # fmt: skip
                channel += columns
