"""Map the axes of a tensor in the model file to those of the graph, which keeps channels last.

The network's tensors are ``(*positions, channel)`` or ``(feature,)``. A model may see the same numbers with the
channels first, with axes in another order, or with several axes joined into one. That is no operation but a way of
looking, and is kept beside the tensor: for each axis of the model's tensor the axes of ours that it runs over::

    ours (row 8, column 9, channel 4)          model's tensor        axes
    as it is                                   (8, 9, 4)             ((0,), (1,), (2,))
    channels_first                             (4, 8, 9)             ((2,), (0,), (1,))
    after Reshape((72, 4))                     (72, 4)               ((0, 1), (2,))
    with an axis of length 1                   (8, 9, 1, 4)          ((0,), (1,), (), (2,))

Axes of ours that have length 1 may be missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Expand, Flatten, Op
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.shapes import Shape, after, array_axis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.weights import Weights

T = TypeVar("T")
#: What a layer becomes: operations, and the tensor that they return.
Built: TypeAlias = "tuple[tuple[Op, ...], Tensor]"
#: From a layer, the tensor that it reads, and its arrays.
Builder: TypeAlias = "Callable[[LayerSpec, Tensor, Weights], Built]"

TRAIN_AGAIN: Final = "Build the model without it (channels last, no Reshape or Permute in between) and train again."


@dataclass(frozen=True)
class Tensor:
    """A tensor of the network as the model sees it.

    Attributes
    ----------
    shape : tuple of int
        Ours: ``(*positions, channel)`` or ``(feature,)``.
    axes : tuple of tuple of int
        For every axis of the model's tensor, without the batch, those of ours that it runs over, the slowest first.
    rank : int
        Number of spatial axes of the network.
    """

    shape: Shape
    axes: tuple[tuple[int, ...], ...]
    rank: int

    @classmethod
    def plain(cls, shape: Shape, rank: int) -> Tensor:
        """Give the tensor that the model sees as it is."""
        return cls(shape, tuple((i,) for i in range(len(shape))), rank)

    @property
    def seen(self) -> Shape:
        """The shape that the model sees, without the batch axis."""
        return tuple(math.prod(self.shape[i] for i in group) for group in self.axes)

    @property
    def is_flat(self) -> bool:
        """Whether it is a vector of ours."""
        return len(self.shape) == 1

    def core(self, index: int) -> tuple[int, ...]:
        """Give our axes of more than one position behind an axis of the model's."""
        return tuple(i for i in self.axes[index] if self.shape[i] > 1)

    def index(self, axis: int) -> int:
        """Turn an axis as Keras counts it (the batch being 0) into an index into :attr:`axes`."""
        return array_axis(axis, self.seen)

    def own_axis(self, axis: int) -> int:
        """Give our one axis behind an axis as Keras counts it, counted as Keras does from the same end.

        Raises
        ------
        RefusedError
            It runs over several, or has length 1 where none of ours has.
        """
        index = self.index(axis)
        core = self.core(index) or tuple(i for i in self.axes[index] or self.unseen())[:1]
        if len(core) != 1:
            raise RefusedError(
                "it acts along an axis in which an earlier layer joined positions or channels", TRAIN_AGAIN
            )
        return core[0] + 1 if axis >= 0 else core[0] - len(self.shape)

    def unseen(self) -> tuple[int, ...]:
        """Give our axes that no axis of the model's runs over; all of length 1."""
        seen = {i for group in self.axes for i in group}
        return tuple(i for i in range(len(self.shape)) if i not in seen)

    def permuted(self, order: Sequence[int]) -> Tensor:
        """Give the model's axes another order."""
        return replace(self, axes=tuple(self.axes[i] for i in order))

    def order(self) -> tuple[int, ...] | None:
        """Give our axes in the order in which the model would flatten them, or None for our own order."""
        sequence = [i for group in self.axes for i in group if self.shape[i] > 1]
        if sequence == sorted(sequence):
            return None
        full = [i for group in self.axes for i in group]
        return (*full, *self.unseen())

    def regrouped(self, target: Shape) -> Tensor | None:
        """See the same numbers with another shape, or None if that would cut one of our axes into pieces."""
        waiting = [i for group in self.axes for i in group]
        groups: list[tuple[int, ...]] = []
        for length in target:
            group: list[int] = []
            while waiting and (math.prod(self.shape[i] for i in group) < length or (length == 1 and not group)):
                if length == 1 and self.shape[waiting[0]] > 1:
                    break
                group.append(waiting.pop(0))
            if math.prod(self.shape[i] for i in group) != length:
                return None
            groups.append(tuple(group))
        return replace(self, axes=tuple(groups))

    def with_channels_at(self, index: int) -> Tensor | None:
        """Let an axis of the model's be our channels, or None if it is something else."""
        last = len(self.shape) - 1
        if self.core(index) not in ((last,), ()) or (self.shape[last] > 1 and not self.core(index)):
            return None
        groups = [tuple(i for i in group if i != last) for group in self.axes]
        groups[index] = (last,)
        return replace(self, axes=tuple(groups))

    def array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Lay out an array that broadcasts against the model's tensor as one that broadcasts against ours."""
        if values.ndim < len(self.axes):
            values = values.reshape((1,) * (len(self.axes) - values.ndim) + values.shape)
        parts: list[int] = []
        for group, length in zip(self.axes, values.shape, strict=True):
            parts += [1 if length == 1 else self.shape[i] for i in group]
        sequence = [*(i for group in self.axes for i in group), *self.unseen()]
        values = values.reshape(*parts, *(1 for _ in self.unseen()))
        return np.ascontiguousarray(values.transpose(np.argsort(sequence)))


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


def expanded(tensor: Tensor) -> Tensor:
    """Give what :class:`Expand` makes of a vector: our spatial axes go to the model's axes of length 1, in order."""
    groups = [(tensor.rank,) if group else () for group in tensor.axes]
    for own, index in enumerate([i for i, group in enumerate(groups) if not group][: tensor.rank]):
        groups[index] = (own,)
    return Tensor((1,) * tensor.rank + tensor.shape, tuple(groups), tensor.rank)


def joined(tensor: Tensor) -> Built:
    """Make a vector of a tensor whose last axis, as the model sees it, runs over everything."""
    ends = ((),) * (len(tensor.axes) - 1) + ((0,),)
    if tensor.is_flat:
        return (), replace(tensor, axes=ends)
    return (Flatten(tensor.order()),), Tensor((math.prod(tensor.shape),), ends, tensor.rank)


def advance(tensor: Tensor, *ops: Op, axes: tuple[tuple[int, ...], ...] | None = None) -> Built:
    """Apply operations of ours to a tensor.

    Parameters
    ----------
    tensor : Tensor
        What the first of them reads.
    *ops : Op
        The operations.
    axes : tuple, optional
        How the model sees the result, where that is not as it saw the tensor.

    Returns
    -------
    ops : tuple of Op
        The same operations.
    tensor : Tensor
        What they return.
    """
    shape = tensor.shape
    for op in ops:
        shape = after(op, shape)
    result = replace(tensor, shape=shape, axes=tensor.axes if axes is None else axes)
    if sorted(i for group in result.axes for i in group if shape[i] > 1) != [i for i, n in enumerate(shape) if n > 1]:
        raise UnreadableError(f"its result of shape {shape} cannot be followed")
    return ops, result
