"""The models in a folder of this computer, and what their packages say."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.gallery.entries import Entry, line
from napari_fcnseg.readers.guard import yaml_text
from napari_fcnseg.readers.guard.archive import Archive
from napari_fcnseg.readers.guard.folder import has_file, read_inside
from napari_fcnseg.readers.likely import DESCRIPTIONS, models_in

if TYPE_CHECKING:
    import os
    from pathlib import Path

_MOST: Final = 500
_PACKAGE: Final = ".zip"


def models_of(folder: str | os.PathLike[str]) -> tuple[Entry, ...]:
    """Return the models right inside a folder; of packages the name is that which their descriptions say."""
    return tuple(Entry(path.name, _name(path), str(path), path=path) for path in models_in(folder)[:_MOST])


def _name(path: Path) -> str:
    said = ""
    if is_package(path):
        with suppress(UnreadableError, OSError):
            data = yaml_text.parse(read_member(path, "", yaml_text.MAX_BYTES), "its description")
            said = line(data.get("name"), 200)
    return said or path.name.removesuffix(".zip").removesuffix(".bioimage")


def is_package(path: Path) -> bool:
    """Whether a model of a folder is a package, as far as its name tells."""
    return path.suffix.lower() == _PACKAGE or (path.is_dir() and _description(path) is not None)


def read_member(path: Path, name: str, limit: int) -> bytes:
    """Return a file of a package of this computer.

    Parameters
    ----------
    path : Path
        An archive, or a folder.
    name : str
        Its name inside; empty for the description.
    limit : int
        Bytes that it may have.

    Raises
    ------
    UnreadableError
        If it is not there, or may not be read.
    """
    if path.is_dir():
        return read_inside(path, *(name or _description(path) or DESCRIPTIONS[0]).split("/"), limit=limit)
    with path.open("rb") as file:
        archive = Archive(file)
        return archive.read(name or next((d for d in DESCRIPTIONS if d in archive.names()), DESCRIPTIONS[0]), limit)


def _description(folder: Path) -> str | None:
    return next((name for name in DESCRIPTIONS if has_file(folder, name)), None)
