"""Kinds of text files: one is replaced by its own kind only; tables never replace notes, nor certificates a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOKED_AT: Final = 8192  # bytes that tell what a file is
_PROGRAM: Final = '{\n "program": "napari-fcnseg",\n "'


@dataclass(frozen=True)
class TextKind:
    """A kind of text that this program writes.

    Attributes
    ----------
    name : str
        What it is called, with its article.
    like : callable
        Whether the beginning of a text is that of one.
    """

    name: str
    like: Callable[[str], bool]

    def check(self, path: Path) -> None:
        """Find out whether another one may take a file's place.

        Raises
        ------
        OutputError
            If the file is something else.
        """
        if not path.is_file():  # nor is a pipe read from
            return
        try:
            with path.open("rb") as file:
                head = file.read(_LOOKED_AT)
        except OSError:  # writing says what is the matter
            return
        if head and (b"\0" in head or not self.like(head.decode("utf-8", "replace").replace("\r\n", "\n"))):
            raise OutputError(
                f"{path} is there and is not {self.name}: it is not replaced by one. Choose another name."
            )


#: Any text, of which nothing more can be said.
TEXT: Final = TextKind("a text", lambda _: True)
TABLE: Final = TextKind("a table of scores", lambda text: text.split("\n", 1)[0].endswith(",score,value"))
OBJECTS: Final = TextKind("a table of objects", lambda text: text.startswith("label,"))
ALL_OBJECTS: Final = TextKind("a table of the objects of several images", lambda text: text.startswith("image,label,"))
WELLS: Final = TextKind("a table of the wells of a plate", lambda text: text.startswith("well,"))
OUTLINES: Final = TextKind("outlines of objects", lambda text: text.startswith('{"type": "FeatureCollection"'))
PAGE: Final = TextKind("a report of this program", lambda text: text.startswith("<!doctype html><html lang=en>"))
SCORES: Final = TextKind("a file of scores", lambda text: text.startswith(f'{_PROGRAM}truth": '))
CERTIFICATE: Final = TextKind("a certificate", lambda text: text.startswith(f'{_PROGRAM}certificate_version": '))
