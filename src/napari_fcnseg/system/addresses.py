"""Addresses of images on other computers, told from paths of this one."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

#: What an address of a store begins with.
SCHEMES: Final = ("http", "https", "s3")
_LOCAL: Final = ("file", "local")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]+", re.IGNORECASE)  # a single letter is a drive of Windows


def address_of(place: str | os.PathLike[str]) -> str:
    """Return the address of a store; empty for a path of this computer.

    Parameters
    ----------
    place : str or path
        As the user gave it; an address that was taken for a path, and so has lost a slash, is put right.
    """
    scheme, rest = _parts(place)
    return f"{scheme}://{rest}" if scheme in SCHEMES else ""


def other_scheme(place: str | os.PathLike[str]) -> str:
    """Return what an address of another kind begins with, ``"gs"`` for example; empty for anything else."""
    scheme, _ = _parts(place)
    return "" if scheme in SCHEMES or os.path.exists(place) else scheme


def shown(address: str) -> str:
    """Return an address as it may be written down: without name, password and signature."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def shown_place(place: str | os.PathLike[str]) -> str:
    """Return a path as it is, and an address as it may be written down."""
    address = address_of(place)
    return shown(address) if address else os.fspath(place)


def protocol_of(fs: Any) -> str:
    """Return what addresses of a file system of fsspec begin with."""
    protocol = getattr(fs, "protocol", "")
    return protocol if isinstance(protocol, str) else str(next(iter(protocol), ""))


def is_elsewhere(store: Any) -> bool:
    """Whether a store of Zarr is one of fsspec, and not of files of this computer, which fsspec knows too."""
    return hasattr(store, "fs") and hasattr(store, "path") and protocol_of(store.fs) not in _LOCAL


def _parts(place: str | os.PathLike[str]) -> tuple[str, str]:
    text = place.as_posix() if isinstance(place, PurePath) else os.fspath(place)
    found = _SCHEME.match(text)
    return (found[1].lower(), text[found.end() :].rstrip("/")) if found else ("", "")
