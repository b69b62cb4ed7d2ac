"""TIFF and what is built on it (LSM, SVS, SCN, NDPI, STK, …), by tifffile. What is large stays on disk."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tifffile

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.colours import from_cmyk, from_palette
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.problems import codec_error
from napari_fcnseg.imagefile.series import Entry, Stacked, choose
from napari_fcnseg.imagefile.tiff_size import pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TIFF: Final = (".tif", ".tiff")
#: Endings of files that are TIFF inside.
LIKE_TIFF: Final = (*TIFF, ".lsm", ".svs", ".scn", ".ndpi", ".stk", ".btf", ".tf8", ".qptiff", ".flex")
#: Bytes from which on an image is read where it is asked for, and not at once.
LARGE = 2**28
_PALETTE, _MIN_IS_WHITE, _CMYK, _OTHER_COLOURS = 3, 0, 5, (8, 9, 10)
_TURNED: Final = 274  # the tag that says which way up a picture is shown


def read_tiff(path: Path, series: int | None = None, *, indices: bool = False) -> ImageFile:
    """Read an image from a TIFF.

    Parameters
    ----------
    path : Path
        The file.
    series : int, optional
        Which of its images; otherwise the largest.
    indices : bool
        Whether numbers that stand for colours are wanted as they are, as in a map of labels.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    with _whole(path), tifffile.TiffFile(path) as tiff:
        found = _images(tiff)
        if series is None and _is_appended(tiff, found):
            said = (
                f"{path} holds {len(found)} images of one size that were appended one by one: they are taken as a "
                "stack. --series N takes one of them (in Python series=N)."
            )
            number = 0
            notes: tuple[str, ...] = (said,)
            arrays = [_pixels(path, tiff, one) for one in found]
            held = all(isinstance(array, np.ndarray) and not isinstance(array, np.memmap) for array in arrays)
            data: Any = np.stack(arrays) if held else Stacked(arrays)
            axes = _spare(found[0].axes) + found[0].axes
        else:
            number, notes = choose(path, [Entry(one.shape, one.name) for one in found], series)
            data, axes = _pixels(path, tiff, found[number]), found[number].axes
        size, unit = pixel_size(tiff, found[number])
        page = found[number].keyframe
        data, axes, more = _colours(path, data, axes, page, imagej=bool(tiff.is_imagej), indices=indices)
        return ImageFile(data, axes, size, unit, (*notes, *more))


def _images(tiff: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the images in a file, without small copies of them."""
    full = [one for one in tiff.series if not one.keyframe.is_reduced]
    return full or list(tiff.series)


def _is_appended(tiff: tifffile.TiffFile, images: Sequence[tifffile.TiffPageSeries]) -> bool:
    """Whether the pages of a stack were written one by one, each as an image of its own."""
    first = images[0]
    return (
        len(images) > 1
        and not tiff.is_ome
        and all(one.kind in ("shaped", "generic", "uniform") and len(one.levels) == 1 for one in images)
        and len({(one.shape, one.dtype, one.axes, one.keyframe.photometric) for one in images}) == 1
        and (first.ndim == 2 or (first.ndim == 3 and first.axes.endswith("S")))
    )


def _spare(axes: str) -> str:
    return next(letter for letter in "IQPON" if letter not in axes)


def _pixels(path: Path, tiff: tifffile.TiffFile, one: tifffile.TiffPageSeries) -> Any:
    """Return the pixels of an image: in memory, or on disk and read where they are asked for."""
    number = next(n for n, each in enumerate(tiff.series) if each is one)
    if one.nbytes < LARGE:
        try:
            return one.asarray()
        except Exception as error:  # codecs raise whatever they like
            raise _undecoded(path, one.keyframe, error) from None
    if one.dataoffset is not None:  # in one piece, as it is: the operating system reads what is asked for
        return tifffile.memmap(path, series=number, mode="r")
    import zarr  # late: a window that opens would wait for it

    again = tifffile.TiffFile(path).series[number]  # stays open
    return zarr.open_array(again.aszarr(level=0), mode="r")


def _undecoded(path: Path, page: tifffile.TiffPage, error: Exception) -> Exception:
    """Return what to raise where pixels could not be decoded: with the codec's name, if there is one."""
    if isinstance(error, MemoryError | OSError):
        return error
    compression = getattr(page.compression, "name", "") or f"number {int(page.compression)}"
    if compression == "NONE":
        return error
    return codec_error(path, compression, error)


def _colours(
    path: Path, data: Any, axes: str, page: tifffile.TiffPage, *, imagej: bool, indices: bool
) -> tuple[Any, str, tuple[str, ...]]:
    """Return pixels and axes with colours as red, green and blue, and what is to be said of that."""
    kind, notes = int(page.photometric), []
    if kind == _PALETTE and not imagej and not indices and page.colormap is not None:
        data, axes = from_palette(data, np.asarray(page.colormap)), axes + "S"
        notes.append(f"{path} holds numbers that stand for colours: the colours are taken, as red, green and blue.")
    elif kind == _CMYK and axes.endswith("S") and data.shape[-1] >= 4:
        data = from_cmyk(data)
        notes.append(f"{path} holds CMYK, which was converted to RGB without regard to its colour profile.")
    elif kind in _OTHER_COLOURS:
        raise ImageError(
            f"{path} holds colours as {getattr(page.photometric, 'name', kind)}, and models take RGB. Save it as RGB."
        )
    elif kind == _MIN_IS_WHITE and data.dtype != bool:
        notes.append(
            f"{path} says that 0 is white (MinIsWhite): its numbers are taken as they are stored. If the model was "
            "trained on images where 0 is black, invert it first."
        )
    if data.dtype == bool:
        notes.append(f"{path} has one bit per pixel: its numbers are 0 and 1.")
    turned = page.tags.valueof(_TURNED, 1)
    if turned not in (0, 1):
        notes.append(f"{path} says that it is to be shown turned or mirrored: it is taken as it is stored.")
    return data, axes, tuple(notes)


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
    if unknown := next((m for m in map(_UNKNOWN.search, said) if m), None):
        raise ImageError(f"{path} is compressed in a way that nobody here knows ({unknown[1]}). Save it as plain TIFF.")


_UNKNOWN: Final = re.compile(r"(\d+) is not a valid COMPRESSION")
