"""Renaming that never writes over anything, and the exchange of two names in one step, where the system has them."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_HERE = -100  # AT_FDCWD: names are relative to the working folder
_LINUX = {"new": 1, "exchange": 2}  # RENAME_NOREPLACE, RENAME_EXCHANGE of renameat2
_APPLE = {"new": 4, "exchange": 2}  # RENAME_EXCL, RENAME_SWAP of renamex_np
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM)  # this file system has it not


def rename_new(source: Path, target: Path) -> None:
    """Give a file or folder a name that nothing has.

    Raises
    ------
    FileExistsError
        If something has it.
    OSError
        If it cannot be renamed.
    """
    if os.name == "nt":
        os.rename(source, target)  # refuses by itself
        return
    if _special(source, target, "new"):
        return
    if not source.is_dir():
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (*_CANNOT, errno.EMLINK):
                raise
        else:
            os.unlink(source)
            return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where the system cannot."""
    return _special(one, other, "exchange")


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk; without a word where it cannot."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def flush_all(path: Path) -> None:
    """Have the system write all that waits for the disk that a folder is on, if it can do that at once."""
    call = getattr(_library(), "syncfs", None)
    if call is None:
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            call(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _special(source: Path, target: Path, what: str) -> bool:
    library, names = _library(), (os.fsencode(source), os.fsencode(target))
    if sys.platform.startswith("linux") and hasattr(library, "renameat2"):
        failed = library.renameat2(_HERE, names[0], _HERE, names[1], _LINUX[what])
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        failed = library.renamex_np(*names, _APPLE[what])
    else:
        return False
    if not failed:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(target))


@cache
def _library() -> Any:
    """Return the C library of this process, None where it has none that can be asked."""
    try:
        return ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    except (OSError, TypeError):
        return None
