"""SavedModel folders written by hand: what Keras 2 would write, and what an attacker would."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np

Value = int | bytes | str
DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}
GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"


def varint(value: int) -> bytes:
    """Write a whole number of variable length."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, Value]) -> bytes:
    """Write a protocol buffer."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(content)) + content
    return out


def block(entries: Iterable[tuple[bytes, bytes]], *, compressed: int = 0) -> bytes:
    """Write a block of a table, keys shortened by what they share with the one before."""
    out, before = b"", b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return out + struct.pack("<II", 0, 1) + bytes([compressed]) + b"crc?"


def table(entries: Mapping[bytes, bytes], *, per_block: int = 3, compressed: int = 0) -> bytes:
    """Write a whole table."""
    items, out, index = sorted(entries.items()), b"", []
    for start in range(0, len(items), per_block):
        part = block(items[start : start + per_block], compressed=compressed)
        index.append((items[start][0], varint(len(out)) + varint(len(part) - 5)))
        out += part
    handles = b""
    for part in (block([]), block(index)):
        handles += varint(len(out)) + varint(len(part) - 5)
        out += part
    return out + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def entry(dtype: int, shape: Iterable[int], offset: int, size: int, *more: tuple[int, Value]) -> bytes:
    """Write where an array is."""
    return message(
        (1, dtype), (2, b"".join(message((2, message((1, n)))) for n in shape)), (4, offset), (5, size), *more
    )


def node(children: Mapping[str, int], key: str | None = None) -> bytes:
    """Write an object: what it refers to, and the key of its array if it is a variable."""
    fields: list[tuple[int, Value]] = [(1, message((1, child), (2, name))) for name, child in children.items()]
    if key is not None:
        fields.append((2, message((1, "VARIABLE_VALUE"), (2, "a/name"), (3, key))))
    return message(*fields)


def string(content: bytes) -> bytes:
    """Write a tensor of one string."""
    return varint(len(content)) + b"crc?" + content


def saved_model(identifier: str = "_tf_keras_sequential", metadata: str = "") -> bytes:
    """Write a ``saved_model.pb`` without computations; TensorFlow before 2.5 kept the description in it."""
    user_object = message((1, identifier), (3, metadata))
    return message((1, 1), (2, message((7, message((1, message((4, user_object))))))))


class SavedModel:
    """A SavedModel of a Sequential model, to be bent in one place and then written."""

    def __init__(self, model: dict[str, Any], layers: list[dict[str, np.ndarray]]) -> None:
        self.metadata = {"root": {**model, "is_graph_network": True, "name": "forged"}}
        entries = model["config"]["layers"]
        for number, layer in enumerate(entries[-len(layers) :]):
            self.metadata[f"root.layer-{number}"] = {"name": layer["config"]["name"]}
        self.data = b""
        self.entries: dict[bytes, bytes] = {b"": message((1, 1), (3, message((1, 1))))}
        self.nodes = [node({f"layer-{number}": 1 + number for number in range(len(layers))})]
        variables: list[bytes] = []
        lists: list[bytes] = []
        first_list, first_variable = 1 + len(layers), 1 + 2 * len(layers)
        for number, arrays in enumerate(layers):
            owned = {name: first_variable + len(variables) + i for i, name in enumerate(arrays)}
            self.nodes.append(node({"variables": first_list + number, **dict(reversed(owned.items()))}))
            lists.append(node({str(i): child for i, child in enumerate(owned.values())}))
            for name, values in arrays.items():
                key = f"layer-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
                variables.append(node({}, key))
                self.add(key.encode(), values)
        self.nodes += lists + variables
        self.graph: bytes | None = None
        self.index: bytes | None = None

    def add(self, key: bytes, values: np.ndarray) -> None:
        """Store an array."""
        content = values.tobytes()
        self.entries[key] = entry(DTYPES[values.dtype.name], values.shape, len(self.data), len(content))
        self.data += content

    def write(self, folder: Path) -> Path:
        """Write all files."""
        graph = b"".join(message((1, content)) for content in self.nodes) if self.graph is None else self.graph
        data = self.data + string(graph)
        entries = {GRAPH: entry(7, (), len(self.data), len(string(graph))), **self.entries}
        metadata = b"".join(
            message((1, message((2, i), (3, path), (4, "_tf_keras_layer"), (5, _text(value)))))
            for i, (path, value) in enumerate(self.metadata.items())
        )
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(saved_model())
        (folder / "keras_metadata.pb").write_bytes(metadata)
        (folder / "variables/variables.index").write_bytes(table(entries) if self.index is None else self.index)
        (folder / "variables/variables.data-00000-of-00001").write_bytes(data)
        return folder


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
