"""The report of a batch: a CSV file with a line per image, written while the batch goes on."""

from __future__ import annotations

import csv
import logging
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Self

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.system.saving.lock import Lock
from napari_fcnseg.system.saving.names import others
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.renaming import flush, remove, rename_new

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DONE, KEPT, SKIPPED, FAILED, STOPPED = "done", "kept", "skipped", "failed", "stopped"
_WORDS = {DONE: "done", KEPT: "done before", FAILED: "failed", STOPPED: "not done", SKIPPED: "left out"}
_HEADER = ("file", "status", "what happened", "result", "seconds", "pixels", "objects")
_OF_PLATE = ("well", "field")
#: Of images, of a plate's, and of earlier versions.
_HEADERS = tuple(map(",".join, (_HEADER, (*_HEADER, *_OF_PLATE), _HEADER[:-1])))
_ENCODING = "utf-8-sig"  # with its mark, without which Excel shows other letters
_MOST_REPORTS = 100

_log = logging.getLogger("napari_fcnseg")


@dataclass(frozen=True)
class ReportLine:
    """What became of one file.

    Attributes
    ----------
    input : str
        The file's name in its folder, or the layer's name.
    status : {"done", "kept", "skipped", "failed", "stopped"}
        ``"kept"``: an earlier batch did it; ``"skipped"``: it is no image.
    sentence : str
        What happened, and what to do.
    output : Path or None
        The labels.
    seconds : float
        That it took, with reading and writing.
    pixels : int
        Of the labels.
    verified : bool or None
        What a verification found.
    objects : int or None
        How many there are in the image; None where none were looked for.
    """

    input: str
    status: str
    sentence: str
    output: Path | None = None
    seconds: float = 0.0
    pixels: int = 0
    verified: bool | None = None
    objects: int | None = None

    def __str__(self) -> str:
        return f"{self.input}: {self.status}. {self.sentence}"


def failed_line(name: str, error: Exception, seconds: float) -> ReportLine:
    """Return the line of an image that could not be segmented."""
    if isinstance(error, FcnSegError):
        problem = str(error)
    elif isinstance(error, MemoryError):
        problem = "There is not enough memory for this image. Write OME-Zarr, close other programs, or crop it."
    else:
        _log.error("%s could not be segmented", name, exc_info=error)
        problem = f"Unexpected error, please report it: {type(error).__name__}: {error}"
    return ReportLine(name, FAILED, " ".join(problem.split()), seconds=seconds)


def summary(lines: Sequence[ReportLine], count: int | None = None) -> str:
    """Return how many files came to which end, in words.

    Parameters
    ----------
    lines : sequence of ReportLine
        Of the files that came to an end.
    count : int, optional
        How many there were to be; the others are not done.
    """
    found = Counter(line.status for line in lines)
    if count is not None:
        found[STOPPED] += count - len(lines)
    parts = [f"{found[status]} {word}" for status, word in _WORDS.items() if found[status] or status == DONE]
    bad = sum(line.verified is False for line in lines)
    return ", ".join(parts) + (f"; {bad} NOT verified" if bad else "") + "."


class BatchReport:
    """The file with the lines, each of which is on the disk before the next image is begun.

    Until it is complete it is called ``report.partial.csv``, and the report of an earlier batch stays.

    Parameters
    ----------
    path : Path
        Where it is written (:func:`report_in`).
    wells : mapping of str to (str, str), optional
        Well and field of what is in it, by the names; then they have columns of their own.

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, wells: Mapping[str, tuple[str, str]] = MappingProxyType({})) -> None:
        self.path, self._wells = path, wells
        self._broken = False
        self._part = report_in(path.parent, "report.partial")
        try:
            self._file: IO[str] = self._part.open("w", encoding=_ENCODING, newline="")
        except OSError as error:
            raise self._problem(error) from None
        try:
            self._write((*_HEADER, *(_OF_PLATE if wells else ())))
        except OutputError:
            self._shut()
            remove(self._part)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: ReportLine) -> None:
        """Write a line."""
        folder = self.path.parent
        result = Path(os.path.relpath(line.output, folder)).as_posix() if line.output is not None else ""
        own = self._wells.get(line.input, _named(line.input)) if self._wells else ()
        seconds = f"{line.seconds:.2f}"
        self._write((line.input, line.status, line.sentence, result, seconds, line.pixels, line.objects, *own))

    def close(self) -> Path:
        """Give the complete report its name, or another one if something has that now; return it.

        One that could not be written to its end keeps the name that says so.
        """
        if self._file.closed:
            return self.path
        if not self._shut() or self._broken:
            self.path = self._part
            return self.path
        flush(self._part)
        for path in (report_in(self.path.parent), *others(self.path)):
            try:
                os.replace(self._part, path) if is_report(path) else rename_new(self._part, path)
            except OSError:  # it is open in a spreadsheet
                continue
            self.path = path
            break
        else:
            self.path = self._part
        return self.path

    def _write(self, row: Sequence[Any]) -> None:
        try:
            csv.writer(self._file).writerow(row)
            self._file.flush()
        except OSError as error:
            self._broken = True
            raise self._problem(error) from None

    def _shut(self) -> bool:
        """Close the file; return whether all of it was written."""
        try:
            self._file.close()
        except OSError:
            with suppress(OSError):
                self._file.close()
            return False
        return True

    def _problem(self, error: OSError) -> OutputError:
        otherwise = "Choose another folder for the results."
        return OutputError(f"{self._part} cannot be written: {reason(error)}. {remedy(error, otherwise)}")


def _named(place: str) -> tuple[str, str]:
    """Return well and field of what a plate lists and has not, as far as its name says them."""
    row, *rest = place.split("/")
    return (f"{row}{rest[0]}", "/".join(rest[1:])) if rest else (place, "")


def folder_lock(folder: Path) -> Lock:
    """Return the right to do a batch into a folder, which one at a time has."""
    return Lock(folder / "report.csv", within=True)


def is_report(path: Path) -> bool:
    """Whether a file is a report of a batch."""
    if not path.is_file():  # a pipe would never end
        return False
    try:
        with path.open(encoding=_ENCODING, newline="", errors="replace") as file:
            return file.readline(200).strip() in _HEADERS
    except OSError:
        return False


def report_in(folder: Path, name: str = "report") -> Path:
    """Return where a batch has its report: in ``report.csv``, unless a file of that name is somebody else's."""
    names = [f"{name}.csv", *(f"{name}-{number}.csv" for number in range(2, _MOST_REPORTS))]
    paths = [folder / name for name in names]
    return next((path for path in paths if not os.path.lexists(path) or is_report(path)), paths[-1])
