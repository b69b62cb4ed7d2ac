"""Output shapes of operations; with them it is checked that a file's settings, arrays and topology fit together."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Final, TypeAlias

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import (
    Activation,
    AxisToChannels,
    Channels,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalPool,
    Op,
    Padding,
    Pick,
    Pool,
    ReduceGroups,
    Take,
    UpSample,
    ZeroPad,
)
from napari_fcnseg.readers.problem import RefusedError

#: Shape of a patch tensor without its batch axis: ``(*spatial, channel)`` or ``(feature,)``.
Shape: TypeAlias = tuple[int, ...]

#: No patch network comes near; it keeps a forged size from costing memory.
MAX_ELEMENTS: Final = 2**26


def after(op: Op, shape: Shape) -> Shape:
    """Give the shape that an operation makes of a patch tensor.

    Parameters
    ----------
    op : Op
        The operation.
    shape : tuple of int
        What it reads, without the batch axis.

    Returns
    -------
    tuple of int
        What it returns, without the batch axis.

    Raises
    ------
    UnreadableError
        The patch is too small for a window, or the result too large to be true.
    """
    result = _after(op, shape)
    if math.prod(result) > MAX_ELEMENTS:
        raise UnreadableError(f"its result would have the shape {result}, which is too large to be true")
    return result


def array_axis(axis: int, shape: Shape) -> int:
    """Turn an axis as Keras counts it (the batch axis being 0) into an index into ``shape``.

    Raises
    ------
    RefusedError
        It is the batch axis.
    UnreadableError
        There is no such axis.
    """
    index = axis - 1 if axis >= 0 else axis + len(shape)
    if index == -1:
        raise RefusedError("it mixes the patches of a batch", "Apply it along the channels (axis=-1) and train again.")
    if not 0 <= index < len(shape):
        raise UnreadableError(f"it acts on axis {axis}, but its input has {len(shape) + 1} axes")
    return index


@singledispatch
def _after(op: Op, shape: Shape) -> Shape:
    """Most operations keep the shape."""
    return shape


@_after.register
def _(op: Conv, shape: Shape) -> Shape:
    window = op.kernel.shape[:-2]
    return (*_windows(shape[:-1], window, op.strides, op.dilation, op.padding), op.kernel.shape[-1])


@_after.register
def _(op: DepthwiseConv, shape: Shape) -> Shape:
    *window, channels, multiplier = op.kernel.shape
    return (*_windows(shape[:-1], tuple(window), op.strides, op.dilation, op.padding), channels * multiplier)


@_after.register
def _(op: Pool, shape: Shape) -> Shape:
    return (*_windows(shape[:-1], op.size, op.strides, op.taps_apart, op.padding), shape[-1])


@_after.register
def _(op: GlobalPool, shape: Shape) -> Shape:
    return (1,) * (len(shape) - 1) * op.keepdims + shape[-1:]


@_after.register
def _(op: Dense, shape: Shape) -> Shape:
    return (*shape[:-1], op.kernel.shape[1])


@_after.register
def _(op: Flatten, shape: Shape) -> Shape:
    return (math.prod(shape),)


@_after.register
def _(op: Activation, shape: Shape) -> Shape:
    if op.name != "glu":
        return shape
    index = array_axis(int(op.params["axis"] or 0), shape)
    if shape[index] % 2:
        raise UnreadableError(f"it halves an axis of odd length {shape[index]}")
    return (*shape[:index], shape[index] // 2, *shape[index + 1 :])


@_after.register
def _(op: ConvTranspose, shape: Shape) -> Shape:
    *window, channels, _ = op.kernel.shape
    sizes = []
    for size, width, stride, step, (before, behind) in zip(
        shape[:-1], window, op.strides, op.dilation, op.crop, strict=True
    ):
        sizes.append((size - 1) * stride + (width - 1) * step + 1 - before - behind)
    return (*_positive(sizes, shape), channels)


@_after.register
def _(op: Channels, shape: Shape) -> Shape:
    return (*shape[:-1], op.stop - op.start)


@_after.register
def _(op: Take, shape: Shape) -> Shape:
    if not op.order or not all(0 <= n < shape[-1] for n in op.order):
        raise UnreadableError(f"it takes channels that its input of the shape {shape} does not have")
    return (*shape[:-1], len(op.order))


@_after.register
def _(op: Pick, shape: Shape) -> Shape:
    sizes = []
    for size, places in zip(shape[:-1], op.places, strict=True):
        if places is not None and (not places or not all(0 <= n < size for n in places)):
            raise UnreadableError(f"it takes positions that its input of the shape {shape} does not have")
        sizes.append(size if places is None else len(places))
    return (*sizes, shape[-1])


@_after.register
def _(op: AxisToChannels, shape: Shape) -> Shape:
    return (*(1 if i == op.axis else n for i, n in enumerate(shape[:-1])), shape[op.axis] * shape[-1])


@_after.register
def _(op: ReduceGroups, shape: Shape) -> Shape:
    if op.groups < 1 or shape[-1] % op.groups:
        raise UnreadableError(f"its {op.groups} groups do not divide the {shape[-1]} channels that it reads")
    return (*shape[:-1], shape[-1] // op.groups)


@_after.register
def _(op: ZeroPad, shape: Shape) -> Shape:
    return (*(n + sum(width) for n, width in zip(shape[:-1], op.width, strict=True)), shape[-1])


@_after.register
def _(op: Crop, shape: Shape) -> Shape:
    sizes = [n - sum(width) for n, width in zip(shape[:-1], op.width, strict=True)]
    return (*_positive(sizes, shape), shape[-1])


@_after.register
def _(op: UpSample, shape: Shape) -> Shape:
    return (*(n * size for n, size in zip(shape[:-1], op.size, strict=True)), shape[-1])


def _positive(sizes: list[int], shape: Shape) -> list[int]:
    if min(sizes) < 1:
        raise UnreadableError(f"nothing is left of its input of the shape {shape}")
    return sizes


def _windows(sizes: Shape, window: Shape, strides: Shape, dilation: Shape, padding: Padding) -> Shape:
    results = []
    pads = [(0, 0)] * len(sizes) if isinstance(padding, str) else padding
    for size, width, stride, step, pad in zip(sizes, window, strides, dilation, pads, strict=True):
        extent = (width - 1) * step + 1
        result = -(-size // stride) if padding == "same" else (size + sum(pad) - extent) // stride + 1
        if result < 1:
            raise UnreadableError(f"its window is {extent} pixels long, but its input only {size}")
        results.append(result)
    return tuple(results)
