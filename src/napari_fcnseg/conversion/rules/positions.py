"""Operations that move, cut or surround positions, and those between maps and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.conversion.dense_network import Join
from napari_fcnseg.conversion.feature_maps import FeatureMaps, FlattenedMaps, Key, MapRef, Value, Vector, maps_of
from napari_fcnseg.conversion.network_builder import TooLargeError
from napari_fcnseg.conversion.rules.dispatch import Refusal, as_map, rewrite
from napari_fcnseg.graph.geometry import Axis
from napari_fcnseg.graph.ops import (
    AxisToChannels,
    Channels,
    Crop,
    Expand,
    Flatten,
    Identity,
    Pick,
    Take,
    UpSample,
    ZeroPad,
)

if TYPE_CHECKING:
    from napari_fcnseg.conversion.network_builder import NetworkBuilder

#: Numbers per pixel that are brought side by side at most.
_MAX_JOINED = 2**16


@rewrite.register(Identity)
def _identity(op: Identity, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    return values[0]


@rewrite.register(Flatten)
def _flatten(op: Flatten, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    if isinstance(value, Vector):
        return value
    natural = tuple(range(len(value.axes) + 1))
    order = natural if op.order is None else op.order
    if tuple(sorted(order)) != natural:
        raise Refusal(f"it flattens the axes {order} of a tensor with {len(natural)}")
    return Vector((FlattenedMaps(value, order),))


@rewrite.register(Expand)
def _expand(op: Expand, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    return joined(value, emitter) if isinstance(value, Vector) else value


@rewrite.register(Channels)
def _channels(op: Channels, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    if isinstance(value, Vector):
        return as_vector(_sliced(joined(value, emitter), op, emitter))
    return _sliced(value, op, emitter)


def _sliced(table: FeatureMaps, op: Channels, emitter: NetworkBuilder) -> FeatureMaps:
    if not 0 <= op.start < op.stop <= table.channels:
        raise Refusal(f"it takes the channels {op.start} to {op.stop} of {table.channels}")
    width = op.stop - op.start

    def slice_(ref: MapRef | None) -> MapRef | None:
        return ref and emitter.emit(op, (ref,), width, same=op)

    return table.mapped(slice_, width)


@rewrite.register(Take)
def _take(op: Take, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    if isinstance(value, Vector):
        return as_vector(_taken(joined(value, emitter), op, emitter))
    return _taken(value, op, emitter)


def _taken(table: FeatureMaps, op: Take, emitter: NetworkBuilder) -> FeatureMaps:
    if not all(0 <= n < table.channels for n in op.order):
        raise Refusal(f"it takes channels that are none of the {table.channels} there are")
    join = Join(op.order)
    return table.mapped(lambda ref: ref and emitter.emit(join, (ref,), len(op.order), same=join), len(op.order))


@rewrite.register(Pick)
def _pick(op: Pick, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "taking positions")
    for axis, places in enumerate(op.places):
        if places is not None:
            if not all(0 <= n < table.axes[axis].size for n in places):
                raise Refusal(f"it takes positions that are none of the {table.axes[axis].size} there are")
            table = table.selected(axis, places)
    return table


@rewrite.register(AxisToChannels)
def _axis_to_channels(op: AxisToChannels, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "a reshape")
    axis, size = op.axis, table.axes[op.axis].size
    channels = size * table.channels
    if channels > _MAX_JOINED and not emitter.dry:
        raise TooLargeError
    axes = (*table.axes[:axis], Axis.of_patch(1), *table.axes[axis + 1 :])

    def beside(key: Key) -> MapRef | None:
        refs = []
        for position in range(size):
            place = [(c, 0) for c in key]
            place[axis] = table.axes[axis].place(position)
            refs.append(table.ref(place))
        if not any(refs):
            return None
        return emitter.emit(Join(), [ref or emitter.zeros(table.channels) for ref in refs], channels, same=Join())

    return FeatureMaps(axes, channels, maps_of(axes, beside, table.everywhere))


@rewrite.register(ZeroPad)
def _zero_pad(op: ZeroPad, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "zero padding")
    for axis, (before, after) in enumerate(op.width):
        table = table.selected(axis, [None] * before + list(range(table.axes[axis].size)) + [None] * after)
    return table


@rewrite.register(Crop)
def _crop(op: Crop, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "cropping")
    for axis, (before, after) in enumerate(op.width):
        size = table.axes[axis].size
        if before + after >= size:
            raise Refusal(f"it cuts {before + after} of {size} positions")
        table = table.selected(axis, range(before, size - after))
    return table


@rewrite.register(UpSample)
def _up_sample(op: UpSample, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    table = as_map(values, "up-sampling")
    for axis, times in enumerate(op.size):
        if times > 1:
            table = table.selected(axis, [i // times for i in range(table.axes[axis].size * times)])
    return table


def as_vector(table: FeatureMaps) -> Vector:
    """Return a table as a vector flattened with its channels last."""
    return Vector((FlattenedMaps(table, tuple(range(len(table.axes) + 1))),))


def joined(vector: Vector, emitter: NetworkBuilder) -> FeatureMaps:
    """Bring all numbers of a vector side by side, in its order, as the channels of one position."""
    tables = [block.table for block in vector.blocks]
    if len(tables) == 1 and tables[0].positions == 1:
        table = tables[0]
        return FeatureMaps.of_one(len(table.axes), table.channels, table.at((0,) * len(table.axes)))
    if emitter.dry:
        return FeatureMaps.of_one(emitter.axes, vector.length, emitter.zeros(vector.length))
    if vector.length > _MAX_JOINED:
        raise TooLargeError
    refs: list[MapRef] = []
    order: list[int] = []
    for block in vector.blocks:
        table = block.table
        numbers = np.arange(block.length).reshape((*table.sizes, table.channels)) + len(order)
        order += numbers.transpose(block.order).reshape(-1).tolist()
        refs += [table.at(position) or emitter.zeros(table.channels) for position in table.all_positions()]
    plain = order == list(range(len(order)))
    join = Join(None if plain else tuple(order))
    return FeatureMaps.of_one(emitter.axes, vector.length, emitter.emit(join, refs, vector.length, same=join))
