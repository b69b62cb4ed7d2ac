"""Channels that are seen along two axes for a while: exchanged (a channel shuffle), or joined along one (a maxout)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.graph.ops import MergeKind, Op, ReduceGroups, Take
from napari_fcnseg.readers.onnx.values import PLAIN, SplitMap, Tensor
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.shapes import Shape

_KINDS: Final[dict[str, MergeKind]] = {"max": "maximum", "mean": "average", "sum": "add"}


def split(x: Tensor, sizes: Shape) -> SplitMap | None:
    """See the channels of a map along two axes, None where a shape asks for something else."""
    channels = len(x.shape) - 1
    at = next((i for i, group in enumerate(x.view) if group == (channels,)), None)
    if at is None or len(sizes) != len(x.view) + 1:
        return None
    if (*sizes[:at], sizes[at] * sizes[at + 1], *sizes[at + 2 :]) != x.sizes:
        return None
    order = np.arange(x.shape[-1]).reshape(sizes[at], sizes[at + 1])
    return SplitMap(x, at, tuple(map(tuple, order.tolist())))


def transposed(x: SplitMap, order: tuple[int, ...]) -> SplitMap:
    """Exchange the two axes.

    Raises
    ------
    RefusedError
        Others are moved.
    """
    exchanged = list(range(len(order)))
    exchanged[x.at + 1], exchanged[x.at + 2] = x.at + 2, x.at + 1
    if list(order) == sorted(order):
        return x
    if list(order) != exchanged:
        raise RefusedError("it takes groups of channels apart", PLAIN)
    return SplitMap(x.tensor, x.at, tuple(zip(*x.order, strict=True)))


def rejoined(call: NodeContext, x: SplitMap) -> Tensor:
    """See the channels along one axis again, in the order that they have by now."""
    order = tuple(channel for row in x.order for channel in row)
    if order == tuple(range(len(order))):
        return x.tensor
    return call.emit(Take(order), read=x.tensor)


def reduced(call: NodeContext, kind: str, x: SplitMap, axes: set[int], keep: bool) -> Tensor:
    """Join the channels along one of the two axes, number by number.

    Raises
    ------
    RefusedError
        Other axes are joined, or the axis stays with length 1.
    """
    if keep or axes not in ({x.at + 1}, {x.at + 2}):
        raise RefusedError("it joins groups of channels along other axes, too", PLAIN)
    rows = x if axes == {x.at + 1} else SplitMap(x.tensor, x.at, tuple(zip(*x.order, strict=True)))
    order = tuple(channel for row in rows.order for channel in row)
    ops: tuple[Op, ...] = () if order == tuple(range(len(order))) else (Take(order),)
    left = len(order) // len(rows.order)
    view = tuple(() if group == (len(x.tensor.shape) - 1,) and left == 1 else group for group in x.tensor.view)
    return call.emit(*ops, ReduceGroups(_KINDS[kind], len(rows.order)), read=x.tensor, view=view)
