"""Functions of ours that are computed together, since they have much in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine.onnx_graph.builder import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.conversion.dense_network import StepInput

    Array = npt.NDArray[Any]
    #: Of maps by their steps, each with how many rows lie above those that a step speaks of; of the rows and columns of
    #: each result; and of the rows that are to come first in each.
    Compute = Callable[[dict[int, tuple[Array, int]], Sequence[tuple[int, int]], Sequence[Array | None]], list[Array]]


@dataclass(frozen=True, eq=False)
class Member:
    """One of several functions; it stands where a function of its own would.

    Attributes
    ----------
    compute : callable
        Computes all of them.
    inputs : tuple of StepInput
        What this one reads.
    reach : tuple of int
        By how much its result is shorter than the first of these, along each axis.
    """

    compute: Compute
    inputs: tuple[StepInput, ...]
    reach: tuple[int, ...]

    def __call__(self, *maps: Array, above: Array | None = None) -> Array:
        """Not to be called: all are computed at once (:class:`Together`)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Together:
    """The calls of functions that are computed together."""

    calls: tuple[Call, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of what they read."""
        names = [name for call in self.calls for name, _ in call.reads]
        return tuple(dict.fromkeys([*names, *(call.above for call in self.calls if call.above is not None)]))

    def __call__(self, arrays: dict[str, Array]) -> None:
        """Add the results to arrays."""
        members = [call.function for call in self.calls]
        maps: dict[int, tuple[Array, int]] = {}
        shapes, above = [], []
        for call, member in zip(self.calls, members, strict=True):
            assert isinstance(member, Member)
            for (name, cut), source in zip(call.reads, member.inputs, strict=True):
                maps[source.step] = arrays[name], (0 if cut is None else cut.before[0]) - source.before[0]
            name, cut = call.reads[0]
            _, *spatial, _ = (arrays[name] if cut is None else arrays[name][cut.index]).shape
            shapes.append(tuple(n - reach for n, reach in zip(spatial, member.reach, strict=True)))
            above.append(None if call.above is None else arrays[call.above])
        first = members[0]
        assert isinstance(first, Member)
        results = first.compute(maps, shapes, above)
        arrays.update(zip((call.result for call in self.calls), results, strict=True))


def put_together(parts: Sequence[Any]) -> list[Any]:
    """Return parts of a program with the calls of members as one where the first of them was."""
    groups: dict[int, list[Call]] = {}
    for part in parts:
        if isinstance(part, Call) and isinstance(part.function, Member):
            groups.setdefault(id(part.function.compute), []).append(part)
    found: list[Any] = []
    for part in parts:
        if not (isinstance(part, Call) and isinstance(part.function, Member)):
            found.append(part)
        elif (calls := groups[id(part.function.compute)])[0] is part:
            found.append(Together(tuple(calls)))
    return found
