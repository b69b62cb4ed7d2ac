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
_CHUNK = re.compile(r"c|\d+(\.\d+)*")
_MOST_BYTES = 2**20


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def store_of(path: Path) -> Path:
    """Return the outermost Zarr folder that a file or folder belongs to, itself if there is none."""
    found = path
    while is_zarr(found.parent):
        found = found.parent
    return found


def is_one_image(path: Path) -> bool:
    """Whether a Zarr folder holds one array and nothing beside it, as results do; images with more are not replaced."""
    if not is_zarr(path):
        return False
    names = {entry.name for entry in path.iterdir()} - set(_BESIDE)
    if names == {"0"} and is_zarr(path / "0"):
        path = path / "0"
        names = {entry.name for entry in path.iterdir()} - set(_BESIDE)
    return all(map(_CHUNK.fullmatch, names)) and not any(is_zarr(path / name) for name in names)


def marked(path: Path) -> dict[str, Any]:
    """Return what this program noted in a Zarr folder when it began to write it."""
    try:
        with (path / "zarr.json").open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))["attributes"][MARK]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
