"""Files beside each other, from a stranger: ordinary files only, by plain names, never through a link."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

_REAL_FILES: Final = "Copy the whole folder so that it holds the files themselves, and open the copy."


def has_file(folder: Path, *parts: str) -> bool:
    """Say whether a folder holds something of that name, be it what it may."""
    return os.path.lexists(folder.joinpath(*parts))


def open_inside(folder: Path, *parts: str) -> BinaryIO:
    """Open a file inside a folder.

    Parameters
    ----------
    folder : Path
        The folder, as the user gave it.
    *parts : str
        Names of folders inside it, then the file's.

    Returns
    -------
    BinaryIO
        Open for reading.

    Raises
    ------
    UnreadableError
        There is no such file, or it or a folder on the way is a link, or it is no ordinary file.
    """
    name = "/".join(parts)
    here = folder
    for part in parts:
        here = here / part
        try:
            status = here.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise UnreadableError(f"its file {name!r} is missing", _REAL_FILES) from None
        if stat.S_ISLNK(status.st_mode):
            raise UnreadableError(f"its file {name!r} is a link to elsewhere, which is not followed", _REAL_FILES)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise UnreadableError(f"its file {name!r} is no ordinary file of its own", _REAL_FILES)
    # Where the system can promise it: not through a link that came in between.
    file = os.fdopen(os.open(here, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb")
    opened = os.fstat(file.fileno())
    if (opened.st_ino, opened.st_dev) != (status.st_ino, status.st_dev):
        file.close()
        raise UnreadableError(f"its file {name!r} changed while it was read", "Try again when nothing writes to it.")
    return file


def read_inside(folder: Path, *parts: str, limit: int) -> bytes:
    """Read a whole file inside a folder.

    Raises
    ------
    UnreadableError
        As :func:`open_inside`, and if it is larger than ``limit`` bytes.
    """
    with open_inside(folder, *parts) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnreadableError(f"its file {'/'.join(parts)!r} is larger than {limit // 2**20} MiB")
    return content
