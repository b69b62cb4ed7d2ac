"""Layers that join several tensors, as pure functions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Affine, Expand, Merge, MergeKind, Op
from napari_fcnseg.readers.keras.tensor_axes import TRAIN_AGAIN, Tensor, expanded
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.shapes import MAX_ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    #: What has to be done to every input, the merge itself, and what it returns.
    Merged: TypeAlias = "tuple[tuple[tuple[Op, ...], ...], tuple[Op, ...], Tensor]"

MAX_INPUTS: Final = 1_000
#: Class -> what it computes.
MERGE_LAYERS: Final[dict[str, MergeKind]] = {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Average": "average",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Concatenate": "concatenate",
    "CustomScaleLayer": "add",  # of InceptionResNetV2, the second one times a number
}


def merged(kind: MergeKind, tensors: Sequence[Tensor], axis: int = -1) -> Merged:
    """Join tensors.

    Parameters
    ----------
    kind : str
        What the operation is called.
    tensors : sequence of Tensor
        What it reads, in order; at least two.
    axis : int
        Along which ``concatenate`` joins, counted as Keras does.

    Returns
    -------
    before : tuple of tuple of Op
        For every input what has to be done to it first.
    ops : tuple of Op
        The operation.
    tensor : Tensor
        What it returns.

    Raises
    ------
    RefusedError
        The axes of the inputs do not lie the same way.
    UnreadableError
        Their shapes do not fit.
    """
    if len(tensors) > MAX_INPUTS:
        raise UnreadableError(f"it joins {len(tensors)} inputs")
    if kind == "subtract" and len(tensors) != 2:
        raise UnreadableError(f"it subtracts {len(tensors)} inputs")
    if kind != "concatenate":
        # Keras gives inputs of fewer axes new ones of length 1 in front.
        most = max(len(tensor.axes) for tensor in tensors)
        tensors = [replace(t, axes=((),) * (most - len(t.axes)) + t.axes) for t in tensors]
    if len({len(tensor.axes) for tensor in tensors}) > 1:
        raise UnreadableError(f"its inputs have the shapes {_shapes(tensors)}, which do not fit together")
    before, tensors = [list[Op]() for _ in tensors], list(tensors)
    if len({tensor.is_flat for tensor in tensors}) > 1:
        for i, tensor in enumerate(tensors):
            if tensor.is_flat:
                before[i], tensors[i] = [Expand()], expanded(tensor)
    if kind == "concatenate":
        op, result = _concatenated(tensors, axis)
    else:
        op, result = Merge(kind), _broadcast(tensors)
    if math.prod(result.shape) > MAX_ELEMENTS:
        raise UnreadableError(f"its result would have the shape {result.seen}, which is too large to be true")
    return tuple(map(tuple, before)), (op,), result


def scaled_second(found: Merged, scale: float) -> Merged:
    """Multiply the second of two inputs by a number before they are joined.

    Raises
    ------
    UnreadableError
        There are more.
    """
    before, ops, result = found
    if len(before) != 2:
        raise UnreadableError(f"it joins {len(before)} inputs instead of two")
    first, second = before
    none = np.zeros((), np.float32)
    return (first, (*second, Affine(none, np.asarray(scale, np.float32), none))), ops, result


def _broadcast(tensors: Sequence[Tensor]) -> Tensor:
    seen = [tensor.seen for tensor in tensors]
    groups = []
    for place, lengths in enumerate(zip(*seen, strict=True)):
        longest = max(lengths)
        if any(n not in (1, longest) for n in lengths):
            raise UnreadableError(f"its inputs have the shapes {_shapes(tensors)}, which do not fit together")
        cores = {tensor.core(place) for tensor, n in zip(tensors, lengths, strict=True) if n == longest}
        if len(cores) > 1:
            raise _crossed(tensors)
        groups.append(cores.pop())
    first = tensors[0]
    shape = tuple(max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True))
    # An axis of ours along which one input is repeated must not be another axis of the model's in that input.
    for tensor in tensors:
        for place, group in enumerate(groups):
            if tensor.core(place) not in (group, ()):
                raise _crossed(tensors)
        if any(n not in (1, m) for n, m in zip(tensor.shape, shape, strict=True)):
            raise _crossed(tensors)
    if all(tensor.axes == first.axes for tensor in tensors):
        return replace(first, shape=shape)
    return _named(Tensor(shape, tuple(groups), first.rank), tensors)


def _named(result: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """Give axes of ours of length 1 the place that they have in an input, so that a later layer finds them there."""
    groups = list(result.axes)
    for own in result.unseen():
        place = next((p for t in tensors for p, group in enumerate(t.axes) if own in group), None)
        if place is not None:
            groups[place] = tuple(sorted((*groups[place], own)))
    return replace(result, axes=tuple(groups))


def _concatenated(tensors: Sequence[Tensor], axis: int) -> tuple[Merge, Tensor]:
    first = tensors[0]
    index = first.index(axis)
    for place, lengths in enumerate(zip(*(tensor.seen for tensor in tensors), strict=True)):
        if place != index and len(set(lengths)) > 1:
            raise UnreadableError(f"its inputs have the shapes {_shapes(tensors)}, which do not fit together")
    candidates = {tensor.core(index) for tensor in tensors} - {()}
    if not candidates:
        candidates = {tensor.axes[index][-1:] for tensor in tensors} - {()}
    if len(candidates) != 1 or len(next(iter(candidates))) != 1:
        raise _crossed(tensors)
    ((own,),) = candidates
    for tensor in tensors:
        for place in range(len(first.axes)):
            if place != index and (tensor.core(place) != first.core(place) or own in tensor.core(place)):
                raise _crossed(tensors)
        if any(n != m for i, (n, m) in enumerate(zip(tensor.shape, first.shape, strict=True)) if i != own):
            raise _crossed(tensors)
    shape = list(first.shape)
    shape[own] = sum(tensor.shape[own] for tensor in tensors)
    groups = [tuple(i for i in group if i != own) for group in first.axes]
    groups[index] = (own,)
    number = own + 1 if axis >= 0 else own - len(shape)
    return Merge("concatenate", number), replace(first, shape=tuple(shape), axes=tuple(groups))


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(tensor.seen) for tensor in tensors[:6])


def _crossed(tensors: Sequence[Tensor]) -> RefusedError:
    return RefusedError(
        "what are positions in one of its inputs are channels, or other positions, in another (after Reshape, Permute "
        "or another data_format)",
        TRAIN_AGAIN,
    )
