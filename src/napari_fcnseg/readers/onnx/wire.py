"""Count the contents of an ONNX file on its bytes, before any library builds objects of them.

A protocol buffer of two bytes per entry becomes hundreds of bytes per object, so that a small file could take all
memory. Only the skeleton is walked: the nodes, their attributes, the arrays; not the numbers in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from mmap import mmap

    Message: TypeAlias = Mapping[int, "Message | None"]

#: Damage, a forgery, or a file of another kind: the advice for all three.
EXPORT_AGAIN: Final = "Export the model again with torch.onnx.export where it was trained, and open that file."

_MOST_FIELDS: Final = 500_000
_MOST_BYTES: Final = 2**24  # outside the arrays' own numbers
#: Field numbers of onnx.proto: what is entered, and (None) the numbers themselves.
_TENSOR: Final[Message] = {4: None, 9: None, 10: None}
_NODE: Final[Message] = {5: {5: _TENSOR}}
_GRAPH: Final[Message] = {1: _NODE, 5: _TENSOR}
_MODEL: Final[Message] = {7: _GRAPH}


def check_size(content: mmap | bytes) -> None:
    """Check that a file has the form of a protocol buffer and not too many entries.

    Parameters
    ----------
    content : mmap or bytes
        The whole file.

    Raises
    ------
    UnreadableError
        It is damaged, or holds more than any network needs.
    """
    walk = [(_MODEL, 0, len(content))]
    fields = other = 0
    while walk:
        message, start, stop = walk.pop()
        for number, begin, end in _fields(content, start, stop):
            fields += 1
            inner = message.get(number)
            if inner is not None:
                walk.append((inner, begin, end))
            elif number not in message:
                other += end - begin
            if fields > _MOST_FIELDS or other > _MOST_BYTES:
                raise UnreadableError("it describes far more than a patch network has", EXPORT_AGAIN)


def _fields(content: mmap | bytes, position: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Give number, begin and end of each field of a message; what is no text or message has no length."""
    while position < stop:
        key, position = _varint(content, position, stop)
        number, wire = key >> 3, key & 7
        length = 0
        if wire == 0:
            _, position = _varint(content, position, stop)
        elif wire == 2:
            length, position = _varint(content, position, stop)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise _damaged()
        if not number or position + length > stop:
            raise _damaged()
        yield number, position, position + length
        position += length


def _varint(content: mmap | bytes, position: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while position < stop and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _damaged()


def _damaged() -> UnreadableError:
    return UnreadableError("it is damaged or no ONNX file after all", EXPORT_AGAIN)
