"""A tensor of the patch network as dense maps: one for the interior, one for each edge variant.

With several spatial axes a tensor is a table of maps, keyed by the class of each axis (see
:mod:`napari_fcnseg.graph.geometry`): for two axes the interior, the variants of the rows, those of the columns, and the
corners. A network without padding has tables of one map.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.conversion.dense_network import IMAGE
from napari_fcnseg.graph.geometry import INTERIOR, Axis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Class per axis.
Key: TypeAlias = tuple[int, ...]
#: Per axis, for each class of another tensor, the class and entry that correspond to it.
Positions: TypeAlias = "list[Mapping[int, tuple[int, int]]]"


@dataclass(frozen=True)
class MapRef:
    """A map: for origin ``o`` its value is entry ``o + offset`` of a step's result, per axis."""

    step: int
    offset: tuple[int, ...]

    def shifted(self, by: Sequence[int]) -> MapRef:
        """Return the map whose first entry is entry ``by`` of this one."""
        return replace(self, offset=tuple(o + b for o, b in zip(self.offset, by, strict=True)))


class Everywhere(Mapping[Key, MapRef | None]):
    """The same map for every class: what a walk that only asks for shapes has."""

    def __init__(self, axes: Sequence[Axis], ref: MapRef) -> None:
        self._axes = tuple(axes)
        self.ref = ref

    def __getitem__(self, key: Key) -> MapRef:
        return self.ref

    def __iter__(self) -> Iterator[Key]:
        return itertools.product(*(axis.classes for axis in self._axes))

    def __len__(self) -> int:
        return math.prod(len(axis.classes) for axis in self._axes)


def maps_of(
    axes: Sequence[Axis], make: Callable[[Key], MapRef | None], everywhere: MapRef | None
) -> Mapping[Key, MapRef | None]:
    """Make the map of every class; or take one for all, where only shapes are asked for."""
    if everywhere is not None:
        return Everywhere(axes, everywhere)
    return {key: make(key) for key in itertools.product(*(axis.classes for axis in axes))}


@dataclass(frozen=True)
class FeatureMaps:
    """A tensor of the patch network with its axes.

    Attributes
    ----------
    axes : tuple of Axis
        Its spatial axes.
    channels : int
        Its channels.
    maps : mapping of Key to MapRef or None
        The dense map of every class; None where all values are zero.
    """

    axes: tuple[Axis, ...]
    channels: int
    maps: Mapping[Key, MapRef | None]

    @classmethod
    def of_image(cls, input_shape: tuple[int, ...], only_shapes: bool = False) -> FeatureMaps:
        """Return the network's input, ``(*spatial, channel)``."""
        axes = tuple(Axis.of_patch(n) for n in input_shape[:-1])
        ref = MapRef(IMAGE, (0,) * len(axes))
        return cls(axes, input_shape[-1], maps_of(axes, lambda _: ref, ref if only_shapes else None))

    @classmethod
    def of_one(cls, axes: int, channels: int, ref: MapRef | None) -> FeatureMaps:
        """Return a tensor of one position."""
        return cls((Axis.of_patch(1),) * axes, channels, {(INTERIOR,) * axes: ref})

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of positions per axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def steps(self) -> tuple[int, ...]:
        """Cumulative stride per axis."""
        return tuple(axis.step for axis in self.axes)

    @property
    def positions(self) -> int:
        """Number of positions over all axes."""
        return math.prod(self.sizes)

    def ref(self, place: Sequence[tuple[int, int]]) -> MapRef | None:
        """Return the map of a class, starting at an entry: ``(class, entry)`` per axis."""
        found = self.maps[tuple(c for c, _ in place)]
        return found.shifted([entry for _, entry in place]) if found is not None else None

    def at(self, position: Sequence[int]) -> MapRef | None:
        """Return the map of one position, interior or not."""
        return self.ref([axis.place(i) for axis, i in zip(self.axes, position, strict=True)])

    def all_positions(self) -> Iterator[tuple[int, ...]]:
        """Yield every position, the last axis varying fastest."""
        return itertools.product(*map(range, self.sizes))

    def mapped(self, function: Callable[[MapRef | None], MapRef | None], channels: int | None = None) -> FeatureMaps:
        """Return the table with a function applied to every map."""
        width = self.channels if channels is None else channels
        if isinstance(self.maps, Everywhere):
            return replace(self, channels=width)
        return FeatureMaps(self.axes, width, {key: function(ref) for key, ref in self.maps.items()})

    def reindexed(self, axis: int, result: Axis, places: Mapping[int, tuple[int, int] | None]) -> FeatureMaps:
        """Return the table with one axis replaced.

        Parameters
        ----------
        axis : int
            The axis.
        result : Axis
            What it becomes.
        places : mapping
            For every class of ``result`` the class and entry it is taken from, or None for zeros.
        """
        axes = (*self.axes[:axis], result, *self.axes[axis + 1 :])

        def moved(key: Key) -> MapRef | None:
            place = places[key[axis]]
            if place is None:
                return None
            source = [(c, 0) for c in key]
            source[axis] = place
            return self.ref(source)

        return FeatureMaps(axes, self.channels, maps_of(axes, moved, self.everywhere))

    @property
    def everywhere(self) -> MapRef | None:
        """The map that stands for all, where only shapes are asked for."""
        return self.maps.ref if isinstance(self.maps, Everywhere) else None

    def selected(self, axis: int, olds: Sequence[int | None]) -> FeatureMaps:
        """Return the table whose position ``j`` along an axis is position ``olds[j]`` of this one, None for zeros.

        The longest stretch of neighbours that are interior stays interior.
        """
        old = self.axes[axis]
        inside = [o is not None and old.lo <= o < old.hi for o in olds]
        best, start = (0, 0), 0
        for j in range(len(olds)):
            follows = j > 0 and inside[j] and inside[j - 1] and (olds[j] or 0) == (olds[j - 1] or 0) + 1
            if inside[j] and not follows:
                start = j
            if inside[j] and j + 1 - start > best[1] - best[0]:
                best = (start, j + 1)
        new = Axis(len(olds), *best, old.step)
        places: dict[int, tuple[int, int] | None] = {}
        for c in new.classes:
            source = olds[new.lo if c == INTERIOR else c]
            places[c] = None if source is None else old.place(source)
        return self.reindexed(axis, new, places)

    def dissolved(self, axis: int) -> FeatureMaps:
        """Return the table with every position of an axis as a map of its own."""
        old = self.axes[axis]
        return self.reindexed(axis, Axis.of_variants(old.size), {i: old.place(i) for i in range(old.size)})


@dataclass(frozen=True)
class FlattenedMaps:
    """A tensor that was flattened: its axes, channels last, in the order in which it was, the slowest first."""

    table: FeatureMaps
    order: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many numbers it is."""
        return self.table.positions * self.table.channels

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor with its axes in that order."""
        full = (*self.table.sizes, self.table.channels)
        return tuple(full[axis] for axis in self.order)

    @property
    def back(self) -> tuple[int, ...]:
        """The permutation that brings the axes back to channels last."""
        return tuple(self.order.index(axis) for axis in range(len(self.order)))


@dataclass(frozen=True)
class Vector:
    """What the patch network sees as one vector: flattened tensors, one after the other.

    They keep their axes: what follows still knows which number came from where.
    """

    blocks: tuple[FlattenedMaps, ...]

    @property
    def length(self) -> int:
        """How many numbers it is."""
        return sum(block.length for block in self.blocks)


Value: TypeAlias = FeatureMaps | Vector


def aligned(tables: Sequence[FeatureMaps], skip: int | None = None) -> tuple[tuple[Axis, ...], list[Positions]]:
    """Bring tensors that are joined position by position to common axes.

    A position is interior where it is in all of them on the same lattice. An axis of length 1 is repeated.

    Parameters
    ----------
    tables : sequence of FeatureMaps
        The tensors.
    skip : int, optional
        An axis that is left to the caller.

    Returns
    -------
    axes : tuple of Axis
        Of the result.
    places : list of Positions
        Per tensor and axis, for each class of the result the class and entry it reads.

    Raises
    ------
    ValueError
        If the sizes do not fit.
    """
    axes: list[Axis] = []
    places: list[Positions] = [[] for _ in tables]
    for number in range(len(tables[0].axes)):
        mine = [table.axes[number] for table in tables]
        common = Axis.of_variants(1) if number == skip else _common(mine)
        axes.append(common)
        for axis, place in zip(mine, places, strict=True):
            place.append({c: _place(axis, common.lo if c == INTERIOR else c) for c in common.classes})
    return tuple(axes), places


def _place(axis: Axis, position: int) -> tuple[int, int]:
    return axis.place(position if axis.size > 1 else 0)


def _common(axes: Sequence[Axis]) -> Axis:
    size = max(axis.size for axis in axes)
    if any(axis.size not in (1, size) for axis in axes):
        raise ValueError(f"their lengths {', '.join(str(axis.size) for axis in axes)} differ")
    lo, hi = max(axis.lo for axis in axes), min(axis.hi for axis in axes)
    repeated = any(axis.size != size for axis in axes)
    steps = {axis.step for axis in axes}
    if hi <= lo or repeated or (len(steps) > 1 and hi - lo > 1):
        return Axis.of_variants(size)
    return Axis(size, lo, hi, max(steps))
