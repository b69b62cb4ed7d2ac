"""Keras layers that look through a window: convolutions and pooling, as pure functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from napari_fcnseg.graph.ops import Conv, DepthwiseConv, GlobalPool, Op, Padding, Pool, PoolKind
from napari_fcnseg.readers.keras_activations import activation_ops
from napari_fcnseg.readers.problem import RefusedError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.graph.ops import Array
    from napari_fcnseg.readers.layer import Layer
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.weights import Weights


def _conv(rank: int, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config, channels = layer.config, _channels(rank, shape)
    groups, filters = config.whole("groups", 1), config.whole("filters")
    if channels % groups or filters % groups:
        raise UnreadableError(f"its {groups} groups do not divide {channels} input channels and {filters} filters")
    if "lora_rank" in config:
        raise RefusedError("it holds a LoRA adapter", "Save the model again without LoRA (its weights merged).")
    window, padding = config.wholes("kernel_size", rank), _padding(layer)
    kernel = weights.take((*window, channels // groups, filters), "kernel")
    bias = _bias(layer, filters, weights)
    strides, dilation = _steps(rank, layer)
    conv = Conv(kernel, bias, strides, dilation, groups, padding)
    return (conv, *activation_ops(config.raw("activation"), layer.generation))


def _depthwise(rank: int, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config, channels = layer.config, _channels(rank, shape)
    multiplier, window = config.whole("depth_multiplier", 1), config.wholes("kernel_size", rank)
    kernel = weights.take((*window, channels, multiplier), "kernel", "depthwise_kernel")
    bias = _bias(layer, channels * multiplier, weights)
    conv = DepthwiseConv(kernel, bias, *_steps(rank, layer), _padding(layer))
    return (conv, *activation_ops(config.raw("activation"), layer.generation))


def _separable(rank: int, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config, channels = layer.config, _channels(rank, shape)
    multiplier, filters = config.whole("depth_multiplier", 1), config.whole("filters")
    window, ones = config.wholes("kernel_size", rank), (1,) * rank
    depthwise = weights.take((*window, channels, multiplier), "depthwise_kernel")
    pointwise = weights.take((*ones, channels * multiplier, filters), "pointwise_kernel")
    bias = _bias(layer, filters, weights)
    first = DepthwiseConv(depthwise, None, *_steps(rank, layer), _padding(layer))
    second = Conv(pointwise, bias, ones, ones)
    return (first, second, *activation_ops(config.raw("activation"), layer.generation))


def _pool(kind: PoolKind, rank: int, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    _channels(rank, shape)
    size = layer.config.wholes("pool_size", rank)
    return (Pool(kind, size, layer.config.wholes("strides", rank, size), _padding(layer)),)


def _global_pool(kind: PoolKind, rank: int, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    _channels(rank, shape)
    return (GlobalPool(kind, layer.config.flag("keepdims", False)),)


def _channels(rank: int, shape: Shape) -> int:
    if len(shape) != rank + 1:
        raise RefusedError(
            f"it works along {rank} axes, but what it reads has {len(shape) - 1}",
            "Use the layer of the fitting dimension (for example Conv2D for 2D patches) and train again.",
        )
    return shape[-1]


def _steps(rank: int, layer: Layer) -> tuple[Shape, Shape]:
    return layer.config.wholes("strides", rank, 1), layer.config.wholes("dilation_rate", rank, 1)


def _padding(layer: Layer) -> Padding:
    padding = layer.config.text("padding", "valid").lower()
    if padding == "causal":
        raise RefusedError("its padding is causal (to one side only)", 'Use padding="same" or "valid" and train again.')
    if padding not in ("valid", "same"):
        raise UnreadableError(f"its padding is {padding[:40]!r} instead of 'valid' or 'same'")
    return cast("Padding", padding)


def _bias(layer: Layer, size: int, weights: Weights) -> Array | None:
    return weights.take((size,), "bias") if layer.config.flag("use_bias", True) else None


#: The names with "Convolution" are those of old files.
WINDOW_LAYERS: Final[dict[str, Callable[[Layer, Shape, Weights], tuple[Op, ...]]]] = {
    **{f"{word}{n}D": partial(_conv, n) for word in ("Conv", "Convolution") for n in (1, 2, 3)},
    **{f"Depthwise{word}{n}D": partial(_depthwise, n) for word in ("Conv", "Convolution") for n in (1, 2)},
    **{f"Separable{word}{n}D": partial(_separable, n) for word in ("Conv", "Convolution") for n in (1, 2)},
    **{f"MaxPooling{n}D": partial(_pool, "max", n) for n in (1, 2, 3)},
    **{f"AveragePooling{n}D": partial(_pool, "average", n) for n in (1, 2, 3)},
    **{f"GlobalMaxPooling{n}D": partial(_global_pool, "max", n) for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": partial(_global_pool, "average", n) for n in (1, 2, 3)},
}
