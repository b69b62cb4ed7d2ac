"""One file, written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.saving.lock import Lock
from napari_fcnseg.system.saving.names import final, hidden, others
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.recovery import PART
from napari_fcnseg.system.saving.renaming import flush, rename_new
from napari_fcnseg.system.saving.texts import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.system.saving.inputs import Inputs
    from napari_fcnseg.system.saving.texts import TextKind


class Staged:
    """A file that is complete, under a hidden name beside its place.

    Attributes
    ----------
    path : Path
        The name that it is to get.
    part : Path
        The name that it has.
    """

    def __init__(self, path: Path, part: Path) -> None:
        self.path, self.part = path, part

    def publish(self, *, overwrite: bool, inputs: Inputs | None = None, keep: bool = True) -> None:
        """Give it its name.

        Parameters
        ----------
        overwrite : bool
            Whether a file that has the name is replaced.
        inputs : Inputs, optional
            What is not replaced in any case: a link may have come to lead there.
        keep : bool
            Whether it is kept under another name if it cannot be renamed for another reason, too.

        Raises
        ------
        OutputError
            If something has the name, or has got it meanwhile. The file is then kept under a name that the error says.
        """
        target = final(self.path)
        try:
            if inputs is not None and inputs.problem(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if overwrite and target.is_file():
                with suppress(OSError):
                    shutil.copymode(target, self.part)
                os.replace(self.part, target)
            else:
                rename_new(self.part, target)
            flush(target.parent)
        except OSError as error:
            raise OutputError(self._kept(error, keep)) from None
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove it, if it has not got its name."""
        with suppress(OSError):
            self.part.unlink(missing_ok=True)

    def _kept(self, error: OSError, keep: bool) -> str:
        there = isinstance(error, FileExistsError)
        why = "there is one of that name now" if there else reason(error)
        for other in others(self.path) if keep or there else ():
            try:
                rename_new(self.part, other)
            except FileExistsError:
                continue
            except OSError:
                break
            return f"{self.path} was not written: {why}. The new one was kept as {other}."
        return f"{self.path} could not be written: {why}. {remedy(error)}"


def stage(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> Staged:
    """Write a file under a hidden name beside its place.

    Parameters
    ----------
    path : Path
        Its name.
    write : callable
        Writes it under the name that it is given, which has the same ending.
    durable : bool
        Whether to wait until it is on the disk.

    Raises
    ------
    OSError
        If it cannot be written. Nothing is left of it.
    """
    target = final(path)
    staged = Staged(path, hidden(target, f"{PART}{path.suffix}"))
    try:
        write(staged.part)
        if durable:
            flush(staged.part)
    except BaseException:
        staged.discard()
        raise
    return staged


def save_whole(path: Path, write: Callable[[Path], object], *, overwrite: bool) -> None:
    """Write a file whole or not at all; parameters as for :func:`stage` and :meth:`Staged.publish`.

    Raises
    ------
    OSError
        If it cannot be written.
    OutputError
        If it is there already, or another process writes it.
    """
    if not overwrite and path.exists():
        raise OutputError(f"{path} exists already. Choose another name, or say overwrite=True to replace it.")
    with Lock(path, within=True):
        stage(path, write).publish(overwrite=overwrite, keep=False)


def save_text(path: Path, text: str, *, overwrite: bool, newline: str | None = "\n", kind: TextKind = TEXT) -> None:
    """Write a text in UTF-8 whole or not at all; a pipe or the terminal is written to.

    Parameters
    ----------
    path : Path
        The file.
    text : str
        The text. A file's name in it may hold what is no letter: it is escaped.
    overwrite : bool
        Whether a text of this kind that is there is replaced. What is none never is: an image, or a model.
    newline : str, optional
        As for :func:`open`.
    kind : TextKind
        Of the text.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already, or another process writes it.
    """
    path = Path(path)  # callers in Python give text, too

    def write(place: Path, mode: str = "x") -> None:
        with place.open(mode, encoding="utf-8", errors="backslashreplace", newline=newline) as file:
            file.write(text)

    try:
        if is_special(path):
            write(path, "w")
            return
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if overwrite:
            kind.check(path)
        save_whole(path, write, overwrite=overwrite)
    except OSError as error:
        raise OutputError(f"{path} could not be written: {reason(error)}. {remedy(error)}") from None


def put(path: Path, write: Callable[[Path], object], *, durable: bool = False) -> None:
    """Write a file of this program's own, whose content any process may replace at any time, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    write : callable
        Writes it, under the name that it is given.
    durable : bool
        Whether it is on the disk when this returns.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = stage(path, write, durable=durable)
    try:
        os.replace(staged.part, final(path))
    finally:
        staged.discard()


def is_special(path: Path) -> bool:
    """Whether a name is that of a pipe, a terminal or a device, which is written to and not replaced."""
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)
