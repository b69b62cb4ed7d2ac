"""A TensorFlow Lite file -> its operators and arrays as plain data; what its fields are is written in its schema."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.flatbuffer import Flatbuffer, Table
from napari_fcnseg.readers.onnx.onnx_file import readable, unique_name
from napari_fcnseg.readers.onnx.tensors import settled
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.readers.shapes import MAX_ELEMENTS
from napari_fcnseg.readers.tflite.names import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.shapes import Shape

#: Damage or a forgery: the advice for both.
CONVERT_AGAIN: Final = (
    "Convert the model again with tf.lite.TFLiteConverter where it was trained, or save it with "
    "model.save('my_model.keras'), and open that file."
)
_VERSION: Final = 3
_MOST_BYTES: Final = 2**31 - 1
_MOST_NODES: Final = 20_000
_MOST_AXES: Final = 8
_COPIES: Final = 4  # what arrays may take together, as a multiple of the file: some share their bytes
FLOAT32, FLOAT16, INT32, INT64, BOOL = 0, 1, 2, 4, 6
_DTYPES: Final = {
    **{FLOAT32: "<f4", FLOAT16: "<f2", INT32: "<i4", 3: "<u1", INT64: "<i8", BOOL: "?", 7: "<i2", 9: "<i1"},
    10: "<f8",
}


@dataclass(frozen=True)
class LiteTensor:
    """A tensor: ``sizes`` with None for those that are not fixed, ``kind`` is the format's number of its type.

    ``name`` is unique, ``label`` is what the file says. ``scale`` and ``zero`` are those of quantised numbers along
    ``axis``, empty where it has none.
    """

    name: str
    label: str
    sizes: tuple[int | None, ...]
    kind: int
    buffer: int
    scale: tuple[float, ...] = ()
    zero: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True)
class LiteOperator:
    """An operator: ``inputs`` and ``outputs`` are numbers of tensors, -1 for one left out."""

    op_type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class LiteModel:
    """What a file holds.

    By number of the tensor, ``names`` are those of inputs and outputs where the file says them, and ``makers`` the
    operators that make it.
    """

    tensors: tuple[LiteTensor, ...]
    operators: tuple[LiteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: Mapping[int, Constant]
    names: Mapping[int, str]
    makers: Mapping[int, LiteOperator]


def load(file: BinaryIO) -> LiteModel:
    """Read a TensorFlow Lite file and check all of it.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.

    Returns
    -------
    LiteModel
        What it holds.

    Raises
    ------
    UnreadableError
        It is damaged, or of a version that is not read.
    """
    size = os.fstat(file.fileno()).st_size
    if size > _MOST_BYTES:
        raise UnreadableError("it is larger than a TensorFlow Lite file can be", CONVERT_AGAIN)
    buffer = Flatbuffer(file.read(), "the TensorFlow Lite file")
    model = buffer.root()
    if model.number(0, "I") != _VERSION:
        raise UnreadableError("it is of a version of TensorFlow Lite that is not read", CONVERT_AGAIN)
    graphs = model.tables(2)
    if not graphs:
        raise UnreadableError("it holds no network", CONVERT_AGAIN)
    graph = graphs[0]
    tensors = _tensors(graph)
    operators = _operators(graph, model.tables(1), len(tensors))
    made = {number: operator for operator in operators for number in operator.outputs}
    inputs, outputs = (_numbers(graph, field, len(tensors)) for field in (1, 2))
    arrays = _Arrays(buffer, model.tables(4), _COPIES * size)
    constants = {}
    for number, tensor in enumerate(tensors):
        if number not in made and number not in inputs and (values := arrays.read(tensor)) is not None:
            constants[number] = values
    names = _names(model, inputs, outputs)
    taken = {tensor.name for tensor in tensors}
    called = {n: names[n] for n in inputs if n in names and names[n] not in taken}
    tensors = tuple(replace(tensor, name=called.get(n, tensor.name)) for n, tensor in enumerate(tensors))
    return LiteModel(tensors, operators, inputs, outputs, constants, names, made)


def _tensors(graph: Table) -> tuple[LiteTensor, ...]:
    used: dict[str, int] = {}
    tensors = []
    for stored in graph.tables(0):
        label = readable(stored.text(3).partition(";")[0])
        name = unique_name(label or "tensor", used)
        shape, signature = (tuple(stored.numbers(field, "<i4").tolist()) for field in (0, 7))
        if len(shape) > _MOST_AXES or any(n < -1 for n in (*shape, *signature)):
            raise UnreadableError(f"the shape of {name[:80]!r} is malformed", CONVERT_AGAIN)
        sizes = signature if len(signature) == len(shape) else shape
        quantised = stored.table(4)
        scale, zero = (
            ((), ())
            if quantised is None
            else (tuple(quantised.numbers(2, "<f4").tolist()), tuple(quantised.numbers(3, "<i8").tolist()))
        )
        if stored.table(6) is not None:
            raise UnreadableError(f"the array {name[:80]!r} is sparse, which is not read", CONVERT_AGAIN)
        axis = 0 if quantised is None else quantised.number(6, "i")
        fixed = tuple(None if n == -1 else n for n in sizes)
        tensors.append(LiteTensor(name, label, fixed, stored.number(1, "b"), stored.number(2, "I"), scale, zero, axis))
    return tuple(tensors)


def _operators(graph: Table, codes: list[Table], tensors: int) -> tuple[LiteOperator, ...]:
    stored = graph.tables(3)
    if len(stored) > _MOST_NODES:
        raise UnreadableError(f"it has {len(stored)} operators, far more than a patch network", CONVERT_AGAIN)
    operators = []
    for operator in stored:
        index = operator.number(0, "I")
        if index >= len(codes):
            raise UnreadableError("one of its operators is of no kind", CONVERT_AGAIN)
        inputs, outputs = (_numbers(operator, field, tensors, -1) for field in (1, 2))
        operators.append(LiteOperator(_kind(codes[index]), inputs, outputs, operator.table(4)))
    return tuple(operators)


def _kind(code: Table) -> str:
    # An old field of one byte and a new one: whichever is greater counts.
    number = max(code.number(0, "b"), code.number(3, "i"))
    custom = readable(code.text(1))
    return f"custom {custom}" if number == BUILTIN.index("CUSTOM") else _named(number)


def _named(number: int) -> str:
    return BUILTIN[number] if 0 <= number < len(BUILTIN) else f"operator {number}"


def _numbers(table: Table, field: int, count: int, least: int = 0) -> Shape:
    numbers = tuple(int(n) for n in table.numbers(field, "<i4"))
    if not all(least <= n < count for n in numbers):
        raise UnreadableError("it refers to a tensor that it does not have", CONVERT_AGAIN)
    return numbers


def _names(model: Table, inputs: Shape, outputs: Shape) -> dict[int, str]:
    """Give the names by which a caller knows inputs and outputs, if there is one list of them."""
    signatures = [signature for signature in model.tables(7) if signature.number(4, "I") == 0]
    if len(signatures) != 1:
        return {}
    entries = [entry for field in (0, 1) for entry in signatures[0].tables(field)]
    named = {entry.number(1, "I"): readable(entry.text(0)) for entry in entries}
    whole = {*inputs, *outputs} == named.keys() and len(set(named.values())) == len(named) and all(named.values())
    return named if whole else {}


class _Arrays:
    """The arrays of a file: views of its bytes, together no more than a few times as large as it."""

    def __init__(self, buffer: Flatbuffer, stored: list[Table], most: int) -> None:
        self._buffer, self._stored, self._left = buffer, stored, most

    def read(self, tensor: LiteTensor) -> Constant | None:
        """Read one array, None where the tensor holds none."""
        with inside(f"array {tensor.name[:80]!r}"):
            if tensor.buffer >= len(self._stored):
                raise UnreadableError("it refers to bytes that the file does not have", CONVERT_AGAIN)
            content = self._content(self._stored[tensor.buffer])
            return self._values(tensor, content) if len(content) else None

    def _content(self, stored: Table) -> memoryview:
        start, size = stored.number(1, "Q"), stored.number(2, "Q")
        if start > 1:  # a large one lies behind the flatbuffer
            if start + size > len(self._buffer.content):
                self._buffer.damaged()
            return self._buffer.content[start : start + size]
        return stored.content(0)

    def _values(self, tensor: LiteTensor, content: memoryview) -> Constant:
        if tensor.kind not in _DTYPES:
            raise UnreadableError("its numbers are of a kind that is not read (text, complex or packed)", CONVERT_AGAIN)
        shape = tuple(n for n in tensor.sizes if n is not None)
        wide = np.dtype(_DTYPES[tensor.kind])
        count = math.prod(shape)
        if len(shape) != len(tensor.sizes) or count > MAX_ELEMENTS or len(content) != count * wide.itemsize:
            raise UnreadableError(f"it has {len(content)} bytes, which do not fit its shape {shape}", CONVERT_AGAIN)
        self._left -= len(content)
        if self._left < 0:
            raise UnreadableError("its arrays are larger together than their file", CONVERT_AGAIN)
        values: Any = np.frombuffer(content, wide).reshape(shape)
        return settled(values)
