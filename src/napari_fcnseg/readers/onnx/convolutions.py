"""ONNX operators that look through a window: convolutions, pooling, borders, enlarging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import (
    Affine,
    Array,
    Conv,
    ConvTranspose,
    Crop,
    DepthwiseConv,
    Op,
    Padding,
    Pool,
    PoolKind,
    UpSample,
    ZeroPad,
)
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.onnx.values import Tensor
    from napari_fcnseg.readers.shapes import Shape

    Pads = tuple[tuple[int, int], ...]

_UP: Final = "Use nn.Upsample with a whole scale_factor and mode='nearest', and train again."


def _conv(call: NodeContext) -> Tensor:
    x = call.map()
    rank, channels = len(x.shape) - 1, x.shape[-1]
    stored = call.weights(1, (None,) * (rank + 2))
    filters, depth, *window = stored.shape
    groups = call.whole("group", 1)
    if groups < 1 or channels != groups * depth or filters % groups:
        raise UnreadableError(
            f"its {groups} groups do not divide {channels} channels and {filters} filters", EXPORT_AGAIN
        )
    bias = call.weights(2, (filters,)) if call.has(2) else None
    strides, dilation, pads = _steps(call, x, tuple(window))
    kernel = np.ascontiguousarray(stored.transpose(*range(2, rank + 2), 1, 0))
    if groups == channels > 1 and rank < 3:
        kernel = kernel.reshape(*window, channels, filters // channels)
        return call.emit(DepthwiseConv(kernel, bias, strides, dilation, _padding(pads)))
    return call.emit(Conv(kernel, bias, strides, dilation, groups, _padding(pads)))


def _conv_transpose(call: NodeContext) -> Tensor:
    x = call.map()
    rank, channels = len(x.shape) - 1, x.shape[-1]
    stored = call.weights(1, (channels, *(None,) * (rank + 1)))
    groups = call.whole("group", 1)
    if groups < 1 or channels % groups:
        raise UnreadableError(f"its {groups} groups do not divide {channels} channels", EXPORT_AGAIN)
    window, filters = _window(call, stored.shape[2:]), stored.shape[1] * groups
    bias = call.weights(2, (filters,)) if call.has(2) else None
    if call.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or "output_shape" in call.node.attributes:
        raise RefusedError("its border follows from the size of its result", "Use padding=number and train again.")
    strides, dilation = (call.wholes(key, rank, 1) for key in ("strides", "dilations"))
    pads, more = call.wholes("pads", 2 * rank, 0, 0), call.wholes("output_padding", rank, 0, 0)
    crop = tuple((pads[i], pads[rank + i] - more[i]) for i in range(rank))
    kernel = stored.transpose(*range(2, rank + 2), 1, 0)
    return call.emit(ConvTranspose(_ungrouped(kernel, groups, len(window)), bias, strides, dilation, crop))


def _ungrouped(kernel: Array, groups: int, rank: int) -> Array:
    """Write a kernel ``(*window, out // groups, in)`` in groups as one with zeros between them."""
    if groups == 1:
        return np.ascontiguousarray(kernel)
    *window, out, channels = kernel.shape
    whole = np.zeros((*window, out * groups, channels), np.float32)
    for g in range(groups):
        inner = slice(g * channels // groups, (g + 1) * channels // groups)
        whole[..., g * out : (g + 1) * out, inner] = kernel[..., inner]
    return whole


def _pool(kind: PoolKind, call: NodeContext) -> Tensor:
    x = call.map()
    window = call.wholes("kernel_shape", len(x.shape) - 1, 0)
    strides, dilation, pads = _steps(call, x, window)
    if any(n != 1 for n in dilation):
        raise RefusedError("its window is dilated", "Use pooling with dilation=1 and train again.")
    counted = kind == "average" and bool(call.whole("count_include_pad", 0)) and any(map(any, pads))
    if call.whole("ceil_mode", 0):
        longer = _rounded_up(x, window, strides, pads)
        if kind == "average" and longer != pads and (counted or call.whole("count_include_pad", 0)):
            raise RefusedError(
                "its last window hangs over the edge and divides by a number of its own",
                "Use ceil_mode=False or count_include_pad=False and train again.",
            )
        pads = longer
    for size, width, stride, (before, after) in zip(x.shape, window, strides, pads, strict=False):
        if before >= width or (size + before + after - width) // stride * stride >= size + before:
            raise RefusedError("some of its windows see nothing but border", "Use a smaller padding and train again.")
    return call.emit(Pool(kind, window, strides, _padding(pads), counted))


def _rounded_up(x: Tensor, window: Shape, strides: Shape, pads: Pads) -> Pads:
    """Widen the border so that rounding down gives what ``ceil_mode`` does."""
    result = []
    for size, width, stride, (before, after) in zip(x.shape, window, strides, pads, strict=False):
        room = size + before + after - width
        count = -(-room // stride) + 1
        if (count - 1) * stride >= size + before:  # the last window would begin beyond the map
            count -= 1
        result.append((before, after + max((count - 1) * stride - room, 0)))
    return tuple(result)


def _steps(call: NodeContext, x: Tensor, window: Shape) -> tuple[Shape, Shape, Pads]:
    """Read strides, dilations and the border, in positions before and after."""
    rank = len(x.shape) - 1
    window = _window(call, window)
    strides, dilation = (call.wholes(key, rank, 1) for key in ("strides", "dilations"))
    kind = call.text("auto_pad", "NOTSET")
    if kind == "NOTSET":
        flat = call.wholes("pads", 2 * rank, 0, 0)
        return strides, dilation, tuple(zip(flat[:rank], flat[rank:], strict=True))
    if kind == "VALID":
        return strides, dilation, ((0, 0),) * rank
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        raise UnreadableError(f"its border is of the unknown kind {kind[:40]!r}", EXPORT_AGAIN)
    pads = []
    for size, width, stride, step in zip(x.shape, window, strides, dilation, strict=False):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * step + 1 - size, 0)
        less = total // 2
        pads.append((less, total - less) if kind == "SAME_UPPER" else (total - less, less))
    return strides, dilation, tuple(pads)


def _window(call: NodeContext, window: Shape) -> Shape:
    """Check the window against the array's own and against absurdity."""
    if (call.listed("kernel_shape") or tuple(window)) != tuple(window) or not all(window):
        raise UnreadableError("its window is not that of its array", EXPORT_AGAIN)
    return tuple(window)


def _padding(pads: Pads) -> Padding:
    return pads if any(map(any, pads)) else "valid"


def _pad(call: NodeContext) -> Tensor:
    x = call.map()
    rank = len(x.shape) - 1
    mode = call.text("mode", "constant")
    if mode != "constant":
        raise RefusedError(
            f"it surrounds the map with its own values (mode {mode[:20]!r})", "Pad with zeros instead and train again."
        )
    if call.opset < 11:
        key = "pads" if "pads" in call.node.attributes else "paddings"
        flat, value = call.wholes(key, 2 * rank + 4, 0, -(2**20)), call.number("value", 0.0)
    else:
        flat, value = tuple(call.integers(1)), _fill(call)
        flat = _spread(flat, call.integers(3), rank + 2) if call.has(3) else flat
    if len(flat) != 2 * rank + 4 or not all(abs(n) <= 2**20 for n in flat):
        raise UnreadableError("its border is malformed", EXPORT_AGAIN)
    width = list(zip(flat[: rank + 2], flat[rank + 2 :], strict=True))
    if any(map(any, width[:2])):
        raise RefusedError("it adds patches or channels of zeros", "Pad height and width only and train again.")
    return call.emit(*_bordered(width[2:], value)) if any(map(any, width)) else x


def _fill(call: NodeContext) -> float:
    if not call.has(2):
        return 0.0
    values = call.weights(2)
    if values.size != 1:
        raise UnreadableError("the value of its border is no single number", EXPORT_AGAIN)
    return float(values.ravel()[0])


def _spread(flat: tuple[int, ...], axes: list[int], rank: int) -> tuple[int, ...]:
    """Give the widths of all axes where only some are named."""
    if len(flat) != 2 * len(axes) or not all(-rank <= axis < rank for axis in axes):
        raise UnreadableError("its border is malformed", EXPORT_AGAIN)
    whole = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        whole[axis % rank], whole[axis % rank + rank] = flat[i], flat[len(axes) + i]
    return tuple(whole)


def _bordered(width: list[tuple[int, int]], value: float) -> tuple[Op, ...]:
    """Cut where a width is negative, then add zeros; another value is moved to zero and back."""
    cut = tuple((max(-a, 0), max(-b, 0)) for a, b in width)
    zeros = tuple((max(a, 0), max(b, 0)) for a, b in width)
    ops: tuple[Op, ...] = (Crop(cut),) if any(map(any, cut)) else ()
    if not any(map(any, zeros)):
        return ops
    if not value:
        return (*ops, ZeroPad(zeros))
    one, none, level = (np.asarray(n, np.float32) for n in (1.0, 0.0, value))
    return (*ops, Affine(level, one, none), ZeroPad(zeros), Affine(none, one, level))


def _resize(call: NodeContext) -> Tensor:
    x = call.map()
    if call.text("mode", "nearest") != "nearest":
        raise RefusedError(f"it enlarges the map by interpolation (mode {call.text('mode', '')[:20]!r})", _UP)
    factors = _factors(call, x)
    for size, factor in zip(x.shape, factors, strict=False):
        if not _repeats(call, size, factor):
            raise RefusedError("it enlarges the map otherwise than by repeating every position equally often", _UP)
    return call.emit(UpSample(factors)) if any(n > 1 for n in factors) else x


def _factors(call: NodeContext, x: Tensor) -> Shape:
    rank = len(x.shape) - 1
    index = {True: 2, False: 1}[call.node.op_type == "Resize" and call.opset > 10]
    if "axes" in call.node.attributes:
        raise RefusedError("it names the axes that it enlarges", _UP)
    if call.has(index + 1):
        sizes = call.integers(index + 1)
        factors = [n / m for n, m in zip(sizes[2:], x.shape, strict=False)]
        even = len(sizes) == rank + 2 and sizes[1] == x.shape[-1]
    else:
        scales = call.listed("scales", float) or tuple(call.weights(index, (rank + 2,)).tolist())
        factors, even = list(scales[2:]), len(scales) == rank + 2 and scales[:2] == (1.0, 1.0)
    if not even or len(factors) != rank or any(n != int(n) or not 1 <= n <= 64 for n in factors):
        raise RefusedError("it changes the size of the map by no whole factor", _UP)
    return tuple(int(n) for n in factors)


def _repeats(call: NodeContext, size: int, factor: int) -> bool:
    """Say whether each position is repeated ``factor`` times by the formulas of the operator's description."""
    place = np.arange(size * factor)
    mode = call.text("coordinate_transformation_mode", "half_pixel") if call.opset > 10 else "asymmetric"
    rounding = call.text("nearest_mode", "round_prefer_floor") if call.opset > 10 else "floor"
    if mode in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        source = (place + 0.5) / factor - 0.5
    elif mode == "asymmetric":
        source = place / factor
    else:
        return factor == 1
    if rounding not in _ROUNDINGS:
        return False
    return bool(np.array_equal(np.clip(_ROUNDINGS[rounding](source), 0, size - 1), place // factor))


_ROUNDINGS: Final[dict[str, Callable[[Constant], Constant]]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}

#: Operator -> translation.
WINDOW_OPERATORS: Final[dict[str, Callable[[NodeContext], Tensor]]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": lambda call: _pool("max", call),
    "AveragePool": lambda call: _pool("average", call),
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _resize,
}
