"""A table of the wells of a plate: how much of each class is in them, summed over their fields."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.lazy import parts_of, read_box, stored_shape
from napari_fcnseg.batch.object_tables import stage_rows
from napari_fcnseg.batch.report import DONE, KEPT
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.imagefile.units import factor
from napari_fcnseg.system.saving.texts import WELLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_fcnseg.batch.report import ReportLine
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.imagefile.plates import PlateField
    from napari_fcnseg.model.patch_model import PatchModel

NAME: Final = "wells.csv"


@dataclass(frozen=True)
class _Measured:
    """What there is in one field.

    Attributes
    ----------
    counts : ndarray of int, shape (classes,)
        Pixels of each class.
    pixels : int
        All pixels.
    size, unit : float, str
        Area or volume of a pixel, and what that is in; 0 and empty where it is not known.
    objects : int or None
        How many.
    """

    counts: npt.NDArray[np.int64]
    pixels: int
    size: float
    unit: str
    objects: int | None


@dataclass
class _Well:
    name: str
    acquisition: int | None
    fields: int = 0
    measured: list[_Measured] = field(default_factory=list)


class WellTable:
    """The table of a batch.

    Parameters
    ----------
    folder : Path
        Where it is written: ``wells.csv``.
    fields : sequence of PlateField
        Of the plate.
    model : PatchModel
        Whose classes the labels are of.
    objects : bool
        Whether objects are counted.

    Raises
    ------
    OutputError
        If something else has its name.
    """

    def __init__(self, folder: Path, fields: Sequence[PlateField], model: PatchModel, *, objects: bool = False) -> None:
        self._path, self._objects = folder / NAME, objects
        self._classes = model.class_names or tuple(f"class {n}" for n in range(1, model.classes + 1))
        counts = Counter((one.place, one.acquisition) for one in fields)
        self._passes = len({one.acquisition for one in fields}) > 1
        named = {one.place: one.well for one in fields}
        self._wells = {key: _Well(named[key[0]], key[1], count) for key, count in counts.items()}
        self._seen: set[tuple[str, int | None]] = set()
        WELLS.check(self._path)

    def add(self, place: PlateField, line: ReportLine) -> None:
        """Measure a field that has come to its end.

        Raises
        ------
        ImageError
            If its labels cannot be read.
        """
        key = (place.place, place.acquisition)
        self._seen.add(key)
        if line.output is not None and line.status in (DONE, KEPT):
            self._wells[key].measured.append(_measured(read_image([line.output], indices=True), line, self._classes))

    def write(self) -> Path | None:
        """Write the table; return where. None if no field has come to its end.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if not self._seen:
            return None
        WELLS.check(self._path)
        stage_rows(self._path, self._rows()).publish(overwrite=True)
        return self._path

    def _rows(self) -> Iterator[list[Any]]:
        wells = [well for key, well in self._wells.items() if key in self._seen]
        units = [one.unit for well in wells for one in well.measured if one.unit]
        unit = units[0] if units else ""
        heads = ["well", *(["acquisition"] if self._passes else []), "fields", "segmented", "pixels"]
        heads += ["objects"] if self._objects else []
        heads += [f"pixels of {name}" for name in self._classes]
        yield heads + ([f"{name} ({unit})" for name in self._classes] if unit else [])
        for well in wells:
            found = well.measured
            row: list[Any] = [well.name, *([well.acquisition] if self._passes else []), well.fields, len(found)]
            row.append(sum(one.pixels for one in found))
            if self._objects:
                row.append(sum(one.objects or 0 for one in found))
            row += [sum(int(one.counts[n]) for one in found) for n in range(len(self._classes))]
            yield row + (_sizes(found, unit, len(self._classes)) if unit else [])


def _sizes(found: Sequence[_Measured], unit: str, classes: int) -> list[str]:
    """Return area or volume of each class; empty where a field does not say how large its pixels are."""
    times = [_times(one.unit, unit) for one in found]
    if not found or not all(times):
        return [""] * classes
    sums = [
        sum(int(one.counts[n]) * one.size * (by or 0) for one, by in zip(found, times, strict=True))
        for n in range(classes)
    ]
    return [f"{number:.10g}" for number in sums]


def _times(own: str, wanted: str) -> float | None:
    """Return by what an area or a volume is multiplied to be in another unit; None where that is not known."""
    if not own or own[-1] != wanted[-1]:
        return None
    length = factor(own[:-1], wanted[:-1])
    return length ** _POWERS[own[-1]] if length is not None else None


_POWERS: Final = {"²": 2, "³": 3}


def _measured(labels: ImageFile, line: ReportLine, classes: Sequence[str]) -> _Measured:
    data = labels.data
    shape = tuple(data.shape)
    counts = np.zeros(len(classes) + 1, np.int64)
    for box in parts_of(shape, stored_shape(data) or shape):
        counts += np.bincount(read_box(data, box).ravel(), minlength=len(counts))
    deep = "Z" in labels.axes and shape[labels.axes.index("Z")] > 1
    lengths = [labels.pixel_size.get(letter, 0.0) for letter in ("ZYX" if deep else "YX")]
    size = math.prod(lengths) if labels.unit else 0.0
    unit = f"{labels.unit}{'³' if deep else '²'}" if size else ""
    return _Measured(counts[1:], int(math.prod(shape)), size, unit, line.objects)
