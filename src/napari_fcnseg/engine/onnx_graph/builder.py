"""Puts an ONNX graph together, an operation at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.engine.onnx_graph.model_bytes import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.engine.onnx_graph.model_bytes import Attribute

    Ints = tuple[int, ...]
    #: Of maps, and ``above=`` of rows that come first in the result.
    Function = Callable[..., npt.NDArray[np.float32]]

_END = 2**62  # of an axis, however long it is


@dataclass(frozen=True)
class Cut:
    """Entries cut off either end of each spatial axis, and every so-manieth kept of the others."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def index(self) -> tuple[slice, ...]:
        """The same as an index of an array ``(1, *spatial, channel)``."""
        spatial = zip(self.before, self.after, self.stride, strict=True)
        return (slice(None), *(slice(b or None, -a if a else None, s) for b, a, s in spatial))


@dataclass(frozen=True)
class Tensor:
    """A map ``(1, *spatial, channel)`` in a graph.

    Attributes
    ----------
    name : str
        Of the tensor.
    axes : int
        How many spatial axes it has.
    channels : int
        Length of the last axis.
    cut : Cut or None
        The part of it that is meant. It is cut out where a node reads it; a function is given a view.
    """

    name: str
    axes: int
    channels: int
    cut: Cut | None = None


@dataclass(frozen=True)
class Call:
    """A function of ours between two graphs: maps that it reads, the part of each, its result, and rows above it."""

    function: Function
    reads: tuple[tuple[str, Cut | None], ...]
    result: str
    above: str | None = None


class Builder:
    """Collects the operations of a graph.

    Attributes
    ----------
    parts : list of Node or Call
        In the order in which they were added.
    constants : dict of str to ndarray
        By name.
    maps : dict of str to Tensor
        The maps among the tensors, whole, by name.
    """

    def __init__(self) -> None:
        self.parts: list[Node | Call] = []
        self.constants: dict[str, np.ndarray] = {}
        self.maps: dict[str, Tensor] = {}
        self._count = 0
        self._arrays: dict[int, tuple[np.ndarray, str]] = {}  # by identity: edge variants share their weights
        self._whole: dict[Tensor, str] = {}

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def map(self, name: str, axes: int, channels: int) -> Tensor:
        """Return a tensor as a map."""
        tensor = Tensor(name, axes, channels)
        self.maps[name] = tensor
        return tensor

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of a constant."""
        if isinstance(value, np.ndarray) and id(value) in self._arrays:
            return self._arrays[id(value)][1]
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        if isinstance(value, np.ndarray):
            self._arrays[id(value)] = value, name
        return name

    def add(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one result and return that one's name."""
        return self.add_several(kind, 1, *inputs, **attributes)[0]

    def add_several(self, kind: str, results: int, *inputs: str, **attributes: Attribute) -> tuple[str, ...]:
        """Add an operation with several results and return their names."""
        names = tuple(self._name() for _ in range(results))
        self.parts.append(Node(kind, inputs, names, attributes))
        return names

    def call(self, function: Function, xs: Sequence[Tensor], channels: int) -> Tensor:
        """Add a function of ours and return the map that it gives."""
        name = self._name()
        self.parts.append(Call(function, tuple((x.name, x.cut) for x in xs), name))
        return self.map(name, xs[0].axes, channels)

    def below(self, above: Tensor, rows: Tensor, fresh: bool) -> Tensor:
        """Return rows put below others: where they are ``fresh`` by the function of ours that has just given them."""
        top = self.whole(above)
        last = self.parts[-1] if self.parts else None
        if fresh and isinstance(last, Call) and last.result == rows.name:
            self.parts[-1] = replace(last, above=top)
            return rows
        return self.map(self.add("Concat", top, self.whole(rows), axis=1), rows.axes, rows.channels)

    def whole(self, x: Tensor) -> str:
        """Return the name of what is meant by a map, cut out if need be."""
        if x.cut is None:
            return x.name
        if x not in self._whole:
            after = [-a if a else None for a in x.cut.after]
            part = self.sliced(x.name, x.cut.before, after, range(1, x.axes + 1), x.cut.stride)
            self._whole[x] = self.map(part, x.axes, x.channels).name
        return self._whole[x]

    def sliced(
        self, x: str, starts: Sequence[int], ends: Sequence[int | None], axes: Sequence[int], steps: Sequence[int]
    ) -> str:
        """Return a part of a tensor; an end that is None is that of the axis."""
        last = [_END if end is None else end for end in ends]
        numbers = [self.constant(list(part), np.int64) for part in (starts, last, axes, steps)]
        return self.add("Slice", x, *numbers)
