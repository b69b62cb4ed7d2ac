"""What a translation may ask about the call of an ATen operator, and how it writes ONNX's operators instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.torch_export.archive import SAVE_PROGRAM
from napari_fcnseg.readers.torch_export.program import Name
from napari_fcnseg.system.safe_json import is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.readers.onnx.composing import Composer
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.torch_export.program import Call, Sizes

_FIXED: str = "Export the model with a patch of one size, and leave no axis but the batch axis dynamic."


@dataclass(frozen=True)
class CallContext:
    """One call with the names that its arguments go by now.

    Attributes
    ----------
    call : Call
        As in the file.
    name : str
        The operator without its package, overload and mark of working in place: ``conv2d``.
    layer : str
        The layer's name, which no other has.
    arguments : mapping
        Those of the call, after what worked in place.
    sizes : mapping
        For each result its shape, None for what is not fixed.
    composer : Composer
        Takes what is written.
    """

    call: Call
    name: str
    layer: str
    arguments: Mapping[str, Any]
    sizes: Mapping[str, Sizes]
    composer: Composer

    # What it reads ------------------------------------------------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        """Give an argument as it is, the default where it is left out."""
        value = self.arguments.get(key)
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Say whether an argument is given."""
        return self.arguments.get(key) is not None

    def read(self, key: str, default: float | None = None) -> str:
        """Give the name of what an argument reads; a number becomes a constant."""
        value = self.get(key, default)
        if isinstance(value, Name):
            return str(value)
        if is_number(value):
            return self.composer.constant(float(value))
        raise self.malformed(key)

    def optional(self, key: str) -> str:
        """Give the name of what an argument reads, ``""`` where it is left out."""
        return self.read(key) if self.has(key) else ""

    def names(self, key: str) -> list[str]:
        """Give an argument that is a list of tensors."""
        value = self.get(key, ())
        if not isinstance(value, tuple) or not value or not all(isinstance(n, Name) for n in value):
            raise self.malformed(key)
        return [str(name) for name in value]

    def number(self, key: str, default: float) -> float:
        """Give an argument that is a number."""
        value = self.get(key, default)
        return float(value) if is_number(value) else self._raise(key)

    def whole(self, key: str, default: int | None = None) -> int:
        """Give an argument that is a whole number."""
        value = self.get(key, default)
        return value if is_whole(value) else self._raise(key)

    def flag(self, key: str, default: bool) -> bool:
        """Give an argument that is true or false."""
        value = self.get(key, default)
        return value if isinstance(value, bool) else self._raise(key)

    def wholes(self, key: str, count: int | None = None, default: int | None = None) -> Shape:
        """Give an argument that is whole numbers, ``count`` of them: a single one stands for all."""
        value = self.get(key, () if default is None else default)
        if value == () and default is not None:
            value = default
        values = (value,) if is_whole(value) else value
        if not isinstance(values, tuple) or not all(is_whole(n) for n in values):
            raise self.malformed(key)
        if count is not None and len(values) == 1:
            values *= count
        if count is not None and len(values) != count:
            raise self.malformed(key)
        return values

    def rank(self, key: str) -> int:
        """Give the number of axes of a tensor that it reads."""
        value = self.get(key)
        return len(self.shape(str(value))) if isinstance(value, Name) else self._raise(key)

    def fixed_sizes(self, name: str) -> Shape:
        """Give the positions of a map, all of them known."""
        sizes = self.shape(name)[2:]
        known = tuple(n for n in sizes if n is not None)
        if len(known) != len(sizes):
            raise RefusedError("what it does depends on the size of the patch, which is not fixed", _FIXED)
        return known

    def shape(self, name: str) -> Sizes:
        """Give the shape of a result, None for what is not fixed."""
        if name not in self.sizes:
            raise UnreadableError(f"the shape of {name[:60]!r} is missing", SAVE_PROGRAM)
        return self.sizes[name]

    def own_shape(self) -> Sizes:
        """Give the shape of what it acts on."""
        return self.shape(str(self.get("self" if self.has("self") else "input")))

    def axis(self, key: str, default: int) -> int:
        """Give an axis of what it acts on, counted from the front."""
        axis, rank = self.whole(key, default), len(self.own_shape())
        if not -rank <= axis < rank:
            raise self.malformed(key)
        return axis % rank

    def malformed(self, key: str) -> UnreadableError:
        """Say that an argument cannot be made sense of."""
        return UnreadableError(f"its argument {key!r} is malformed", SAVE_PROGRAM)

    def _raise(self, key: str) -> Any:
        raise self.malformed(key)

    # What comes of it ---------------------------------------------------------------------------------------------

    def constant(self, value: Any) -> str:
        """Give the name of a constant."""
        return self.composer.constant(value)

    def step(self, op_type: str, inputs: Sequence[str], **settings: Any) -> str:
        """Write an operator whose result only this layer reads, and give that."""
        return self.composer.add(self.layer, op_type, inputs, **settings)

    def finish(self, op_type: str, inputs: Sequence[str], made: Sequence[str] = (), **settings: Any) -> None:
        """Write the operator that makes what the call makes, or ``made``."""
        self.composer.add(self.layer, op_type, inputs, made or self.call.outputs, **settings)
