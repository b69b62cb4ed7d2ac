"""Put networks that are data together as Keras models.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras

from napari_fcnseg.conversion import fcn
from napari_fcnseg.engine import layers
from napari_fcnseg.graph import ops as patch
from napari_fcnseg.graph.network import INPUT, Network

if TYPE_CHECKING:
    import numpy as np


def dense_model(network: fcn.DenseNetwork) -> keras.Model:
    """Return the dense network as a Keras model on images ``(1, *spatial, channel)`` of any size.

    The answer for the patch that starts at pixel ``i`` is entry ``i``; an axis gets shorter by
    ``network.reach - 1``.
    """
    image = keras.Input((None,) * len(network.patch_shape) + (network.channels,), name="image")
    tensors = {fcn.IMAGE: image}
    for number, step in enumerate(network.steps):
        layer, weights = _dense_layer(step.op, f"step_{number}")
        tensors[number] = layer(*(tensors[i] for i in step.inputs))
        if weights:
            layer.set_weights(weights)
    return keras.Model(image, tensors[len(network.steps) - 1], name="dense")


def _dense_layer(op: fcn.DenseOp, name: str) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    match op:
        case fcn.DenseConv():
            conv = layers.DilatedConv(
                size=op.size, dilation=op.dilation, filters=op.kernel.shape[-1], groups=op.groups, name=name
            )
            return conv, [op.kernel, op.bias]
        case fcn.DenseDepthwise():
            depthwise = layers.DilatedDepthwise(
                size=op.size, dilation=op.dilation, multiplier=op.kernel.shape[-1], name=name
            )
            return depthwise, [op.kernel, op.bias]
        case fcn.DensePool():
            return layers.DilatedPool(kind=op.kind, size=op.size, dilation=op.dilation, name=name), []
        case fcn.Unfold():
            return layers.Unfold(size=op.size, dilation=op.dilation, name=name), []
        case fcn.ChannelAffine():
            centered = bool(op.center.any())
            return layers.ChannelAffine(centered, name=name), [op.center] * centered + [op.scale, op.offset]
        case fcn.ChannelNorm():
            return keras.layers.LayerNormalization(epsilon=op.epsilon, name=name), [op.gamma, op.beta]
        case fcn.ChannelPReLU():
            return layers.ChannelPReLU(name=name), [op.alpha]
        case patch.Activation():
            return layers.Pointwise(op.name, dict(op.params), name=name), []


def patch_model(network: Network) -> keras.Model:
    """Return the patch network itself, of Keras's own layers, on patches ``(n, *patch, channel)``.

    This is the reference for everything: nothing of the conversion is used in it.
    """
    patches = keras.Input(network.input_shape, name="patches")
    tensors: dict[str, Any] = {INPUT: patches}
    for node in network.nodes:
        x = tensors[node.inputs[0]]
        for op in node.ops:
            x = _apply(op, x)
        tensors[node.name] = x
    return keras.Model(patches, tensors[network.output], name="patch")


def _apply(op: patch.Op, x: Any) -> Any:
    if isinstance(op, patch.DepthwiseConv) and len(set(op.strides)) > 1:
        # TensorFlow has no depthwise convolution with unequal strides: take the positions it would have computed.
        y = _apply(replace(op, strides=(1,) * len(op.strides)), x)
        return y[(slice(None), *(slice(None, None, s) for s in op.strides))]
    layer, weights = _patch_layer(op, x.shape)
    y = layer(x)
    if weights:
        layer.set_weights(weights)
    return y


def _patch_layer(op: patch.Op, shape: tuple[int | None, ...]) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    rank = len(shape) - 2
    match op:
        case patch.Conv():
            *size, _, out = op.kernel.shape
            conv = _of_rank("Conv{}D", rank)(
                out, size, op.strides, op.padding, dilation_rate=op.dilation, groups=op.groups,
                use_bias=op.bias is not None,
            )  # fmt: skip
            return conv, _with_bias(op.kernel, op.bias)
        case patch.DepthwiseConv():
            *size, _, multiplier = op.kernel.shape
            depthwise = _of_rank("DepthwiseConv{}D", rank)(
                size, op.strides, op.padding, depth_multiplier=multiplier, dilation_rate=op.dilation,
                use_bias=op.bias is not None,
            )  # fmt: skip
            return depthwise, _with_bias(op.kernel, op.bias)
        case patch.Dense():
            dense = keras.layers.Dense(op.kernel.shape[1], use_bias=op.bias is not None)
            return dense, _with_bias(op.kernel, op.bias)
        case patch.Pool():
            kind = "MaxPooling{}D" if op.kind == "max" else "AveragePooling{}D"
            return _of_rank(kind, rank)(op.size, op.strides, op.padding), []
        case patch.GlobalPool():
            kind = "GlobalMaxPooling{}D" if op.kind == "max" else "GlobalAveragePooling{}D"
            return _of_rank(kind, rank)(keepdims=op.keepdims), []
        case patch.BatchNorm():
            norm = keras.layers.BatchNormalization(axis=op.axis, epsilon=op.epsilon)
            return norm, [op.gamma, op.beta, op.mean, op.variance]
        case patch.LayerNorm():
            return keras.layers.LayerNormalization(op.axes, epsilon=op.epsilon), [op.gamma, op.beta]
        case patch.Affine():
            return keras.layers.Lambda(lambda t: (t - op.center) * op.scale + op.offset, output_shape=shape[1:]), []
        case patch.PReLU():
            shared = [i + 1 for i, n in enumerate(op.alpha.shape) if n == 1 and shape[i + 1] != 1]
            return keras.layers.PReLU(shared_axes=shared or None), [op.alpha]
        case patch.Activation():
            return keras.layers.Activation(layers.activation(op.name, dict(op.params))), []
        case patch.Flatten():
            return keras.layers.Flatten(), []
        case patch.Identity():
            return keras.layers.Identity(), []


def _of_rank(name: str, rank: int) -> Any:
    return getattr(keras.layers, name.format(rank))


def _with_bias(kernel: np.ndarray, bias: np.ndarray | None) -> list[np.ndarray]:
    return [kernel] if bias is None else [kernel, bias]
