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
from napari_fcnseg.engine.kernels.product import WIDEST, multiply, packed, panel, product, vectors
from napari_fcnseg.engine.kernels.threads import below, in_threads
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]


class Direct:
    """A sum of dilated convolutions with fixed kernels, a bias, and a rectifier if asked for.

    Parameters
    ----------
    kernels : sequence of ndarray, shape (*window, in, out)
        One per map that is read.
    bias : ndarray, shape (out,)
        Added to every pixel.
    dilations : sequence of tuple of int
        Of each kernel, per axis.
    relu : bool
        Whether negative results become zero.
    then : sequence of tuple
        Convolutions of one pixel that follow it: of each the kernel, the bias, and whether it is rectified.
    """

    def __init__(
        self, kernels: Sequence[npt.NDArray[Any]], bias: npt.NDArray[Any], dilations: Sequence[Sequence[int]],
        relu: bool, then: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]] = (),
    ) -> None:  # fmt: skip
        self._windows = [(kernel.shape[:-2], tuple(d)) for kernel, d in zip(kernels, dilations, strict=True)]
        outputs = kernels[0].shape[-1]
        self._layers = Layers.of(outputs, then)
        self._weights = np.concatenate([packed(kernel.reshape(1, -1, outputs))[0] for kernel in kernels])
        self._bias = np.zeros(vectors(outputs) * LANES, np.float32)
        self._bias[:outputs] = bias
        self._floor = np.float32(0 if relu else -np.inf)

    def __call__(self, *maps: _Array, above: _Array | None = None, begun: _Array | None = None) -> _Array:
        """Return the convolution of maps ``(1, *spatial, in)``: ``(1, *(spatial - (window - 1) * dilation), out)``.

        Rows that are to be ``above`` come first. Where the sum is ``begun``, that is added to instead of the bias.
        """
        maps = tuple(x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x) for x in maps)
        (window, dilation), spatial = self._windows[0], maps[0].shape[1:-1]
        shape = [n - (k - 1) * d for n, k, d in zip(spatial, window, dilation, strict=True)]
        result, part = below(above, (1, *shape, self._layers.outputs))
        found = [windows(x, *sizes, shape) for x, sizes in zip(maps, self._windows, strict=True)]
        terms = np.array([(x.ctypes.data, x.shape[-1], x.strides[-2] // x.itemsize, len(taps))
                          for x, (taps, _) in zip(maps, found, strict=True)])  # fmt: skip
        taps, starts = np.concatenate([taps for taps, _ in found]), np.stack([starts for _, starts in found])
        fixed = product(), terms, taps, starts, self._weights, self._bias.size, self._floor
        out = part.reshape(-1, shape[-1], self._layers.outputs)
        first, step = (self._bias, 0) if begun is None else (begun.reshape(-1), begun.shape[-1])
        work = functools.partial(_convolve, *fixed, first, step, self._layers, self._layers.room, out)
        in_threads(work, np.arange(starts.shape[1]))
        return result


@compiled
def _convolve(
    product: int, terms: Any, taps: Any, starts: Any, weights: Any, wide: int, floor: Any, begun: Any, step_of_it: int,
    layers: Any, room: int, y: Any, lines: Any,
) -> None:  # fmt: skip
    """Convolve into some lines ``(pixel, out)`` of ``y``.

    A term is the address of a map, its channels, how far its pixels lie apart, and how many taps there are; where they
    lie from the first on is in ``taps``, where each line's first pixel lies in ``starts``. Sums begin with what is in
    ``begun``, where pixels lie so many numbers apart.
    """
    width, last, outputs, more = y.shape[1], y.shape[2], layers.sizes[0], layers.floors.size > 0
    buffer = np.empty(room + PIXELS * outputs + LANES * WIDEST, np.float32) if more else y.reshape(-1)
    for line in lines:
        for pixel in range(0, width, PIXELS):
            count, at = min(PIXELS, width - pixel), (line * width + pixel) * last
            to = room if more else at
            channel = 0
            while channel < outputs:
                columns = panel(outputs - channel)
                some, tap, right = min(columns, outputs - channel), 0, 0
                for term in range(len(terms)):
                    x, inputs, step, entries = terms[term]
                    first, least = starts[term, line] + pixel * step, floor if term == len(terms) - 1 else _NO_FLOOR
                    here, depth = taps[tap : tap + entries], entries * inputs
                    if term == 0:
                        multiply(
                            product, x, first, step, count, here, inputs, weights, channel * depth, columns,
                            buffer, to + channel, outputs, some,
                            begun, (line * width + pixel) * step_of_it + channel, step_of_it, least,
                        )  # fmt: skip
                    else:
                        multiply(
                            product, x, first, step, count, here, inputs, weights, right + channel * depth, columns,
                            buffer, to + channel, outputs, some, buffer, to + channel, outputs, least,
                        )  # fmt: skip
                    tap, right = tap + entries, right + depth * wide
                channel += columns
            if more:
                follow(product, buffer, to, outputs, count, layers, 0, y.reshape(-1), at)


_NO_FLOOR = np.float32(-np.inf)
