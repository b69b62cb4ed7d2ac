"""Operations that act on each number alone or mix the numbers of one position: scaling, activations, normalisation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.dense_network import ChannelAffine, ChannelNorm, ChannelPReLU, DenseOp, PerPatch
from napari_fcnseg.conversion.feature_maps import FeatureMaps, FlattenedMaps, Key, MapRef, Value, Vector, maps_of
from napari_fcnseg.conversion.rules.dispatch import Refusal, last_axis, normal_axis, rewrite
from napari_fcnseg.conversion.rules.positions import as_vector, joined
from napari_fcnseg.graph.geometry import INTERIOR
from napari_fcnseg.graph.ops import (
    AXIS_ACTIVATIONS,
    Activation,
    Affine,
    Array,
    BatchNorm,
    Channels,
    GroupNorm,
    LayerNorm,
    PReLU,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.conversion.network_builder import NetworkBuilder

_Floats: TypeAlias = npt.NDArray[np.floating[Any]]

#: Activations that leave zero as it is, whatever their parameters.
_KEEP_ZERO: Final = frozenset(
    {"abs", "celu", "elu", "gelu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "mish", "relu6", "selu",
     "silu", "soft_shrink", "softsign", "sqrt", "square", "tanh", "tanh_shrink"}
)  # fmt: skip


@rewrite.register(BatchNorm)
def _batch_norm(op: BatchNorm, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    scale = op.gamma.astype(np.float64) / np.sqrt(op.variance.astype(np.float64) + op.epsilon)
    offset = op.beta - op.mean * scale
    axis = normal_axis(op.axis, value)
    if axis != last_axis(value):
        shape = [1] * last_axis(value)
        shape[axis - 1] = -1
        scale, offset = scale.reshape(shape), offset.reshape(shape)
    return _affine_by_channel(value, (np.zeros(()), scale, offset), emitter, id(op))


@rewrite.register(Affine)
def _affine(op: Affine, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    return _affine_by_channel(values[0], (op.center, op.scale, op.offset), emitter, id(op))


def _affine_by_channel(value: Value, numbers: tuple[_Floats, ...], emitter: NetworkBuilder, same: int) -> Value:
    def keeps_zero(center: Array, scale: Array, offset: Array) -> bool:
        return not (center.any() or offset.any())

    return _by_channel(value, numbers, lambda *n: ChannelAffine(*n), keeps_zero, emitter, same)


@rewrite.register(PReLU)
def _prelu(op: PReLU, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    return _by_channel(values[0], (op.alpha,), ChannelPReLU, lambda _: True, emitter, id(op))


def _by_channel(
    value: Value, numbers: tuple[_Floats, ...], make: Callable[..., DenseOp], keeps_zero: Callable[..., bool],
    emitter: NetworkBuilder, same: int,
) -> Value:  # fmt: skip
    """Apply an operation with parameters that broadcast against the patch tensor.

    An axis along which they differ is dissolved: each of its positions is a map of its own.
    """
    if isinstance(value, Vector):
        blocks, start = [], 0
        for number, block in enumerate(value.blocks):
            stop = start + block.length
            mine = tuple(
                np.broadcast_to(n, (value.length,))[start:stop].reshape(block.shape).transpose(block.back)
                for n in numbers
            )
            start = stop
            table = _table_by_channel(block.table, mine, make, keeps_zero, emitter, (same, number))
            blocks.append(FlattenedMaps(table, block.order))
        return Vector(tuple(blocks))
    return _table_by_channel(value, numbers, make, keeps_zero, emitter, (same, 0))


def _table_by_channel(
    table: FeatureMaps, numbers: tuple[_Floats, ...], make: Callable[..., DenseOp], keeps_zero: Callable[..., bool],
    emitter: NetworkBuilder, same: tuple[int, int],
) -> FeatureMaps:  # fmt: skip
    shape = (*table.sizes, table.channels)
    try:
        full = [np.broadcast_to(n, shape) for n in numbers]
    except ValueError:
        raise Refusal(f"its parameters do not fit a tensor of the shape {shape}") from None
    for axis in range(len(table.axes)):
        if any(not np.array_equal(f, np.broadcast_to(f.take([0], axis), f.shape)) for f in full):
            table = table.dissolved(axis)

    def scaled(key: Key) -> MapRef | None:
        ref = table.maps[key]
        place = tuple(0 if c == INTERIOR else c for c in key)
        mine = [np.ascontiguousarray(f[place], np.float32) for f in full]
        if ref is None and keeps_zero(*mine):
            return None
        told = (same, *(numbers.tobytes() for numbers in mine))
        return emitter.emit(make(*mine), (ref or emitter.zeros(table.channels),), table.channels, told)

    return FeatureMaps(table.axes, table.channels, maps_of(table.axes, scaled, table.everywhere))


@rewrite.register(Activation)
def _activation(op: Activation, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    if op.name not in AXIS_ACTIVATIONS:
        if op.name == "linear":
            return value
        return _elementwise(op, value, emitter)
    axis = normal_axis(int(op.params.get("axis", -1) or 0), value)
    table = joined(value, emitter) if isinstance(value, Vector) else value
    if axis != last_axis(value):
        if op.name == "glu":
            raise Refusal(
                f"its glu halves axis {axis}, a spatial axis of the patch", "Apply it along the channels (axis=-1)."
            )
        return _per_patch(replace(op, params={**op.params, "axis": axis}), table, emitter)
    channels = table.channels // 2 if op.name == "glu" else table.channels
    along = Activation(op.name, {**op.params, "axis": -1})
    result = _each(along, table, channels, emitter, id(op))
    return as_vector(result) if isinstance(value, Vector) else result


def _elementwise(op: Activation, value: Value, emitter: NetworkBuilder) -> Value:
    if isinstance(value, Vector):
        return Vector(tuple(FlattenedMaps(_elementwise_table(op, b.table, emitter), b.order) for b in value.blocks))
    return _elementwise_table(op, value, emitter)


def _elementwise_table(op: Activation, table: FeatureMaps, emitter: NetworkBuilder) -> FeatureMaps:
    plain_relu = op.name == "relu" and not op.params.get("threshold")
    if plain_relu or op.name in _KEEP_ZERO:
        return table.mapped(lambda ref: ref and emitter.emit(op, (ref,), table.channels, id(op)))
    return _each(op, table, table.channels, emitter, id(op))


@rewrite.register(LayerNorm)
def _layer_norm(op: LayerNorm, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    axes = {normal_axis(axis, value) for axis in op.axes}
    table = joined(value, emitter) if isinstance(value, Vector) else value
    over_positions = not isinstance(value, Vector) and (
        last_axis(value) not in axes or any(a != last_axis(value) and table.sizes[a - 1] > 1 for a in axes)
    )
    if over_positions:
        return _per_patch(op, table, emitter)
    gamma, beta = (np.ascontiguousarray(a, np.float32).reshape(-1) for a in (op.gamma, op.beta))
    result = _each(ChannelNorm(gamma, beta, op.epsilon), table, table.channels, emitter, id(op))
    return as_vector(result) if isinstance(value, Vector) else result


@rewrite.register(GroupNorm)
def _group_norm(op: GroupNorm, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    if isinstance(value, Vector):
        return as_vector(_per_patch(op, joined(value, emitter), emitter))
    return _per_patch(op, value, emitter)


def _each(op: DenseOp, table: FeatureMaps, channels: int, emitter: NetworkBuilder, same: int) -> FeatureMaps:
    """Apply an operation to every map, zeros included."""
    return table.mapped(
        lambda ref: emitter.emit(op, (ref or emitter.zeros(table.channels),), channels, (same, "each")), channels
    )


def _per_patch(op: LayerNorm | GroupNorm | Activation, table: FeatureMaps, emitter: NetworkBuilder) -> FeatureMaps:
    """Apply an operation that mixes positions to all of them side by side, and take them apart again."""
    ref = joined(as_vector(table), emitter).at((0,) * len(table.axes))
    assert ref is not None, "joined() leaves no zeros"
    whole = emitter.emit(PerPatch(op, table.sizes), (ref,), table.positions * table.channels)
    for axis in range(len(table.axes)):
        table = table.dissolved(axis)
    numbers = {position: number for number, position in enumerate(table.all_positions())}

    def taken(key: Key) -> MapRef | None:
        part = Channels(numbers[key] * table.channels, (numbers[key] + 1) * table.channels)
        return emitter.emit(part, (whole,), table.channels, part)

    return FeatureMaps(table.axes, table.channels, maps_of(table.axes, taken, table.everywhere))
