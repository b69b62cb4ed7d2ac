"""Plates of OME-Zarr: which fields they list, checked, for what a file lists may be anything.

Nothing but the descriptions is read. A path that leads out of the plate is none of its fields.

References
----------
OME-Zarr specifications 0.4 and 0.5, "plate" and "well", https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from napari_fcnseg.errors import FcnSegError, ImageError
from napari_fcnseg.system.json_file import read_json
from napari_fcnseg.system.saving import is_zarr
from napari_fcnseg.system.saving.names import alike
from napari_fcnseg.system.saving.stores import described_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")  # the specification allows letters and digits
_MOST_BYTES: Final = 2**25  # of a description
_LONGEST: Final = 80  # letters of a path in a sentence
_AGAIN: Final = "Copy the plate again from where it comes from."


@dataclass(frozen=True)
class PlateField:
    """One image of a plate, which OME-Zarr calls a field.

    Attributes
    ----------
    row, column, path : str
        Of its well, and its own place in there.
    acquisition : int or None
        Which pass of the microscope it is of, where the plate says it.
    """

    row: str
    column: str
    path: str
    acquisition: int | None = None

    @property
    def name(self) -> str:
        """Its place in the plate: ``"A/1/0"``."""
        return f"{self.place}/{self.path}"

    @property
    def place(self) -> str:
        """The place of its well: ``"A/1"``."""
        return f"{self.row}/{self.column}"

    @property
    def well(self) -> str:
        """What people call its well: ``"A1"``."""
        return f"{self.row}{self.column}"


@dataclass(frozen=True)
class Plate:
    """What a plate says of itself.

    Attributes
    ----------
    path : Path
        Where it is.
    zarr_format : int
        2 of OME-Zarr 0.4 and earlier, 3 of 0.5.
    rows, columns : tuple of str
        Their names.
    fields : tuple of PlateField
        In the order in which it lists them.
    problems : tuple of (str, str)
        What it lists and is no field: its name, and why in a sentence.
    about : dict
        Its name, acquisitions and number of fields, as far as it gives them.
    """

    path: Path
    zarr_format: Literal[2, 3]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    fields: tuple[PlateField, ...]
    problems: tuple[tuple[str, str], ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def wells(self) -> tuple[str, ...]:
        """The wells that have a field, by their places."""
        return tuple(dict.fromkeys(one.place for one in self.fields))


class _LeftOutError(Exception):
    """Something that a plate lists is no field of it."""


def is_plate(path: Path) -> bool:
    """Whether a folder is a plate of OME-Zarr, be it a good one or not."""
    return is_zarr(path) and "plate" in _said_in(path)


def read_plate(path: Path) -> Plate:
    """Read what a plate lists.

    Raises
    ------
    ImageError
        If it cannot be read, or lists no well.
    """
    about = description_of(path).get("plate")
    wells = about.get("wells") if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(wells, list) or not wells:
        raise ImageError(f"{path} is a plate that lists no well. {_AGAIN}")
    fields: list[PlateField] = []
    problems: list[tuple[str, str]] = []
    known: dict[str, str] = {}
    for well in wells:
        given = well.get("path") if isinstance(well, dict) else None
        name = given if isinstance(given, str) else "a well without a path"
        try:
            found, wrong = _fields_of(path, _checked(given, 2, known))
        except _LeftOutError as problem:
            problems.append((name, str(problem)))
        else:
            fields += found
            problems += wrong
    rows, columns = (
        _names(about.get(key), [getattr(one, kind) for one in fields])
        for key, kind in (("rows", "row"), ("columns", "column"))
    )
    form: Literal[2, 3] = 3 if described_in(path).name == "zarr.json" else 2
    return Plate(path, form, rows, columns, tuple(fields), tuple(problems), _kept(about, fields))


def description_of(path: Path) -> dict[str, Any]:
    """Return what OME-Zarr says in a Zarr folder, of 0.5 or of an earlier version; nothing but that is read.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    found = attributes_of(path)
    inner = found.get("ome", found)
    return inner if isinstance(inner, dict) else {}


def attributes_of(path: Path) -> dict[str, Any]:
    """Return the attributes of a Zarr folder.

    Raises
    ------
    ImageError
        If they cannot be read.
    """
    file = described_in(path)
    if file.name == ".zattrs" and not file.exists():  # a group may have none
        return {}
    try:
        found = read_json(file, "description", _MOST_BYTES)
    except FcnSegError as error:
        raise ImageError(str(error)) from None
    found = found if file.name == ".zattrs" else found.get("attributes", {})
    return found if isinstance(found, dict) else {}


def check_inside(plate: Path, paths: Iterable[Path]) -> None:
    """Find out whether no link leads out of a plate that is one of some files and folders in it, or lies in one.

    Raises
    ------
    ImageError
        If one does.
    """
    top = os.path.realpath(plate)
    for link in (link for path in paths for link in _links(path)):
        if not _within(os.path.realpath(link), top):
            raise ImageError(
                f"{link} is a link that leads out of the plate, which is not followed. Copy what it means."
            )


def _fields_of(plate: Path, well: str) -> tuple[list[PlateField], list[tuple[str, str]]]:
    """Return the fields of a well, and what is listed there and is none."""
    row, column = well.split("/")
    _check_there(plate, well, "well")
    try:
        about = description_of(plate / well).get("well")
    except ImageError as error:
        raise _LeftOutError(str(error)) from None
    images = about.get("images") if isinstance(about, dict) else None
    if not isinstance(images, list) or not images:
        raise _LeftOutError(f"The well lists no image. {_AGAIN}")
    fields: list[PlateField] = []
    problems: list[tuple[str, str]] = []
    known: dict[str, str] = {}
    for image in images:
        given = image.get("path") if isinstance(image, dict) else None
        name = f"{well}/{given}" if isinstance(given, str) else f"{well}: an image without a path"
        try:
            _check_there(plate, f"{well}/{_checked(given, 1, known)}", "image")
        except _LeftOutError as problem:
            problems.append((name, str(problem)))
        else:
            number = image.get("acquisition")
            fields.append(PlateField(row, column, str(given), number if type(number) is int else None))
    return fields, problems


def _checked(path: Any, parts: int, known: dict[str, str]) -> str:
    """Return a path from a description that names no place but one below, and no place twice."""
    if not isinstance(path, str):
        raise _LeftOutError("The plate lists it without saying where it lies. Correct the list.")
    names = path.split("/")
    if len(names) != parts or not all(map(_NAME.fullmatch, names)):
        wanted = "a row and a column, as in A/1," if parts == 2 else "one name, as in 0,"
        raise _LeftOutError(
            f"The plate lists it by the path {path[:_LONGEST]!r}, which is not followed: a plate lists {wanted} of "
            "letters and digits. Correct the list."
        )
    if (earlier := known.get(alike(path))) == path:
        raise _LeftOutError("It is listed twice, and taken once. Remove one of the two from the list.")
    if earlier is not None:
        raise _LeftOutError(f"It differs from {earlier} in capital letters alone. Give one of them another name.")
    known[alike(path)] = path
    return path


def _check_there(plate: Path, place: str, what: str) -> None:
    folder, top = plate / place, os.path.realpath(plate)
    if not all(_within(os.path.realpath(path), top) for path in (folder, described_in(folder))):
        raise _LeftOutError("It is a link that leads out of the plate, which is not followed. Copy what it means.")
    if not is_zarr(folder):
        raise _LeftOutError(f"The plate lists this {what}, and it is not there. {_AGAIN}")


def _within(real: str, top: str) -> bool:
    return real == top or real.startswith(os.path.join(top, ""))


def _links(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        yield path
        return
    for entry in os.scandir(path) if path.is_dir() else ():
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _links(Path(entry.path))


def _names(listed: Any, used: list[str]) -> tuple[str, ...]:
    """Return the names of rows or columns: those that are listed, and those of wells."""
    named = [str(one.get("name")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return tuple(dict.fromkeys([*(name for name in named if _NAME.fullmatch(name)), *used]))


def _kept(about: dict[str, Any], fields: list[PlateField]) -> dict[str, Any]:
    """Return what is said of a plate as a whole, as far as it is what the specification has."""
    kept: dict[str, Any] = {"name": about["name"]} if isinstance(about.get("name"), str) else {}
    if isinstance(listed := about.get("acquisitions"), list):
        good = [one for one in listed if isinstance(one, dict) and type(one.get("id")) is int and one["id"] >= 0]
        if good and {one.acquisition for one in fields} <= {None, *(one["id"] for one in good)}:
            kept["acquisitions"] = good
    counts = Counter(one.place for one in fields)
    return kept | ({"field_count": max(counts.values())} if counts else {})


def _said_in(path: Path) -> dict[str, Any]:
    try:
        return description_of(path)
    except ImageError:
        return {}
