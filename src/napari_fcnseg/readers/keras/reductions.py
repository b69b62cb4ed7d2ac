"""Means, sums and extremes over axes of the model's; taking, repeating and mirroring along one. Pure functions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import (
    Affine,
    Channels,
    Crop,
    Dense,
    Identity,
    MergeKind,
    Op,
    Pick,
    Pool,
    ReduceGroups,
    Take,
)
from napari_fcnseg.readers.keras.tensor_axes import PIECE, Tensor, advance
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fcnseg.readers.keras.tensor_axes import Built

_REDUCTIONS: Final[dict[str, MergeKind]] = {"mean": "average", "sum": "add", "max": "maximum", "min": "minimum"}


def reduced(kind: str, tensor: Tensor, indices: Iterable[int], *, keepdims: bool) -> Built:
    """Take the mean, sum, maximum or minimum over axes of the model's.

    Parameters
    ----------
    kind : str
        ``"mean"``, ``"sum"``, ``"max"`` or ``"min"``.
    tensor : Tensor
        What is reduced.
    indices : iterable of int
        The axes, as indices into those of the model's tensor.
    keepdims : bool
        Whether they stay, with length 1.
    """
    chosen, last = sorted(set(indices)), len(tensor.shape) - 1
    own = [i for index in chosen for i in tensor.core(index)]
    ops: list[Op] = []
    spatial = [i for i in own if i < last]
    if spatial:
        size = tuple(tensor.shape[i] if i in spatial else 1 for i in range(last))
        made, tensor = advance(tensor, *_pooled(kind, size))
        ops += made
    pieces = [i for i in own if i >= PIECE]
    if pieces:
        made, tensor = _pieces(kind, tensor, pieces)
        ops += made
    elif last in own:
        made, tensor = advance(tensor, *_over_channels(kind, tensor.shape[-1]))
        ops += made
    if kind == "sum" and spatial:
        places = math.prod(size)
        made, tensor = advance(tensor, _times(float(places)))
        ops += made
    if not keepdims:
        axes = tuple(group for index, group in enumerate(tensor.axes) if index not in chosen)
        tensor = replace(tensor, axes=axes)
    return tuple(ops) or (Identity("it reduces axes of length 1"),), tensor


def _pooled(kind: str, size: tuple[int, ...]) -> tuple[Op, ...]:
    if kind == "min":
        return _times(-1.0), Pool("max", size, size), _times(-1.0)
    return (Pool("max" if kind == "max" else "average", size, size),)


def _over_channels(kind: str, channels: int) -> tuple[Op, ...]:
    if kind in ("mean", "sum"):
        weight = 1.0 if kind == "sum" else 1 / channels
        return (Dense(np.full((channels, 1), weight, np.float32), None),)
    return (ReduceGroups(_REDUCTIONS[kind], channels),)


def _times(factor: float) -> Affine:
    return Affine(*(np.asarray(n, np.float32) for n in (0.0, factor, 0.0)))


def _pieces(kind: str, tensor: Tensor, pieces: Sequence[int]) -> Built:
    """Reduce over pieces of the channels: they are brought to the front, and the groups joined."""
    numbers = [i - PIECE for i in pieces]
    rest = [i for i in range(len(tensor.cut)) if i not in numbers]
    order = np.arange(tensor.shape[-1]).reshape(tensor.cut).transpose([*numbers, *rest]).ravel().tolist()
    ops: tuple[Op, ...] = () if order == sorted(order) else (Take(tuple(order)),)
    ops += (ReduceGroups(_REDUCTIONS[kind], math.prod(tensor.cut[i] for i in numbers)),)
    moved = {PIECE + old: PIECE + new for new, old in enumerate(rest)}
    last = len(tensor.shape) - 1
    if len(rest) < 2:
        moved = dict.fromkeys(moved, last)
    axes = tuple(tuple(moved.get(i, i) for i in group if i not in pieces) for group in tensor.axes)
    cut = tuple(tensor.cut[i] for i in rest) if len(rest) > 1 else ()
    return advance(replace(tensor, cut=cut), *ops, axes=axes)


def taken(tensor: Tensor, index: int, places: Sequence[int]) -> Built:
    """Take positions, channels or features along one axis of the model's, in any order, some several times.

    Raises
    ------
    RefusedError
        The axis runs over several of ours.
    UnreadableError
        There are no such places.
    """
    size, last = tensor.seen[index], len(tensor.shape) - 1
    if not places or not all(0 <= n < size for n in places) or len(places) > 2**16:
        raise UnreadableError(f"it takes {list(places)[:8]} of {size}")
    if list(places) == list(range(size)):
        return advance(tensor, Identity("it takes everything"))
    core = tensor.core(index)
    if core and core[0] >= PIECE and len(core) == 1:
        return _of_piece(tensor, core[0] - PIECE, places)
    if tensor.cut:
        raise RefusedError("it cuts what an earlier layer (Reshape) made groups of", "Cut before and train again.")
    own = tensor.own_axis(index + 1) - 1
    whole = list(places) == list(range(places[0], places[0] + len(places)))
    if own == last:
        return advance(tensor, Channels(places[0], places[-1] + 1) if whole else Take(tuple(places)))
    if whole:
        width = [(0, 0)] * last
        width[own] = (places[0], size - 1 - places[-1])
        return advance(tensor, Crop(tuple(width)), axes=_with(tensor, index, own))
    picked: list[tuple[int, ...] | None] = [None] * last
    picked[own] = tuple(places)
    return advance(tensor, Pick(tuple(picked)), axes=_with(tensor, index, own))


def _with(tensor: Tensor, index: int, own: int) -> tuple[tuple[int, ...], ...]:
    """Let an axis of the model's run over one of ours that it may not have named because its length was 1."""
    groups = [tuple(i for i in group if i != own) for group in tensor.axes]
    groups[index] = (own,)
    return tuple(groups)


def _of_piece(tensor: Tensor, piece: int, places: Sequence[int]) -> Built:
    numbers = np.arange(tensor.shape[-1]).reshape(tensor.cut).take(list(places), axis=piece)
    ops = (Take(tuple(numbers.ravel().tolist())),)
    return advance(replace(tensor, cut=numbers.shape), *ops)


def dropped(built: Built, index: int) -> Built:
    """Let the model no longer see an axis of length 1."""
    ops, tensor = built
    if tensor.seen[index] != 1:
        raise UnreadableError(f"it drops the axis {index + 1} of {tensor.seen}")
    return ops, replace(tensor, axes=tuple(group for i, group in enumerate(tensor.axes) if i != index))
