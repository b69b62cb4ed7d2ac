"""A tensor as layers see it that look through a window or along channels: its positions and channels in their places.

What the model sees in other places is brought there, if that is possible: pieces of channels together, positions of an
axis beside the channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_fcnseg.graph.ops import AxisToChannels, Expand, Op, Take
from napari_fcnseg.readers.keras.tensor_axes import PIECE, TRAIN_AGAIN, Tensor, advance, expanded
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_fcnseg.readers.keras.tensor_axes import Built

T = TypeVar("T")


def settled(tensor: Tensor) -> Built:
    """Bring pieces of the channels together again where the model sees them side by side, whatever their order.

    Raises
    ------
    RefusedError
        The model sees them apart.
    """
    if not tensor.cut:
        return (), tensor
    last, pieces = len(tensor.shape) - 1, range(PIECE, PIECE + len(tensor.cut))
    for index, given in enumerate(tensor.axes):
        group = sorted(given, key=lambda i: i >= PIECE or tensor.length(i) > 1)  # an axis of one place may be anywhere
        run = [i for i in group if i >= PIECE]
        if len(run) < len(pieces):
            continue
        at = group.index(run[0])
        if list(group[at : at + len(run)]) != run:
            break
        order = np.arange(tensor.shape[-1]).reshape(tensor.cut).transpose([i - PIECE for i in run]).ravel().tolist()
        axes = list(tensor.axes)
        axes[index] = (*group[:at], last, *group[at + len(run) :])
        plain = replace(tensor, axes=tuple(axes), cut=())
        return ((), plain) if order == sorted(order) else ((Take(tuple(order)),), plain)
    raise RefusedError(
        "it reads channels that an earlier layer (Reshape) cut into groups",
        "Bring the groups together before (Reshape), or use grouped convolutions, and train again.",
    )


def collected(tensor: Tensor, index: int) -> Built:
    """Make channels of all that an axis of the model's runs over: positions of other axes of ours beside channels.

    Where it runs over channels alone, or over none, nothing is done.
    """
    last, core = len(tensor.shape) - 1, tensor.core(index)
    spatial = [i for i in core if i != last]
    if tensor.is_flat or not spatial:
        return (), tensor
    if last not in core and tensor.shape[last] > 1:
        return (), tensor
    lengths = {own: tensor.shape[own] for own in core}
    axes = [tuple(i for i in group if i != last) for group in tensor.axes]
    axes[index] = (last,)
    ops: list[Op] = [AxisToChannels(own) for own in sorted(spatial, reverse=True)]
    now = sorted(core)
    if list(core) != now:
        numbers = np.arange(math.prod(lengths.values())).reshape([lengths[own] for own in now])
        ops.append(Take(tuple(numbers.transpose([now.index(own) for own in core]).ravel().tolist())))
    return advance(tensor, *ops, axes=tuple(axes))


@dataclass(frozen=True)
class Grid:
    """A map as a layer with a window sees it.

    Attributes
    ----------
    tensor : Tensor
        The map; every axis of the model's is one of ours.
    before : tuple of Op
        What makes a map of a vector.
    places : tuple of int or None
        For each spatial axis of ours the model's, counted without the channels; None where the model has none.
    """

    tensor: Tensor
    before: tuple[Op, ...]
    places: tuple[int | None, ...]

    def sort(self, values: Sequence[T], missing: T) -> tuple[T, ...]:
        """Put what the layer says of the model's spatial axes into the order of ours."""
        return tuple(missing if place is None else values[place] for place in self.places)

    def kernel(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Do the same with the window of a kernel, whose last two axes are channels."""
        rank = values.ndim - 2
        if self.places == tuple(range(rank)):
            return values
        order = [place for place in self.places if place is not None]
        values = values.transpose(*order, rank, rank + 1)
        window = iter(values.shape[:rank])
        shape = (*(1 if place is None else next(window) for place in self.places), *values.shape[rank:])
        return np.ascontiguousarray(values.reshape(shape))


def as_grid(tensor: Tensor, rank: int, *, channels_first: bool) -> Grid:
    """See a tensor as a map of ``rank`` spatial axes.

    Raises
    ------
    RefusedError
        It has another number of axes, or an axis is not what the layer takes it for.
    """
    if len(tensor.axes) != rank + 1:
        raise RefusedError(
            f"it works along {rank} axes, but what it reads has {len(tensor.axes) - 1}",
            "Use the layer of the fitting dimension (for example Conv2D for 2D patches) and train again.",
        )
    before: tuple[Op, ...] = ()
    if tensor.is_flat:
        before, tensor = (Expand(),), expanded(tensor)
    channel = 0 if channels_first else rank
    more, tensor = collected(tensor, channel)
    before += more
    view = tensor.with_channels_at(channel)
    places = _places(view, channel) if view is not None else None
    if view is None or places is None:
        raise RefusedError(
            "it takes for positions or for channels what an earlier layer (Reshape, Permute, or another data_format) "
            "made of the other",
            TRAIN_AGAIN,
        )
    groups: list[tuple[int, ...]] = [() for _ in view.axes]
    groups[channel] = (len(view.shape) - 1,)
    spatial = [i for i in range(rank + 1) if i != channel]
    for own, place in enumerate(places):
        if place is not None:
            groups[spatial[place]] = (own,)
    return Grid(replace(view, axes=tuple(groups)), before, places)


def _places(tensor: Tensor, channel: int) -> tuple[int | None, ...] | None:
    """Match the model's spatial axes with ours: by what they run over, those of length 1 by what is left."""
    spatial = [i for i in range(len(tensor.axes)) if i != channel]
    places: list[int | None] = [None] * (len(tensor.shape) - 1)
    loose = []
    for place, index in enumerate(spatial):
        core = tensor.core(index)
        if len(core) > 1:
            return None
        own = core or tuple(i for i in tensor.axes[index] if places[i] is None)[:1]
        if own:
            places[own[0]] = place
        else:
            loose.append(place)
    for place in loose:
        if None not in places:
            return None
        places[places.index(None)] = place
    return tuple(places)
