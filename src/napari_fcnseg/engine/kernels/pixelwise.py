"""Layers that act on each pixel alone, done while its numbers are in the processor's cache.

A network's dense layers follow its last window as convolutions of one pixel. Each would read and write a map of
hundreds of channels; so a few pixels go through all of them at once.

Imported in the engine's child process alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_fcnseg.engine.kernels.product import multiply, packed, panel, vectors
from napari_fcnseg.engine.kernels.vectors import LANES

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]
_Ints = npt.NDArray[np.int64]

#: Pixels that go through the layers at once.
PIXELS = 48


class Layers(NamedTuple):
    """Convolutions of one pixel, one after the other, none among them.

    Attributes
    ----------
    sizes : ndarray of int64
        Channels of what comes in, and of each layer's result.
    weights, bias : ndarray of float32
        Of all layers, one after the other, as products read them.
    begins : ndarray of int64, shape (layer, 2)
        Where each layer's weights and bias begin.
    floors : ndarray of float32
        The least result of each: 0 for a rectifier.
    """

    sizes: _Ints
    weights: _Array
    bias: _Array
    begins: _Ints
    floors: _Array

    @classmethod
    def of(cls, inputs: int, layers: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any], bool]]) -> Layers:
        """Return the layers for ``inputs`` channels: kernel ``(…, in, out)``, bias, and whether rectified."""
        kernels = [packed(kernel.reshape(1, *kernel.shape[-2:]))[0] for kernel, _, _ in layers]
        biases = [np.pad(bias, (0, vectors(len(bias)) * LANES - len(bias))) for _, bias, _ in layers]
        begins = [(sum(map(len, kernels[:number])), sum(map(len, biases[:number]))) for number in range(len(layers))]
        return cls(
            np.array([inputs, *(len(bias) for _, bias, _ in layers)]),
            np.concatenate([*kernels, np.zeros(0)]).astype(np.float32),
            np.concatenate([*biases, np.zeros(0)]).astype(np.float32),
            np.array(begins, np.int64).reshape(-1, 2),
            np.array([0 if relu else -np.inf for _, _, relu in layers], np.float32),
        )

    @property
    def outputs(self) -> int:
        """Channels of the last result."""
        return int(self.sizes[-1])

    @property
    def room(self) -> int:
        """How many numbers :func:`follow` needs room for."""
        return 2 * PIXELS * int(self.sizes.max()) + 4 * LANES if len(self.floors) else 0


@njit(nogil=True)
def follow(
    product: int, buffer: Any, first: Any, step: Any, pixels: int, layers: Any, room: Any, out: Any, to: Any
) -> None:  # fmt: skip
    """Take at most ``PIXELS`` pixels through the layers.

    Parameters
    ----------
    product : int
        What :func:`~napari_fcnseg.engine.kernels.product.product` returns.
    buffer : ndarray of float32
        Holds the pixels, ``step`` numbers apart from ``first`` on, and from ``room`` on has room for what is between.
    pixels : int
        How many.
    layers : Layers
        One at least.
    out : ndarray of float32
        Takes the results one after the other from ``to`` on.
    """
    here = np.zeros(1, np.int64)
    last = layers.floors.size - 1
    for layer in range(last + 1):
        inputs, outputs = layers.sizes[layer], layers.sizes[layer + 1]
        target = room + (layer % 2) * PIXELS * layers.sizes.max()
        column = 0
        while column < outputs:
            wide = panel(outputs - column)
            some, weights = min(wide, outputs - column), layers.begins[layer, 0] + column * inputs
            bias, floor = layers.begins[layer, 1] + column, layers.floors[layer]
            if layer == last:
                multiply(
                    product, buffer, first, step, pixels, here, inputs, layers.weights, weights, wide,
                    out, to + column, outputs, some, layers.bias, bias, 0, floor,
                )  # fmt: skip
            else:
                multiply(
                    product, buffer, first, step, pixels, here, inputs, layers.weights, weights, wide,
                    buffer, target + column, outputs, some, layers.bias, bias, 0, floor,
                )  # fmt: skip
            column += wide
        first, step = target, outputs
