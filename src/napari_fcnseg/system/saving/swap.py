"""A folder that was completed beside its place, put there in one step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_fcnseg.system.saving.names import final, hidden
from napari_fcnseg.system.saving.recovery import OLD, TRASH
from napari_fcnseg.system.saving.renaming import exchange, flush, flush_all, remove, rename_new

if TYPE_CHECKING:
    from pathlib import Path


def swap_in(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete folder its name; an earlier result of that name is there until the new one is.

    In one step under Linux and macOS, on all usual file systems. Elsewhere in two: who is killed between them leaves
    the earlier result under a hidden name beside it, and :func:`napari_fcnseg.system.saving.recovery.sweep`, which each
    later run begins with, puts it back.

    Parameters
    ----------
    part : Path
        The folder, beside its place.
    path : Path
        Its name.
    overwrite : bool
        Whether something that has the name is replaced.

    Raises
    ------
    FileExistsError
        If something has it and is not to be replaced.
    OSError
        If it cannot be renamed; both are as they were.
    """
    target = final(path)
    flush_all(part)
    if not overwrite or not os.path.lexists(target):
        rename_new(part, target)
    elif exchange(part, target):
        _throw_away(part, target)
    else:
        old = hidden(target, OLD)
        os.rename(target, old)
        try:
            os.rename(part, target)
        except OSError:
            os.rename(old, target)
            raise
        remove(old)
    flush(target.parent)


def _throw_away(old: Path, target: Path) -> None:
    """Remove an earlier result, under a name that says that it is nothing any more once half of it is gone."""
    trash = hidden(target, TRASH)
    os.rename(old, trash)
    remove(trash)
