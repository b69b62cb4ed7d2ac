"""A model in a gallery, as far as a list of models says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_fcnseg.gallery.addresses import name_in

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST: Final = 2000  # letters of a text


def line(value: object, longest: int = _LONGEST) -> str:
    """Return what a stranger wrote as a text that can be shown on one line; empty where it is no text."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value[:longest]).split())


def is_archive(entry: Entry) -> bool:
    """Whether a model of a collection is a zipped package, of which nothing is known before it is here."""
    return entry.path is None and name_in(entry.source).lower().endswith(".zip")


@dataclass(frozen=True)
class Entry:
    """A model in a gallery.

    Attributes
    ----------
    key : str
        What it is called by: the collection's name for it, or that of the file.
    name, about : str
        For people.
    source : str
        Where its description is, or its archive: an address, or a path.
    sha256 : str
        Of what is at ``source``; empty where nobody says.
    cover : str
        Where a picture of it is; empty where there is none.
    licence : str
        Its SPDX name, as far as the list says.
    tags : tuple of str
        What it is for.
    path : Path or None
        Where it is, of a model that is here.
    """

    key: str
    name: str
    source: str
    about: str = ""
    sha256: str = ""
    cover: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    path: Path | None = None

    def matches(self, words: str) -> bool:
        """Whether it has all of some words in its name, text or tags."""
        text = " ".join((self.key, self.name, self.about, *self.tags)).casefold()
        return all(word in text for word in words.casefold().split())
