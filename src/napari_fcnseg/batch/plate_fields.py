"""The fields of a plate as the images of a batch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_fcnseg.batch.item import BatchItem, FoundImages
from napari_fcnseg.batch.report import FAILED, ReportLine
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.imagefile.plates import read_plate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_NAMED = 8  # wells in a sentence


def fields_in(path: Path, wells: Sequence[str] = ()) -> FoundImages:
    """Return the fields of a plate, well by well in the order in which it lists them.

    Parameters
    ----------
    path : Path
        The plate.
    wells : sequence of str, optional
        Those to take, as ``"A1"``, ``"a01"`` or ``"A/1"``; all otherwise.

    Raises
    ------
    ImageError
        If it cannot be read, or no field is left.
    SettingsError
        If it has not one of the wells.
    """
    plate = read_plate(path)
    places = [*plate.wells, *("/".join(name.split("/")[:2]) for name, _ in plate.problems if "/" in name)]
    wanted = {_chosen(path, well, list(dict.fromkeys(places))) for well in wells} if wells else None
    lines = [
        ReportLine(name, FAILED, why)
        for name, why in plate.problems
        if wanted is None or name.startswith(tuple(f"{place}/" for place in wanted)) or name in wanted
    ]
    fields = [one for one in plate.fields if wanted is None or one.place in wanted]
    if not fields:
        said = f" {lines[0].input}: {lines[0].sentence}" if lines else " Choose another plate."
        raise ImageError(f"There is no image in the plate {path}.{said}")
    items = tuple(
        BatchItem(one.name, one.name.replace("/", "-"), path / one.name, plate=plate, field=one) for one in fields
    )
    return FoundImages(items, tuple(lines), plate=plate)


def _chosen(path: Path, well: str, places: Sequence[str]) -> str:
    """Return the place of a well that a person has named."""
    found = [place for place in places if place == well] or [
        place for place in places if _plain(well) in (_plain(place), _plain(place.replace("/", "")))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(f"The plate has several wells that {well} may mean. Name one of {', '.join(found)}.")
    named = ", ".join(place.replace("/", "") for place in places[:_MOST_NAMED]) + " …" * (len(places) > _MOST_NAMED)
    raise SettingsError(f"The plate {path} has no well {well}. It has {named}.")


def _plain(name: str) -> str:
    """Return a name of a well without what may be written in one way or another: ``"A01"`` as ``"a1"``."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", name.casefold())
