"""Zarr folders, as far as their files' names tell."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ZARR = ".zarr"
#: Attribute of what this program writes.
MARK = "napari_fcnseg"
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_BESIDE = (*_MARKS, ".zattrs", ".zmetadata", ".DS_Store")
#: Files of a group that holds nothing.
DESCRIPTIONS = frozenset((".zattrs", ".zgroup", "zarr.json"))
_CHUNK = re.compile(r"c|\d+(\.\d+)*")
_MOST_BYTES = 2**20


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def grows(path: Path) -> bool:
    """Whether a result of this name is a Zarr folder: it ends so, or lies in one and has no other ending."""
    return path.suffix.lower() == ZARR or (path.suffix == "" and is_zarr(path.parent))


def store_of(path: Path) -> Path:
    """Return the outermost Zarr folder that a file or folder belongs to, itself if there is none."""
    found = path
    while is_zarr(found.parent):
        found = found.parent
    return found


def described_in(path: Path) -> Path:
    """Return the file with a Zarr folder's attributes."""
    return path / (".zattrs" if not (path / "zarr.json").exists() else "zarr.json")


def is_one_image(path: Path) -> bool:
    """Whether a Zarr folder holds one array, or the levels of a result, and nothing beside; others are not replaced."""
    if not is_zarr(path):
        return False
    names = {entry.name for entry in path.iterdir()} - set(_BESIDE)
    levels = {name for name in names if name.isdecimal() and is_zarr(path / name)}
    if levels and levels == names:  # several: levels of one image, if this program wrote them
        return (levels == {"0"} or bool(marked(path))) and all(map(_is_array, (path / name for name in levels)))
    return _is_array(path)


def _is_array(path: Path) -> bool:
    """Whether a Zarr folder holds nothing but chunks."""
    names = {entry.name for entry in path.iterdir()} - set(_BESIDE)
    return all(map(_CHUNK.fullmatch, names)) and not any(is_zarr(path / name) for name in names)


def marked(path: Path) -> dict[str, Any]:
    """Return what this program noted in a Zarr folder when it began to write it."""
    try:
        with described_in(path).open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
        found = (found if described_in(path).name == ".zattrs" else found["attributes"])[MARK]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
