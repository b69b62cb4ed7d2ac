"""Who writes a file: a lock that the system takes back when its process ends, however that comes.

A lock file of a process that was killed blocks nobody: not that it is there says that somebody writes, but that it is
locked. (``filelock`` empties the file of who holds the lock when another one asks, so it could not say who that is.)
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.saving.names import final, lock_of
from napari_fcnseg.system.saving.reasons import reason, remedy

if TYPE_CHECKING:
    from pathlib import Path

_FAR = 2**30  # a byte that is locked under Windows, where locked bytes cannot be read
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_MOST_BYTES = 4096
_guard = threading.Lock()
_held: dict[str, Lock] = {}


class Lock:
    """The right to write a file, for one task of one process.

    Parameters
    ----------
    path : Path
        The file, which need not be there.
    within : bool
        Whether the thread may have it already, for a task that this is a part of.

    Raises
    ------
    OutputError
        If another process writes it, with its name; or if nothing can be written beside it.
    """

    def __init__(self, path: Path, *, within: bool = False) -> None:
        self._path, self._within = path, within
        self._file = lock_of(final(path))
        self._key, self._thread, self._times = str(self._file), threading.get_ident(), 0
        self._holder, self._since = self, time.time()
        self._descriptor: int | None = None

    def __enter__(self) -> Lock:
        with _guard:
            holder = _held.get(self._key)
            if holder is None:
                self._take()
                holder = _held[self._key] = self
            elif not self._within or holder._thread != self._thread:
                raise OutputError(_said(self._path, f"this very program{_since(holder._since)}"))
            holder._times += 1
        self._holder = holder
        return self

    def __exit__(self, *_: object) -> None:
        with _guard:
            self._holder._times -= 1
            if not self._holder._times:
                _held.pop(self._key, None)
                self._holder._give_back()

    def _take(self) -> None:
        if not self._file.parent.is_dir():
            raise OutputError(f"There is no folder {self._path.parent}. Create it, or choose another one.")
        try:
            while True:
                descriptor = os.open(
                    self._file,
                    os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0),
                    0o666,
                )
                try:
                    locked = _lock(descriptor)
                    if locked is False:
                        raise OutputError(_said(self._path, _read(descriptor)))
                    if locked is None or _is_at(descriptor, self._file):
                        break
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # whoever had it has removed the file: there is another one, or none
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {reason(error)}. {remedy(error)}") from None
        self._descriptor = descriptor
        _note(descriptor, self._file)

    def _give_back(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.name != "nt":  # where an open file has to keep its name
            with suppress(OSError):
                os.unlink(self._file)
        os.close(descriptor)
        if os.name == "nt":
            with suppress(OSError):
                os.unlink(self._file)


def _lock(descriptor: int) -> bool | None:
    """Lock a file; return False if another process has, None where the file system knows no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _note(descriptor: int, path: Path) -> None:
    note = {"process": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    with suppress(OSError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(note).encode())
    with suppress(OSError):  # who comes after a process that was killed may be somebody else
        os.chmod(descriptor if os.chmod in os.supports_fd else path, 0o666)


def _read(descriptor: int) -> str:
    """Return who has locked a file, in words."""
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        note: Any = json.loads(os.read(descriptor, _MOST_BYTES))
        return f"another napari-fcnseg (process {int(note['process'])} on {note['host']}{_since(note['since'])})"
    except (OSError, ValueError, LookupError, TypeError, OverflowError):  # it has only just come
        return "another napari-fcnseg"


def _since(seconds: float) -> str:
    return f", since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}"


def _said(path: Path, who: str) -> str:
    return f"{path} is being written by {who}. Wait until that has ended, or choose another name or folder."
