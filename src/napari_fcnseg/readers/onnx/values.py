"""Map the axes of an ONNX tensor to those of the graph's tensor that stands for it.

ONNX keeps channels first and moves axes about freely; the graph keeps channels last and never moves anything. A
:class:`Tensor` is a result of the graph together with a *view* of it: for each ONNX axis after the batch axis the axes
of the graph's tensor that it runs over, the slowest first. Axes of length 1 are left out of it, so that equal views
are equal tuples::

    graph (row, col, channel) = (5, 4, 8)      view                  ONNX
    after a convolution                        ((2,), (0,), (1,))    (n, 8, 5, 4)
    permute(0, 2, 3, 1)                        ((0,), (1,), (2,))    (n, 5, 4, 8)
    flatten(2)                                 ((2,), (0, 1))        (n, 8, 20)
    flatten(1)                                 ((2, 0, 1),)          (n, 160)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from napari_fcnseg.errors import UnsupportedLayerError
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.shapes import Shape

View: TypeAlias = tuple[tuple[int, ...], ...]

#: Stands for the number of patches in a batch among the numbers of a shape; no file may hold it.
BATCH: Final = -(2**61) - 7
PLAIN: Final = "Replace it by convolutions, pooling and dense layers, and train again."


@dataclass(frozen=True)
class Tensor:
    """A result of the graph as ONNX sees it.

    Attributes
    ----------
    source : str
        The node of the graph, or its input.
    shape : tuple of int
        The graph's own shape, ``(*spatial, channel)`` or ``(feature,)``.
    view : tuple of tuple of int
        See the module.
    """

    source: str
    shape: Shape
    view: View

    @property
    def sizes(self) -> Shape:
        """The ONNX shape without its batch axis."""
        return tuple(math.prod(self.shape[axis] for axis in group) for group in self.view)

    @property
    def is_map(self) -> bool:
        """Whether ONNX sees a map as it usually does: channels, then positions."""
        return len(self.shape) > 1 and self.view == channels_first(self.shape)

    @property
    def is_vector(self) -> bool:
        """Whether it is one row of features for both."""
        return len(self.shape) == len(self.view) == 1

    def axis(self, onnx_axis: int) -> int:
        """Turn an ONNX axis (the batch axis being 0, negative ones from the end) into one of the graph's tensor.

        Raises
        ------
        RefusedError
            It is the batch axis, or not a single axis of the graph's tensor.
        """
        index = onnx_axis - 1 if onnx_axis >= 0 else onnx_axis + len(self.view)
        if index == -1:
            raise RefusedError("it mixes the patches of a batch", "Apply it to each patch by itself and train again.")
        if not 0 <= index < len(self.view):
            raise RefusedError(f"it acts on axis {onnx_axis}, which its input does not have", PLAIN)
        if self.is_map:
            return len(self.shape) - 1 if index == 0 else index - 1
        if self.is_vector:
            return 0
        if len(self.view[index]) != 1:
            raise RefusedError("it acts on an axis that joins several axes of the patch", PLAIN)
        return self.view[index][0]


@dataclass(frozen=True)
class GroupedMap:
    """A map whose channels ONNX sees in groups, ``(n, groups, rest)``: a step of a group normalisation."""

    tensor: Tensor
    groups: int


@dataclass(frozen=True)
class SplitMap:
    """A map whose channels are seen along two axes: a step of a channel shuffle or a maxout.

    Attributes
    ----------
    tensor : Tensor
        The map.
    at : int
        The axis of the patch that its channels have in ``tensor``; here they have two from there on.
    order : tuple of tuple of int
        The channel at each place of the two.
    """

    tensor: Tensor
    at: int
    order: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> Shape:
        """The shape without its batch axis."""
        sizes = self.tensor.sizes
        return (*sizes[: self.at], len(self.order), len(self.order[0]), *sizes[self.at + 1 :])


@dataclass(frozen=True)
class PendingFormula:
    """A step of a formula that is only known as a whole, such as the ``1 + erf(x)`` of a GELU.

    Attributes
    ----------
    kind : str
        The operator that made it.
    operands : tuple
        What it was made from.
    refusal : UnsupportedLayerError
        What is said if no known formula comes of it.
    """

    kind: str
    operands: tuple[Value | Constant, ...]
    refusal: UnsupportedLayerError


Value: TypeAlias = Tensor | GroupedMap | SplitMap | PendingFormula


def channels_first(shape: Shape) -> View:
    """Give the usual view of a map or vector."""
    order = (len(shape) - 1, *range(len(shape) - 1))
    return tuple((axis,) if shape[axis] > 1 else () for axis in order)


def reshaped(tensor: Tensor, sizes: Shape) -> Tensor | None:
    """View a tensor in another ONNX shape, without its batch axis.

    Returns
    -------
    Tensor or None
        None where an axis would have to be cut into pieces.
    """
    atoms = [axis for group in tensor.view for axis in group]
    view = []
    for size in sizes:
        group: list[int] = []
        while math.prod(tensor.shape[axis] for axis in group) < size and atoms:
            group.append(atoms.pop(0))
        if math.prod(tensor.shape[axis] for axis in group) != size:
            return None
        view.append(tuple(group))
    return None if atoms else Tensor(tensor.source, tensor.shape, tuple(view))


def aligned(constant: Constant, tensor: Tensor) -> Constant:
    """Lay a constant out so that it broadcasts against the graph's tensor as it did against ONNX's.

    Returns
    -------
    ndarray
        Of shape ``()``, ``(channel,)``, or one size per axis of the graph's tensor.

    Raises
    ------
    RefusedError
        It is larger than the tensor.
    """
    sizes = (1, *tensor.sizes)
    padded = constant.reshape((1,) * (len(sizes) - constant.ndim) + constant.shape)
    if padded.ndim != len(sizes) or any(n not in (1, size) for n, size in zip(padded.shape, sizes, strict=True)):
        raise RefusedError(
            f"it joins a constant of shape {constant.shape} with a patch of shape {tensor.sizes}, which enlarges it",
            "Use constants of one number, or of one number per channel, and train again.",
        )
    if constant.size == 1:
        return constant.reshape(())
    order = [axis for group in tensor.view for axis in group]
    spread: list[int] = []
    for group, size in zip(tensor.view, padded.shape[1:], strict=True):
        spread += [tensor.shape[axis] if size > 1 else 1 for axis in group]
    values = padded.reshape(spread).transpose(np.argsort(order))
    result = values.reshape([n if axis in order else 1 for axis, n in _indexed(values.shape, order, len(tensor.shape))])
    varying = [axis for axis, n in enumerate(result.shape) if n > 1]
    return result.reshape(-1) if varying == [result.ndim - 1] else result


def _indexed(sizes: Shape, order: list[int], rank: int) -> list[tuple[int, int]]:
    """Give each axis of the graph's tensor with its size in the constant, 1 where the view leaves it out."""
    known = dict(zip(sorted(order), sizes, strict=True))
    return [(axis, known.get(axis, 1)) for axis in range(rank)]
