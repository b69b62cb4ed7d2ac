"""Flatbuffers from a stranger: one table at a time, every offset checked, never a recursion.

A flatbuffer is a heap of tables that point at each other by offsets, backwards to their lists of fields and forwards to
everything else. Nothing keeps a forged file from pointing outside, at itself, or at one table a million times, so every
step is checked against the file's ends and counted.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    import numpy.typing as npt

#: Tables and entries of lists that may be walked in one file.
MAX_STEPS: Final = 500_000
_COPY_AGAIN: Final = "Copy or download it again, or convert the model again."


class Flatbuffer:
    """The bytes of a file, and how many steps through it are left.

    Parameters
    ----------
    content : bytes
        The whole file.
    what : str
        What it is, for the error's sentence.
    """

    def __init__(self, content: bytes, what: str) -> None:
        self.content = memoryview(content)
        self._what = what
        self._left = MAX_STEPS

    def root(self) -> Table:
        """Give the table that holds everything."""
        return Table(self, self.unpack("<I", 0))

    def unpack(self, kind: str, at: int) -> Any:
        """Read one number.

        Raises
        ------
        UnreadableError
            It lies outside the file.
        """
        if not 0 <= at <= len(self.content) - struct.calcsize(kind):
            self.damaged()
        return struct.unpack_from(kind, self.content, at)[0]

    def step(self, count: int = 1) -> None:
        """Count what is walked.

        Raises
        ------
        UnreadableError
            It is more than a file of a network has.
        """
        self._left -= count
        if self._left < 0:
            raise UnreadableError(f"{self._what} has more than {MAX_STEPS:,} entries", _COPY_AGAIN)

    def damaged(self) -> NoReturn:
        """Say that a part of the file cannot be made sense of."""
        raise UnreadableError(f"{self._what} is cut off or damaged", _COPY_AGAIN)


class Table:
    """One table: its fields by number, each of which may be missing.

    Parameters
    ----------
    buffer : Flatbuffer
        The file.
    at : int
        Where it starts.
    """

    def __init__(self, buffer: Flatbuffer, at: int) -> None:
        buffer.step()
        self._buffer, self._at = buffer, at
        self._list = at - buffer.unpack("<i", at)
        self._length = buffer.unpack("<H", self._list)
        if self._length < 4 or self._list + self._length > len(buffer.content):
            buffer.damaged()

    def __contains__(self, field: int) -> bool:
        return self._place(field) is not None

    def _place(self, field: int) -> int | None:
        """Give where a field lies, None where it is missing."""
        entry = 4 + 2 * field
        if entry + 2 > self._length:
            return None
        offset = self._buffer.unpack("<H", self._list + entry)
        return self._at + offset if offset else None

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Give a whole number; ``kind`` is its form as ``struct`` writes it."""
        place = self._place(field)
        return default if place is None else int(self._buffer.unpack(f"<{kind}", place))

    def real(self, field: int, default: float = 0.0) -> float:
        """Give a single-precision number."""
        place = self._place(field)
        return default if place is None else float(self._buffer.unpack("<f", place))

    def table(self, field: int) -> Table | None:
        """Give a nested table, None where it is missing."""
        place = self._place(field)
        return None if place is None else Table(self._buffer, place + self._buffer.unpack("<I", place))

    def tables(self, field: int) -> list[Table]:
        """Give a list of tables."""
        start, count = self._list_of(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self._buffer, place + self._buffer.unpack("<I", place)) for place in places]

    def numbers(self, field: int, dtype: str) -> npt.NDArray[Any]:
        """Give a list of numbers, as a view of the file."""
        wide = np.dtype(dtype)
        start, count = self._list_of(field, wide.itemsize)
        return np.frombuffer(self._buffer.content[start : start + count * wide.itemsize], wide)

    def content(self, field: int) -> memoryview:
        """Give bytes, as a view of the file."""
        start, count = self._list_of(field, 1)
        return self._buffer.content[start : start + count]

    def text(self, field: int) -> str:
        """Give a text, the empty one where it is missing."""
        return str(self.content(field), "utf-8", "replace")

    def _list_of(self, field: int, size: int) -> tuple[int, int]:
        """Give where a list starts and how long it is, found to lie within the file."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = place + self._buffer.unpack("<I", place)
        count = self._buffer.unpack("<I", start)
        if start + 4 + count * size > len(self._buffer.content):
            self._buffer.damaged()
        if size > 1:
            self._buffer.step(count)
        return start + 4, count
