"""Rules for the operations that join branches."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.conversion.dense_network import DenseMerge, Join
from napari_fcnseg.conversion.feature_maps import (
    FeatureMaps,
    FlattenedMaps,
    Key,
    MapRef,
    Value,
    Vector,
    aligned,
    maps_of,
)
from napari_fcnseg.conversion.rules.dispatch import Refusal, last_axis, normal_axis, rewrite
from napari_fcnseg.conversion.rules.positions import as_vector, joined
from napari_fcnseg.graph.geometry import Axis
from napari_fcnseg.graph.ops import Channels, Merge, ReduceGroups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_fcnseg.conversion.feature_maps import Positions
    from napari_fcnseg.conversion.network_builder import NetworkBuilder

    _Join: TypeAlias = Callable[[list[MapRef | None]], MapRef | None]


@rewrite.register(Merge)
def _merge(op: Merge, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    vectors = [value for value in values if isinstance(value, Vector)]
    tables = [value for value in values if isinstance(value, FeatureMaps)]
    if vectors and tables:
        raise Refusal("it joins a flattened input with one that is not")
    if not vectors:
        return _merge_tables(op, tables, emitter)
    if op.kind == "concatenate":
        return Vector(tuple(block for vector in vectors for block in vector.blocks))
    if len({_structure(vector) for vector in vectors}) == 1:
        blocks = zip(*(vector.blocks for vector in vectors), strict=True)
        return Vector(
            tuple(FlattenedMaps(_merge_tables(op, [b.table for b in bs], emitter), bs[0].order) for bs in blocks)
        )
    return as_vector(_merge_tables(op, [joined(vector, emitter) for vector in vectors], emitter))


@rewrite.register(ReduceGroups)
def _reduce_groups(op: ReduceGroups, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    (value,) = values
    table = joined(value, emitter) if isinstance(value, Vector) else value
    width, merge = table.channels // op.groups, DenseMerge(op.kind)
    if width * op.groups != table.channels:
        raise Refusal(f"its {op.groups} groups do not divide {table.channels} channels")

    def reduced(ref: MapRef | None) -> MapRef | None:
        if ref is None or op.groups == 1:
            return ref
        cuts = [Channels(n * width, (n + 1) * width) for n in range(op.groups)]
        return emitter.emit(merge, [emitter.emit(cut, (ref,), width, same=cut) for cut in cuts], width, same=merge)

    result = table.mapped(reduced, width)
    return as_vector(result) if isinstance(value, Vector) else result


def _structure(vector: Vector) -> tuple[object, ...]:
    return tuple((block.table.sizes, block.table.channels, block.order) for block in vector.blocks)


def _merge_tables(op: Merge, tables: Sequence[FeatureMaps], emitter: NetworkBuilder) -> FeatureMaps:
    if op.kind == "concatenate":
        axis = normal_axis(op.axis, tables[0])
        return (_side_by_side if axis == last_axis(tables[0]) else _one_after_another)(tables, axis - 1, emitter)
    channels = max(table.channels for table in tables)
    if any(table.channels not in (1, channels) for table in tables):
        raise Refusal(f"the inputs it joins have {' and '.join(str(t.channels) for t in tables)} channels")
    merge = DenseMerge(op.kind)
    axes, found = _aligned(tables)

    def join(refs: list[MapRef | None]) -> MapRef | None:
        if not any(refs):
            return None
        if op.kind == "add" and all(table.channels == channels for table in tables):
            refs = [ref for ref in refs if ref]  # zeros add nothing
            if len(refs) == 1:
                return refs[0]
        full = [ref or emitter.zeros(table.channels) for ref, table in itertools.zip_longest(refs, tables[: len(refs)])]
        return emitter.emit(merge, full, channels, same=merge)

    return FeatureMaps(axes, channels, found(join))


def _side_by_side(tables: Sequence[FeatureMaps], _: int, emitter: NetworkBuilder) -> FeatureMaps:
    """Concatenate along the channels."""
    channels = sum(table.channels for table in tables)
    axes, found = _aligned(tables)

    def join(refs: list[MapRef | None]) -> MapRef | None:
        full = [ref or emitter.zeros(table.channels) for ref, table in zip(refs, tables, strict=True)]
        return emitter.emit(Join(), full, channels, same=Join()) if any(refs) else None

    return FeatureMaps(axes, channels, found(join))


def _one_after_another(tables: Sequence[FeatureMaps], axis: int, emitter: NetworkBuilder) -> FeatureMaps:
    """Concatenate along a spatial axis: all its positions become variants."""
    if len({table.channels for table in tables}) > 1:
        raise Refusal(f"the inputs it joins have {' and '.join(str(t.channels) for t in tables)} channels")
    owners = [(table, i) for table in tables for i in range(table.axes[axis].size)]
    axes, places = _common(tables, skip=axis)
    numbers = {id(table): n for n, table in enumerate(tables)}
    axes = (*axes[:axis], Axis.of_variants(len(owners)), *axes[axis + 1 :])

    def taken(key: Key) -> MapRef | None:
        table, position = owners[key[axis]]
        mine = places[numbers[id(table)]]
        return table.ref([table.axes[axis].place(position) if a == axis else mine[a][c] for a, c in enumerate(key)])

    return FeatureMaps(axes, tables[0].channels, maps_of(axes, taken, tables[0].everywhere))


def _aligned(tables: Sequence[FeatureMaps]) -> tuple[tuple[Axis, ...], Callable[[_Join], Mapping[Key, MapRef | None]]]:
    """Return the common axes, and what makes the maps of a result with a function of the maps of all tables."""
    axes, places = _common(tables)

    def made(join: _Join) -> Mapping[Key, MapRef | None]:
        def joined_at(key: Key) -> MapRef | None:
            pairs = zip(tables, places, strict=True)
            return join([table.ref([mine[a][c] for a, c in enumerate(key)]) for table, mine in pairs])

        return maps_of(axes, joined_at, tables[0].everywhere)

    return axes, made


def _common(tables: Sequence[FeatureMaps], skip: int | None = None) -> tuple[tuple[Axis, ...], list[Positions]]:
    try:
        return aligned(tables, skip)
    except ValueError as error:
        raise Refusal(f"the inputs it joins do not fit together: {error}") from None
