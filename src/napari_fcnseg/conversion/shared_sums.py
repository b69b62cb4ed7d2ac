"""Sums that edge variants of a convolution have in common: found in the dense network, to be computed once.

With ``padding="same"`` a convolution becomes one variant for each place near an edge of the patch, each a sum over
several maps. Along the columns these sums are made of the same few: with a window of three, five variants are thirteen
columns of products, of which seven differ, and those that several variants have are theirs shifted. So each such column
is computed once, and the variants are sums of them: about half of the multiplications, and nothing that is rounded
differently but by the order of the sum.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.conversion.dense_network import DenseConv

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.ops import Array

#: Convolutions that share sums, at most.
MOST: Final = 12
_LEAST_DEPTH: Final = 32  # products of a column, below which adding it up costs as much as computing it again


@dataclass(frozen=True, eq=False)
class Term:
    """Some rows of a map times weights.

    Attributes
    ----------
    source : int
        The step that gives the map, or the image.
    rows : tuple of int
        Of the map, for the first row of the result.
    weights : ndarray, shape (rows, in, out)
        One matrix for each.
    """

    source: int
    rows: tuple[int, ...]
    weights: Array

    @property
    def depth(self) -> int:
        """Products in each result."""
        return math.prod(self.weights.shape[:2])


@dataclass(frozen=True, eq=False)
class Use:
    """A column in a convolution: ``shift`` is the column of the maps that its first result reads."""

    column: int
    shift: int


@dataclass(frozen=True, eq=False)
class Sharing:
    """Convolutions of two axes that have columns in common.

    Attributes
    ----------
    steps : tuple of int
        The numbers of their steps.
    columns : tuple of tuple of Term
        The columns that there are, each a sum of terms.
    uses : tuple of tuple of Use
        Of which columns each convolution is the sum.
    """

    steps: tuple[int, ...]
    columns: tuple[tuple[Term, ...], ...]
    uses: tuple[tuple[Use, ...], ...]

    @property
    def shared(self) -> tuple[int, ...]:
        """Columns that are in several convolutions, or several times in one."""
        count = Counter(use.column for uses in self.uses for use in uses)
        return tuple(column for column in sorted(count) if count[column] > 1)


#: A column of a map at its place: source, rows, and what its weights are; then the weights, and the shift.
_Key = tuple[int, tuple[int, ...], bytes]


def sharings(network: DenseNetwork) -> list[Sharing]:
    """Return the convolutions of a network that can be computed together.

    Parameters
    ----------
    network : DenseNetwork
        The network.

    Returns
    -------
    list of Sharing
        No step is in two of them, and nothing that one of them reads is computed after its first step.
    """
    layers: dict[str, list[int]] = {}
    for number, step in enumerate(network.steps):
        if isinstance(step.op, DenseConv) and step.op.groups == 1 and len(network.patch_shape) == 2:
            layers.setdefault(step.layer, []).append(number)
    found = []
    for numbers in layers.values():
        if len(numbers) > 1:
            found += [one for one in _of_layer(network, numbers) if _possible(network, one)]
    return found


def _possible(network: DenseNetwork, sharing: Sharing) -> bool:
    ready = max(source.step for n in sharing.steps for source in network.steps[n].inputs) < min(sharing.steps)
    alike = len({(network.steps[n].density, network.steps[n].extra[0]) for n in sharing.steps}) == 1
    plain = all(max(network.steps[n].stride) == 1 for n in sharing.steps)
    return ready and alike and plain and 1 < len(sharing.steps) <= MOST and bool(sharing.shared)


def _of_layer(network: DenseNetwork, numbers: Sequence[int]) -> list[Sharing]:
    """Return the convolutions of a layer in groups that have columns in common."""
    reads = {number: _columns(network, number) for number in numbers}
    users: dict[_Key, set[int]] = {}
    weights: dict[_Key, Array] = {}
    for number, columns in reads.items():
        for key, _, matrix in columns:
            users.setdefault(key, set()).add(number)
            weights[key] = matrix
    found = []
    for group in _connected(numbers, (own for own in users.values() if len(own) > 1)):
        if len(group) > 1:
            found.append(_sharing(group, {n: [(key, shift) for key, shift, _ in reads[n]] for n in group}, weights))
    return found


def _columns(network: DenseNetwork, number: int) -> list[tuple[_Key, int, Array]]:
    """Return the columns of one map each that a convolution is the sum of."""
    step = network.steps[number]
    assert isinstance(step.op, DenseConv)
    sources = iter(step.inputs)
    found = []
    for kernel, (down, across), count in zip(step.op.kernels, step.op.dilations, step.op.side_by_side, strict=True):
        first = 0
        for _ in range(count):
            source = next(sources)
            channels = kernel.shape[2] // count if count == 1 else _channels(network, source.step)
            part = kernel[:, :, first : first + channels]
            first += channels
            rows = tuple(source.before[0] + row * down for row in range(kernel.shape[0]))
            for column in range(kernel.shape[1]):
                matrix = part[:, column]
                print_ = hashlib.blake2b(np.ascontiguousarray(matrix).tobytes(), digest_size=16).digest()
                found.append(((source.step, rows, print_), source.before[1] + column * across, matrix))
    return found


def _channels(network: DenseNetwork, step: int) -> int:
    return network.channels if step < 0 else network.steps[step].channels


def _connected(numbers: Sequence[int], together: Iterable[set[int]]) -> list[list[int]]:
    """Return numbers in groups, of which those that are together in one of some sets are in one."""
    group = {number: number for number in numbers}
    for own in together:
        names = {group[number] for number in own}
        group = {number: min(names) if name in names else name for number, name in group.items()}
    return [[number for number in numbers if group[number] == name] for name in sorted(set(group.values()))]


def _sharing(group: Sequence[int], reads: dict[int, list[tuple[_Key, int]]], weights: dict[_Key, Array]) -> Sharing:
    """Put columns of several maps that always come together into one; those that do not pay are not shared."""
    # Where a column of one map is in the convolutions: those at the same places always come together.
    places: dict[_Key, list[tuple[int, int]]] = {}
    for number in group:
        for key, shift in reads[number]:
            places.setdefault(key, []).append((number, shift))
    alike: dict[tuple[tuple[int, int], ...], list[_Key]] = {}
    for key, where in places.items():
        alike.setdefault(tuple(where), []).append(key)
    columns: list[tuple[Term, ...]] = []
    uses: dict[int, list[Use]] = {number: [] for number in group}
    for there, keys in alike.items():
        terms = tuple(Term(key[0], key[1], weights[key]) for key in keys)
        again = len(there) > 1 and sum(term.depth for term in terms) < _LEAST_DEPTH
        for number, shift in there:
            if again or not columns or columns[-1] is not terms:
                columns.append(terms)
            uses[number].append(Use(len(columns) - 1, shift))
    return Sharing(tuple(group), tuple(columns), tuple(tuple(uses[number]) for number in group))
