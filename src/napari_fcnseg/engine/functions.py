"""The dense network's operations as functions of tensors.

On TensorFlow they use its native operations: ``Conv2D(dilation_rate=…)`` and ``tf.nn.convolution`` shuffle every map
into batches and back around each layer, ``tf.nn.conv2d(dilations=…)`` does not and is a quarter faster. On every other
backend they fall back to ``keras.ops``, so the same network runs there too, but for PyTorch's convolutions.

This module imports Keras; it is imported inside functions of :mod:`napari_fcnseg.engine` alone.
"""

from __future__ import annotations

import functools
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import ops

from napari_fcnseg.engine.activations import keeping_nan
from napari_fcnseg.engine.libraries import convolution_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Ints: TypeAlias = tuple[int, ...]

_differentiable = False  # whether a gradient is to be found


@contextmanager
def gradients() -> Iterator[None]:
    """Use operations alone, within this, that TensorFlow can differentiate: some have no gradient without oneDNN."""
    global _differentiable
    before, _differentiable = _differentiable, True
    try:
        yield
    finally:
        _differentiable = before


def native() -> bool:
    """Return whether TensorFlow's own operations are at hand."""
    return bool(keras.backend.backend() == "tensorflow")


def convolve(
    inputs: Sequence[Any], kernels: Sequence[Any], bias: Any, dilations: Sequence[Ints], side_by_side: Ints,
    stride: Ints | None = None,
) -> Any:  # fmt: skip
    """Return a sum of valid cross-correlations plus bias; ``side_by_side`` inputs go to each kernel, as channels.

    Windows begin ``stride`` entries apart, 1 otherwise.
    """
    waiting = iter(inputs)
    terms, grouped = [], False
    for kernel, dilation, count in zip(kernels, dilations, side_by_side, strict=True):
        maps = [next(waiting) for _ in range(count)]
        x = ops.concatenate(maps, axis=-1) if count > 1 else maps[0]
        kernel = as_type(kernel, x.dtype)
        grouped = grouped or x.shape[-1] != kernel.shape[-2]
        terms.append(_convolve(x, kernel, _needed(kernel, dilation), stride or (1,) * len(dilation)))
    return _add_bias(functools.reduce(ops.add, terms), bias, fuse=not grouped)


def convolve_channels(
    inputs: Sequence[Any], kernels: Sequence[Any], bias: Any, dilations: Sequence[Ints], stride: Ints | None = None
) -> Any:
    """Return a sum of valid cross-correlations of each channel, one per input, plus bias."""
    terms = [
        _convolve_channels(x, as_type(kernel, x.dtype), _needed(kernel, dilation))
        for x, kernel, dilation in zip(inputs, kernels, dilations, strict=True)
    ]
    return _add_bias(_every(functools.reduce(ops.add, terms), stride), bias)


def pool(
    inputs: Sequence[Any], kind: str, sizes: Sequence[Ints], dilations: Sequence[Ints], count: int,
    stride: Ints | None = None,
) -> Any:  # fmt: skip
    """Return the maximum over the windows of all inputs, or their sum divided by ``count``."""
    combine = ops.maximum if kind == "max" else ops.add
    parts = []
    for x, size, dilation in zip(inputs, sizes, dilations, strict=True):
        for axis, (k, d, s) in enumerate(zip(size, dilation, stride or (1,) * len(size), strict=True), start=1):
            x = _running(x, axis, k, d, combine) if s == 1 else _strided(x, axis, k, d, s, kind)
        parts.append(x)
    result = functools.reduce(combine, parts)
    return result if kind == "max" else result * (1.0 / count)


def as_type(x: Any, dtype: Any) -> Any:
    """Return a tensor as one of a type of numbers, itself where it is."""
    wanted = keras.backend.standardize_dtype(dtype)
    return x if keras.backend.standardize_dtype(x.dtype) == wanted else ops.cast(x, wanted)


def cut(x: Any, before: Ints, after: Ints, stride: Ints | None = None) -> Any:
    """Cut entries off both ends of each spatial axis, and keep every ``stride``-th of the others."""
    steps = stride or (1,) * len(before)
    inner = (slice(b or None, -a if a else None, s) for b, a, s in zip(before, after, steps, strict=True))
    return x[(slice(None), *inner)]


def combine(inputs: Sequence[Any], kind: str) -> Any:
    """Join inputs pixel by pixel: ``kind`` is add, subtract, multiply, divide, average, maximum or minimum."""
    if kind == "average":
        return functools.reduce(ops.add, inputs) / len(inputs)
    return functools.reduce(getattr(ops, kind), inputs)


def join(inputs: Sequence[Any], order: Ints | None) -> Any:
    """Put inputs side by side as channels; then channel ``i`` is number ``order[i]`` of them."""
    x = ops.concatenate(inputs, axis=-1) if len(inputs) > 1 else inputs[0]
    return x if order is None else ops.take(x, list(order), axis=-1)


def zeros(x: Any, channels: int) -> Any:
    """Return a map of zeros as large as another."""
    return ops.zeros((*ops.shape(x)[:-1], channels), x.dtype)


def to_patches(x: Any, sizes: Ints) -> Any:
    """Return the channels of each pixel as a tensor ``(*sizes, channel)`` of its own in the batch."""
    return ops.reshape(x, (-1, *sizes, x.shape[-1] // math.prod(sizes)))


def from_patches(tensor: Any, like: Any) -> Any:
    """Return tensors of each pixel as the channels of a map that is as large as another."""
    return ops.reshape(tensor, (*ops.shape(like)[:-1], math.prod(tensor.shape[1:])))


def affine(x: Any, center: Any, scale: Any, offset: Any) -> Any:
    """Return ``(x - center) * scale + offset``; there may be no centre."""
    center, scale, offset = (None if a is None else as_type(a, x.dtype) for a in (center, scale, offset))
    return (x if center is None else x - center) * scale + offset


def prelu(x: Any, alpha: Any) -> Any:
    """Return ``max(x, 0) + alpha * min(x, 0)``."""
    return keeping_nan(x, ops.relu(x) - as_type(alpha, x.dtype) * ops.relu(-x))


def _needed(kernel: Any, dilation: Ints) -> Ints:
    """Return a dilation of 1 where the window is one pixel."""
    return tuple(d if k > 1 else 1 for k, d in zip(kernel.shape, dilation, strict=False))


def _convolve(x: Any, kernel: Any, dilation: Ints, stride: Ints) -> Any:
    if max(stride) > 1 and max(dilation) > 1:  # no library takes both; only a stride that is not the model's needs it
        return _every(_convolve(x, kernel, dilation, (1,) * len(stride)), stride)
    if native():
        return _convolve_tf(x, kernel, dilation, stride)
    if keras.backend.backend() == "torch":
        return _convolve_torch(x, kernel, dilation, stride)
    return ops.conv(x, kernel, stride, padding="valid", dilation_rate=dilation, data_format="channels_last")


def _convolve_channels(x: Any, kernel: Any, dilation: Ints) -> Any:
    """Convolve each channel alone; a kernel is ``(*window, in, multiplier)``."""
    if keras.backend.backend() == "torch":
        merged = ops.reshape(kernel, (*kernel.shape[:-2], 1, math.prod(kernel.shape[-2:])))
        return _convolve_torch(x, merged, dilation, (1,) * len(dilation))
    return ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last", dilation_rate=dilation)


def _every(x: Any, stride: Ints | None) -> Any:
    """Keep every ``stride``-th entry along the spatial axes."""
    if stride is None or max(stride) == 1:
        return x
    return x[(slice(None), *(slice(None, None, s) for s in stride))]


def _shorter(x: Any, axis: int, before: int, after: int) -> Any:
    """Drop entries from both ends of an axis."""
    index = [slice(None)] * (axis + 1)
    index[axis] = slice(before or None, -after if after else None)
    return x[tuple(index)]


def _running(x: Any, axis: int, size: int, step: int, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine ``size`` entries ``step`` apart, by doubling: ``2 log2(size)`` passes instead of ``size``."""
    result, taken = None, 0  # `taken` entries of the window are in `result`
    width, run = 1, x  # `run` holds windows of `width`
    while True:
        if size & width:
            part = _shorter(run, axis, taken * step, (size - width - taken) * step)
            result = part if result is None else combine(result, part)
            taken += width
        if taken == size:
            return result
        run = combine(_shorter(run, axis, 0, width * step), _shorter(run, axis, width * step, 0))
        width *= 2


def _strided(x: Any, axis: int, size: int, step: int, stride: int, kind: str) -> Any:
    """Combine ``size`` entries ``step`` apart, in windows that begin ``stride`` entries apart."""
    strides = tuple(stride if a == axis else 1 for a in range(1, len(x.shape) - 1))
    if step > 1:  # only a stride that is not the model's needs both
        return _every(_running(x, axis, size, step, ops.maximum if kind == "max" else ops.add), strides)
    window = tuple(size if a == axis else 1 for a in range(1, len(x.shape) - 1))
    # The libraries' own pooling: TensorFlow's strided slices take seven times as long.
    if kind == "max":
        return ops.max_pool(x, window, strides, padding="valid", data_format="channels_last")
    return ops.average_pool(x, window, strides, padding="valid", data_format="channels_last") * size


def _add_bias(x: Any, bias: Any, *, fuse: bool = True) -> Any:
    """Add a number per channel; on TensorFlow fused into the convolution before it and the activation after it.

    A grouped convolution must not be: oneDNN has the fused form, but TensorFlow uses oneDNN only where its processor,
    its variables and the convolution's size suit, and fails elsewhere. As a tensor of another shape it is not seen.
    """
    bias = as_type(bias, x.dtype)
    if not native():
        return x + bias
    import tensorflow as tf

    if fuse:
        return tf.nn.bias_add(x, bias)  # a plain addition would not be fused
    flat = tf.nn.bias_add(tf.reshape(x, (-1, x.shape[-1])), bias)
    return tf.ensure_shape(tf.reshape(flat, tf.shape(x)), x.shape)


def _convolve_tf(x: Any, kernel: Any, dilation: Ints, stride: Ints) -> Any:
    """Convolve over any number of axes with TensorFlow's native dilated 2D convolution."""
    import tensorflow as tf

    if len(dilation) == 1:
        return tf.squeeze(tf.nn.conv2d(x[:, None], kernel[None], (1, *stride), "VALID", dilations=(1, *dilation)), 1)
    if len(dilation) == 2:
        if _differentiable:  # oneDNN's gradient of windows of one pixel some pixels apart may write where it must not
            apart = tuple(s if k == 1 else 1 for k, s in zip(kernel.shape, stride, strict=False))
            x, stride = _every(x, apart), tuple(s // a for s, a in zip(stride, apart, strict=True))
        if _differentiable and convolution_library() != "oneDNN":
            return _with_gradient(x, kernel, dilation, stride)
        return tf.nn.conv2d(x, kernel, stride, "VALID", dilations=dilation)
    # The leading axis becomes part of the batch: one convolution over the other axes per tap, summed.
    total = None
    for tap in range(kernel.shape[0]):
        part = _shorter(x, 1, tap * dilation[0], (kernel.shape[0] - 1 - tap) * dilation[0])[:, :: stride[0]]
        shape = tf.shape(part)
        merged = tf.reshape(part, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
        merged = tf.ensure_shape(merged, (None, *part.shape[2:]))
        result = _convolve_tf(merged, kernel[tap], dilation[1:], stride[1:])
        total = result if total is None else total + result
    return tf.reshape(total, tf.concat([shape[:2], tf.shape(total)[1:]], 0))


def _with_gradient(x: Any, kernel: Any, dilation: Ints, stride: Ints) -> Any:
    """Convolve over two axes so that there is a gradient without oneDNN: undilated, and group by group."""
    import tensorflow as tf

    groups = x.shape[-1] // kernel.shape[-2]
    parts = zip(tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
    return tf.concat([tf.nn.convolution(a, b, stride, "VALID", dilations=dilation) for a, b in parts], axis=-1)


def _convolve_torch(x: Any, kernel: Any, dilation: Ints, stride: Ints) -> Any:
    """Convolve over any number of axes with PyTorch's own dilated convolution.

    It takes channels in front; seen so, a map of ours is in the order that its library likes best. ``keras.ops.conv``
    copies each map into the other order, for 2.7 times the time.
    """
    import torch

    convolution = getattr(torch.nn.functional, f"conv{len(dilation)}d")
    groups = x.shape[-1] // kernel.shape[-2]
    seen, last = x.movedim(-1, 1), kernel.ndim - 1
    weights = kernel.permute(last, last - 1, *range(last - 1))
    return convolution(seen, weights, stride=stride, dilation=dilation, groups=groups).movedim(1, -1)
