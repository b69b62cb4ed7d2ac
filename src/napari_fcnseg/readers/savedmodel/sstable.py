"""TensorFlow's table of arrays (``variables.index``): sorted keys and values in blocks, as LevelDB lays them out."""

from __future__ import annotations

from typing import Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.protobuf import damaged, varint

MAX_BYTES: Final = 64 * 2**20
MAX_ENTRIES: Final = 100_000
MAX_KEY: Final = 1_000
_FOOTER: Final = 48
_MAGIC: Final = bytes.fromhex("57fb808b247547db")
#: After every block: how it is compressed (0: not at all), and a checksum.
_TRAILER: Final = 5
_WHAT: Final = "the table of its arrays"


def read_table(content: bytes) -> dict[bytes, memoryview]:
    """Read a whole table.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    dict
        Key -> value.

    Raises
    ------
    UnreadableError
        It is no such table, damaged, compressed, or too large to be true.
    """
    view = memoryview(content)
    if len(view) < _FOOTER or view[-8:] != _MAGIC:
        raise damaged(_WHAT)
    footer = view[-_FOOTER:-8]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    table: dict[bytes, memoryview] = {}
    for _, stored in _entries(_block(view, *index)):
        block, _ = _handle(stored, 0)
        for key, value in _entries(_block(view, *block)):
            if key in table:
                raise UnreadableError("the table of its arrays holds the same name twice")
            table[key] = value
            if len(table) > MAX_ENTRIES:
                raise UnreadableError(f"the table of its arrays has more than {MAX_ENTRIES:,} entries")
    return table


def _handle(content: memoryview, at: int) -> tuple[tuple[int, int], int]:
    """Read where a block lies: offset and size."""
    offset, at = varint(content, at, _WHAT)
    size, at = varint(content, at, _WHAT)
    return (offset, size), at


def _block(view: memoryview, offset: int, size: int) -> memoryview:
    """Give a block's entries, without the list of restarts at its end."""
    if size < 4 or offset + size + _TRAILER > len(view):
        raise damaged(_WHAT)
    if view[offset + size]:
        raise UnreadableError("the table of its arrays is compressed, which TensorFlow does not do")
    restarts = int.from_bytes(view[offset + size - 4 : offset + size], "little")
    if 4 * (restarts + 1) > size:
        raise damaged(_WHAT)
    return view[offset : offset + size - 4 * (restarts + 1)]


def _entries(block: memoryview) -> list[tuple[bytes, memoryview]]:
    """Read a block: every key begins with so many letters of the one before."""
    entries: list[tuple[bytes, memoryview]] = []
    key, at = b"", 0
    while at < len(block):
        shared, at = varint(block, at, _WHAT)
        rest, at = varint(block, at, _WHAT)
        length, at = varint(block, at, _WHAT)
        if shared > len(key) or shared + rest > MAX_KEY or rest + length > len(block) - at:
            raise damaged(_WHAT)
        key = key[:shared] + bytes(block[at : at + rest])
        entries.append((key, block[at + rest : at + rest + length]))
        at += rest + length
        if len(entries) > MAX_ENTRIES:
            raise UnreadableError(f"the table of its arrays has more than {MAX_ENTRIES:,} entries")
    return entries
