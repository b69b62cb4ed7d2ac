"""Which model it is: the hash of its contents."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def sha256_of(path: Path, more: Sequence[str]) -> str:
    """Return the hash of a model's contents: of its file, or of all its files in the order of their names.

    Parameters
    ----------
    path : Path
        The file or folder.
    more : sequence of str
        Names of files beside the file, or inside the folder.

    Raises
    ------
    ModelFileError
        If one cannot be read any more.
    """
    folder, names = (path, set(more)) if path.is_dir() else (path.parent, {path.name, *more})
    digest = hashlib.sha256()
    try:
        for name in sorted(names):
            with (folder / name).open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    except OSError as error:
        raise ModelFileError(f"The file {str(path)!r} cannot be read any more: {error.strerror}.") from None
    return digest.hexdigest()
