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
from napari_fcnseg.engine.kernels.pixelwise import PIXELS, Layers, follow
from napari_fcnseg.engine.kernels.pooling import windows
from napari_fcnseg.engine.kernels.product import multiply, packed, panel, vectors
from napari_fcnseg.engine.kernels.threads import below, in_threads
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]


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
    then : sequence of tuple
        Convolutions of one pixel that follow it: of each the kernel, the bias, and whether it is rectified.
    """

    def __init__(
        self, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], dilation: Sequence[int], relu: bool,
        then: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]] = (),
    ) -> None:  # fmt: skip
        *window, _inputs, self._outputs = kernel.shape
        self._window, self._dilation = window, dilation
        self._weights = packed(kernel.reshape(1, -1, self._outputs))[0]
        self._bias = np.zeros(vectors(self._outputs) * LANES, np.float32)
        self._bias[: self._outputs] = bias
        self._layers = Layers.of(self._outputs, then)
        self._floor = np.float32(0 if relu else -np.inf)

    def __call__(self, x: _Array, above: _Array | None = None) -> _Array:
        """Return the convolution of ``(1, *spatial, in)``: ``(1, *(spatial - (window - 1) * dilation), out)``.

        Rows that are to be ``above`` come first.
        """
        x = np.ascontiguousarray(x)
        shape = [n - (k - 1) * d for n, k, d in zip(x.shape[1:-1], self._window, self._dilation, strict=True)]
        result, part = below(above, (1, *shape, self._layers.outputs))
        taps, starts = windows(x, self._window, self._dilation, shape)
        fixed = x.reshape(-1), x.shape[-1], self._weights, self._bias, self._floor, taps, starts, self._outputs
        out = part.reshape(-1, shape[-1], self._layers.outputs)
        work = functools.partial(_convolve, *fixed, self._layers, self._layers.room, out)
        in_threads(work, np.arange(len(starts)))
        return result


@compiled
def _convolve(
    x: Any, inputs: int, weights: Any, bias: Any, floor: Any, taps: Any, starts: Any, outputs: int, layers: Any,
    room: int, y: Any, lines: Any,
) -> None:  # fmt: skip
    """Convolve what begins at ``starts`` in ``x`` into some lines ``(pixel, out)`` of ``y``."""
    width, last = y.shape[1], y.shape[2]
    depth, more = taps.size * inputs, layers.floors.size > 0
    buffer = np.empty(room + PIXELS * outputs, np.float32) if more else y.reshape(-1)
    for line in lines:
        for pixel in range(0, width, PIXELS):
            count, at = min(PIXELS, width - pixel), (line * width + pixel) * last
            to = room if more else at
            channel = 0
            while channel < outputs:
                columns = panel(outputs - channel)
                multiply(
                    x, starts[line] + pixel * inputs, inputs, count, taps, inputs, weights, channel * depth, columns,
                    buffer, to + channel, outputs, min(columns, outputs - channel), bias, channel, 0, floor,
                )  # fmt: skip
                channel += columns
            if more:
                follow(buffer, to, outputs, count, layers, 0, y.reshape(-1), at)
