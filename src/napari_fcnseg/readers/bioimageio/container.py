"""The files of a package, by the plain names that its description may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.archive import MAX_MEMBER_BYTES, Archive
from napari_fcnseg.readers.guard.folder import has_file, open_inside, read_inside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Names of a package's description.
DESCRIPTIONS: Final = ("rdf.yaml", "bioimageio.yaml", "rdf.yml", "bioimageio.yml")
#: The name that deepImageJ gave it; a network that Keras wrote as YAML may have it, too.
_ALSO: Final = "model.yaml"
_VERSION: Final = b"format_version"
_MOST_BYTES: Final = 2**20
_WHOLE: Final = "Download the whole package as a .zip file, and open that."


class Container(Protocol):
    """Where the files of a package are."""

    #: Names of the files that were read, where each is one of its own.
    opened: list[str]
    #: The folder, where there is one.
    folder: Path | None

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Read a file whole."""


class Zipped:
    """The members of an archive.

    Parameters
    ----------
    archive : Archive
        Found to be sound.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.opened: list[str] = []
        self.folder: Path | None = None

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Read a member whole."""
        return self._archive.read(name, limit)


class Unpacked:
    """The files of a folder.

    Parameters
    ----------
    folder : Path
        It holds the description.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Path | None = folder
        self._folder = folder
        self.opened: list[str] = []

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Read a file whole."""
        with open_inside(self._folder, *name.split("/")) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise UnreadableError(f"its file {name!r} is larger than {limit // 2**20} MiB", _WHOLE)
            content = file.read()
        self.opened.append(name)
        return content


def description_in(names: Iterable[str]) -> str | None:
    """Return the name of the description among the names of files right inside, None if it is no package."""
    known = set(names)
    return next((name for name in DESCRIPTIONS if name in known), None)


def description_of(folder: Path) -> str | None:
    """Return the name of the description in a folder, None if it is no package."""
    found = next((name for name in DESCRIPTIONS if has_file(folder, name)), None)
    if found is None and has_file(folder, _ALSO) and _VERSION in read_inside(folder, _ALSO, limit=_MOST_BYTES):
        return _ALSO
    return found


def plain_name(source: object, what: str) -> str:
    """Return the name of a file inside the package.

    Parameters
    ----------
    source : object
        What the description says.
    what : str
        Of what, for the error's sentence.

    Raises
    ------
    UnreadableError
        If it is an address elsewhere, or a way out of the package.
    """
    if isinstance(source, dict):
        source = source.get("source")
    if not isinstance(source, str) or not source:
        raise UnreadableError(f"its description does not say which file {what} is", _WHOLE)
    if "://" in source or source.startswith(("data:", "mailto:")):
        raise UnreadableError(
            f"{what} is not in the package but at the address {source[:80]!r}, and nothing is fetched", _WHOLE
        )
    parts = source.removeprefix("./").split("/")
    if "\\" in source or ":" in source or "\0" in source or any(part in ("", ".", "..") for part in parts):
        raise UnreadableError(f"{what} is said to be {source[:80]!r}, which is no file inside the package", _WHOLE)
    return "/".join(parts)
