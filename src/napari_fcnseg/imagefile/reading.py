"""Read images: each kind of file by its reader, known by its content where that tells. What is large stays on disk."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.frame_source import ChannelStack
from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.checks import check_image, unreadable
from napari_fcnseg.imagefile.formats import FORMATS, UNREAD, read_format
from napari_fcnseg.imagefile.hdf5 import HDF5, read_hdf5, split_inside
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.omezarr import read_zarr
from napari_fcnseg.imagefile.pictures import guessed_axes, read_picture
from napari_fcnseg.imagefile.problems import ending_of, kind_of, no_image
from napari_fcnseg.imagefile.remote.opening import read_remote
from napari_fcnseg.imagefile.series import Entry, choose
from napari_fcnseg.imagefile.tiff import LIKE_TIFF, read_tiff
from napari_fcnseg.system.addresses import address_of, other_scheme, shown_place

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Endings of files that are taken for images where a whole folder is asked for, beside those of results.
READ = (
    *LIKE_TIFF, ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".jp2", ".png", ".npy", *FORMATS,
)  # fmt: skip
#: Bytes from which on an image is read where it is asked for, and not at once.
_LARGE = 2**28
_ZARR_IN_ZIP = ("zarr.json", ".zarray", ".zgroup")
_PICTURES = ("a PNG", "a JPEG", "a GIF")


def read_image(
    paths: Sequence[str | os.PathLike[str]], series: int | None = None, *, indices: bool = False
) -> ImageFile:
    """Read an image from one file, or from one file per channel.

    Parameters
    ----------
    paths : sequence of path
        The files. An image in an HDF5 file is named ``FILE.h5/exported_data``, or found if it is the only one. Of other
        computers Zarr images are read, by their addresses: ``https://host/image.zarr``, ``s3://bucket/image.zarr``.
    series : int, optional
        Which image of a file that holds several, from 0; otherwise the largest. The image's notes say so.
    indices : bool
        Whether numbers that stand for colours are wanted as they are, as in a map of labels; otherwise a picture with a
        palette has its colours.

    Raises
    ------
    ImageError
        If a file cannot be read as an image, or the channels differ in shape.
    """
    files = [_read_one(path, series, indices) for path in paths]
    first = files[0]
    if len(files) == 1:
        return first
    for path, other in zip(paths[1:], files[1:], strict=True):
        if other.data.shape != first.data.shape:
            raise ImageError(
                f"{shown_place(path)} has the shape {other.data.shape} and {shown_place(paths[0])} {first.data.shape}. "
                "Give one file per channel, all of the same shape."
            )
    if first.channel_axis is not None:
        raise ImageError(
            f"{shown_place(paths[0])} holds channels already. Give one file with all channels, or one per channel."
        )
    channels = [f.data for f in files]
    held = all(type(channel) is np.ndarray for channel in channels)
    notes = tuple(note for file in files for note in file.notes)
    data = np.stack(channels, -1) if held else ChannelStack(channels)
    return replace(first, data=data, axes=first.axes + "C", notes=notes)


def _read_one(given: str | os.PathLike[str], series: int | None, indices: bool) -> ImageFile:
    if address := address_of(given):
        return read_remote(address, series)
    if scheme := other_scheme(given):
        raise ImageError(
            f"{os.fspath(given)} cannot be read: Zarr is read from http://, https:// and s3://, not from {scheme}://. "
            "Download it, and open the file."
        )
    path, inside = split_inside(Path(given))
    check_image(path)
    wanted = "image"
    try:
        if path.is_dir() or _is_zipped_zarr(path):
            wanted = "Zarr image"
            return read_zarr(path, series)
        ending, kind = ending_of(path), kind_of(path)
        if ending in FORMATS:
            return read_format(path, series)
        if ending in HDF5 or kind == "an HDF5 file":
            wanted = "HDF5 file"
            return _alone(path, read_hdf5(path, inside), series)
        if ending in UNREAD:
            raise _no_reader(path, ending)
        if kind == "a TIFF" or (ending in LIKE_TIFF and kind not in _PICTURES):
            wanted = "TIFF"
            return read_tiff(path, series, indices=indices)
        if ending == ".npy" or kind == "a NumPy file":
            wanted = "NumPy file"
            if kind != "a NumPy file":
                raise no_image(path, ValueError("it does not begin as one"), wanted)
            return _alone(path, _read_npy(path), series)
        return _alone(path, read_picture(path, indices=indices), series)
    except (MemoryError, ImageError):
        raise
    except Exception as error:  # image libraries raise whatever their parsers stumble over
        if isinstance(error, OSError) and (refused := unreadable(path, error)) is not None:
            raise refused from None
        raise no_image(path, error, wanted) from None


def _alone(path: Path, image: ImageFile, series: int | None) -> ImageFile:
    """Return the only image in a file, if it is the one that is meant."""
    choose(path, [Entry(tuple(image.data.shape))], series)
    return image


def _read_npy(path: Path) -> ImageFile:
    mapped = path.stat().st_size >= _LARGE
    try:
        data: Any = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise ImageError(
            f"{path} cannot be read: it holds Python objects, and an image is numbers. Save an array of numbers."
        ) from None
    return ImageFile(data, guessed_axes(data))


def _is_zipped_zarr(path: Path) -> bool:
    if path.suffix.lower() not in (".zip", ".ozx") or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name in _ZARR_IN_ZIP for name in archive.namelist())


def _no_reader(path: Path, ending: str) -> ImageError:
    if ending in (".npz", ".zip", ".mat"):
        return ImageError(
            f"{path} cannot be read: {ending} may hold many things. Save the image alone, as TIFF or .npy."
        )
    return ImageError(
        f"{path} cannot be read: there is no reader for {ending} here. Open it in Fiji (Bio-Formats) and save it as "
        "OME-TIFF, or open it in napari with a plugin that reads it."
    )
