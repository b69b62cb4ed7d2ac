"""Labels in the fields of the very plate that they are of: ``A/1/0/labels/NAME``, where viewers look for them.

Nothing else of the plate is written. Labels grow beside their place and are listed once they are complete.

References
----------
OME-Zarr specifications 0.4 and 0.5, "labels", https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.label_images import list_labels
from napari_fcnseg.system.saving import is_zarr
from napari_fcnseg.system.saving.names import final, same_file
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.renaming import remove
from napari_fcnseg.system.saving.stores import DESCRIPTIONS, marked

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fcnseg.imagefile.plates import Plate, PlateField

_LABELS: Final = "labels"
_NAME: Final = re.compile(r"[A-Za-z0-9_]+")


def name_in_plate(path: Path, plate: Path) -> str:
    """Return what labels are to be called in the fields of a plate; empty where a name does not mean that.

    Parameters
    ----------
    path : Path
        ``plate.zarr/labels/NAME``.
    plate : Path
        The plate.

    Raises
    ------
    OutputError
        If labels cannot be called so.
    """
    if path.parent.name != _LABELS or not same_file(path.parent.parent, plate):
        return ""
    if not _NAME.fullmatch(path.name):
        raise OutputError(
            f"Labels in a plate have names of letters and digits, and {path.name!r} is none. Choose another."
        )
    return path.name


class PlateLabels:
    """Writes labels into the fields of their plate.

    Parameters
    ----------
    plate : Plate
        The plate.
    name : str
        What the labels are called in each field.
    """

    def __init__(self, plate: Plate, name: str) -> None:
        self._plate, self._name = plate, name
        self._made: set[str] = set()  # fields that had no labels before

    def labels(self, place: PlateField) -> Path:
        """Return where the labels of a field lie."""
        return self._group(place) / self._name

    def objects(self, place: PlateField) -> Path:
        """Return where its objects lie."""
        return self._group(place) / f"{self._name}_objects"

    def beside(self, place: PlateField, name: str) -> Path:
        """Return nothing: in its own fields a plate has no place for what are no labels."""
        raise NotImplementedError(f"{name} of {place.name}")

    def begin(self) -> None:
        """Make nothing: the plate is there."""

    def make_room(self, place: PlateField) -> None:
        """Make the group that the labels lie in.

        Raises
        ------
        OutputError
            If it cannot be made, or holds labels of that name that somebody else has written.
        """
        group = self._group(place)
        if final(group) != final(self._plate.path) / place.name / _LABELS:
            raise OutputError(f"{group} is a link that leads elsewhere. Choose a plate of results.")
        for path in (self.labels(place), self.objects(place)):
            if os.path.lexists(path) and not marked(path):
                raise OutputError(f"{path} is there already, and this program has not written it. Choose another name.")
        if not is_zarr(group):
            self._list(place)
            self._made.add(place.name)

    def settle(self, place: PlateField) -> None:
        """List the labels of a field that are complete; if there are none, leave it as it was.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        group = self._group(place)
        if is_zarr(self.labels(place)):
            self._list(place)
        elif place.name in self._made and {entry.name for entry in group.iterdir()} <= DESCRIPTIONS:
            remove(group)

    def _list(self, place: PlateField) -> None:
        found = [path.name for path in (self.labels(place), self.objects(place)) if is_zarr(path)]
        try:
            list_labels(self._plate.path / place.name, found)
        except OSError as error:
            group = self._group(place)
            raise OutputError(f"{group} cannot be written: {reason(error)}. {remedy(error)}") from None

    def _group(self, place: PlateField) -> Path:
        return self._plate.path / place.name / _LABELS
