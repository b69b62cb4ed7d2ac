"""The patch network itself, of Keras's own layers: the reference for everything.

Nothing of the conversion is used in it. Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports
Keras.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import ops as kops

from napari_fcnseg.engine import activations
from napari_fcnseg.graph import ops as graph
from napari_fcnseg.graph.geometry import padding_of
from napari_fcnseg.graph.network import INPUT, Network

if TYPE_CHECKING:
    Width: TypeAlias = tuple[tuple[int, int], ...]
    Shape: TypeAlias = tuple[int | None, ...]


def patch_model(network: Network, *, written: bool = False) -> keras.Model:
    """Return the patch network on patches ``(n, *patch, channel)``.

    Parameters
    ----------
    network : Network
        The network.
    written : bool
        Whether it is to be written to a file: then there is no layer that only this process knows.
    """
    patches = keras.Input(network.input_shape, name="patches")
    tensors: dict[str, Any] = {INPUT: patches if network.bands is None else _with_bands(network, patches)}
    for node in network.nodes:
        given = [tensors[name] for name in node.inputs]
        for op in node.ops:
            if isinstance(op, graph.Merge):
                given = [_merged(op, given)]
            elif written and isinstance(op, graph.Affine):
                given = [_affine(op, given[0])]
            elif written and isinstance(op, graph.Activation):
                given = [activations.written(op.name, dict(op.params), given[0])]
            elif isinstance(op, graph.Crop) and len(network.tensor_shape) in (2, 3, 4):
                given = [
                    _of_rank("Cropping{}D", len(op.width))(op.width if len(op.width) > 1 else op.width[0])(given[0])
                ]
            elif isinstance(op, graph.Expand):
                given = [keras.layers.Reshape((1,) * (len(network.tensor_shape) - 1) + (-1,))(given[0])]
            else:
                given = [_apply(op, given[0])]
        tensors[node.name] = given[0]
    return keras.Model(patches, tensors[network.output], name="patch")


def _affine(op: graph.Affine, x: Any) -> Any:
    """Return ``(x - center) * scale + offset`` in operations that a file can hold, without those that do nothing."""
    if np.any(op.center != 0):
        x = x - np.asarray(op.center)
    if np.any(op.scale != 1):
        x = x * np.asarray(op.scale)
    return x + np.asarray(op.offset) if np.any(op.offset != 0) else x


def _with_bands(network: Network, x: Any) -> Any:
    assert network.bands is not None
    axis, count = network.bands
    x = kops.reshape(x, (-1, *network.patch_shape, count, network.channels // count))
    return kops.moveaxis(x, -2, axis + 1)


def _apply(op: graph.Op, x: Any) -> Any:
    match op:
        case graph.DepthwiseConv() if op.kernel.shape[-2] == 1:
            # oneDNN in TensorFlow 2.21 takes the one for the other where both have one channel, and fails
            return _apply(graph.Conv(op.kernel, op.bias, op.strides, op.dilation, padding=op.padding), x)
        case graph.Conv() | graph.DepthwiseConv():
            op, x = _plain(op, x)
            if max(op.strides) > 1 and (max(op.dilation) > 1 or _unequal(op)):
                # Keras cannot: take the positions it would have computed.
                y = _apply(replace(op, strides=(1,) * len(op.strides)), x)
                return y[(slice(None), *(slice(None, None, s) for s in op.strides))]
        case graph.Pool() if max(op.taps_apart) > 1:
            return _pooled_apart(op, x)
        case graph.Pool() if not isinstance(op.padding, str):
            return _pooled(op, op.padding, x)
        case graph.ConvTranspose():
            return _transposed(op, x)
        case graph.Channels():
            return x[..., op.start : op.stop]
        case graph.Take():
            return kops.take(x, list(op.order), axis=-1)
        case graph.Pick():
            for axis, places in enumerate(op.places, start=1):
                x = x if places is None else kops.take(x, list(places), axis=axis)
            return x
        case graph.AxisToChannels():
            return _beside(x, op.axis + 1)
        case graph.ReduceGroups():
            return _merged(graph.Merge(op.kind), kops.split(x, op.groups, axis=-1))
        case graph.ZeroPad():
            return _padded(x, op.width)
        case graph.Crop():
            return _cropped(x, op.width)
        case graph.UpSample():
            for axis, times in enumerate(op.size, start=1):
                x = kops.repeat(x, times, axis)
            return x
        case graph.Flatten() if op.order is not None and len(x.shape) > 2:
            return keras.layers.Flatten()(kops.transpose(x, (0, *(axis + 1 for axis in op.order))))
    layer, weights = patch_layer(op, x.shape)
    y = layer(x)
    if weights:
        layer.set_weights(weights)
    return y


def _unequal(op: graph.Conv | graph.DepthwiseConv) -> bool:
    """Return whether TensorFlow has no such convolution: a depthwise one with unequal strides."""
    return isinstance(op, graph.DepthwiseConv) and len(set(op.strides)) > 1


def _plain(op: graph.Conv | graph.DepthwiseConv, x: Any) -> tuple[graph.Conv | graph.DepthwiseConv, Any]:
    """Bring a padding that Keras's layer does not have into the tensor."""
    if op.padding == "valid" or (op.padding == "same" and not _unequal(op)):
        return op, x
    width = padding_of(op.padding, x.shape[1:-1], op.kernel.shape[:-2], op.strides, op.dilation)
    return replace(op, padding="valid"), _padded(x, width)


def _padded(x: Any, width: Width, value: float = 0.0) -> Any:
    return kops.pad(x, ((0, 0), *width, (0, 0)), constant_values=value)


def _cropped(x: Any, width: Width) -> Any:
    return x[(slice(None), *(slice(b, n - a) for (b, a), n in zip(width, x.shape[1:-1], strict=True)))]


def _pooled(op: graph.Pool, width: Width, x: Any) -> Any:
    valid = replace(op, padding="valid")
    if op.kind == "max":
        return _apply(valid, _padded(x, width, -math.inf))
    mean = _apply(valid, _padded(x, width))
    if op.count_padding:
        return mean
    return mean / _apply(valid, _padded(kops.ones_like(x), width))


def _pooled_apart(op: graph.Pool, x: Any) -> Any:
    """Pool with positions between the taps of a window, tap by tap."""
    width = padding_of(op.padding, x.shape[1:-1], op.size, op.strides, op.taps_apart)
    ends = _padded(x, width, -math.inf if op.kind == "max" else 0.0)
    inside = _padded(kops.ones_like(x), width, float(op.count_padding))
    total: Any = None
    count: Any = None
    for tap in np.ndindex(*op.size):
        cut = [slice(None)]
        for t, k, n, s, d in zip(tap, op.size, ends.shape[1:-1], op.strides, op.taps_apart, strict=True):
            cut.append(slice(t * d, n - (k - 1 - t) * d, s))
        part, there = ends[tuple(cut)], inside[tuple(cut)]
        if total is None:
            total, count = part, there
        else:
            total = kops.maximum(total, part) if op.kind == "max" else total + part
            count = count + there
    return total if op.kind == "max" else total / count


def _beside(x: Any, axis: int) -> Any:
    order = [n for n in range(len(x.shape) - 1) if n != axis]
    shape = [1 if n == axis else m for n, m in enumerate(x.shape[:-1])][1:]
    moved = kops.transpose(x, (*order, axis, len(x.shape) - 1))
    return kops.reshape(moved, (-1, *shape, x.shape[axis] * x.shape[-1]))


def _transposed(op: graph.ConvTranspose, x: Any) -> Any:
    # Without oneDNN a processor has no dilation here: the zeros between the taps are written out.
    kernel = _spread(op.kernel, op.dilation)
    *size, out, _ = kernel.shape
    layer = _of_rank("Conv{}DTranspose", len(size))(out, size, op.strides, "valid", use_bias=False)
    y = layer(x)
    layer.set_weights([kernel])
    lengths = [(n - 1) * s + k for n, k, s in zip(x.shape[1:-1], size, op.strides, strict=True)]
    y = y[(slice(None), *(slice(0, n) for n in lengths))]
    y = _cropped(y, tuple((max(b, 0), max(a, 0)) for b, a in op.crop))
    y = _padded(y, tuple((max(-b, 0), max(-a, 0)) for b, a in op.crop))
    return y if op.bias is None else y + op.bias


def _spread(kernel: np.ndarray, dilation: tuple[int, ...]) -> np.ndarray:
    """Return a kernel with ``dilation - 1`` zeros between its taps."""
    *size, inner, outer = kernel.shape
    spread = np.zeros((*((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)), inner, outer), kernel.dtype)
    spread[tuple(slice(None, None, d) for d in dilation)] = kernel
    return spread


def _merged(op: graph.Merge, given: list[Any]) -> Any:
    if op.kind == "concatenate":
        return keras.layers.Concatenate(op.axis)(given)
    if len(given) == 1:
        return given[0]
    if op.kind == "divide":
        return kops.divide(*given)
    return getattr(keras.layers, op.kind.capitalize())()(given)


def patch_layer(op: graph.Op, shape: Shape) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    """Return Keras's layer for an operation on tensors of a shape, and its weights."""
    rank = len(shape) - 2
    match op:
        case graph.Conv():
            *size, _, out = op.kernel.shape
            conv = _of_rank("Conv{}D", rank)(
                out, size, op.strides, op.padding, dilation_rate=op.dilation, groups=op.groups,
                use_bias=op.bias is not None,
            )  # fmt: skip
            return conv, _with_bias(op.kernel, op.bias)
        case graph.DepthwiseConv():
            *size, _, multiplier = op.kernel.shape
            depthwise = _of_rank("DepthwiseConv{}D", rank)(
                size, op.strides, op.padding, depth_multiplier=multiplier, dilation_rate=op.dilation,
                use_bias=op.bias is not None,
            )  # fmt: skip
            return depthwise, _with_bias(op.kernel, op.bias)
        case graph.Dense():
            dense = keras.layers.Dense(op.kernel.shape[1], use_bias=op.bias is not None)
            return dense, _with_bias(op.kernel, op.bias)
        case graph.Pool():
            kind = "MaxPooling{}D" if op.kind == "max" else "AveragePooling{}D"
            return _of_rank(kind, rank)(op.size, op.strides, op.padding), []
        case graph.GlobalPool():
            kind = "GlobalMaxPooling{}D" if op.kind == "max" else "GlobalAveragePooling{}D"
            return _of_rank(kind, rank)(keepdims=op.keepdims), []
        case graph.Flatten():
            return keras.layers.Flatten(), []
        case graph.Identity():
            return keras.layers.Identity(), []
    return _pointwise_layer(op, shape)


def _pointwise_layer(op: graph.Op, shape: Shape) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    match op:
        case graph.BatchNorm():
            norm = keras.layers.BatchNormalization(axis=op.axis, epsilon=op.epsilon)
            return norm, [op.gamma, op.beta, op.mean, op.variance]
        case graph.LayerNorm():
            return keras.layers.LayerNormalization(op.axes, epsilon=op.epsilon), [op.gamma, op.beta]
        case graph.GroupNorm():
            return keras.layers.GroupNormalization(op.groups, -1, op.epsilon), [op.gamma, op.beta]
        case graph.Affine():
            return keras.layers.Lambda(lambda t: (t - op.center) * op.scale + op.offset, output_shape=shape[1:]), []
        case graph.PReLU():
            shared = [i + 1 for i, n in enumerate(op.alpha.shape) if n == 1 and shape[i + 1] != 1]
            return keras.layers.PReLU(shared_axes=shared or None), [op.alpha]
        case graph.Activation():
            return keras.layers.Activation(activations.activation(op.name, dict(op.params))), []
    raise TypeError(f"no layer for {type(op).__name__}")


def _of_rank(name: str, rank: int) -> Any:
    return getattr(keras.layers, name.format(rank))


def _with_bias(kernel: np.ndarray, bias: np.ndarray | None) -> list[np.ndarray]:
    return [kernel] if bias is None else [kernel, bias]
