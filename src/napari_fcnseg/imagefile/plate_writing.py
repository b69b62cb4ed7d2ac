"""A plate of OME-Zarr with labels: written field by field, and at any time a plate of those that are complete.

The arrays of a field's image are those of its labels, so that programs that show images of plates show them, and those
that know labels show them as such::

    out.zarr                      plate: rows, columns, wells
        A/1                       well: images
            0                     image whose levels are labels/classes/0, 1, ...
                labels/classes    the labels, with names and colours
                labels/objects    objects, if there are any
                confidence        and whatever else is kept

References
----------
OME-Zarr specifications 0.4 and 0.5, https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.plates import attributes_of, description_of, is_plate, read_plate
from napari_fcnseg.imagefile.pyramid import as_attributes
from napari_fcnseg.system.json_file import json_text
from napari_fcnseg.system.saving import ZARR, is_zarr, put
from napari_fcnseg.system.saving.names import final
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.stores import DESCRIPTIONS, MARK, described_in, marked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fcnseg.imagefile.plates import Plate, PlateField

#: What labels and objects are called in a field.
CLASSES: Final = "classes"
OBJECTS: Final = "objects"
_LABELS: Final = "labels"
_OLD_FORMAT: Final = 2  # of Zarr, which OME-Zarr 0.4 has
_DESCRIBED: Final = {2: ".zattrs", 3: "zarr.json"}
_PLATE_MARK: Final = {MARK: {"plate": True}}


class PlateWriter:
    """Writes a plate like another one.

    Parameters
    ----------
    path : Path
        Where.
    like : Plate
        The other one.
    classes : int
        How many classes the labels have.

    Raises
    ------
    OutputError
        If something else is there.
    """

    def __init__(self, path: Path, like: Plate, classes: int) -> None:
        self.path, self._like, self._classes = path, like, classes
        self._form = like.zarr_format
        self._version = {"version": "0.4" if self._form == _OLD_FORMAT else "0.5"}
        self._order = {one.name: one for one in like.fields}
        self._complete: dict[str, PlateField] = {}
        self._check()

    def labels(self, place: PlateField) -> Path:
        """Return where the labels of a field lie."""
        return self.path / place.name / _LABELS / CLASSES

    def objects(self, place: PlateField) -> Path:
        """Return where its objects lie."""
        return self.path / place.name / _LABELS / OBJECTS

    def beside(self, place: PlateField, name: str) -> Path:
        """Return where another result of it lies."""
        return self.path / place.name / name

    def begin(self) -> None:
        """Make the plate, or open the one that was begun.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._check()
        earlier = read_plate(self.path).fields if is_plate(self.path) else ()
        there = (one for one in earlier if is_zarr(self.labels(one)))
        self._complete = {one.name: self._order.get(one.name, one) for one in there}
        if not is_zarr(self.path):
            self._write(self.path, {}, _PLATE_MARK)

    def make_room(self, place: PlateField) -> None:
        """Make the groups that a field's results lie in.

        Raises
        ------
        OutputError
            If they cannot be made.
        """
        group = self.path
        for name in (*place.name.split("/"), _LABELS):
            group = group / name
            if final(group) != final(self.path) / group.relative_to(self.path):
                raise OutputError(f"{group} is a link that leads out of the plate. Choose another name for the result.")
            if not is_zarr(group):
                self._write(group, {})

    def settle(self, place: PlateField) -> None:
        """List a field once its labels are complete; otherwise leave nothing of it that is empty.

        Raises
        ------
        OutputError
            If the plate cannot be written.
        """
        group = self.path / place.name
        if not is_zarr(self.labels(place)):
            self._remove_empty(group)
            return
        own = [name for name in (CLASSES, OBJECTS) if is_zarr(group / _LABELS / name)]
        names = dict.fromkeys([*own, *_listed_in(group / _LABELS)])
        self._write(group / _LABELS, {"labels": list(names)})
        self._write(group, self._as_image(place))
        self._complete[place.name] = place
        fields = self._listed()
        images = [_image(one) for one in fields if one.place == place.place]
        self._write(self.path / place.place, {"well": {**self._version, "images": images}})
        self._write(self.path, {"plate": {**self._version, **self._about(fields)}}, _PLATE_MARK)

    def _check(self) -> None:
        """Find out whether what is there was begun for such a plate."""
        path = self.path
        if path.suffix.lower() != ZARR:
            raise OutputError(f"The results of a plate are a plate: {path} does not end with {ZARR}. Add that.")
        if is_zarr(path.parent):
            raise OutputError(f"{path} lies in a Zarr folder. Choose a name outside of it for the plate of results.")
        if not os.path.lexists(path):
            return
        if marked(path).get("plate") is not True or described_in(path).name != _DESCRIBED[self._form]:
            raise OutputError(f"{path} exists already, and is no plate of results like this one. Choose another name.")
        if is_plate(path) and not self._is_alike(read_plate(path)):
            raise OutputError(f"{path} holds results of a plate of another name or layout. Choose another name.")

    def _is_alike(self, earlier: Plate) -> bool:
        like = self._like
        smaller = {*earlier.rows} <= {*like.rows} and {*earlier.columns} <= {*like.columns}
        return smaller and earlier.about.get("name") == like.about.get("name")

    def _listed(self) -> list[PlateField]:
        """Return the complete fields in the order of the other plate; those that it lists no more come last."""
        known = [self._complete[name] for name in self._order if name in self._complete]
        return known + [one for name, one in self._complete.items() if name not in self._order]

    def _about(self, fields: list[PlateField]) -> dict[str, Any]:
        like = self._like
        wells = dict.fromkeys((one.row, one.column) for one in fields)
        return {
            **like.about,
            "rows": [{"name": name} for name in like.rows],
            "columns": [{"name": name} for name in like.columns],
            "wells": [
                {"path": f"{row}/{column}", "rowIndex": like.rows.index(row), "columnIndex": like.columns.index(column)}
                for row, column in wells
            ],
        }

    def _as_image(self, place: PlateField) -> dict[str, Any]:
        """Return the description of a field's image, whose levels are those of its labels."""
        scale = next(iter(description_of(self.labels(place)).get("multiscales", ())), None)
        if scale is None:
            raise OutputError(f"The axes of {place.name} are none that a plate has. Segment this image alone.")
        levels = [{**level, "path": f"{_LABELS}/{CLASSES}/{level['path']}"} for level in scale["datasets"]]
        window = {"min": 0, "max": self._classes, "start": 0, "end": self._classes}
        channel = {"label": CLASSES, "color": "FFFFFF", "active": True, "window": window}  # without it, black on black
        return {
            "multiscales": [{**scale, "name": place.name, "datasets": levels}],
            "omero": {"channels": [channel], "rdefs": {"model": "greyscale"}},
        }

    def _write(self, group: Path, described: dict[str, Any], mark: Mapping[str, Any] = {}) -> None:
        attributes = {**attributes_of(group), **mark} if is_zarr(group) else dict(mark)  # others' stay
        for key, value in (as_attributes(described, self._form) if described else {}).items():
            inner = attributes.get(key) if key == "ome" else None
            attributes[key] = {**inner, **value} if isinstance(inner, dict) else value
        try:
            group.mkdir(exist_ok=True)
            if self._form == _OLD_FORMAT:
                _put(group / ".zattrs", attributes)
                _put(group / ".zgroup", {"zarr_format": 2})
            else:
                _put(group / "zarr.json", {"attributes": attributes, "zarr_format": 3, "node_type": "group"})
        except OSError as error:
            raise OutputError(f"{group} cannot be written: {reason(error)}. {remedy(error)}") from None

    def _remove_empty(self, group: Path) -> None:
        """Remove the groups of a field, and of its well and row, as far as they hold nothing."""
        for folder in (group / _LABELS, group, *group.parents):
            if folder == self.path or not folder.is_dir() or {entry.name for entry in folder.iterdir()} - DESCRIPTIONS:
                return
            shutil.rmtree(folder, ignore_errors=True)


def _listed_in(labels: Path) -> list[str]:
    """Return the names that are listed in a group of labels."""
    listed = description_of(labels).get(_LABELS)
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _image(place: PlateField) -> dict[str, Any]:
    return {"path": place.path} | ({"acquisition": place.acquisition} if place.acquisition is not None else {})


def _put(path: Path, data: dict[str, Any]) -> None:
    """Write a description whole or not at all, unless it says the same already."""
    text = json_text(path, data)
    if path.is_file() and path.read_text("utf-8", "replace") == text:
        return
    put(path, lambda part: part.write_text(text, "utf-8", newline="\n"), durable=True)
