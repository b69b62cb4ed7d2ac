"""Read images: TIFF by tifffile, Zarr by zarr, everything else by imageio. What is large stays on disk."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_fcnseg.arrays.frame_source import ChannelStack
from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.checks import check_image, unreadable
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.omezarr import read_zarr
from napari_fcnseg.imagefile.units import factor

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

TIFF = (".tif", ".tiff")
#: Bytes from which on an image is read where it is asked for, and not at once.
_LARGE = 2**28


def read_image(paths: Sequence[str | os.PathLike[str]]) -> ImageFile:
    """Read an image from one file, or from one file per channel.

    Raises
    ------
    ImageError
        If a file cannot be read as an image, or the channels differ in shape.
    """
    files = [_read_one(Path(path)) for path in paths]
    first = files[0]
    if len(files) == 1:
        return first
    for path, other in zip(paths[1:], files[1:], strict=True):
        if other.data.shape != first.data.shape:
            raise ImageError(
                f"{path} has the shape {other.data.shape} and {paths[0]} {first.data.shape}. Give one file per "
                "channel, all of the same shape."
            )
    if first.channel_axis is not None:
        raise ImageError(f"{paths[0]} holds channels already. Give one file with all channels, or one per channel.")
    channels = [f.data for f in files]
    held = all(type(channel) is np.ndarray for channel in channels)
    return replace(first, data=np.stack(channels, -1) if held else ChannelStack(channels), axes=first.axes + "C")


def _read_one(path: Path) -> ImageFile:
    check_image(path)
    try:
        if path.is_dir():
            return read_zarr(path)
        if path.suffix.lower() == ".npy":
            data = np.load(path, mmap_mode="r" if path.stat().st_size >= _LARGE else None, allow_pickle=False)
            return ImageFile(data, _guessed_axes(data))
        if path.suffix.lower() in TIFF:
            return _read_tiff(path)
        data = iio.imread(path)
        return ImageFile(data, _guessed_axes(data))
    except (MemoryError, ImageError):
        raise
    except Exception as error:  # image libraries raise whatever their parsers stumble over
        if isinstance(error, OSError) and (refused := unreadable(path, error)) is not None:
            raise refused from None
        said = str(error).strip().splitlines()
        raise ImageError(
            f"{path} cannot be read as an image ({said[0] if said else type(error).__name__}). Open it in an image "
            "program and save it as TIFF."
        ) from None


def _guessed_axes(data: npt.NDArray[Any]) -> str:
    rgb = data.ndim >= 3 and data.shape[-1] in (3, 4)
    named = "YXS" if rgb else "YX"
    return "QPONMLKJI"[: data.ndim - len(named)] + named if data.ndim >= len(named) else "X"


def _read_tiff(path: Path) -> ImageFile:
    with _whole(path), tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        size, unit = _pixel_size(tiff)
        if series.nbytes < _LARGE:
            return ImageFile(series.asarray(), series.axes, size, unit)
        if series.dataoffset is not None:  # in one piece, as it is: the operating system reads what is asked for
            return ImageFile(tifffile.memmap(path, series=0, mode="r"), series.axes, size, unit)
    import zarr  # late: a window that opens would wait for it

    series = tifffile.TiffFile(path).series[0]  # stays open
    return ImageFile(zarr.open_array(series.aszarr(level=0), mode="r"), series.axes, size, unit)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Refuse a file that was cut off: tifffile takes the pages that are left for all, and says so in its log only."""
    said: list[str] = []

    def listen(record: logging.LogRecord) -> bool:
        if record.thread == threading.get_ident():
            said.append(record.getMessage())
        return True

    log = logging.getLogger("tifffile")
    log.addFilter(listen)
    try:
        yield
    finally:
        log.removeFilter(listen)
    if any("invalid page offset" in message for message in said):
        raise ImageError(f"{path} is damaged: pages are missing at its end. Copy it again from where it comes from.")


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_pixel_size(tiff.ome_metadata)
    tags = tiff.pages.first.tags
    size = {}
    for letter, tag in (("X", "XResolution"), ("Y", "YResolution")):
        if tag in tags:
            numerator, denominator = tags[tag].value
            if numerator and denominator:
                size[letter] = denominator / numerator
    imagej = tiff.imagej_metadata if tiff.is_imagej else None
    if imagej:
        if "spacing" in imagej:
            size["Z"] = float(imagej["spacing"])
        unit = str(imagej.get("unit", ""))
        return size, {"\\u00B5m": "µm", "micron": "µm", "um": "µm"}.get(unit, unit)
    factor = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 1)
    # Without a unit the numbers say nothing but the shape of a pixel.
    return ({letter: n * factor for letter, n in size.items()}, "µm") if factor else ({}, "")


def _ome_pixel_size(text: str) -> tuple[dict[str, float], str]:
    image = tifffile.xml2dict(text)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    unit, size = str(pixels.get("PhysicalSizeXUnit", "µm")), {}
    for letter in "XYZ":
        times = factor(str(pixels.get(f"PhysicalSize{letter}Unit", unit)), unit)
        if f"PhysicalSize{letter}" in pixels and times is not None:
            size[letter] = float(pixels[f"PhysicalSize{letter}"]) * times
    return size, unit if size else ""
