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
from napari_fcnseg.graph.ops import Flatten, Op
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

#: The number of the first piece of cut channels.
PIECE: Final = 100
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
    cut : tuple of int
        Lengths into which the model sees our channels cut (as four groups of eight), the slowest first. Each piece is
        an axis of its own then, counted from :data:`PIECE`, and ``axes`` speak of these instead of the channels.
    """

    shape: Shape
    axes: tuple[tuple[int, ...], ...]
    rank: int
    cut: Shape = ()

    @classmethod
    def plain(cls, shape: Shape, rank: int) -> Tensor:
        """Give the tensor that the model sees as it is."""
        return cls(shape, tuple((i,) for i in range(len(shape))), rank)

    @property
    def seen(self) -> Shape:
        """The shape that the model sees, without the batch axis."""
        return tuple(math.prod(map(self.length, group)) for group in self.axes)

    def length(self, own: int) -> int:
        """Give the length of one of our axes, or of a piece of the channels."""
        return self.shape[own] if own < PIECE else self.cut[own - PIECE]

    @property
    def is_flat(self) -> bool:
        """Whether it is a vector of ours."""
        return len(self.shape) == 1

    def core(self, index: int) -> tuple[int, ...]:
        """Give our axes of more than one position behind an axis of the model's."""
        return tuple(i for i in self.axes[index] if self.length(i) > 1)

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
        if len(core) != 1 or core[0] >= PIECE:
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
            while waiting and (math.prod(map(self.length, group)) < length or (length == 1 and not group)):
                if length == 1 and self.length(waiting[0]) > 1:
                    break
                group.append(waiting.pop(0))
            if math.prod(map(self.length, group)) != length:
                return self._recut(target)
            groups.append(tuple(group))
        return replace(self, axes=tuple(groups))

    def _recut(self, target: Shape) -> Tensor | None:
        """See the same numbers with another shape by cutting the channels, or None if that is not enough."""
        last = len(self.shape) - 1
        waiting = [i for group in self.axes for i in group]
        if self.cut or last not in waiting:
            return None
        pieces: list[int] = []
        left = self.shape[last]
        groups: list[tuple[int, ...]] = []
        for length in target:
            group: list[int] = []
            have = 1
            if length == 1 and waiting and waiting[0] != last and self.shape[waiting[0]] == 1:
                group.append(waiting.pop(0))
            while have < length and waiting:
                if length % have:
                    return None
                need, own = length // have, waiting[0]
                if own != last:
                    group.append(waiting.pop(0))
                    have *= self.shape[own]
                    continue
                part = left if need % left == 0 else need
                if left % part:
                    return None
                group.append(PIECE + len(pieces))
                pieces.append(part)
                left, have = left // part, have * part
                if left == 1:
                    waiting.pop(0)
            if have != length:
                return None
            groups.append(tuple(group))
        if any(own == last or self.shape[own] > 1 for own in waiting):
            return None
        return replace(self, axes=tuple(groups), cut=tuple(pieces))

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
    long = [i for i, n in enumerate(shape[:-1] if result.cut else shape) if n > 1]
    long += [PIECE + i for i, n in enumerate(result.cut) if n > 1]
    whole = not result.cut or math.prod(result.cut) == shape[-1]
    if not whole or sorted(i for group in result.axes for i in group if result.length(i) > 1) != long:
        raise UnreadableError(f"its result of shape {shape} cannot be followed")
    return ops, result
