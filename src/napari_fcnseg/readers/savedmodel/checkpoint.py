"""TensorFlow's checkpoint (``variables.index``, ``variables.data-…``): arrays, and the objects that own them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.folder import open_inside, read_inside
from napari_fcnseg.readers.guard.protobuf import Message, damaged, varint
from napari_fcnseg.readers.savedmodel.sstable import MAX_BYTES, read_table
from napari_fcnseg.readers.weights import StoredArray

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

MAX_TOTAL_BYTES: Final = 8 * 2**30
MAX_RANK: Final = 6
_FOLDER: Final = "variables"
_TABLE: Final = "the table of its arrays"
_GRAPH: Final = "the graph of its objects"
_GRAPH_KEY: Final = b"_CHECKPOINTABLE_OBJECT_GRAPH"
_STRING: Final = 7
_BFLOAT16: Final = 14
#: TensorFlow's numbers of types -> how they are stored.
_DTYPES: Final = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2", _BFLOAT16: "<u2"}


@dataclass(frozen=True)
class _Entry:
    """Where an array is: its type, shape, file, and place in that file."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


class Checkpoint:
    """The arrays of a SavedModel, and the objects that own them.

    Parameters
    ----------
    folder : Path
        The SavedModel's folder.

    Attributes
    ----------
    files : set of str
        Names of the files that were read, from the folder on.

    Raises
    ------
    UnreadableError
        A part is missing, damaged, a link, or of an unusual kind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = {f"{_FOLDER}/variables.index"}
        self._table = read_table(read_inside(folder, _FOLDER, "variables.index", limit=MAX_BYTES))
        header = Message(self._table.get(b"", memoryview(b"")), _TABLE)
        self._shards = header.whole(1)
        if not 1 <= self._shards <= 1_000 or header.whole(2):
            raise UnreadableError("the table of its arrays is of an unusual kind (big-endian, or of no file)")
        self._left = MAX_TOTAL_BYTES
        self._nodes = Message(self._object_graph(), _GRAPH).contents(1)
        self._parsed: dict[int, Message] = {}

    def child(self, node: int, name: str) -> int | None:
        """Give the object that another one calls by a name; object 0 is the model."""
        return self.children(node).get(name)

    def children(self, node: int) -> dict[str, int]:
        """Give the objects that an object refers to, by its names for them."""
        return {entry.text(2): entry.whole(1) for entry in self._node(node).messages(1)}

    def array(self, name: str, node: int) -> StoredArray:
        """Find the array of an object that is a variable.

        Parameters
        ----------
        name : str
            What its owner calls it.
        node : int
            The object.

        Raises
        ------
        UnreadableError
            It is no variable, or its array is missing or of an unusual kind.
        """
        keys = self._keys(node)
        stored = self._table.get(keys[0].encode()) if len(keys) == 1 else None
        if stored is None:
            raise UnreadableError(f"its array {name[:60]!r} is missing")
        entry = _entry(stored)
        if entry.dtype not in _DTYPES:
            raise UnreadableError(f"its array {name[:60]!r} is of an unusual type")
        if len(entry.shape) > MAX_RANK or _bytes(entry) != entry.size:
            raise damaged(_TABLE)
        return StoredArray(name, entry.shape, lambda: self._numbers(entry))

    def is_variable(self, node: int) -> bool:
        """Say whether an object is a variable."""
        return bool(self._keys(node))

    def _keys(self, node: int) -> list[str]:
        return [entry.text(3) for entry in self._node(node).messages(2) if entry.text(1) == "VARIABLE_VALUE"]

    def _node(self, number: int) -> Message:
        if number not in self._parsed:
            if number >= len(self._nodes):
                raise damaged(_GRAPH)
            self._parsed[number] = Message(self._nodes[number], _GRAPH)
        return self._parsed[number]

    def _object_graph(self) -> memoryview:
        stored = self._table.get(_GRAPH_KEY)
        if stored is None:
            raise UnreadableError("it was not written by Keras: it does not say which object owns which array")
        entry = _entry(stored)
        if entry.dtype != _STRING or entry.shape or entry.size > MAX_BYTES:
            raise damaged(_GRAPH)
        content = memoryview(self._read(entry))
        # One string: its length, a checksum of the length, its letters.
        length, at = varint(content, 0, _GRAPH)
        if len(content) != at + 4 + length:
            raise damaged(_GRAPH)
        return content[at + 4 :]

    def _read(self, entry: _Entry) -> bytes:
        self._left -= entry.size
        if self._left < 0:
            raise UnreadableError(f"its arrays take more than {MAX_TOTAL_BYTES // 2**30} GiB")
        if entry.shard >= self._shards:
            raise damaged(_TABLE)
        name = f"variables.data-{entry.shard:05d}-of-{self._shards:05d}"
        self.files.add(f"{_FOLDER}/{name}")
        with open_inside(self._folder, _FOLDER, name) as file:
            if entry.offset + entry.size > os.fstat(file.fileno()).st_size:
                raise damaged(f"its file '{_FOLDER}/{name}'")
            file.seek(entry.offset)
            return file.read(entry.size)

    def _numbers(self, entry: _Entry) -> npt.NDArray[Any]:
        values = np.frombuffer(self._read(entry), _DTYPES[entry.dtype])
        if entry.dtype == _BFLOAT16:
            # A bfloat16 is the upper half of a float32.
            values = (values.astype("<u4") << 16).view("<f4")
        return values.reshape(entry.shape)


def _entry(stored: memoryview) -> _Entry:
    message = Message(stored, _TABLE)
    if message.contents(7):
        raise UnreadableError("one of its arrays is stored in slices, as several computers trained it")
    shape = message.message(2)
    if shape.whole(3):
        raise damaged(_TABLE)
    sizes = tuple(size.whole(1) for size in shape.messages(2))
    return _Entry(message.whole(1), sizes, message.whole(3), message.whole(4), message.whole(5))


def _bytes(entry: _Entry) -> int:
    return math.prod(entry.shape) * np.dtype(_DTYPES[entry.dtype]).itemsize
