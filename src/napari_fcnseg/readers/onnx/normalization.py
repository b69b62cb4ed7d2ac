"""ONNX operators with matrices and statistics: products, normalisation, means and maxima over axes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import (
    Affine,
    Array,
    BatchNorm,
    Channels,
    Dense,
    GlobalPool,
    GroupNorm,
    LayerNorm,
    Merge,
    Op,
    Pool,
    PoolKind,
)
from napari_fcnseg.readers.onnx.split_channels import reduced
from napari_fcnseg.readers.onnx.values import PLAIN, GroupedMap, SplitMap, Tensor, Value, aligned, channels_first
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext

_MOST_PIECES: Final = 256
_NONE: Final = np.zeros((), np.float32)


def _gemm(call: NodeContext) -> Tensor:
    x = call.vector()
    if call.whole("transA", 0):
        raise RefusedError("it mixes the patches of a batch", PLAIN)
    stored = call.weights(1, (None, None))
    kernel = stored.T if call.whole("transB", 0) else stored
    if kernel.shape[0] != x.shape[0]:
        raise UnreadableError(f"its array has {kernel.shape[0]} rows for {x.shape[0]} features", EXPORT_AGAIN)
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    bias = None
    if call.has(2):
        constant = call.weights(2)
        if constant.size not in (1, kernel.shape[1]) or constant.ndim > 2 or constant.shape[:-1] not in ((), (1,)):
            raise UnreadableError(f"its bias has the shape {constant.shape}", EXPORT_AGAIN)
        bias = np.broadcast_to(constant.ravel() * np.float32(beta), (kernel.shape[1],))
        bias = call.finite(bias)
    return call.emit(Dense(call.finite(kernel * np.float32(alpha)), bias))


def _matmul(call: NodeContext) -> Tensor:
    x = call.tensor()
    kernel = call.weights(1, (None, None))
    last = len(x.shape) - 1
    if not (x.shape[-1] == 1 and x.view[-1:] == ((),)) and x.axis(len(x.view)) != last:
        raise RefusedError("it mixes the positions of a patch", "Use nn.Linear over channels only and train again.")
    if kernel.shape[0] != x.shape[-1]:
        raise UnreadableError(f"its array has {kernel.shape[0]} rows for {x.shape[-1]} features", EXPORT_AGAIN)
    view = (*x.view[:-1], (last,) if kernel.shape[1] > 1 else ())
    return call.emit(Dense(kernel, None), view=view)


def _batch_norm(call: NodeContext) -> Tensor:
    x = call.tensor()
    if call.whole("training_mode", 0) or not call.whole("spatial", 1):
        raise RefusedError("it was exported while training", "Call model.eval() before torch.onnx.export.")
    inner = x.axis(1)
    gamma, beta, mean, variance = (call.weights(i, (x.shape[inner],)) for i in range(1, 5))
    epsilon = call.number("epsilon", 1e-5)
    if epsilon < 0 or ((variance + np.float32(epsilon)) <= 0).any():
        raise UnreadableError("its variance is negative", EXPORT_AGAIN)
    axis = -1 if inner == len(x.shape) - 1 else inner + 1
    return call.emit(BatchNorm(gamma, beta, mean, variance, epsilon, axis))


def _instance_norm(call: NodeContext) -> Value:
    value = call.values[0]
    grouped = value if isinstance(value, GroupedMap) else None
    x = grouped.tensor if grouped else call.map()
    groups, channels = grouped.groups if grouped else x.shape[-1], x.shape[-1]
    gamma, beta = (np.repeat(call.weights(i, (groups,)), channels // groups) for i in (1, 2))
    result = call.emit(GroupNorm(gamma, beta, _epsilon(call), groups), read=x)
    return GroupedMap(result, groups) if grouped else result


def _group_norm(call: NodeContext) -> Tensor:
    x = call.map()
    groups, channels = call.whole("num_groups", 1), x.shape[-1]
    if groups < 1 or channels % groups:
        raise UnreadableError(f"its {groups} groups do not divide {channels} channels", EXPORT_AGAIN)
    if call.opset < 21:
        gamma, beta = (np.repeat(call.weights(i, (groups,)), channels // groups) for i in (1, 2))
    else:
        gamma, beta = (call.weights(i, (channels,)) for i in (1, 2))
    return call.emit(GroupNorm(gamma, beta, _epsilon(call), groups))


def _layer_norm(call: NodeContext) -> Tensor:
    x = call.tensor()
    first = call.whole("axis", -1)
    first = first - 1 if first >= 0 else first + len(x.view)
    if not 0 <= first < len(x.view):
        raise RefusedError("it mixes the patches of a batch", PLAIN)
    axes = sorted(axis for group in x.view[first:] for axis in group)
    if not axes:
        raise RefusedError("it normalises a single number, which makes it zero", PLAIN)
    gamma = _parameter(call, 1, 1.0, x, first, axes)
    beta = _parameter(call, 2, 0.0, x, first, axes)
    return call.emit(LayerNorm(gamma, beta, _epsilon(call), tuple(axis + 1 for axis in axes)))


def _parameter(call: NodeContext, index: int, default: float, x: Tensor, first: int, axes: list[int]) -> Array:
    """Give a parameter of a layer normalisation one number for each that is normalised together."""
    sizes, shape = x.sizes[first:], tuple(x.shape[axis] for axis in axes)
    stored = call.weights(index) if call.has(index) else np.asarray(default, np.float32)
    try:
        spread = np.broadcast_to(stored, sizes)
    except ValueError:
        raise UnreadableError(f"its array has the shape {stored.shape} instead of {sizes}", EXPORT_AGAIN) from None
    return np.ascontiguousarray(aligned(spread, x).reshape(shape), np.float32)


def _epsilon(call: NodeContext) -> float:
    epsilon = call.number("epsilon", 1e-5)
    if epsilon <= 0:
        raise UnreadableError("its epsilon is not positive", EXPORT_AGAIN)
    return epsilon


def _global_pool(kind: PoolKind, call: NodeContext) -> Tensor:
    call.map()
    return call.emit(GlobalPool(kind, keepdims=True))


def _reduce(kind: str, call: NodeContext) -> Value:
    value = call.values[0]
    if isinstance(value, SplitMap):
        named = call.integers(1) if call.has(1) else list(call.listed("axes") or ())
        split_axes = {n + len(value.sizes) + 1 if n < 0 else n for n in named}
        return reduced(call, kind, value, split_axes, bool(call.whole("keepdims", 1)))
    x = call.tensor()
    named = call.integers(1) if call.has(1) else list(call.listed("axes") or ())
    if not named and call.whole("noop_with_empty_axes", 0):
        return x
    rank = len(x.view) + 1
    axes = {n + rank if n < 0 else n for n in named} or set(range(rank))
    if not axes <= set(range(rank)):
        raise UnreadableError("the axes it names do not exist", EXPORT_AGAIN)
    if 0 in axes:
        raise RefusedError("it mixes the patches of a batch", "Name the axes of the patch (dim=...) and train again.")
    gone = {axis for n in axes for axis in x.view[n - 1]}
    keep = bool(call.whole("keepdims", 1))
    view = tuple(tuple(a for a in group if a not in gone) for n, group in enumerate(x.view, 1) if keep or n not in axes)
    if not gone:
        return call.settle(Tensor(x.source, x.shape, view))
    if kind == "max" and len(x.shape) - 1 in gone:
        if len(gone) > 1 or not (x.is_map or x.is_vector):
            raise RefusedError("it takes the maximum over channels and positions at once", PLAIN)
        return call.settle(replace(_channel_maximum(call, x), view=view))
    ops = _reduction(kind, x, gone)
    if len(view) == 1 and isinstance(ops[-1], GlobalPool) and view == channels_first(x.shape)[:1]:
        return call.emit(*ops[:-1], GlobalPool(ops[-1].kind))
    return call.settle(call.emit(*ops, view=view))


def _channel_maximum(call: NodeContext, x: Tensor) -> Tensor:
    if x.shape[-1] > _MOST_PIECES:
        raise RefusedError(f"it takes the maximum over {x.shape[-1]} channels", PLAIN)
    name, shape = call.node.name, (*x.shape[:-1], 1)
    parts = (call.builder.add(name, call.node.op_type, (Channels(n, n + 1),), (x.source,)) for n in range(x.shape[-1]))
    pieces = tuple(Tensor(part, shape, channels_first(shape)) for part in parts)
    return call.join(Merge("maximum"), pieces, shape, channels_first(shape))


def _reduction(kind: str, x: Tensor, gone: set[int]) -> tuple[Op, ...]:
    """Reduce some axes of the graph's tensor to length 1."""
    last = len(x.shape) - 1
    spatial = [axis for axis in gone if axis != last]
    ops: tuple[Op, ...] = ()
    if spatial:
        pool: PoolKind = "max" if kind == "max" else "average"
        if all(axis in gone or n == 1 for axis, n in enumerate(x.shape[:-1])):
            ops = (GlobalPool(pool, keepdims=True),)
        else:
            size = tuple(n if axis in gone else 1 for axis, n in enumerate(x.shape[:-1]))
            ops = (Pool(pool, size, (1,) * last),)
        if kind == "sum":
            count = math.prod(x.shape[axis] for axis in spatial)
            ops += (Affine(_NONE, np.asarray(count, np.float32), _NONE),)
    if last in gone:
        weight = 1.0 if kind == "sum" else 1.0 / x.shape[last]
        ops += (Dense(np.full((x.shape[last], 1), weight, np.float32), None),)
    return ops


#: Operator -> translation.
NORM_OPERATORS: Final[dict[str, Callable[[NodeContext], Value]]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "GlobalAveragePool": lambda call: _global_pool("average", call),
    "GlobalMaxPool": lambda call: _global_pool("max", call),
    "ReduceMean": lambda call: _reduce("mean", call),
    "ReduceSum": lambda call: _reduce("sum", call),
    "ReduceMax": lambda call: _reduce("max", call),
}
