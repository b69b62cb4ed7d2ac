"""The graph while it is being built, and what a translation may ask about the ONNX node it is for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.network import INPUT, Node
from napari_fcnseg.graph.ops import Affine, Array, Expand, Flatten, Merge, Op
from napari_fcnseg.readers.onnx.values import PLAIN, GroupedMap, PendingFormula, SplitMap, Tensor, Value, channels_first
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.shapes import MAX_ELEMENTS, Shape, after

if TYPE_CHECKING:
    from napari_fcnseg.readers.onnx.onnx_file import OnnxNode
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.onnx.values import View

_LAYOUT: Final = "Keep images as (batch, channel, height, width) where this layer reads them, and export again."


class GraphBuilder:
    """The nodes of the graph made so far.

    Parameters
    ----------
    patch_axes : int
        Number of spatial axes of a patch.
    opset : int
        Version of the file's operators.
    batch : int or None
        How many patches the file's batch axis holds, None if any number.
    used : frozenset of str
        The names of the results that something in the file reads.
    """

    def __init__(self, patch_axes: int, opset: int, batch: int | None, used: frozenset[str]) -> None:
        self.patch_axes = patch_axes
        self.opset = opset
        self.batch = batch
        self.used = used
        self.nodes: dict[str, Node] = {}
        self._last = ("", "")

    def add(self, name: str, layer_type: str, ops: tuple[Op, ...], inputs: tuple[str, ...]) -> str:
        """Add a node under a name that is made unique, and return that name.

        What continues the last node of the same name is added to that one.
        """
        base, last = self._last
        if base == name and inputs == (last,):
            self.nodes[last] = replace(self.nodes[last], ops=self.nodes[last].ops + ops)
            return last
        unique, count = name, 1
        while unique in self.nodes or unique == INPUT:
            count += 1
            unique = f"{name} ({count})"
        self.nodes[unique] = Node(unique, layer_type, ops, inputs)
        self._last = (name, unique)
        return unique


@dataclass(frozen=True)
class NodeContext:
    """One ONNX node with what it reads: constants as arrays, everything else as views of the graph's results."""

    node: OnnxNode
    values: tuple[Value | Constant | None, ...]
    builder: GraphBuilder

    @property
    def opset(self) -> int:
        """Version of the file's operators."""
        return self.builder.opset

    # Settings -----------------------------------------------------------------------------------------------------

    def number(self, name: str, default: float) -> float:
        """Read a setting that is a finite number."""
        value = self._setting(name, float(default), (int, float))
        if not math.isfinite(value):
            raise UnreadableError(f"its setting {name!r} is not finite", EXPORT_AGAIN)
        return float(value)

    def whole(self, name: str, default: int) -> int:
        """Read a setting that is a whole number."""
        return int(self._setting(name, default, (int,)))

    def wholes(self, name: str, length: int, default: int, least: int = 1, most: int = 2**20) -> Shape:
        """Read a setting of ``length`` whole numbers."""
        values = self._setting(name, (default,) * length, (tuple,))
        if len(values) != length or not all(isinstance(n, int) and least <= n <= most for n in values):
            raise UnreadableError(f"its setting {name!r} is {str(values)[:60]}, which cannot be", EXPORT_AGAIN)
        return tuple(values)

    def listed(self, name: str, kind: type = int) -> tuple[Any, ...] | None:
        """Read a setting that is a list of numbers of any length, None where it is left out."""
        if name not in self.node.attributes:
            return None
        values: tuple[Any, ...] = self._setting(name, (), (tuple,))
        if not all(isinstance(value, kind) for value in values):
            raise UnreadableError(f"its setting {name!r} is malformed", EXPORT_AGAIN)
        return values

    def text(self, name: str, default: str) -> str:
        """Read a setting that is a word."""
        return str(self._setting(name, default, (str,)))

    def _setting(self, name: str, default: Any, types: tuple[type, ...]) -> Any:
        value = self.node.attributes.get(name, default)
        if not isinstance(value, types):
            raise UnreadableError(f"its setting {name!r} is malformed", EXPORT_AGAIN)
        return value

    # What it reads ------------------------------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Say whether an optional input is given."""
        return index < len(self.values) and self.values[index] is not None

    def tensor(self, index: int = 0) -> Tensor:
        """Give an input that depends on the patch."""
        value = self.values[index] if index < len(self.values) else None
        if isinstance(value, Tensor):
            return value
        if isinstance(value, PendingFormula):
            return self._finished(value)
        if isinstance(value, GroupedMap | SplitMap):
            raise RefusedError("it reads the channels of a map in groups", PLAIN)
        raise UnreadableError(f"its input number {index + 1} is missing or constant", EXPORT_AGAIN)

    def _finished(self, pending: PendingFormula) -> Tensor:
        """Give a step of a formula that has a meaning of its own."""
        (x, *_) = pending.operands
        if pending.kind != "Abs" or not isinstance(x, Tensor):
            raise pending.refusal
        none, minus = np.zeros((), np.float32), np.asarray(-1, np.float32)
        mirrored = self.emit(Affine(none, minus, none), read=x)
        return self.join(Merge("maximum"), (x, mirrored), x.shape, x.view)

    def map(self, index: int = 0) -> Tensor:
        """Give an input that is a map in the usual order of axes."""
        tensor = self.tensor(index)
        if not tensor.is_map or len(tensor.view) != self.builder.patch_axes + 1:
            raise RefusedError(
                f"it needs a map of (channel, {self.builder.patch_axes} positions), but what it reads has the shape "
                f"{tensor.sizes} or its axes are in another order",
                _LAYOUT,
            )
        return tensor

    def vector(self, index: int = 0) -> Tensor:
        """Give an input that is one row of features per patch."""
        tensor = self.tensor(index)
        if not tensor.is_vector:
            raise RefusedError(
                f"it needs one row of numbers per patch, but what it reads has the shape {tensor.sizes}",
                "Flatten the maps before it (torch.flatten(x, 1)) and train again.",
            )
        return tensor

    def constant(self, index: int) -> Constant:
        """Give an input that does not depend on the patch."""
        value = self.values[index] if index < len(self.values) else None
        if not isinstance(value, np.ndarray):
            raise RefusedError(
                f"its input number {index + 1} ({self._called(index)}) is computed from the patch instead of fixed",
                PLAIN,
            )
        return value

    def weights(self, index: int, shape: tuple[int | None, ...] | None = None) -> Array:
        """Give an input that holds trained numbers, checked for its shape (None: any size) and its values."""
        return self.finite(self.constant(index), shape, self._called(index))

    def finite(self, values: Constant, shape: tuple[int | None, ...] | None = None, name: str = "constant") -> Array:
        """Check trained numbers for their shape and values."""
        if shape is not None and (
            values.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True))
        ):
            wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
            raise UnreadableError(f"its array {name} has the shape {values.shape} instead of {wanted}", EXPORT_AGAIN)
        if values.dtype.kind != "f":
            raise RefusedError(
                f"its array {name} holds whole numbers; quantised networks are not read",
                "Export the model in single precision (model.float()), before it is quantised.",
            )
        if not np.isfinite(values).all():
            raise UnreadableError(
                f"its array {name} holds values that are not finite (NaN, infinite, or beyond single precision)",
                "The training probably diverged: use an earlier checkpoint, or train again with a lower learning rate.",
            )
        return np.ascontiguousarray(values, dtype=np.float32)

    def integers(self, index: int) -> list[int]:
        """Give an input that is a list of whole numbers, or a single one, known without the patch."""
        values = self.constant(index)
        if values.dtype.kind != "i" or values.ndim > 1 or values.size > 64:
            raise UnreadableError(f"its input number {index + 1} is no short list of whole numbers", EXPORT_AGAIN)
        return [int(n) for n in values.ravel()]

    def _called(self, index: int) -> str:
        name = self.node.inputs[index] if index < len(self.node.inputs) else ""
        return repr(name[:60])

    # What comes of it ---------------------------------------------------------------------------------------------

    def emit(self, *ops: Op, read: Tensor | None = None, view: View | None = None) -> Tensor:
        """Add operations on one tensor to the graph.

        Parameters
        ----------
        *ops : Op
            In order.
        read : Tensor, optional
            What they act on, by default the first input.
        view : tuple, optional
            How ONNX sees the result; by default as a map or vector if the shape changed, else as before.

        Returns
        -------
        Tensor
            The result.
        """
        tensor = self.tensor() if read is None else read
        shape = tensor.shape
        for op in ops:
            shape = after(op, shape)
        if view is None:
            view = tensor.view if shape == tensor.shape else channels_first(shape)
        name = self.builder.add(self.node.name, self.node.op_type, ops, (tensor.source,))
        return Tensor(name, shape, view)

    def join(self, op: Op, tensors: tuple[Tensor, ...], shape: Shape, view: View) -> Tensor:
        """Add a merge of several tensors to the graph."""
        if math.prod(shape) > MAX_ELEMENTS:
            raise UnreadableError(
                f"its result would have the shape {shape}, which is too large to be true", EXPORT_AGAIN
            )
        sources = tuple(tensor.source for tensor in tensors)
        return Tensor(self.builder.add(self.node.name, self.node.op_type, (op,), sources), shape, view)

    def settle(self, tensor: Tensor) -> Tensor:
        """Give a view the form that later layers expect: rows become vectors, single positions become maps."""
        if len(tensor.view) == 1 and len(tensor.shape) > 1:
            return self.emit(Flatten(_order(tensor)), read=tensor)
        axes = self.builder.patch_axes
        if len(tensor.view) == axes + 1 and len(tensor.shape) == 1 and axes:
            view = tuple((axes,) if group else () for group in tensor.view)
            name = self.builder.add(self.node.name, self.node.op_type, (Expand(),), (tensor.source,))
            return Tensor(name, (1,) * axes + tensor.shape, view)
        return tensor


def _order(tensor: Tensor) -> tuple[int, ...] | None:
    """Give the order in which a map is flattened, None for that of the graph itself."""
    (taken,) = tensor.view
    rank = len(tensor.shape)
    for order in (tuple(range(rank)), (rank - 1, *range(rank - 1))):
        if tuple(axis for axis in order if tensor.shape[axis] > 1) == taken:
            return None if order == tuple(range(rank)) else order
    return (*(axis for axis in range(rank) if axis not in taken), *taken)
