"""Small JSON files beside models and images: written whole or not at all, read as a stranger's."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import ModelFileError, OutputError, UnreadableError
from napari_fcnseg.system import safe_json
from napari_fcnseg.system.saving import save_text
from napari_fcnseg.system.saving.texts import TEXT, TextKind

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2**20
_WIDTH = 100
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def read_json(path: Path, what: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Read one JSON object.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for the error's sentence.
    limit : int
        Bytes that it may have.

    Raises
    ------
    ModelFileError
        If it cannot be read, is no ordinary file, is too large or nested too deep, or is no JSON object.
    """
    try:
        fields = safe_json.parse(_content(path, limit), "its text")
    except UnreadableError as problem:
        reason = problem.reason
    except OSError as error:
        reason = f"the system reports: {error.strerror or error}"
    else:
        return {key: fields.raw(key) for key in fields.keys()}
    raise ModelFileError(f"The {what} {str(path)!r} cannot be used: {reason}. Correct it, or move it away.")


def _content(path: Path, limit: int) -> bytes:
    # Without waiting: opening a pipe would, for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError("it is no ordinary file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnreadableError(f"it is larger than {limit // 2**10} KiB")
    return content


def write_json(
    path: Path, data: dict[str, Any], limit: int | None = None, *, overwrite: bool = False, kind: TextKind = TEXT
) -> None:
    """Write one JSON object; the file is complete or not there at all.

    Parameters
    ----------
    path : Path
        The file.
    data : dict
        Plain data.
    limit : int, optional
        Bytes that it may have.
    overwrite : bool
        Whether a file of its kind that is there is replaced.
    kind : TextKind
        Which that is.

    Raises
    ------
    OutputError
        If it cannot be written, is there already, or would be larger than the limit.
    """
    save_text(path, json_text(path, data, limit), overwrite=overwrite, kind=kind)


def json_text(path: Path, data: dict[str, Any], limit: int | None = None) -> str:
    """Return what :func:`write_json` writes."""
    text = _text(data) + "\n"
    if limit is not None and len(text.encode(errors="backslashreplace")) > limit:
        raise OutputError(f"{path} would be larger than {limit // 2**10} KiB. Shorten its texts.")
    return text


def _text(value: Any, indent: int = 0) -> str:
    """Return JSON for people to edit: what fits on a line stands on one."""
    if not isinstance(value, dict | list) or not value:
        return str(value) if type(value) is int else _encode(value)
    if isinstance(value, dict):
        ends, entries = "{}", [f"{_encode(str(k))}: {_text(v, indent + 1)}" for k, v in value.items()]
    else:
        ends, entries = "[]", [_text(entry, indent + 1) for entry in value]
    if indent and indent + sum(map(len, entries)) + 2 * len(entries) <= _WIDTH:  # as wide as with ", " and the ends
        return ends[0] + ", ".join(entries) + ends[1]
    pad = "\n" + " " * (indent + 1)
    return ends[0] + pad + f",{pad}".join(entries) + "\n" + " " * indent + ends[1]
