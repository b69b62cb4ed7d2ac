"""Put the dense network together as a Keras model.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.engine import layers
from napari_fcnseg.engine.patch_network import patch_layer
from napari_fcnseg.graph.ops import Activation, Channels

if TYPE_CHECKING:
    import numpy as np


def dense_keras_model(network: dense_network.DenseNetwork) -> keras.Model:
    """Return the dense network as a Keras model on images ``(1, *spatial, channel)`` of any size.

    The answer for the patch whose pixel ``network.origin`` is entry ``i`` of the image is entry ``i``; an axis gets
    shorter by ``network.reach - 1``.
    """
    image = keras.Input((None,) * len(network.patch_shape) + (network.channels,), name="image")
    tensors = {dense_network.IMAGE: image}
    cut: dict[dense_network.StepInput, Any] = {}
    for number, step in enumerate(network.steps):
        for source in step.inputs:
            if source not in cut:
                cut[source] = _cut(tensors[source.step], source)
        tensors[number] = _apply(step, [cut[source] for source in step.inputs], f"step_{number}")
    return keras.Model(image, tensors[len(network.steps) - 1], name="dense")


def _cut(tensor: Any, source: dense_network.StepInput) -> Any:
    if any(source.before) or any(source.after):
        return layers.Cut(source.before, source.after)(tensor)
    return tensor


def _apply(step: dense_network.Step, inputs: list[Any], name: str) -> Any:
    op = step.op
    if isinstance(op, dense_network.PerPatch):
        layer, weights = patch_layer(op.op, (None, *op.sizes, step.channels // math.prod(op.sizes)))
        tensors = layers.PatchTensor(op.sizes)(inputs[0])
        result = layers.BackToMap(name=name)([layer(tensors), inputs[0]])
    else:
        layer, weights = _layer(op, step.channels, name)
        several = isinstance(
            op,
            dense_network.DenseConv
            | dense_network.DenseDepthwise
            | dense_network.DensePool
            | dense_network.DenseMerge
            | dense_network.Join,
        )
        result = layer(inputs if several else inputs[0])
    if weights:
        layer.set_weights(weights)
    return result


def _layer(op: dense_network.DenseOp, channels: int, name: str) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    match op:
        case dense_network.DenseConv():
            sizes = tuple(kernel.shape[:-2] for kernel in op.kernels)
            conv = layers.DilatedConv(
                side_by_side=op.side_by_side,
                sizes=sizes,
                dilations=op.dilations,
                filters=channels,
                groups=op.groups,
                name=name,
            )
            return conv, [*op.kernels, op.bias]
        case dense_network.DenseDepthwise():
            sizes, multiplier = tuple(kernel.shape[:-2] for kernel in op.kernels), op.kernels[0].shape[-1]
            depthwise = layers.DilatedDepthwise(sizes=sizes, dilations=op.dilations, multiplier=multiplier, name=name)
            return depthwise, [*op.kernels, op.bias]
        case dense_network.DensePool():
            dilations = (op.dilation,) * len(op.sizes)
            return layers.DilatedPool(op.kind, op.count, sizes=op.sizes, dilations=dilations, name=name), []
        case dense_network.DenseMerge():
            return layers.Combine(op.kind, name=name), []
        case dense_network.Join():
            return layers.SideBySide(op.order, name=name), []
        case dense_network.Zeros():
            return layers.ZeroMap(channels, name=name), []
        case dense_network.ChannelAffine():
            centered = bool(op.center.any())
            return layers.ChannelAffine(centered, name=name), [op.center] * centered + [op.scale, op.offset]
        case dense_network.ChannelNorm():
            return keras.layers.LayerNormalization(epsilon=op.epsilon, name=name), [op.gamma, op.beta]
        case dense_network.ChannelPReLU():
            return layers.ChannelPReLU(name=name), [op.alpha]
        case Channels():
            return layers.SomeChannels(op.start, op.stop, name=name), []
        case Activation():
            return layers.Pointwise(op.name, dict(op.params), name=name), []
    raise TypeError(f"no layer for {type(op).__name__}")
