"""The trained numbers of a patch network as one vector, and where each array of its dense form takes them from.

Every rule of the conversion only moves weights: a dense layer's kernel becomes a convolution's, a window at the edge of
the patch loses taps. So the network is converted with the numbers' places in the vector in the place of the numbers,
and what comes out says where each number of the dense form comes from. A gradient of the dense form then goes back the
same way: what several arrays took from one place is added up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.converter import convert_network
from napari_fcnseg.graph import ops as graph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.network import Network

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

#: A place is a whole number from here on, what is less was there before; float32 holds whole numbers below `_LAST`.
_FIRST, _LAST = 16, 2**24
_LITERAL: Final = -1
_AGAIN: Final = re.compile(r" \(\d+\)$")
#: What training changes, by operation; every other array stays as it is.
_TRAINED: Final[dict[type, tuple[str, ...]]] = {
    graph.Conv: ("kernel", "bias"),
    graph.DepthwiseConv: ("kernel", "bias"),
    graph.ConvTranspose: ("kernel", "bias"),
    graph.Dense: ("kernel", "bias"),
    graph.LayerNorm: ("gamma", "beta"),
    graph.GroupNorm: ("gamma", "beta"),
    graph.PReLU: ("alpha",),
    graph.BatchNorm: ("gamma", "beta"),
}


@dataclass(frozen=True, eq=False)
class TrainedNumbers:
    """A patch network's numbers in one vector.

    A normalisation is in inference mode: its mean and variance stay. Of its trained numbers the dense form has the
    scale ``gamma / sqrt(variance + epsilon)`` and the offset ``beta - mean * scale``; all others it has as they are.

    Attributes
    ----------
    network : Network
        The patch network.
    values : ndarray of float32, shape (n,)
        All its numbers, trained or not.
    trained : ndarray of bool, shape (n,)
        Which of them training changes.
    norms : tuple of ndarray, each of shape (m,)
        Of all normalisations together: where each ``gamma`` is, where its ``beta`` is, ``1 / sqrt(variance +
        epsilon)``, and the mean.
    dense : DenseNetwork
        The dense form, nothing folded.
    places : tuple of ndarray of int64
        For each array of :func:`arrays_of` the dense form's steps, in their order, where its numbers are taken from;
        -1 for a number that the conversion put there.
    """

    network: Network
    values: Floats
    trained: npt.NDArray[np.bool_]
    norms: tuple[npt.NDArray[Any], ...]
    dense: DenseNetwork
    places: tuple[Places, ...]

    @classmethod
    def of(cls, network: Network) -> TrainedNumbers | None:
        """Return the numbers of a network; None where it has no dense form that only moves them."""
        starts, values, trained = _vector(network)
        norms = _norms(network, starts)
        if len(values) >= _LAST - _FIRST:
            return None

        def converted(numbers: npt.NDArray[Any]) -> DenseNetwork:
            return convert_network(_with(network, starts, numbers.astype(np.float32), plain=True), folded=False)

        other = np.random.default_rng(0).standard_normal(len(values)).astype(np.float32)
        placed, drawn = converted(np.arange(len(values)) + _FIRST), converted(other)
        literals, proof = ([a for step in dense.steps for a in arrays_of(step.op)] for dense in (placed, drawn))
        if not placed.steps or [a.shape for a in literals] != [a.shape for a in proof]:
            return None
        places = tuple(map(_places, literals))
        for place, literal, array in zip(places, literals, proof, strict=True):
            if place.max(initial=0) >= len(values) or not np.array_equal(_taken(other, place, literal), array):
                return None
        known = iter(
            _taken(_used(values, norms), place, literal) for place, literal in zip(places, literals, strict=True)
        )
        steps = tuple(replace(step, op=with_arrays(step.op, known)) for step in placed.steps)
        return cls(network, values, trained, norms, replace(placed, steps=steps), places)

    def arrays(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield where each array of the patch network begins in the vector, and the array; a shared layer's once."""
        starts, _, _ = _vector(self.network)
        seen: set[int] = set()
        for op in (op for node in self.network.nodes for op in node.ops):
            for name, array in _arrays(op):
                if starts[id(op), name] not in seen:
                    seen.add(starts[id(op), name])
                    yield starts[id(op), name], array

    def dense_arrays(self, values: Floats) -> list[Floats]:
        """Return the arrays of the dense form's steps, in their order, with other numbers."""
        used = _used(values, self.norms)
        arrays = (array for step in self.dense.steps for array in arrays_of(step.op))
        return [_taken(used, place, array) for place, array in zip(self.places, arrays, strict=True)]

    def back(self, gradients: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
        """Return the gradient by the trained numbers, from that by each of these arrays; 0 for the others."""
        gamma, beta, factor, mean = self.norms
        place, flat = (np.concatenate([a.ravel() for a in arrays]) for arrays in (self.places, gradients))
        known = place >= 0
        found = np.bincount(place[known], weights=flat[known], minlength=len(self.values))
        found[gamma] = factor * (found[gamma] - mean * found[beta])
        return np.where(self.trained, found, 0)

    def network_with(self, values: Floats) -> Network:
        """Return the patch network with other numbers."""
        starts, _, _ = _vector(self.network)
        return _with(self.network, starts, values, plain=False)


def arrays_of(op: object) -> Iterator[npt.NDArray[Any]]:
    """Yield the arrays of an operation of a dense network, those of an operation within it among them."""
    for value in _values(op):
        if isinstance(value, np.ndarray):
            yield value
        elif is_dataclass(value):
            yield from arrays_of(value)
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, np.ndarray))


def with_arrays(op: Any, arrays: Iterator[npt.NDArray[Any]]) -> Any:
    """Return an operation with other arrays, in the order of :func:`arrays_of`."""
    changed: dict[str, Any] = {}
    for field in fields(op):
        value = getattr(op, field.name)
        if isinstance(value, np.ndarray):
            changed[field.name] = next(arrays)
        elif is_dataclass(value):
            changed[field.name] = with_arrays(value, arrays)
        elif isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
            changed[field.name] = tuple(next(arrays) if isinstance(item, np.ndarray) else item for item in value)
    return replace(op, **changed) if changed else op


def _values(op: object) -> Iterator[object]:
    if is_dataclass(op):
        yield from (getattr(op, field.name) for field in fields(op))


def _places(array: npt.NDArray[Any]) -> Places:
    """Return where numbers are from."""
    known = (array >= _FIRST) & (array == np.rint(array))
    return np.where(known, np.rint(array).astype(np.int64) - _FIRST, _LITERAL)


def _taken(values: Floats, place: Places, literal: npt.NDArray[Any]) -> Floats:
    return np.where(place >= 0, values[np.maximum(place, 0)], literal).astype(np.float32)


def _vector(network: Network) -> tuple[dict[tuple[int, str], int], Floats, npt.NDArray[np.bool_]]:
    """Return where each array begins, all numbers, and which are trained; a shared layer's count once."""
    starts: dict[tuple[int, str], int] = {}
    values, trained = [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    seen: dict[tuple[object, ...], int] = {}
    length = 0
    for node in network.nodes:
        for number, op in enumerate(node.ops):
            content = [(name, array.shape, array.tobytes()) for name, array in _arrays(op)]
            for name, array in _arrays(op):
                # What a layer is called where it is used again: see `Node.name`.
                key = (_AGAIN.sub("", node.name), number, type(op), name, *content)
                if key not in seen:
                    seen[key] = length
                    length += array.size
                    values.append(np.ravel(array).astype(np.float32))
                    trained.append(np.full(array.size, name in _TRAINED.get(type(op), ())))
                starts[id(op), name] = seen[key]
    return starts, np.concatenate(values), np.concatenate(trained)


def _norms(network: Network, starts: dict[tuple[int, str], int]) -> tuple[npt.NDArray[Any], ...]:
    norms = (op for node in network.nodes for op in node.ops if isinstance(op, graph.BatchNorm))
    found = {starts[id(op), "gamma"]: op for op in norms}
    columns: list[list[npt.NDArray[Any]]] = [[np.zeros(0, kind)] for kind in (np.int64, np.int64, float, float)]
    for op in found.values():
        length = np.arange(op.gamma.size)
        factor = 1 / np.sqrt(op.variance.astype(np.float64) + op.epsilon)
        row = (starts[id(op), "gamma"] + length, starts[id(op), "beta"] + length, factor, op.mean.astype(np.float64))
        for column, part in zip(columns, row, strict=True):
            column.append(part)
    return tuple(map(np.concatenate, columns))


def _used(values: Floats, norms: tuple[npt.NDArray[Any], ...]) -> Floats:
    gamma, beta, factor, mean = norms
    used = values.astype(np.float64)
    used[gamma] *= factor
    used[beta] -= mean * used[gamma]
    return used.astype(np.float32)


def _arrays(op: object) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    if is_dataclass(op):
        for field in fields(op):
            value = getattr(op, field.name)
            if isinstance(value, np.ndarray):
                yield field.name, value


def _with(network: Network, starts: dict[tuple[int, str], int], values: Floats, *, plain: bool) -> Network:
    """Return a network with other numbers; ``plain`` has each normalisation as a scale and an offset."""
    made: dict[int, graph.Op] = {}  # a shared layer stays one

    def changed(op: graph.Op) -> graph.Op:
        if id(op) not in made:
            arrays: dict[str, Any] = {}
            for name, array in _arrays(op):
                start = starts[id(op), name]
                arrays[name] = values[start : start + array.size].reshape(array.shape)
            made[id(op)] = _plain(op, arrays) if plain and isinstance(op, graph.BatchNorm) else _replaced(op, arrays)
        return made[id(op)]

    nodes = tuple(replace(node, ops=tuple(map(changed, node.ops))) for node in network.nodes)
    return replace(network, nodes=nodes)


def _replaced(op: graph.Op, arrays: dict[str, Any]) -> graph.Op:
    return replace(op, **arrays) if arrays else op


def _plain(op: graph.BatchNorm, arrays: dict[str, Any]) -> graph.BatchNorm:
    length = op.gamma.shape
    return replace(
        op, gamma=arrays["gamma"], beta=arrays["beta"], mean=np.zeros(length, np.float32),
        variance=np.ones(length, np.float32), epsilon=0.0,
    )  # fmt: skip
