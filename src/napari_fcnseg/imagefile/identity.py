"""What tells an image from any other, and from a later one of its name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.imagefile.remote.opening import identity_of_remote, remote_arrays
from napari_fcnseg.system.addresses import address_of
from napari_fcnseg.system.saving.inputs import files_behind

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable


def identity_of(image: Any, files: Iterable[str | os.PathLike[str]] = ()) -> dict[str, Any] | None:
    """Return what tells an image from any other, as plain data; None where nothing does.

    Parameters
    ----------
    image : array_like
        The image.
    files : iterable of path
        Where it was read from, if that is known: their sizes and times are looked at then, and no pixel is read. Of one
        on another computer the description, and tags and times of some chunks, are asked for.

    Returns
    -------
    dict or None
        None of an image whose pixels are computed when they are asked for.
    """
    named = [Path(file) for file in files if not address_of(file)]
    behind, found = named or list(files_behind(image)), dict[str, Any]()
    if behind:
        facts = ((file, *facts_of_file(file)) for file in behind)
        found["files"] = [[str(file.resolve()), size, str(modified)] for file, size, modified in facts]
    if remote := remote_arrays(image):
        found["remote"] = [identity_of_remote(array) for array in remote]
    if found:
        return found
    if isinstance(image, np.ndarray):
        digest = hashlib.sha256()
        for part in image if image.ndim else (image,):
            digest.update(np.ascontiguousarray(part).data.cast("B"))
        return {"sha256": digest.hexdigest()}
    return None


def facts_of_file(path: Path) -> tuple[int, int]:
    """Return the bytes of a file, or of all files in a folder, and the time of the newest, in nanoseconds.

    The latter is written as text: JSON's numbers are not that long everywhere.
    """
    files = [file for file in path.rglob("*") if not file.is_dir()] if path.is_dir() else [path]
    found = [file.stat() for file in files]
    return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)
