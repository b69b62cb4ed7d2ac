"""What a translation may ask about an operator of TensorFlow Lite, and how it writes ONNX's operators instead.

TensorFlow Lite keeps channels last and ONNX first. Where an operator cares, the axes are moved before it and back
behind it, which costs nothing: the reader of ONNX only notes how an axis is seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.tflite.tflite_file import CONVERT_AGAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.readers.onnx.composing import Composer
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.tflite.tflite_file import LiteModel, LiteOperator, LiteTensor

_FIXED: Final = "Convert the model with a patch of one size."
#: Number of an activation that an operator brings along -> operator and limits.
_FUSED: Final[Mapping[int, tuple[str, tuple[float, ...]]]] = {
    **{1: ("Relu", ()), 2: ("Clip", (-1.0, 1.0)), 3: ("Clip", (0.0, 6.0)), 4: ("Tanh", ())},
}


@dataclass(frozen=True)
class Apart:
    """How a tensor lies in the file that is a plain map here.

    Attributes
    ----------
    blocks : tuple of int
        It is cut into blocks that lie in the batch (the file's way of a dilated convolution): their sizes.
    positions : tuple of int or None
        Its positions lie in the batch (the file's way of a dense layer on each): the sizes of the map.
    """

    blocks: Shape = ()
    positions: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class LiteContext:
    """One operator with what it reads.

    Attributes
    ----------
    operator : LiteOperator
        As in the file.
    layer : str
        The layer's name, which no other has.
    model : LiteModel
        The file.
    values : dict
        Arrays known without the patch, by number of the tensor.
    composer : Composer
        Takes what is written.
    apart : dict
        Tensors that are laid out otherwise here than in the file, by number: see :class:`Apart`.
    """

    operator: LiteOperator
    layer: str
    model: LiteModel
    values: dict[int, Constant]
    composer: Composer
    apart: dict[int, Apart]

    # What it reads ------------------------------------------------------------------------------------------------

    def has(self, index: int) -> bool:
        """Say whether an optional input is given."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    def tensor(self, index: int) -> LiteTensor:
        """Give one of its inputs."""
        if not self.has(index):
            raise UnreadableError(f"its input number {index + 1} is missing", CONVERT_AGAIN)
        return self.model.tensors[self.operator.inputs[index]]

    def read(self, index: int = 0) -> str:
        """Give the name of one of its inputs."""
        return self.tensor(index).name

    def rank(self, index: int = 0) -> int:
        """Give the number of axes of one of its inputs."""
        return len(self.tensor(index).sizes)

    def size(self, axis: int, index: int = 0) -> int:
        """Give a size of one of its inputs."""
        return self._known(self.tensor(index), axis)

    def made(self, axis: int, index: int = 0) -> int:
        """Give a size of one of its results."""
        return self._known(self.model.tensors[self.operator.outputs[index]], axis)

    def _known(self, tensor: LiteTensor, axis: int) -> int:
        if not -len(tensor.sizes) <= axis < len(tensor.sizes):
            raise UnreadableError(f"it acts on axis {axis} of {len(tensor.sizes)}", CONVERT_AGAIN)
        size = tensor.sizes[axis]
        if size is None:
            raise RefusedError("what it does depends on the size of the patch, which is not fixed", _FIXED)
        return size

    def layout(self, index: int = 0) -> Apart:
        """Say how one of its inputs lies in the file."""
        return self.apart.get(self.operator.inputs[index], PLAINLY)

    def keeps(self, layout: Apart) -> None:
        """Say how what it makes lies in the file."""
        self.apart[self.operator.outputs[0]] = layout

    def maker(self, index: int = 0) -> LiteOperator | None:
        """Give the operator that made one of its inputs."""
        return self.model.makers.get(self.operator.inputs[index])

    def constant(self, index: int) -> Constant:
        """Give an input that does not depend on the patch."""
        self.tensor(index)
        values = self.values.get(self.operator.inputs[index])
        if values is None:
            raise RefusedError(f"its input number {index + 1} is computed from the patch instead of fixed", _FIXED)
        return values

    def wholes(self, index: int) -> list[int]:
        """Give an input that is a short list of whole numbers, or a single one."""
        values = self.constant(index)
        if values.dtype.kind != "i" or values.size > 64:
            raise UnreadableError(f"its input number {index + 1} is no short list of whole numbers", CONVERT_AGAIN)
        return [int(n) for n in values.ravel()]

    def axis(self, axis: int, index: int = 0) -> int:
        """Count an axis of one of its inputs from the front."""
        rank = self.rank(index)
        if not -rank <= axis < rank:
            raise UnreadableError(f"it acts on axis {axis} of {rank}", CONVERT_AGAIN)
        return axis % rank

    def option(self, field: int, kind: str = "i", default: int = 0) -> int:
        """Give a setting that is a whole number."""
        options = self.operator.options
        return default if options is None else options.number(field, kind, default)

    def real(self, field: int) -> float:
        """Give a setting that is a number."""
        options = self.operator.options
        value = 0.0 if options is None else options.real(field)
        if not np.isfinite(value):
            raise UnreadableError("one of its settings is not finite", CONVERT_AGAIN)
        return value

    def listed(self, field: int) -> list[int] | None:
        """Give a setting that is a list of whole numbers, None where it is left out."""
        options = self.operator.options
        return None if options is None or field not in options else options.numbers(field, "<i4").tolist()

    # What comes of it ---------------------------------------------------------------------------------------------

    def fixed(self, value: Any) -> str:
        """Give the name of a constant."""
        return self.composer.constant(value)

    def step(self, op_type: str, inputs: Sequence[str], **settings: Any) -> str:
        """Write an operator whose result only this layer reads, and give that."""
        return self.composer.add(self.layer, op_type, inputs, **settings)

    def first(self, index: int = 0) -> str:
        """Give one of its inputs with the channels first."""
        rank = self.rank(index)
        return self.step("Transpose", [self.read(index)], perm=(0, rank - 1, *range(1, rank - 1)))

    def last(self, name: str, rank: int) -> str:
        """Move the channels of a result to where they are in the file."""
        return self.step("Transpose", [name], perm=(0, *range(2, rank), 1))

    def activated(self, name: str, activation: int) -> str:
        """Apply the activation that the operator brings along."""
        if not activation:
            return name
        if activation not in _FUSED:
            raise UnreadableError("it brings along an unknown activation", CONVERT_AGAIN)
        kind, limits = _FUSED[activation]
        return self.step(kind, [name, *(self.fixed(limit) for limit in limits)])

    def finish(self, name: str, activation: int = 0, index: int = 0) -> None:
        """Name what the operator makes, after the activation that it brings along."""
        result = self.model.tensors[self.operator.outputs[index]].name
        self.composer.named(self.activated(name, activation), result, self.layer)


PLAINLY: Final = Apart()


def moved(axis: int, rank: int) -> int:
    """Say where an axis lies once the channels are first."""
    if axis == rank - 1:
        return 1
    return axis + 1 if axis else 0


_MODEL_PREFIX = re.compile(r"^(functional|sequential|model)(_\d+)?/", re.IGNORECASE)
#: What converters call results that have no name of their own.
_NAMELESS: Final = ("StatefulPartitionedCall", "serving_default", "Identity", "PartitionedCall", "tensor")


def layer_name(operator: LiteOperator, tensors: Sequence[LiteTensor]) -> str:
    """Give the name that a person knows: that of the layer that made the result, or the operator's own."""
    name = tensors[operator.outputs[0]].label if operator.outputs else ""
    if not name or name.startswith(_NAMELESS):
        return operator.op_type.lower()
    return _MODEL_PREFIX.sub("", name)
