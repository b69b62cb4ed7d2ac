"""What lies under the name of an image, found out before a library stumbles over it."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.saving import ZARR, is_zarr
from napari_fcnseg.system.saving.reasons import reason

if TYPE_CHECKING:
    from pathlib import Path

_AGAIN: Final = "Copy it again from where it comes from."
_KINDS: Final = (
    (stat.S_ISFIFO, "is a pipe, and an image is read from a file. Write what comes through it into a file first."),
    (stat.S_ISSOCK, "is a socket, and no image file. Check the name."),
    (stat.S_ISCHR, "is a device, and no image file. Check the name."),
    (stat.S_ISBLK, "is a device, and no image file. Check the name."),
)
#: What a Zarr folder's own description is in; one of them is there.
_DESCRIBED: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


def check_image(path: Path) -> None:
    """Find out whether there is a file, or a Zarr folder, that can be opened and holds something.

    Raises
    ------
    ImageError
        If not, with what is there instead and what to do. Nothing is waited for: of what is no file only the kind is
        looked at.
    """
    try:
        kind = os.stat(path).st_mode
        for is_kind, said in _KINDS:
            if is_kind(kind):
                raise ImageError(f"{path} {said}")
        if stat.S_ISDIR(kind):
            _check_folder(path)
        else:
            _check_file(path)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from None


def unreadable(path: Path, error: OSError) -> ImageError | None:
    """Return what to say where the system, and not the file's content, is why it cannot be read; None otherwise."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return ImageError(f"{path} cannot be read: you have no permission. Ask its owner for it.")
    if error.errno in (errno.EIO, errno.ESTALE, errno.ENXIO):
        return ImageError(f"{path} cannot be read: {reason(error)}. Check the disk or the network, and try again.")
    return None


def _refused(path: Path, error: OSError | ValueError) -> ImageError:
    if isinstance(error, OSError):
        if error.errno == errno.ELOOP:
            return ImageError(f"{path} is no image: its links lead in a circle. Name the file itself.")
        if (said := unreadable(path, error)) is not None:
            return said
        if path.is_symlink():
            there = os.readlink(path)
            return ImageError(f"{path} is a link to {there}, which is not there. Name the file itself.")
    return ImageError(f"There is no image file {path}. Check the name.")


def _check_file(path: Path) -> None:
    with path.open("rb") as file:
        empty = not file.read(1)
    if empty:
        raise ImageError(f"{path} is empty: it has 0 bytes. {_AGAIN}")
    if path.suffix.lower() == ZARR:
        raise ImageError(f"{path} is a file, and a Zarr image is a folder. {_AGAIN}")


def _check_folder(path: Path) -> None:
    names = os.listdir(path)
    if not is_zarr(path):
        if path.suffix.lower() != ZARR:
            raise ImageError(f"{path} is a folder and holds no Zarr image. Name an image in it.")
        what = "is empty" if not names else "lacks the file that describes it (zarr.json, .zarray or .zgroup)"
        raise ImageError(f"{path} is no Zarr image: the folder {what}. {_AGAIN}")
    for name in _DESCRIBED:
        if name in names and not (path / name).stat().st_size:
            raise ImageError(f"{path} is damaged: its {name} is empty. {_AGAIN}")
