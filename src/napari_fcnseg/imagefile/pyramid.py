"""What an OME-Zarr result has beside its finest level: coarser ones, and what its classes are called.

References
----------
OME-Zarr specifications 0.4 and 0.5, https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import itertools
import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import parts_of
from napari_fcnseg.imagefile.omezarr import MOST_AXES, SPACE, TYPES, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_fcnseg.imagefile.image import ImageFile

_ENOUGH = 1024  # pixels along the rows and columns of the coarsest level
_MANY = 4096  # chunks of an array from which on several share a file
_SHARED = 4  # chunks along rows and columns that share one


def storage(shape: Sequence[int], chunks: Sequence[int], axes: str, zarr_format: int) -> dict[str, Any]:
    """Return how an array is cut and named, as arguments of ``create_array``: with shards where it has many chunks."""
    chunks = tuple(map(min, chunks, shape))
    if zarr_format == 2:
        return {"chunks": chunks, "chunk_key_encoding": {"name": "v2", "separator": "/"}}
    found: dict[str, Any] = {"chunks": chunks, "dimension_names": list(axes.lower())}
    if math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True)) > _MANY:
        found["shards"] = tuple(c * _SHARED if a in "YX" else c for a, c in zip(axes, chunks, strict=True))
    return found


def complete_image(
    part: Path, name: str, axes: str, meaning: ImageFile, proceed: Callable[[], object] = lambda: None
) -> None:
    """Build the coarser levels of an image, each from the one above it, block by block, and describe everything.

    Labels are every other pixel; other numbers are the mean of two along each axis. What a process that was killed had
    built of them is built anew.

    Parameters
    ----------
    part : Path
        The image's group, with the finest level in ``"0"``.
    name : str
        Of the image.
    axes : str
        Letters of the axes of that level.
    meaning : ImageFile
        Pixel size, names and colours.
    proceed : callable, optional
        Called for each block.
    """
    import zarr

    group = zarr.open_group(part, mode="r+")
    for rest in part.iterdir():
        if rest.is_dir() and rest.name.isdecimal() and rest.name != "0":
            shutil.rmtree(rest)
    if (described := described_image(name, axes, meaning, [_ones(axes)])) is None:
        return
    above: Any = group["0"]
    mean = not meaning.is_labels and (above.dtype.kind == "f" or (meaning.averaged and above.dtype.kind in "ui"))
    steps = [_ones(axes)]
    while (halved := _next(above.shape, axes, steps[-1], meaning)) is not None:
        shape = tuple(-(-n // h) for n, h in zip(above.shape, halved, strict=True))
        how = storage(shape, above.chunks, axes, meaning.zarr_format)
        level = group.create_array(str(len(steps)), shape=shape, dtype=above.dtype, **how)
        stored = level.shards or level.chunks
        for box in parts_of(shape, stored):
            proceed()
            wide = tuple(slice(a * h, min(b * h, n)) for (a, b), h, n in zip(box, halved, above.shape, strict=True))
            level[tuple(slice(*span) for span in box)] = _reduced(np.asarray(above[wide]), halved, mean=mean)
        steps.append(tuple(s * h for s, h in zip(steps[-1], halved, strict=True)))
        above = level
    described = described_image(name, axes, meaning, steps, mean=mean)
    describe(group, {"multiscales": [described], **_labels(meaning), **_looks(meaning)}, meaning.zarr_format)


def describe(group: Any, described: dict[str, Any], zarr_format: int) -> None:
    """Write an image's description, as the version of the specification for this format of Zarr has it."""
    group.attrs.update(as_attributes(described, zarr_format))


def as_attributes(described: dict[str, Any], zarr_format: int) -> dict[str, Any]:
    """Return a description as attributes, as the version of the specification for a format of Zarr has it."""
    if zarr_format != 2:
        return {"ome": {"version": "0.5", **described}}
    return {key: _versioned(value) for key, value in described.items()}


def _versioned(value: Any) -> Any:
    if isinstance(value, list):
        return [{"version": "0.4", **one} if isinstance(one, dict) else one for one in value]
    return {"version": "0.4", **value}


def described_image(
    name: str, axes: str, meaning: ImageFile, steps: Sequence[tuple[int, ...]], *, mean: bool = False
) -> dict[str, Any] | None:
    """Return the metadata of an image with some levels; None where the specification has no place for such axes."""
    kinds = [TYPES.get(letter, "") for letter in axes]
    order = [{"time": 0, "space": 2}.get(kind, 1) for kind in kinds]
    if len(axes) > MOST_AXES or not 2 <= kinds.count("space") <= 3 or order != sorted(order) or order.count(1) > 1:
        return None
    units = {short: name for name, short in UNITS.items()}
    described: list[dict[str, str]] = []
    for letter, kind in zip(axes, kinds, strict=True):
        axis = {"name": letter.lower()} | ({"type": kind} if kind else {})
        if letter in meaning.pixel_size and meaning.unit:
            axis["unit"] = units.get(meaning.unit, meaning.unit)
        described.append(axis)
    finest = [float(meaning.pixel_size.get(letter, 1.0)) for letter in axes]
    datasets = []
    for number, step in enumerate(steps):
        moves: list[dict[str, Any]] = [
            {"type": "scale", "scale": [size * n for size, n in zip(finest, step, strict=True)]}
        ]
        if mean and number:  # the middle of several pixels lies between them
            shift = [size * (n - 1) / 2 for size, n in zip(finest, step, strict=True)]
            moves.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(number), "coordinateTransformations": moves})
    return {"name": name, "axes": described, "datasets": datasets}


def _ones(axes: str) -> tuple[int, ...]:
    return (1,) * len(axes)


def _next(shape: Sequence[int], axes: str, step: Sequence[int], meaning: ImageFile) -> tuple[int, ...] | None:
    """Return by how much the next level is coarser along each axis; None after the coarsest.

    Rows and columns are halved, planes once they lie as close as those.
    """
    if max((n for n, letter in zip(shape, axes, strict=True) if letter in "YX"), default=0) <= _ENOUGH:
        return None
    sizes = {a: meaning.pixel_size.get(a, 1.0) * s for a, s in zip(axes, step, strict=True) if a in SPACE}
    plane = min(sizes[a] for a in "YX" if a in sizes)
    halved = {a for a in sizes if a in "YX" or sizes[a] <= plane * 1.01}
    return tuple(2 if a in halved and n > 1 else 1 for a, n in zip(axes, shape, strict=True))


def _reduced(part: npt.NDArray[Any], halved: Sequence[int], *, mean: bool) -> npt.NDArray[Any]:
    if not mean:
        return part[tuple(slice(None, None, h) for h in halved)]
    if part.dtype.kind in "ui":  # rounded once, and in numbers that hold a sum of two
        rounded: npt.NDArray[Any] = np.rint(_reduced(part.astype(np.float64), halved, mean=True)).astype(part.dtype)
        return rounded
    for axis, half in enumerate(halved):
        if half > 1:
            first = part[(slice(None),) * axis + (slice(0, None, 2),)]
            second = part[(slice(None),) * axis + (slice(1, None, 2),)]
            middle = first.copy()
            both = (slice(None),) * axis + (slice(second.shape[axis]),)
            middle[both] = (first[both] + second) / 2
            part = middle
    return part


def _looks(meaning: ImageFile) -> dict[str, Any]:
    """Return the metadata that say how channels are shown: those of OMERO, which viewers read."""
    if not meaning.looks:
        return {}
    channels = [
        {
            "label": look.name,
            "color": look.color.removeprefix("#").upper(),
            "active": True,
            "window": {"min": look.low, "max": look.high, "start": look.low, "end": look.high},
        }
        for look in meaning.looks
    ]
    return {"omero": {"channels": channels}}


def _labels(meaning: ImageFile) -> dict[str, Any]:
    """Return the metadata that make an image one of labels: colours and names of the classes."""
    if not meaning.is_labels:
        return {}
    found: dict[str, Any] = {}
    numbers = itertools.count(1)
    if meaning.class_colors:
        found["colors"] = [
            {"label-value": n, "rgba": [*bytes.fromhex(color.removeprefix("#")), 255]}
            for n, color in zip(numbers, meaning.class_colors, strict=False)
        ]
    if meaning.class_names:
        found["properties"] = [{"label-value": n, "class": name} for n, name in enumerate(meaning.class_names, 1)]
    if meaning.labels_of:
        found["source"] = {"image": meaning.labels_of}
    return {"image-label": found}
