"""Keras layers that look through a window: convolutions and pooling, as pure functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Conv, ConvTranspose, DepthwiseConv, GlobalPool, Op, Padding, Pool, PoolKind
from napari_fcnseg.readers.keras.activations import activated
from napari_fcnseg.readers.keras.grid import Grid, as_grid
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from napari_fcnseg.graph.ops import Array
    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Builder, Built
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.weights import Weights


def _conv(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config, grid = layer.config, grid_of(rank, layer, tensor)
    channels, groups, filters = grid.tensor.shape[-1], config.whole("groups", 1), config.whole("filters")
    if channels % groups or filters % groups:
        raise UnreadableError(f"its {groups} groups do not divide {channels} input channels and {filters} filters")
    _no_adapter(layer)
    window, strides, dilation = config.wholes("kernel_size", rank), *_steps(rank, layer)
    padding = _padding(rank, layer, grid, window, dilation)
    kernel = grid.kernel(weights.take((*window, channels // groups, filters), "kernel"))
    bias = _bias(layer, filters, weights)
    return _activated(layer, grid, Conv(kernel, bias, grid.sort(strides, 1), grid.sort(dilation, 1), groups, padding))


def _depthwise(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config, grid = layer.config, grid_of(rank, layer, tensor)
    channels, multiplier = grid.tensor.shape[-1], config.whole("depth_multiplier", 1)
    window, strides, dilation = config.wholes("kernel_size", rank), *_steps(rank, layer)
    padding = _padding(rank, layer, grid, window, dilation)
    kernel = grid.kernel(weights.take((*window, channels, multiplier), "kernel", "depthwise_kernel"))
    bias = _bias(layer, channels * multiplier, weights)
    return _activated(layer, grid, DepthwiseConv(kernel, bias, grid.sort(strides, 1), grid.sort(dilation, 1), padding))


def _separable(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config, grid = layer.config, grid_of(rank, layer, tensor)
    channels, multiplier, filters = grid.tensor.shape[-1], config.whole("depth_multiplier", 1), config.whole("filters")
    window, strides, dilation = config.wholes("kernel_size", rank), *_steps(rank, layer)
    padding = _padding(rank, layer, grid, window, dilation)
    depthwise = weights.take((*window, channels, multiplier), "depthwise_kernel")
    pointwise = weights.take((*(1,) * rank, channels * multiplier, filters), "pointwise_kernel")
    bias, ones = _bias(layer, filters, weights), (1,) * len(grid.places)
    first = DepthwiseConv(grid.kernel(depthwise), None, grid.sort(strides, 1), grid.sort(dilation, 1), padding)
    return _activated(layer, grid, first, Conv(grid.kernel(pointwise), bias, ones, ones))


def _transpose(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config, grid = layer.config, grid_of(rank, layer, tensor)
    channels, filters = grid.tensor.shape[-1], config.whole("filters")
    if config.whole("groups", 1) != 1:
        raise RefusedError("it is transposed and has groups", "Use groups=1 and train again.")
    _no_adapter(layer)
    window, strides, dilation = config.wholes("kernel_size", rank), *_steps(rank, layer)
    same = _padding_name(layer) == "same"
    extra = config.counts("output_padding", rank) if "output_padding" in config else None
    crop = tuple(
        _crop(k, s, d, None if extra is None else extra[i], same=same)
        for i, (k, s, d) in enumerate(zip(window, strides, dilation, strict=True))
    )
    kernel = grid.kernel(weights.take((*window, filters, channels), "kernel"))
    bias = _bias(layer, filters, weights)
    op = ConvTranspose(kernel, bias, grid.sort(strides, 1), grid.sort(dilation, 1), grid.sort(crop, (0, 0)))
    return _activated(layer, grid, op)


def _crop(kernel: int, stride: int, dilation: int, extra: int | None, *, same: bool) -> tuple[int, int]:
    """Say how much of the full result Keras drops before and behind; negative where it adds zeros.

    The full result of ``n`` positions is ``(n - 1) * stride + span`` long. Keras makes ``n * stride`` of it (``same``)
    or ``n * stride + max(span - stride, 0)`` (``valid``). With ``extra`` it makes so many more than the full result
    (``valid``), or than that less twice half the span (``same``).
    """
    span = (kernel - 1) * dilation + 1
    if extra is not None:
        total = (2 * (span // 2) if same else 0) - extra
    else:
        total = span - stride if same else min(span - stride, 0)
    before = max(total, 0) // 2
    return before, total - before


def _pool(kind: PoolKind, rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    grid = grid_of(rank, layer, tensor)
    size = layer.config.wholes("pool_size", rank)
    strides = layer.config.wholes("strides", rank, size)
    padding = _padding(rank, layer, grid, size, (1,) * rank)
    ops, result = advance(grid.tensor, Pool(kind, grid.sort(size, 1), grid.sort(strides, 1), padding))
    return (*grid.before, *ops), result


def _dilated_pool(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Read deepcell-tf's maximum over positions that lie apart."""
    grid = grid_of(rank, layer, tensor)
    if _padding_name(layer) != "valid":
        raise RefusedError("its padding is not 'valid'", "Use padding='valid' and train again.")
    size, strides = layer.config.wholes("pool_size", rank), layer.config.wholes("strides", rank, 1)
    apart = grid.sort(layer.config.wholes("dilation_rate", rank, 1), 1)
    ops, result = advance(grid.tensor, Pool("max", grid.sort(size, 1), grid.sort(strides, 1), dilation=apart))
    return (*grid.before, *ops), result


def _global_pool(kind: PoolKind, rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    keepdims = layer.config.flag("keepdims", False)
    if len(tensor.axes) != rank + 1:
        grid_of(rank, layer, tensor)
    channel = 0 if channels_first(layer) else rank
    view = None if tensor.is_flat else tensor.with_channels_at(channel)
    if view is None:
        view = grid_of(rank, layer, tensor).tensor
        if tensor.is_flat:  # nothing to pool
            return advance(tensor, axes=tensor.axes if keepdims else ((0,),))
    return advance(view, GlobalPool(kind, keepdims), axes=view.axes if keepdims else ((0,),))


def grid_of(rank: int, layer: LayerSpec, tensor: Tensor) -> Grid:
    """See what a layer reads as a map, by its ``data_format``."""
    return as_grid(tensor, rank, channels_first=channels_first(layer))


def channels_first(layer: LayerSpec) -> bool:
    """Read ``data_format``."""
    return bool(layer.config.raw("data_format") == "channels_first")


def _activated(layer: LayerSpec, grid: Grid, *ops: Op) -> Built:
    ops, result = advance(grid.tensor, *ops)
    more, result = activated(layer.config.raw("activation"), layer.generation, result)
    return (*grid.before, *ops, *more), result


def _no_adapter(layer: LayerSpec) -> None:
    if "lora_rank" in layer.config:
        raise RefusedError("it holds a LoRA adapter", "Save the model again without LoRA (its weights merged).")


def _steps(rank: int, layer: LayerSpec) -> tuple[Shape, Shape]:
    return layer.config.wholes("strides", rank, 1), layer.config.wholes("dilation_rate", rank, 1)


def _padding(rank: int, layer: LayerSpec, grid: Grid, window: Shape, dilation: Shape) -> Padding:
    padding = _padding_name(layer)
    if padding == "causal" and rank == 1:
        return grid.sort([((window[0] - 1) * dilation[0], 0)], (0, 0))
    if padding == "half":
        return _half(
            grid, layer.config.wholes("strides", rank, window), window, dilation, pool="Pooling" in layer.layer_type
        )
    if padding not in ("valid", "same"):
        raise UnreadableError(f"its padding is {padding[:40]!r} instead of 'valid' or 'same'")
    return cast("Padding", padding)


def _half(grid: Grid, strides: Shape, window: Shape, dilation: Shape, *, pool: bool) -> Padding:
    """Give the ``same`` of Keras 1 with Theano: every window begins half its length before, a pool's still earlier."""
    spans = tuple((k - 1) * d + 1 for k, d in zip(window, dilation, strict=True))
    padding = []
    for size, span, stride in zip(grid.tensor.shape, grid.sort(spans, 1), grid.sort(strides, 1), strict=False):
        before = max(span - 2 if span % 2 else span - 1, 0) if pool else span // 2
        padding.append((before, max((-(-size // stride) - 1) * stride + span - size - before, 0)))
    return tuple(padding)


def _padding_name(layer: LayerSpec) -> str:
    return layer.config.text("padding", "valid").lower()


def _bias(layer: LayerSpec, size: int, weights: Weights) -> Array | None:
    return weights.take((size,), "bias") if layer.config.flag("use_bias", True) else None


#: The names with "Convolution" are those of old files.
WINDOW_LAYERS: Final[dict[str, Builder]] = {
    **{f"{word}{n}D": partial(_conv, n) for word in ("Conv", "Convolution") for n in (1, 2, 3)},
    **{f"Depthwise{word}{n}D": partial(_depthwise, n) for word in ("Conv", "Convolution") for n in (1, 2)},
    **{f"Separable{word}{n}D": partial(_separable, n) for word in ("Conv", "Convolution") for n in (1, 2)},
    **{f"{word}{n}DTranspose": partial(_transpose, n) for word in ("Conv", "Convolution") for n in (1, 2, 3)},
    **{f"MaxPooling{n}D": partial(_pool, "max", n) for n in (1, 2, 3)},
    **{f"AveragePooling{n}D": partial(_pool, "average", n) for n in (1, 2, 3)},
    **{f"DilatedMaxPool{n}D": partial(_dilated_pool, n) for n in (2, 3)},
    **{f"GlobalMaxPooling{n}D": partial(_global_pool, "max", n) for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": partial(_global_pool, "average", n) for n in (1, 2, 3)},
}
