"""Clean up after a process that was killed while it wrote: put back what belongs there, remove the rest."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_fcnseg.system.saving.names import hidden_of
from napari_fcnseg.system.saving.renaming import remove, rename_new

if TYPE_CHECKING:
    from pathlib import Path

PART, OLD, TRASH = ".part", ".old", ".trash"


def sweep(target: Path) -> None:
    """Tidy up beside a result; only while no other process writes it.

    An earlier result that was taken out of the way, where the new one has not come since, gets its name again.
    """
    for old in hidden_of(target, OLD):
        if not os.path.lexists(target):
            with suppress(OSError):
                rename_new(old, target)
        elif old.is_dir() or old.is_file():
            remove(old)
    for rest in (*hidden_of(target, f"{PART}*"), *hidden_of(target, TRASH)):
        remove(rest)
