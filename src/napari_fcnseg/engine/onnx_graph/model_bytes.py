"""ONNX models as bytes: the few messages of its protocol buffers that are needed here, written by hand.

The package ``onnx`` would do, and takes half a second to import in a process that is to compute within one.

References
----------
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Attribute: TypeAlias = int | float | str | Sequence[int]

#: Of ONNX; both are understood by ONNX Runtime 1.13 and later.
IR_VERSION, OPSET = 8, 17
_DTYPES: Final = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7  # types of attributes


@dataclass(frozen=True)
class Node:
    """One operation of a graph.

    Attributes
    ----------
    kind : str
        ONNX's name of it.
    inputs, outputs : tuple of str
        Names of tensors.
    attributes : mapping of str to int, float, str or ints
        Its settings.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Port:
    """A tensor of float32 that goes into a graph or comes out of it.

    Attributes
    ----------
    name : str
        Its name.
    shape : tuple of int or str
        A name where any length will do.
    """

    name: str
    shape: tuple[int | str, ...]


def model_bytes(
    nodes: Iterable[Node],
    constants: Mapping[str, np.ndarray],
    inputs: Iterable[Port],
    outputs: Iterable[Port],
    name: str = "dense",
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """Return a model as a file holds it.

    Parameters
    ----------
    nodes : iterable of Node
        The operations, each after what it reads.
    constants : mapping of str to ndarray of float32 or int64
        Tensors that are known, by their names.
    inputs, outputs : iterable of Port
        What goes in and comes out.
    name : str
        Of the graph.
    notes : mapping of str to str, optional
        Metadata.

    Raises
    ------
    ValueError
        If it is larger than the 2 GiB that a message may have.
    """
    graph = b"".join(
        [
            *(_message(1, _node(node)) for node in nodes),
            _text(2, name),
            *(_message(5, _tensor(key, array)) for key, array in constants.items()),
            *(_message(11, _port(port)) for port in inputs),
            *(_message(12, _port(port)) for port in outputs),
        ]
    )
    opset = _message(8, _text(1, "") + _number(2, OPSET))
    said = b"".join(_message(14, _text(1, key) + _text(2, text)) for key, text in (notes or {}).items())
    model = _number(1, IR_VERSION) + _text(2, "napari-fcnseg") + _message(7, graph) + opset + said
    if len(model) >= 2**31:
        raise ValueError("an ONNX model ends at 2 GiB")
    return model


def _node(node: Node) -> bytes:
    named = [_text(1, name) for name in node.inputs] + [_text(2, name) for name in node.outputs]
    settings = (_message(5, _attribute(key, value)) for key, value in node.attributes.items())
    # Named after its first result: ONNX Runtime 1.19 gives two nodes that it makes of nameless ones the same name.
    return b"".join([*named, _text(3, node.outputs[0]), _text(4, node.kind), *settings])


def _attribute(key: str, value: Attribute) -> bytes:
    match value:
        case bool() | int():
            return _text(1, key) + _number(3, int(value)) + _number(20, _INT)
        case float():
            return _text(1, key) + _tag(2, _FIXED32) + struct.pack("<f", value) + _number(20, _FLOAT)
        case str():
            return _text(1, key) + _text(4, value) + _number(20, _STRING)
    return _text(1, key) + b"".join(_number(8, int(n)) for n in value) + _number(20, _INTS)


def _tensor(key: str, array: np.ndarray) -> bytes:
    dims = b"".join(_number(1, n) for n in array.shape)
    raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return dims + _number(2, _DTYPES[array.dtype]) + _text(8, key) + _message(9, raw)


def _port(port: Port) -> bytes:
    dims = b"".join(_message(1, _text(2, n) if isinstance(n, str) else _number(1, n)) for n in port.shape)
    tensor = _number(1, _DTYPES[np.dtype(np.float32)]) + _message(2, dims)
    return _text(1, port.name) + _message(2, _message(1, tensor))


def _tag(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, _BYTES) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _number(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + _varint(number % 2**64)  # negative numbers are written as their complement


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
