"""The tables of objects of a batch: one per image, and all of them in one."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.texts import ALL_OBJECTS, OBJECTS
from napari_fcnseg.system.saving.whole import stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_fcnseg.system.saving import Staged

#: The table of all images, in the folder of the results.
ALL = "objects.csv"
#: How the tables of one image end.
OWN = ".objects.csv"
_IMAGE = "image"  # the first heading of the table of all images
_LOOKED_AT = 100


def is_object_table(path: Path) -> bool:
    """Whether a file is a table of objects of a batch."""
    if not (path.name == ALL or path.name.endswith(OWN)) or not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(_LOOKED_AT)
    except OSError:
        return False
    return OBJECTS.like(head) or ALL_OBJECTS.like(head)


def stage_rows(path: Path, rows: Iterable[Sequence[Any]]) -> Staged:
    """Write a table to a temporary file, to be published.

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            csv.writer(file).writerows(rows)

    try:
        return stage(path, write)
    except OSError as error:
        raise OutputError(f"{path} could not be written: {reason(error)}. {remedy(error)}") from None


def joined(tables: Sequence[tuple[str, Path]]) -> Iterator[list[str]]:
    """Yield the headings and the rows of several tables as those of one, with the image's name in front.

    A heading that a table has not leaves its cells empty, as where images have other channels or other units.

    Parameters
    ----------
    tables : sequence of (str, Path)
        Name of the image, and its table.

    Raises
    ------
    ImageError
        If a table cannot be read.
    """
    headings: dict[str, None] = {}
    for _, path in tables:
        headings.update(dict.fromkeys(next(_rows(path), ())))
    yield [_IMAGE, *headings]
    for name, path in tables:
        rows = _rows(path)
        own = {heading: place for place, heading in enumerate(next(rows, ()))}
        places = [own.get(heading) for heading in headings]
        for row in rows:
            yield [name, *("" if place is None else row[place] for place in places)]


def count_rows(path: Path) -> int:
    """Return how many objects a table has.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    return sum(1 for _ in _rows(path)) - 1


def _rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = reason(error) if isinstance(error, OSError) else "it is no table"
        raise ImageError(f"{path} cannot be read: {why}. Start the batch again with its results replaced.") from None
