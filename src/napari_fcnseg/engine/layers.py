"""The dense network's operations as small Keras layers.

On TensorFlow they use its native operations: ``Conv2D(dilation_rate=…)`` and ``tf.nn.convolution`` shuffle every map
into batches and back around each layer, ``tf.nn.conv2d(dilations=…)`` does not and is a quarter faster. On every other
backend they fall back to ``keras.ops``, so the same model runs there too.

This module imports Keras; it is imported inside functions of :mod:`napari_fcnseg.engine` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable

_register = keras.saving.register_keras_serializable(package="napari_fcnseg")


def _native() -> bool:
    return bool(keras.backend.backend() == "tensorflow")


class _Windowed(keras.layers.Layer):  # type: ignore[misc]
    """A layer with a dilated window, ``size`` and ``dilation`` having one entry per spatial axis."""

    def __init__(self, size: tuple[int, ...], dilation: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = tuple(size)
        self.dilation = tuple(dilation)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "size": self.size, "dilation": self.dilation}

    def _shape(self, input_shape: tuple[int | None, ...], channels: int | None) -> tuple[int | None, ...]:
        spatial = (
            None if n is None else n - (k - 1) * d
            for n, k, d in zip(input_shape[1:-1], self.size, self.dilation, strict=True)
        )
        return (input_shape[0], *spatial, channels)


@_register
class DilatedConv(_Windowed):
    """Valid cross-correlation with ``filters`` results, in ``groups``."""

    def __init__(self, filters: int, groups: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.groups = groups

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel and bias."""
        shape = (*self.size, (input_shape[-1] or 0) // self.groups, self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return self._shape(input_shape, self.filters)

    def call(self, x: Any) -> Any:
        """Return the cross-correlation plus bias."""
        if self.groups == 1:
            return _add_bias(self._conv(x, self.kernel), self.bias)
        parts = zip(ops.split(x, self.groups, axis=-1), ops.split(self.kernel, self.groups, axis=-1), strict=True)
        return _add_bias(ops.concatenate([self._conv(part, kernel) for part, kernel in parts], axis=-1), self.bias)

    def _conv(self, x: Any, kernel: Any) -> Any:
        if _native():
            return _conv_tf(x, kernel, self.size, self.dilation)
        return ops.conv(x, kernel, padding="valid", dilation_rate=self.dilation, data_format="channels_last")


@_register
class DilatedDepthwise(_Windowed):
    """Valid cross-correlation of each channel, with ``multiplier`` results per channel."""

    def __init__(self, multiplier: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiplier = multiplier

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "multiplier": self.multiplier}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel and bias."""
        channels = input_shape[-1] or 0
        self.kernel = self.add_weight(shape=(*self.size, channels, self.multiplier), name="kernel")
        self.bias = self.add_weight(shape=(channels * self.multiplier,), name="bias", initializer="zeros")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return self._shape(input_shape, (input_shape[-1] or 0) * self.multiplier)

    def call(self, x: Any) -> Any:
        """Return the cross-correlation plus bias."""
        result = ops.depthwise_conv(
            x, self.kernel, padding="valid", dilation_rate=self.dilation, data_format="channels_last"
        )
        return _add_bias(result, self.bias)


@_register
class DilatedPool(_Windowed):
    """Maximum or mean over a window, one axis after the other."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "kind": self.kind}

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return self._shape(input_shape, input_shape[-1])

    def call(self, x: Any) -> Any:
        """Return the pooled map."""
        combine = ops.maximum if self.kind == "max" else ops.add
        for axis, (size, dilation) in enumerate(zip(self.size, self.dilation, strict=True), start=1):
            x = _running(x, axis, size, dilation, combine)
            if self.kind == "average" and size > 1:
                x = x * (1.0 / size)
        return x


@_register
class Unfold(_Windowed):
    """All positions of a window side by side as channels, in the order of Keras's ``Flatten``."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        channels = input_shape[-1] or 0
        for size in self.size:
            channels *= size
        return self._shape(input_shape, channels)

    def call(self, x: Any) -> Any:
        """Return the unfolded map."""
        # The last axis varies fastest, just above the channels: unfold it first.
        for axis in reversed(range(len(self.size))):
            size, step = self.size[axis], self.dilation[axis]
            parts = [_cut(x, axis + 1, i * step, (size - 1 - i) * step) for i in range(size)]
            x = ops.concatenate(parts, axis=-1)
        return x


@_register
class ChannelAffine(keras.layers.Layer):  # type: ignore[misc]
    """One factor and one offset per channel, and where asked a centre that is subtracted first."""

    def __init__(self, centered: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centered = centered

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "centered": self.centered}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create centre, factor and offset."""
        if self.centered:
            self.center = self.add_weight(shape=(input_shape[-1],), name="center", initializer="zeros")
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale", initializer="ones")
        self.offset = self.add_weight(shape=(input_shape[-1],), name="offset", initializer="zeros")

    def call(self, x: Any) -> Any:
        """Return ``(x - center) * scale + offset``."""
        return (x - self.center if self.centered else x) * self.scale + self.offset


@_register
class ChannelPReLU(keras.layers.Layer):  # type: ignore[misc]
    """``max(x, 0) + alpha * min(x, 0)`` with one ``alpha`` per channel."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slopes."""
        self.alpha = self.add_weight(shape=(input_shape[-1],), name="alpha", initializer="zeros")

    def call(self, x: Any) -> Any:
        """Return the rectified map."""
        return ops.relu(x) - self.alpha * ops.relu(-x)


@_register
class Pointwise(keras.layers.Layer):  # type: ignore[misc]
    """A stateless activation by its name in ``keras.activations``, with its parameters."""

    def __init__(self, function: str, params: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.params = dict(params)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "function": self.function, "params": self.params}

    def call(self, x: Any) -> Any:
        """Return the activation of every number."""
        return activation(self.function, self.params)(x)


def activation(name: str, params: dict[str, Any]) -> Callable[[Any], Any]:
    """Return an activation of :mod:`napari_fcnseg.graph.ops` as a function of tensors."""
    if name == "hard_sigmoid_keras2":
        return lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0)
    function = getattr(keras.activations, name)
    return lambda x: function(x, **params)


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
    if _native():
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
