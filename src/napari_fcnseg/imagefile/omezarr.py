"""Zarr images: a plain array, or an OME-Zarr image (0.4 and 0.5), of which the finest level is read.

References
----------
OME-Zarr specification 0.5, https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.series import Entry, choose
from napari_fcnseg.system.addresses import address_of

if TYPE_CHECKING:
    from collections.abc import Sequence


#: What units of length are called, and how they are written.
UNITS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
SPACE = "ZYX"
MOST_AXES = 5
_MOST_NAMED = 8


def read_zarr(path: Path, series: int | None = None) -> ImageFile:
    """Open a Zarr array or an OME-Zarr image, in a folder or in a ZIP archive; no pixel is read.

    Parameters
    ----------
    path : Path
        Where it is.
    series : int, optional
        Which of its images; of a plate or a well, which field.

    Raises
    ------
    ImageError
        If it holds no image, or does not say which of several is meant.
    """
    import zarr  # late: a window that opens would wait for it
    from zarr.storage import ZipStore

    node = zarr.open(path if path.is_dir() else ZipStore(path, mode="r"), mode="r")
    return image_in(str(path), node, series)


def image_in(path: str, node: Any, series: int | None = None) -> ImageFile:
    """Return the image in what was opened; no pixel is read.

    Parameters
    ----------
    path : str
        Where it is, as people write it.
    node : zarr.Array or zarr.Group
        What was opened.
    series : int, optional
        As for :func:`read_zarr`.

    Raises
    ------
    ImageError
        As for :func:`read_zarr`.
    """
    notes: tuple[str, ...] = ()
    if not hasattr(node, "shape") and "multiscales" not in described(node):
        node, notes = _one_image(path, node, series)
    elif series is not None:
        choose(path, [Entry(())], series)
    if hasattr(node, "shape"):
        names = getattr(node.metadata, "dimension_names", None) or ()
        return ImageFile(node, axis_letters([str(name) for name in names], node.ndim), notes=notes)
    scales = described(node).get("multiscales")
    if not scales:
        raise ImageError(f"{path} holds no image in {node.path!r}. Name one that it holds.")
    return replace(_finest(node, scales[0]), notes=notes, **_label_facts(described(node)))


def _one_image(path: str, group: Any, series: int | None) -> tuple[Any, tuple[str, ...]]:
    """Return the image that is meant in a group that is none itself, and what is to be said of that."""
    fields = _fields(group)
    if fields:
        kind = "plate" if "plate" in described(group) else "well"
        if series is None and len(fields) > 1:
            whole = " All of them are segmented into another plate: -o NAME.zarr." if kind == "plate" else ""
            raise ImageError(
                f"{path} is a {kind} with {len(fields)} images. Name one, as {_inside(path, fields[0])}, or say "
                f"--series 0 to {len(fields) - 1} (in Python series=N).{whole}"
            )
        number, _ = choose(path, [Entry((), name) for name in fields], series)
        return group[fields[number]], ()
    if "bioformats2raw.layout" in described(group):
        names = _numbered(group)
        entries = [Entry(_finest(group[n], described(group[n])["multiscales"][0]).data.shape, n) for n in names]
        number, notes = choose(path, entries, series)
        return group[names[number]], notes
    if not _tells(group):
        raise ImageError(
            f"{path} is a group, and its server does not say what is in it. Name the image: {_inside(path, 'NAME')}."
        )
    arrays = dict(sorted(group.arrays()))
    if len(arrays) == 1 or (arrays and series is not None):
        number, _ = choose(path, [Entry(array.shape, name) for name, array in arrays.items()], series)
        return list(arrays.values())[number], ()
    inside = sorted(arrays or (name for name, _ in group.groups()))[:_MOST_NAMED]
    what = f"{len(arrays)} arrays" if arrays else "no array"
    example = f" Name what is meant, {_inside(path, inside[0])} for example." if inside else " Choose another one."
    raise ImageError(f"{path} holds {what} and does not say which is the image.{example}")


def _inside(path: str, name: str) -> str:
    """Return how a part of a store is named; on this computer as its system names files."""
    return f"{path}/{name}" if address_of(path) else str(Path(path) / name)


def _tells(group: Any) -> bool:
    """Whether a group's members can be known: a web server does not list what it has."""
    return bool(group.store.supports_listing) or group.metadata.consolidated_metadata is not None


def _numbered(group: Any) -> list[str]:
    """Return the names of a group's images that are numbered."""
    if _tells(group):
        return sorted((name for name, _ in group.groups() if name.isdecimal()), key=int)
    if "OME" in group and isinstance(names := described(group["OME"]).get("series"), list):
        return [str(name) for name in names]
    return list(itertools.takewhile(lambda name: name in group, map(str, itertools.count())))


def _fields(group: Any) -> list[str]:
    """Return the places of all images of a plate or a well (OME-Zarr calls them fields); none for another group."""
    about = described(group)
    if isinstance(wells := about.get("plate", {}).get("wells"), list):
        places = [str(well["path"]) for well in wells]
        return [f"{place}/{field}" for place in places if place in group for field in _fields(group[place])]
    images = about.get("well", {}).get("images")
    return [str(image["path"]) for image in images] if isinstance(images, list) else []


def described(group: Any) -> dict[str, Any]:
    """Return what OME-Zarr says of a group, of 0.5 or of an earlier version."""
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


def _finest(group: Any, scales: dict[str, Any]) -> ImageFile:
    level = scales["datasets"][0]
    array = group[level["path"]]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scales.get("axes", "tczyx"[-array.ndim :])]
    letters = axis_letters([axis["name"] for axis in axes], array.ndim)
    steps = [*level.get("coordinateTransformations", ()), *scales.get("coordinateTransformations", ())]
    size = np.prod([s["scale"] for s in steps if s.get("type") == "scale"] or [np.ones(array.ndim)], axis=0)
    units = [
        str(axis["unit"]) for axis, letter in zip(axes, letters, strict=True) if letter in SPACE and "unit" in axis
    ]
    if not units and (size == 1).all():  # nobody said anything
        return ImageFile(array, letters)
    unit = units[-1] if units else ""
    pixel_size = {letter: float(n) for letter, n in zip(letters, size, strict=True) if letter in SPACE}
    return ImageFile(array, letters, pixel_size, UNITS.get(unit, unit))


def _label_facts(about: dict[str, Any]) -> dict[str, Any]:
    """Return what an image says of the classes that its numbers stand for."""
    facts = about.get("image-label")
    if not isinstance(facts, dict):
        return {}
    found: dict[str, Any] = {"is_labels": True}
    with suppress(KeyError, TypeError, ValueError):  # what others wrote may be anything
        names = {int(one["label-value"]): str(one["class"]) for one in facts.get("properties") or ()}
        colors = {int(one["label-value"]): bytes(one["rgba"][:3]).hex() for one in facts.get("colors") or ()}
        for key, values, mark in (("class_names", names, ""), ("class_colors", colors, "#")):
            if values and sorted(values) == list(range(1, len(values) + 1)):
                found[key] = tuple(mark + values[number] for number in sorted(values))
    return found


def axis_letters(names: Sequence[str], ndim: int) -> str:
    """Return one letter per axis; one that has no usual name gets a letter of its own."""
    if len(names) != ndim:
        names = ["?"] * (ndim - 2) + ["y", "x"][-ndim:]
    spare = iter("QPONMLKJI")
    usual = [name.upper()[:1] if name.upper()[:1] in TYPES else "" for name in names]
    return "".join(letter if letter and usual.count(letter) == 1 else next(spare) for letter in usual)
