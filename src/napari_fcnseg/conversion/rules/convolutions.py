"""Operations that look through a window: convolutions, pooling, and a dense layer over everything."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.conversion.dense_network import DenseConv, DenseDepthwise, DensePool
from napari_fcnseg.conversion.feature_maps import FeatureMaps, FlattenedMaps, Key, MapRef, Value, Vector, maps_of
from napari_fcnseg.conversion.rules.dispatch import Refusal, as_map, rewrite
from napari_fcnseg.graph.geometry import Axis, Laid, Run, WindowError, lay, padding_of
from napari_fcnseg.graph.ops import (
    Array,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    GlobalPool,
    Pool,
    PoolKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.conversion.network_builder import NetworkBuilder

    #: What a window reads: a map and, per axis, the taps that read it.
    Read = tuple[MapRef, tuple[slice, ...]]


@rewrite.register(Conv)
def _conv(op: Conv, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    *size, _, out = op.kernel.shape
    bias = _bias(op.bias, out)

    def convolve(reads: Sequence[Read], dilation: tuple[int, ...]) -> MapRef:
        if not reads:
            return _constant(bias, emitter)
        return _emit([(ref, op.kernel[taps], dilation) for ref, taps in reads], bias, emitter, op.groups)

    return _windowed(op, as_map(values, "a convolution"), tuple(size), convolve, out)


@rewrite.register(DepthwiseConv)
def _depthwise(op: DepthwiseConv, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    *size, channels, multiplier = op.kernel.shape
    if channels == 1:  # an ordinary convolution, which TensorFlow (2.21) then does not mistake for another's kernel
        return rewrite(Conv(op.kernel, op.bias, op.strides, op.dilation, padding=op.padding), values, emitter)
    out = channels * multiplier
    bias = _bias(op.bias, out)

    def convolve(reads: Sequence[Read], dilation: tuple[int, ...]) -> MapRef:
        if not reads:
            return _constant(bias, emitter)
        kernels = tuple(op.kernel[taps] for _, taps in reads)
        return emitter.emit(DenseDepthwise(kernels, (dilation,) * len(reads), bias), [ref for ref, _ in reads], out)

    return _windowed(op, as_map(values, "a convolution"), tuple(size), convolve, out)


def _windowed(
    op: Conv | DepthwiseConv, table: FeatureMaps, size: tuple[int, ...],
    convolve: Callable[[Sequence[Read], tuple[int, ...]], MapRef], out: int,
) -> FeatureMaps:  # fmt: skip
    """Compute every map of a convolution from the maps its taps read."""
    padding = padding_of(op.padding, table.sizes, size, op.strides, op.dilation)
    laid = [
        _lay(axis, k, s, d, p)
        for axis, k, s, d, p in zip(table.axes, size, op.strides, op.dilation, padding, strict=True)
    ]
    dilation = tuple(axis.dilation for axis in laid)
    axes = tuple(axis.axis for axis in laid)

    def computed(key: Key) -> MapRef:
        return convolve(_reads(table, [axis.runs[c] for axis, c in zip(laid, key, strict=True)]), dilation)

    return FeatureMaps(axes, out, maps_of(axes, computed, table.everywhere))


def _reads(table: FeatureMaps, runs: Sequence[Sequence[Run]]) -> list[Read]:
    """Return what the product of runs over the axes reads; zeros are left out."""
    found = []
    for combination in itertools.product(*runs):
        ref = table.ref([(run.source, run.offset) for run in combination])
        if ref is not None:
            found.append((ref, tuple(slice(run.start, run.stop) for run in combination)))
    return found


@rewrite.register(ConvTranspose)
def _conv_transpose(op: ConvTranspose, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    """Zeros between the positions, then the convolution with the kernel turned round."""
    table = as_map(values, "a transposed convolution")
    rank = len(table.axes)
    padding = []
    for axis in range(rank):
        stride, span = op.strides[axis], (op.kernel.shape[axis] - 1) * op.dilation[axis]
        if stride > 1:
            size = (table.axes[axis].size - 1) * stride + 1
            table = table.selected(axis, [i // stride if i % stride == 0 else None for i in range(size)])
        padding.append((span - op.crop[axis][0], span - op.crop[axis][1]))
    for axis, (before, after) in enumerate(padding):  # a crop larger than the window takes positions away
        size = table.axes[axis].size
        table = table.selected(axis, range(max(-before, 0), size - max(-after, 0)))
    kernel = np.flip(op.kernel, tuple(range(rank))).swapaxes(-1, -2)
    positive = tuple((max(b, 0), max(a, 0)) for b, a in padding)
    conv = Conv(np.ascontiguousarray(kernel), op.bias, (1,) * rank, op.dilation, padding=positive)
    return rewrite(conv, (table,), emitter)


@rewrite.register(Pool)
def _pool(op: Pool, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "a pooling")
    padding = padding_of(op.padding, table.sizes, op.size, op.strides, op.taps_apart)
    for axis in range(len(table.axes)):  # a maximum or mean over a box is one over each axis in turn
        laid = _lay(table.axes[axis], op.size[axis], op.strides[axis], op.taps_apart[axis], padding[axis])
        if not all(laid.runs.values()):
            raise Refusal("one of its windows lies on nothing but padding")
        table = _pooled(table, axis, laid, op.kind, op.size[axis] if op.count_padding else None, emitter)
    return table


@rewrite.register(GlobalPool)
def _global_pool(op: GlobalPool, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "a global pooling")
    for axis in range(len(table.axes)):
        laid = _lay(table.axes[axis], table.axes[axis].size, 1, 1, (0, 0))
        table = _pooled(table, axis, laid, op.kind, None, emitter)
    return table if op.keepdims else Vector((FlattenedMaps(table, tuple(range(len(table.axes) + 1))),))


@rewrite.register(Dense)
def _dense(op: Dense, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    inputs, out = op.kernel.shape
    if not isinstance(value, Vector):  # Keras applies it at every position alone: a convolution with a window of 1
        ones = (1,) * len(value.axes)
        return rewrite(Conv(op.kernel.reshape((*ones, inputs, out)), op.bias, ones, ones), values, emitter)
    if inputs != value.length:
        raise Refusal(f"it takes {inputs} numbers and is given {value.length}")
    reads: list[tuple[MapRef, Array, tuple[int, ...]]] = []
    row = 0
    for block in value.blocks:
        rows = op.kernel[row : row + block.length].reshape((*block.shape, out))
        kernel = np.ascontiguousarray(rows.transpose((*block.back, len(block.order))))
        row += block.length
        laid = [_lay(axis, axis.size, 1, 1, (0, 0)) for axis in block.table.axes]
        dilation = tuple(axis.dilation for axis in laid)
        runs = [runs for axis in laid for runs in axis.runs.values()]
        if emitter.dry:
            continue
        reads += [(ref, kernel[taps], dilation) for ref, taps in _reads(block.table, runs)]
    bias = _bias(op.bias, out)
    ref = _emit(reads, bias, emitter) if reads else _constant(bias, emitter)
    return Vector((FlattenedMaps(FeatureMaps.of_one(emitter.axes, out, ref), tuple(range(emitter.axes + 1))),))


def _pooled(
    table: FeatureMaps, axis: int, laid: Laid, kind: PoolKind, count: int | None, emitter: NetworkBuilder
) -> FeatureMaps:
    """Pool along one axis. ``count`` is what a sum is divided by; None for the positions that are there."""
    axes = (*table.axes[:axis], laid.axis, *table.axes[axis + 1 :])
    dilation = tuple(laid.dilation if a == axis else 1 for a in range(len(axes)))

    def pooled(key: Key) -> MapRef | None:
        places = [(c, 0) for c in key]
        refs: list[MapRef] = []
        sizes: list[tuple[int, ...]] = []
        taps = 0
        for run in laid.runs[key[axis]]:
            places[axis] = (run.source, run.offset)
            taps += run.stop - run.start
            ref = table.ref(places)
            if ref is None and kind == "max":
                ref = emitter.zeros(table.channels)
            if ref is not None:
                refs.append(ref)
                sizes.append(tuple(run.stop - run.start if a == axis else 1 for a in range(len(axes))))
        return _pool_step(kind, refs, sizes, dilation, count or taps, table.channels, emitter)

    return FeatureMaps(axes, table.channels, maps_of(axes, pooled, table.everywhere))


def _pool_step(
    kind: PoolKind, refs: Sequence[MapRef], sizes: Sequence[tuple[int, ...]], dilation: tuple[int, ...], count: int,
    channels: int, emitter: NetworkBuilder,
) -> MapRef | None:  # fmt: skip
    if not refs:  # nothing but zeros; a window of nothing but padding was refused
        return None
    if len(refs) == 1 and math.prod(sizes[0]) == 1 and (count == 1 or kind == "max"):
        return refs[0]
    pool = DensePool(kind, tuple(sizes), dilation, count if kind == "average" else 1)
    return emitter.emit(pool, refs, channels, same=pool)


def _lay(axis: Axis, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> Laid:
    try:
        return lay(axis, kernel, stride, dilation, padding)
    except WindowError as error:
        raise Refusal(f"{error} positions") from None


def _emit(
    reads: Sequence[tuple[MapRef, Array, tuple[int, ...]]], bias: Array, emitter: NetworkBuilder, groups: int = 1
) -> MapRef:
    """Emit the sum of convolutions of maps, each with its kernel and dilation."""
    conv, order = DenseConv.of([(kernel, dilation) for _, kernel, dilation in reads], bias, groups)
    return emitter.emit(conv, [reads[n][0] for n in order], len(bias))


def _constant(bias: Array, emitter: NetworkBuilder) -> MapRef:
    """Return a map of the bias alone: what a convolution gives of zeros."""
    ones = (1,) * emitter.axes
    kernel = np.zeros((*ones, 1, len(bias)), np.float32)
    return emitter.emit(DenseConv((kernel,), (ones,), bias), (emitter.zeros(1),), len(bias))


def _bias(bias: Array | None, out: int) -> Array:
    return np.zeros(out, np.float32) if bias is None else bias
