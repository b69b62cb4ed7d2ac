"""The dense network's operations on the tensors of whichever framework Keras has.

It computes what :func:`napari_fcnseg.engine.keras_export.dense_keras_model` computes, with the same functions. A Keras
model of as many layers as a network with edge variants has steps takes ten times as long to put together.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from keras import ops

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.engine import activations, functions
from napari_fcnseg.engine.dense_function import rectified
from napari_fcnseg.engine.patch_network import patch_layer
from napari_fcnseg.graph.ops import Activation, Channels, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_fcnseg.engine.dense_function import Apply, Ints
    from napari_fcnseg.graph.ops import Op


class Constants:
    """Arrays of a network as what a framework computes with; they stay as they are, on the present device."""

    def tensor(self, array: np.ndarray) -> Any:
        """Return an array."""
        return ops.convert_to_tensor(array, "float32")

    def layer(self, op: Op, shape: tuple[int | None, ...]) -> Any:
        """Return Keras's layer for an operation on patches, with its arrays."""
        layer, weights = patch_layer(op, shape)
        layer.build(shape)
        layer.set_weights(weights)
        return layer


class KerasOperations:
    """Operations on Keras's tensors (:class:`~napari_fcnseg.engine.dense_function.Operations`).

    Parameters
    ----------
    dtype : str
        Of maps and weights. The answer is float32, and so is what the last activation makes it of.
    arrays : Constants, optional
        What becomes of the network's arrays.
    """

    def __init__(self, dtype: str = "float32", arrays: Constants | None = None) -> None:
        self._dtype = dtype
        self._arrays = arrays if arrays is not None else Constants()

    def image(self, image: Any) -> Any:
        """Return an image in the numbers that maps have."""
        return functions.as_type(image, self._dtype)

    def below(self, above: Any, rows: Any) -> Any:
        """Return rows put below others."""
        return ops.concatenate([above, rows], axis=1)

    def last(self, x: Any, rows: int) -> Any:
        """Return the last rows."""
        return x[:, -rows:]

    def cut(self, x: Any, before: Ints, after: Ints, stride: Ints) -> Any:
        """Cut entries off both ends of each spatial axis, and keep every ``stride``-th of the others."""
        return functions.cut(x, before, after, stride)

    def prepared(self, network: dense_network.DenseNetwork) -> list[Apply]:
        """Return each step as a function; a rectifier after a convolution becomes part of it."""
        exact = self._dtype == "float32"
        joined = rectified(network) if exact else {}  # a rectifier by itself keeps what is no number in float16
        prepared = [_prepared(step, number in joined, self._arrays) for number, step in enumerate(network.steps)]
        for number in joined.values():
            prepared[number] = lambda xs: xs[0]
        if not exact:  # layers of Keras answer in float32
            last = len(network.steps) - 1
            head = isinstance(network.steps[last].op, Activation)
            prepared[:last] = [_in_type(function, self._dtype, self._dtype) for function in prepared[:last]]
            prepared[last] = _in_type(prepared[last], "float32" if head else self._dtype, "float32")
        return prepared


def _in_type(function: Apply, read: str, answer: str) -> Apply:
    """Return a function of maps that are read and answered as types of numbers."""
    return lambda xs: functions.as_type(function([functions.as_type(x, read) for x in xs]), answer)


def _prepared(step: dense_network.Step, relu: bool, arrays: Constants) -> Apply:
    op = step.op
    match op:
        case dense_network.DenseConv():
            kernels, bias = [arrays.tensor(kernel) for kernel in op.kernels], arrays.tensor(op.bias)

            def convolve(xs: Sequence[Any]) -> Any:
                y = functions.convolve(xs, kernels, bias, op.dilations, op.side_by_side, step.stride)
                return activations.keeping_nan(y, ops.relu(y)) if relu else y

            return convolve
        case dense_network.DenseDepthwise():
            kernels, bias = [arrays.tensor(kernel) for kernel in op.kernels], arrays.tensor(op.bias)
            return lambda xs: functions.convolve_channels(xs, kernels, bias, op.dilations, step.stride)
        case dense_network.DensePool():
            dilations = (op.dilation,) * len(op.sizes)
            return lambda xs: functions.pool(xs, op.kind, op.sizes, dilations, op.count, step.stride)
        case dense_network.DenseMerge():
            return lambda xs: functions.combine(xs, op.kind)
        case dense_network.Join():
            return lambda xs: functions.join(xs, op.order)
        case dense_network.Zeros():
            return lambda xs: functions.zeros(xs[0], step.channels)
        case dense_network.PerPatch():
            return _per_patch(op, step.channels, arrays)
    return _of_one(op, arrays)


def _of_one(op: dense_network.DenseOp, arrays: Constants) -> Apply:
    """Return an operation that acts on each pixel of one map."""
    match op:
        case dense_network.ChannelAffine():
            center = arrays.tensor(op.center) if op.center.any() else None
            scale, offset = arrays.tensor(op.scale), arrays.tensor(op.offset)
            return lambda xs: functions.affine(xs[0], center, scale, offset)
        case dense_network.ChannelNorm():
            norm = arrays.layer(LayerNorm(op.gamma, op.beta, op.epsilon, (-1,)), (None, len(op.gamma)))
            return lambda xs: norm(xs[0])
        case dense_network.ChannelPReLU():
            alpha = arrays.tensor(op.alpha)
            return lambda xs: functions.prelu(xs[0], alpha)
        case Channels():
            return lambda xs: xs[0][..., op.start : op.stop]
        case Activation():
            function = activations.activation(op.name, dict(op.params))
            return lambda xs: function(xs[0])
    raise TypeError(f"no function for {type(op).__name__}")


def _per_patch(op: dense_network.PerPatch, channels: int, arrays: Constants) -> Apply:
    layer = arrays.layer(op.op, (None, *op.sizes, channels // math.prod(op.sizes)))
    return lambda xs: functions.from_patches(layer(functions.to_patches(xs[0], op.sizes)), xs[0])
