"""Layers that look through dilated windows.

On TensorFlow they use its native operations: ``Conv2D(dilation_rate=…)`` and ``tf.nn.convolution`` shuffle every map
into batches and back around each layer, ``tf.nn.conv2d(dilations=…)`` does not and is a quarter faster. On every other
backend they fall back to ``keras.ops``, so the same model runs there too.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import ops

from napari_fcnseg.engine.layers.base import native, register

if TYPE_CHECKING:
    from collections.abc import Callable

#: Per input, per spatial axis.
Windows: TypeAlias = "tuple[tuple[int, ...], ...]"


class _Windowed(keras.layers.Layer):  # type: ignore[misc]
    """A layer that looks at each of its inputs through a dilated window of its own.

    ``sizes`` and ``dilations`` have one entry per input, and that one entry per spatial axis.
    """

    def __init__(self, sizes: Windows, dilations: Windows, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(map(tuple, sizes))
        self.dilations = tuple(map(tuple, dilations))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "sizes": self.sizes, "dilations": self.dilations}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the result; windows of all inputs leave the same."""
        first = input_shape[0]
        spatial = (
            None if n is None else n - (k - 1) * d
            for n, k, d in zip(first[1:-1], self.sizes[0], self.dilations[0], strict=True)
        )
        return (first[0], *spatial, self._channels(first[-1] or 0))

    def _channels(self, channels: int) -> int:
        return channels


@register
class DilatedConv(_Windowed):
    """Sum of valid cross-correlations with ``filters`` results, in ``groups``.

    ``side_by_side`` inputs go to each kernel, as channels.
    """

    def __init__(self, filters: int, groups: int = 1, side_by_side: tuple[int, ...] = (1,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.groups = groups
        self.side_by_side = tuple(side_by_side)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        more = {"filters": self.filters, "groups": self.groups, "side_by_side": self.side_by_side}
        return {**super().get_config(), **more}

    def build(self, input_shape: Any) -> None:
        """Create kernels and bias."""
        shapes = iter(input_shape)
        self.kernels = []
        for number, (size, count) in enumerate(zip(self.sizes, self.side_by_side, strict=True)):
            channels = sum(next(shapes)[-1] for _ in range(count)) // self.groups
            shape = (*size, channels, self.filters)
            self.kernels.append(self.add_weight(shape=shape, name=f"kernel_{number}", initializer="zeros"))
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def _channels(self, channels: int) -> int:
        return self.filters

    def call(self, inputs: Any) -> Any:
        """Return the sum of the cross-correlations plus bias."""
        waiting = iter(inputs)
        terms = []
        for kernel, size, dilation, count in zip(
            self.kernels, self.sizes, self.dilations, self.side_by_side, strict=True
        ):
            maps = [next(waiting) for _ in range(count)]
            x = ops.concatenate(maps, axis=-1) if count > 1 else maps[0]
            terms.append(self._grouped(x, kernel, size, dilation))
        return _add_bias(functools.reduce(ops.add, terms), self.bias)

    def _grouped(self, x: Any, kernel: Any, size: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
        if self.groups == 1:
            return self._conv(x, kernel, size, dilation)
        parts = zip(ops.split(x, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([self._conv(part, mine, size, dilation) for part, mine in parts], axis=-1)

    def _conv(self, x: Any, kernel: Any, size: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
        dilation = tuple(d if k > 1 else 1 for k, d in zip(size, dilation, strict=True))
        if native():
            return _conv_tf(x, kernel, size, dilation)
        return ops.conv(x, kernel, padding="valid", dilation_rate=dilation, data_format="channels_last")


@register
class DilatedDepthwise(_Windowed):
    """Sum of valid cross-correlations of each channel, one per input, with ``multiplier`` results per channel."""

    def __init__(self, multiplier: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiplier = multiplier

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "multiplier": self.multiplier}

    def build(self, input_shape: Any) -> None:
        """Create kernels and bias."""
        channels = input_shape[0][-1] or 0
        self.kernels = [
            self.add_weight(shape=(*size, channels, self.multiplier), name=f"kernel_{n}", initializer="zeros")
            for n, size in enumerate(self.sizes)
        ]
        self.bias = self.add_weight(shape=(channels * self.multiplier,), name="bias", initializer="zeros")

    def _channels(self, channels: int) -> int:
        return channels * self.multiplier

    def call(self, inputs: Any) -> Any:
        """Return the sum of the cross-correlations plus bias."""
        terms = [
            ops.depthwise_conv(
                x, kernel, padding="valid", data_format="channels_last",
                dilation_rate=tuple(d if k > 1 else 1 for k, d in zip(size, dilation, strict=True)),
            )
            for x, kernel, size, dilation in zip(inputs, self.kernels, self.sizes, self.dilations, strict=True)
        ]  # fmt: skip
        return _add_bias(functools.reduce(ops.add, terms), self.bias)


@register
class DilatedPool(_Windowed):
    """Maximum over the windows of all inputs, or their sum divided by ``count``; one axis after the other."""

    def __init__(self, kind: str, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.count = count

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "kind": self.kind, "count": self.count}

    def call(self, inputs: Any) -> Any:
        """Return the pooled map."""
        combine = ops.maximum if self.kind == "max" else ops.add
        parts = []
        for x, sizes, dilations in zip(inputs, self.sizes, self.dilations, strict=True):
            for axis, (size, dilation) in enumerate(zip(sizes, dilations, strict=True), start=1):
                x = _running(x, axis, size, dilation, combine)
            parts.append(x)
        result = functools.reduce(combine, parts)
        return result if self.kind == "max" else result * (1.0 / self.count)


def _cut(x: Any, axis: int, before: int, after: int) -> Any:
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
            part = _cut(run, axis, taken * step, (size - width - taken) * step)
            result = part if result is None else combine(result, part)
            taken += width
        if taken == size:
            return result
        run = combine(_cut(run, axis, 0, width * step), _cut(run, axis, width * step, 0))
        width *= 2


def _add_bias(x: Any, bias: Any) -> Any:
    if native():
        import tensorflow as tf

        return tf.nn.bias_add(x, bias)  # unlike a plain addition, fused into the convolution with what follows
    return x + bias


def _conv_tf(x: Any, kernel: Any, size: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    """Convolve over any number of axes with TensorFlow's native dilated 2D convolution."""
    import tensorflow as tf

    if len(size) == 1:
        return tf.squeeze(tf.nn.conv2d(x[:, None], kernel[None], 1, "VALID", dilations=(1, *dilation)), 1)
    if len(size) == 2:
        return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=dilation)
    # The leading axis becomes part of the batch: one convolution over the other axes per tap, summed.
    total = None
    for tap in range(size[0]):
        part = _cut(x, 1, tap * dilation[0], (size[0] - 1 - tap) * dilation[0])
        shape = tf.shape(part)
        merged = tf.reshape(part, tf.concat([[shape[0] * shape[1]], shape[2:]], 0))
        merged = tf.ensure_shape(merged, (None, *part.shape[2:]))
        result = _conv_tf(merged, kernel[tap], size[1:], dilation[1:])
        total = result if total is None else total + result
    return tf.reshape(total, tf.concat([shape[:2], tf.shape(total)[1:]], 0))
