"""Files of microscopes, by readers that are kept by others and installed with ``napari-fcnseg[formats]``."""

from __future__ import annotations

import importlib
import itertools
import logging
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.problems import ending_of, missing_reader, no_image
from napari_fcnseg.imagefile.series import Entry, Planes, choose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_log = logging.getLogger("napari_fcnseg")
_LARGE = 2**28
_CHUNK: Final = (1024, 1024)  # pixels of a CZI that are read at once; larger images are mosaics of about such tiles
_METRES = 1e6  # micrometres


def read_format(path: Path, series: int | None = None) -> ImageFile:
    """Read an image by the reader that its name asks for.

    Parameters
    ----------
    path : Path
        The file.
    series : int, optional
        Which of its images; otherwise the largest.

    Raises
    ------
    ImageError
        If the reader is not installed, or cannot read it.
    """
    package, wanted, read = FORMATS[ending_of(path)]
    try:
        library = importlib.import_module(package)
    except ImportError:
        raise missing_reader(path, package.partition(".")[0]) from None
    try:
        return read(library, path, series)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever their parsers stumble over
        raise no_image(path, error, wanted) from None


def _read_czi(library: Any, path: Path, series: int | None) -> ImageFile:
    file = library.CziReader(str(path))  # stays open where the image is read later
    box, scenes = file.total_bounding_box_no_pyramid, file.scenes_bounding_rectangle_no_pyramid
    places = dict(sorted(scenes.items())) or {None: file.total_bounding_rectangle_no_pyramid}
    letters = "".join(letter for letter in "TZC" if box.get(letter, (0, 1))[1] - box.get(letter, (0, 1))[0] > 1)
    starts = {letter: span[0] for letter, span in box.items() if letter in "TZC"}
    stack = tuple(box[letter][1] - box[letter][0] for letter in letters)
    entries = [
        Entry((*stack, place.h, place.w), f"scene {scene}" if scene is not None else "")
        for scene, place in places.items()
    ]
    number, notes = choose(path, entries, series)
    scene, place = list(places.items())[number]
    kinds = set(file.pixel_types.values())
    if len(kinds) != 1 or not kinds <= set(_CZI_TYPES):
        raise ImageError(f"{path} has channels of types {', '.join(sorted(kinds))}. Export it as OME-TIFF in ZEN.")
    dtype, samples = _CZI_TYPES[kinds.pop()]

    def read(index: tuple[int, ...], window: tuple[int, int, int, int]) -> Any:
        top, bottom, left, right = window
        plane = {**dict.fromkeys("TZC", 0), **starts}
        plane |= {letter: starts.get(letter, 0) + n for letter, n in zip(letters, index, strict=True)}
        roi = (place.x + left, place.y + top, right - left, bottom - top)
        pixels = file.read(roi=roi, plane=plane, scene=scene)
        return pixels[..., ::-1] if samples == 3 else pixels[..., 0]  # CZI has blue first

    shape = (place.h, place.w, *((samples,) if samples > 1 else ()))
    image: Any = Planes(stack, shape, np.dtype(dtype), read, _CHUNK)
    size = _czi_size(file.metadata)
    if math.prod(image.shape) * image.dtype.itemsize < _LARGE:
        image = image[...]
        file.close()
    return ImageFile(image, letters + "YX" + "S" * (samples > 1), *_kept(size, letters + "YX"), notes)


_CZI_TYPES: Final[Mapping[str, tuple[str, int]]] = {
    "Gray8": ("u1", 1), "Gray16": ("u2", 1), "Gray32Float": ("f4", 1), "Bgr24": ("u1", 3), "Bgr48": ("u2", 3),
}  # fmt: skip


def _czi_size(metadata: Any) -> dict[str, float]:
    try:
        items = metadata["ImageDocument"]["Metadata"]["Scaling"]["Items"]["Distance"]
        items = items if isinstance(items, list) else [items]
        return {item["@Id"]: float(item["Value"]) * _METRES for item in items if item.get("Value")}
    except (KeyError, TypeError, ValueError):
        return {}


def _read_nd2(library: Any, path: Path, series: int | None) -> ImageFile:
    file = library.ND2File(str(path))
    letters, shape = "".join(file.sizes), tuple(file.sizes.values())
    positions = file.sizes.get("P", 1)
    at = letters.find("P")
    alone = tuple(n for letter, n in file.sizes.items() if letter != "P")
    number, notes = choose(path, [Entry(alone, f"position {n}" if at >= 0 else "") for n in range(positions)], series)
    size = _nd2_size(file)
    data = file.asarray() if math.prod(shape) * np.dtype(file.dtype).itemsize < _LARGE else file.to_dask()
    if at >= 0:
        data, letters = data[(slice(None),) * at + (number,)], letters.replace("P", "")
    if isinstance(data, np.ndarray):
        file.close()
    return ImageFile(data, letters, *_kept(size, letters), notes)


def _nd2_size(file: Any) -> dict[str, float]:
    """Return the size of a voxel along the axes that were calibrated; of the others the reader says 1."""
    try:
        channels = getattr(file.metadata, "channels", None) or ()
    except Exception as error:  # what is said of the pixels may be odd where the pixels are not
        _log.info("The description of %s cannot be read: %r", file.path, error)
        return {}
    volume = getattr(channels[0], "volume", None) if channels else None
    if volume is None:
        return {}
    measured = zip("XYZ", volume.axesCalibration, volume.axesCalibrated, strict=True)
    return {letter: float(size) for letter, size, known in measured if known}


def _read_lif(library: Any, path: Path, series: int | None) -> ImageFile:
    with library.LifFile(str(path)) as file:
        entries = [Entry(tuple(image.shape), str(image.name)) for image in file.images]
        number, notes = choose(path, entries, series)
        image = file.images[number]
        size = {letter: _step(image.coords.get(letter)) * _METRES for letter in "XYZ"}
        large = image.nbytes >= _LARGE
        data = image.asarray(out="memmap") if large else image.asarray()  # in a file that goes when it is closed
        letters = "".join(letter if len(letter) == 1 else "Q" for letter in image.dims)
    return ImageFile(data, _unique(letters), *_kept(size, letters), notes)


def _step(places: Any) -> float:
    return abs(float(places[1]) - float(places[0])) if places is not None and len(places) > 1 else 0.0


def _read_oif(library: Any, path: Path, series: int | None) -> ImageFile:
    with library.OifFile(str(path)) as file:
        found = list(file.series)
        number, notes = choose(path, [Entry(tuple(one.shape)) for one in found], series)
        return ImageFile(found[number].asarray(), _unique("".join(found[number].axes)), notes=notes)


def _read_mrc(library: Any, path: Path, series: int | None) -> ImageFile:
    choose(path, [Entry(())], series)
    with library.mmap(str(path), mode="r") as file:
        voxel, shape = file.voxel_size, file.data.shape
        size = {letter: float(voxel[letter.lower()]) * 1e-4 for letter in "XYZ"}  # of ångströms
        data = np.array(file.data) if file.data.nbytes < _LARGE else file.data
    letters = "QZYX"[-len(shape) :]
    return ImageFile(data, letters, *_kept(size, letters))


def _read_nifti(library: Any, path: Path, series: int | None) -> ImageFile:
    choose(path, [Entry(())], series)
    file = library.load(str(path))
    data = np.asanyarray(file.dataobj).T  # NIfTI has x first, and what is quickest first
    zooms, unit = file.header.get_zooms(), file.header.get_xyzt_units()[0]
    times = {"mm": 1e3, "micron": 1.0, "meter": 1e6}.get(unit, 0.0)
    size = {letter: float(zoom) * times for letter, zoom in zip("XYZ", zooms, strict=False)}
    letters = "CQTZYX"[-data.ndim :] if data.ndim <= 6 else "".join(itertools.islice("QPONMLKJI", data.ndim - 2)) + "YX"
    return ImageFile(data, letters, *_kept(size, letters))


def _kept(size: Mapping[str, float], letters: str) -> tuple[dict[str, float], str]:
    """Return the sizes in micrometres that are known, and their unit."""
    found = {letter: float(n) for letter, n in size.items() if letter in letters and n and n > 0}
    return found, "µm" if found else ""


def _unique(letters: Sequence[str]) -> str:
    spare = iter("QPONMLKJI")
    return "".join(letter if letters.count(letter) == 1 else next(spare) for letter in letters)


#: The package of each ending, what such a file is called, and how it is read.
FORMATS: Final[Mapping[str, tuple[str, str, Callable[[Any, Path, int | None], ImageFile]]]] = {
    ".czi": ("pylibCZIrw.czi", "CZI file", _read_czi),
    ".nd2": ("nd2", "ND2 file", _read_nd2),
    ".lif": ("liffile", "LIF file", _read_lif),
    **dict.fromkeys((".oib", ".oif"), ("oiffile", "OIB or OIF file", _read_oif)),
    **dict.fromkeys((".mrc", ".rec", ".st"), ("mrcfile", "MRC file", _read_mrc)),
    **dict.fromkeys((".nii", ".nii.gz"), ("nibabel", "NIfTI file", _read_nifti)),
}
#: Endings of microscopes' files that nothing here reads.
UNREAD: Final = (
    ".ims", ".vsi", ".dv", ".zvi", ".ics", ".ids", ".dm3", ".dm4", ".sld", ".sldy", ".xlef", ".obf", ".msr", ".mrxs",
    ".bif", ".isyntax", ".dcm", ".raw", ".nrrd", ".mha", ".mhd", ".klb", ".npz", ".zip", ".mat", ".b3d",
)  # fmt: skip
