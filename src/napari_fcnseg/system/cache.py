"""Measurements of earlier runs on this computer, in one small JSON file per kind in the user's cache folder.

It only makes later runs start better: a file that is missing, broken, of another version or not writable is as good as
an empty one, and deleting the folder loses nothing but time. ``NAPARI_FCNSEG_CACHE`` names another folder.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_fcnseg.system.saving import put

_VERSION = 1
_MOST = 256  # entries per kind; the oldest go first
_BYTES = 2**20
_lock = threading.Lock()


def cache_folder() -> Path:
    """Return the folder of the files; it may not exist."""
    chosen = os.environ.get("NAPARI_FCNSEG_CACHE")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_path("napari-fcnseg", appauthor=False))


def state_folder() -> Path:
    """Return the folder of what a user would miss: it may not exist. ``NAPARI_FCNSEG_CACHE`` has it inside."""
    chosen = os.environ.get("NAPARI_FCNSEG_CACHE")
    if chosen:
        return Path(chosen) / "state"
    import platformdirs

    return Path(platformdirs.user_state_path("napari-fcnseg", appauthor=False))


def recall(kind: str, key: str, days: float | None = None) -> Any:
    """Return what was remembered under a key.

    Parameters
    ----------
    kind : str
        Of experience; it names the file.
    key : str
        What the experience is of: everything that it depends on.
    days : float, optional
        Older experience is not told.

    Returns
    -------
    plain data, or None
    """
    entry = _entries(kind).get(key)
    if entry is None or (days is not None and not 0 <= time.time() - entry["when"] <= days * 86400):
        return None
    return entry["value"]


def remember(kind: str, key: str, value: Any) -> None:
    """Remember plain data under a key; failures to write are ignored.

    Parameters
    ----------
    kind, key : str
        As for :func:`recall`.
    value : plain data
        What JSON holds; None to forget.
    """
    with _lock, suppress(OSError):
        entries = _entries(kind)
        entries.pop(key, None)
        if value is not None:
            entries[key] = {"when": int(time.time()), "value": value}
        newest = dict(list(entries.items())[-_MOST:])
        text = json.dumps({"version": _VERSION, "entries": newest})
        put(_path(kind), lambda part: part.write_text(text, encoding="utf-8"))  # another process may write it, too


def _path(kind: str) -> Path:
    return cache_folder() / f"{kind}.json"


def _entries(kind: str) -> dict[str, Any]:
    """Return the valid entries of a file, the oldest first."""
    try:
        with _path(kind).open(encoding="utf-8") as file:
            data = json.loads(file.read(_BYTES))
        entries = data["entries"].items() if data["version"] == _VERSION else ()
        return {key: entry for key, entry in entries if "value" in entry and isinstance(entry["when"], int | float)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
