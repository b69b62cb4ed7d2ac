"""The dense network as one function of an image: what the engine runs.

It computes what :func:`napari_fcnseg.engine.build.dense_model` computes, with the same functions. A Keras model of as
many layers as a network with edge variants has steps takes ten times as long to put together.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from keras import ops

from napari_fcnseg.conversion import fcn
from napari_fcnseg.engine import functions
from napari_fcnseg.engine.patch import patch_layer
from napari_fcnseg.graph.ops import Activation, Channels, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Apply = Callable[[Sequence[Any]], Any]


def applied(network: fcn.DenseNetwork) -> Callable[[Any], Any]:
    """Return the dense network as a function of an image ``(1, *spatial, channel)``.

    Its arrays are put on the present device.
    """
    prepared = [_prepared(step) for step in network.steps]

    def apply(image: Any) -> Any:
        tensors = {fcn.IMAGE: image}
        cut: dict[fcn.Source, Any] = {}
        for number, (step, function) in enumerate(zip(network.steps, prepared, strict=True)):
            for source in step.inputs:
                if source not in cut:
                    cut[source] = _cut(tensors[source.step], source)
            tensors[number] = function([cut[source] for source in step.inputs])
        return tensors[len(network.steps) - 1]

    return apply


def _cut(tensor: Any, source: fcn.Source) -> Any:
    if any(source.before) or any(source.after):
        return functions.cut(tensor, source.before, source.after)
    return tensor


def _prepared(step: fcn.Step) -> Apply:
    op = step.op
    match op:
        case fcn.DenseConv():
            kernels, bias = [_tensor(kernel) for kernel in op.kernels], _tensor(op.bias)
            return lambda xs: functions.convolve(xs, kernels, bias, op.dilations, op.side_by_side)
        case fcn.DenseDepthwise():
            kernels, bias = [_tensor(kernel) for kernel in op.kernels], _tensor(op.bias)
            return lambda xs: functions.convolve_channels(xs, kernels, bias, op.dilations)
        case fcn.DensePool():
            dilations = (op.dilation,) * len(op.sizes)
            return lambda xs: functions.pool(xs, op.kind, op.sizes, dilations, op.count)
        case fcn.DenseMerge():
            return lambda xs: functions.combine(xs, op.kind)
        case fcn.Join():
            return lambda xs: functions.join(xs, op.order)
        case fcn.Zeros():
            return lambda xs: functions.zeros(xs[0], step.channels)
        case fcn.PerPatch():
            return _per_patch(op, step.channels)
    return _of_one(op)


def _of_one(op: fcn.DenseOp) -> Apply:
    """Return an operation that acts on each pixel of one map."""
    match op:
        case fcn.ChannelAffine():
            center = _tensor(op.center) if op.center.any() else None
            scale, offset = _tensor(op.scale), _tensor(op.offset)
            return lambda xs: functions.affine(xs[0], center, scale, offset)
        case fcn.ChannelNorm():
            norm, weights = patch_layer(LayerNorm(op.gamma, op.beta, op.epsilon, (-1,)), (None, len(op.gamma)))
            norm.build((None, len(op.gamma)))
            norm.set_weights(weights)
            return lambda xs: norm(xs[0])
        case fcn.ChannelPReLU():
            alpha = _tensor(op.alpha)
            return lambda xs: functions.prelu(xs[0], alpha)
        case Channels():
            return lambda xs: xs[0][..., op.start : op.stop]
        case Activation():
            function = functions.activation(op.name, dict(op.params))
            return lambda xs: function(xs[0])
    raise TypeError(f"no function for {type(op).__name__}")


def _per_patch(op: fcn.PerPatch, channels: int) -> Apply:
    shape = (None, *op.sizes, channels // math.prod(op.sizes))
    layer, weights = patch_layer(op.op, shape)
    layer.build(shape)
    layer.set_weights(weights)
    return lambda xs: functions.from_patches(layer(functions.to_patches(xs[0], op.sizes)), xs[0])


def _tensor(array: np.ndarray) -> Any:
    return ops.convert_to_tensor(array, "float32")
