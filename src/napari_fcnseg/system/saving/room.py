"""Whether a disk has room for what is going to be written, as far as that can be foreseen."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.formatting import format_bytes
from napari_fcnseg.system.saving.names import final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_FILES: Final = 100_000


def check_room(wanted: Iterable[tuple[Path, float]]) -> None:
    """Find out whether there is room for files before they are begun.

    Parameters
    ----------
    wanted : iterable of (Path, float)
        Each file or folder, and the bytes that it takes at the least.

    Raises
    ------
    OutputError
        If there is not even room for that.
    """
    disks: dict[int, list[tuple[Path, float]]] = {}
    for path, size in wanted:
        with suppress(OSError):  # who writes there says what is wrong
            disks.setdefault(os.stat(final(path).parent).st_dev, []).append((path, size))
    for files in disks.values():
        path, needed = files[0][0], sum(size for _, size in files)
        with suppress(OSError):
            free = shutil.disk_usage(final(path).parent).free
            if needed > free:
                what = "The result takes" if len(files) == 1 else "The results take"
                raise OutputError(
                    f"{what} at least {format_bytes(needed)} on the disk of {path}, of which {format_bytes(free)} are "
                    "free. Make room, or choose another disk."
                )


def size_on_disk(path: Path) -> float:
    """Return the bytes that all files in a folder take now; 0 of what is not there, infinite where there are too many.

    To count a hundred million chunks would take longer than to find out that there is no room.
    """
    total, files = 0, 0
    for folder, _, names in os.walk(path):
        files += len(names)
        if files > _MOST_FILES:
            return math.inf
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
