"""How large a pixel of a TIFF is, as its makers write it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import tifffile

from napari_fcnseg.imagefile.units import factor

if TYPE_CHECKING:
    from collections.abc import Mapping

_MPP: Final = re.compile(r"\bMPP = ([0-9.]+)")  # Aperio: micrometres per pixel
_IMAGEJ_UNITS: Final = {"\\u00B5m": "µm", "micron": "µm", "microns": "µm", "um": "µm"}


def pixel_size(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> tuple[dict[str, float], str]:
    """Return the size of a pixel per axis letter, and its unit; empty where the file does not say."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome(tiff.ome_metadata, next((n for n, one in enumerate(tiff.series) if one is series), 0))
    if tiff.is_lsm and tiff.lsm_metadata:
        return _metres(tiff.lsm_metadata)
    page = series.keyframe
    if page.is_svs and (found := _MPP.search(page.description)):
        return {"X": float(found[1]), "Y": float(found[1])}, "µm"
    return _resolution(tiff, page.tags)


def _resolution(tiff: tifffile.TiffFile, tags: Any) -> tuple[dict[str, float], str]:
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
        return size, _IMAGEJ_UNITS.get(unit, unit)
    times = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 1)
    # Without a unit the numbers say nothing but the shape of a pixel.
    return ({letter: n * times for letter, n in size.items()}, "µm") if times else ({}, "")


def _metres(metadata: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Return the size of a voxel of Zeiss's LSM."""
    sizes = {letter: float(metadata.get(f"VoxelSize{letter}", 0) or 0) * 1e6 for letter in "XYZ"}
    found = {letter: size for letter, size in sizes.items() if size > 0}
    return found, "µm" if found else ""


def _ome(text: str, number: int) -> tuple[dict[str, float], str]:
    images = tifffile.xml2dict(text)["OME"]["Image"]
    images = images if isinstance(images, list) else [images]
    pixels = images[min(number, len(images) - 1)]["Pixels"]
    unit, size = str(pixels.get("PhysicalSizeXUnit", "µm")), {}
    for letter in "XYZ":
        times = factor(str(pixels.get(f"PhysicalSize{letter}Unit", unit)), unit)
        if f"PhysicalSize{letter}" in pixels and times is not None:
            size[letter] = float(pixels[f"PhysicalSize{letter}"]) * times
    return size, unit if size else ""
