"""Protocol buffers from a stranger, on the wire: one message at a time, every length checked, never a recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Fields that one message may have: more are no honest model, and would only cost time.
MAX_FIELDS: Final = 500_000
_COPY_AGAIN: Final = "Copy or download it again, or save the model again."
#: Wire types: how a field's value is laid out.
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_LENGTHS: Final = {_FIXED_64: 8, _FIXED_32: 4}


class Message:
    """The fields of one message, by number; a nested message is bytes until it is asked for.

    Parameters
    ----------
    content : bytes or memoryview
        The message without its length.
    what : str
        What it is a part of, for the error's sentence.

    Raises
    ------
    UnreadableError
        It is malformed or has too many fields.
    """

    def __init__(self, content: bytes | memoryview, what: str) -> None:
        self._what = what
        self._fields: dict[int, list[int | memoryview]] = {}
        for number, value in _fields(memoryview(content), what):
            self._fields.setdefault(number, []).append(value)

    def whole(self, number: int, default: int = 0) -> int:
        """Give a whole number, or the default where it is missing; of several the last counts."""
        value = self._fields.get(number, [default])[-1]
        return value if isinstance(value, int) else self._wrong()

    def content(self, number: int) -> memoryview:
        """Give bytes, none where they are missing; of several the last count."""
        value = self._fields.get(number, [memoryview(b"")])[-1]
        return self._wrong() if isinstance(value, int) else value

    def text(self, number: int) -> str:
        """Give a text, the empty one where it is missing."""
        try:
            return str(self.content(number), "utf-8")
        except UnicodeDecodeError:
            return self._wrong()

    def contents(self, number: int) -> list[memoryview]:
        """Give all values of a repeated field of bytes."""
        values = self._fields.get(number, [])
        return [self._wrong() if isinstance(value, int) else value for value in values]

    def message(self, number: int) -> Message:
        """Give a nested message, an empty one where it is missing."""
        return Message(self.content(number), self._what)

    def messages(self, number: int) -> Iterator[Message]:
        """Walk through a repeated field of nested messages."""
        return (Message(content, self._what) for content in self.contents(number))

    def _wrong(self) -> NoReturn:
        raise damaged(self._what)


def damaged(what: str) -> UnreadableError:
    """Say that a part of the model cannot be made sense of."""
    return UnreadableError(f"{what} is cut off or damaged", _COPY_AGAIN)


def varint(content: memoryview, at: int, what: str) -> tuple[int, int]:
    """Read a whole number of variable length.

    Parameters
    ----------
    content : memoryview
        The bytes around it.
    at : int
        Where it starts.
    what : str
        What it is a part of, for the error's sentence.

    Returns
    -------
    value : int
        The number, less than 2 to the power of 64.
    at : int
        Where it ends.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise damaged(what)


def _fields(content: memoryview, what: str) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    for _ in range(MAX_FIELDS):
        if at == len(content):
            return
        key, at = varint(content, at, what)
        wire_type = key & 7
        if wire_type == _VARINT:
            value, at = varint(content, at, what)
            yield key >> 3, value
            continue
        if wire_type == _BYTES:
            length, at = varint(content, at, what)
        elif wire_type in _LENGTHS:
            length = _LENGTHS[wire_type]
        else:
            raise damaged(what)
        if length > len(content) - at:
            raise damaged(what)
        yield key >> 3, content[at : at + length]
        at += length
    raise UnreadableError(f"{what} has more than {MAX_FIELDS:,} entries")
