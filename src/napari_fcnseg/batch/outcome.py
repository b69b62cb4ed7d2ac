"""The files that one image's results are in: whether they are there and whole, and how new ones take their place."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, check_output
from napari_fcnseg.jsonfile import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: What there may be for each image; part of the file's name.
KINDS = ("labels", "probabilities", "confidence", "disagreement")
_PROGRAM = {"program": "napari-fcnseg"}
_MOST_BYTES = 2**24  # of a provenance, with a certificate in it


class Outcome:
    """The results of one image.

    Parameters
    ----------
    stem : Path
        How their names begin.
    kinds : sequence of str
        Which of :data:`KINDS` there are; ``labels`` is the first.
    ending : str
        How their names end.
    record : mapping
        What they depend on, as plain data; empty if that cannot be said.

    Attributes
    ----------
    outputs : dict of str to Path
        The files, by their kind.
    """

    def __init__(self, stem: Path, kinds: Sequence[str], ending: str, record: Mapping[str, Any]) -> None:
        self.outputs = {kind: stem.with_name(f"{stem.name}.{kind}{ending}") for kind in kinds}
        self.labels = self.outputs["labels"]
        self._beside = self.labels.with_name(f"{self.labels.stem}.provenance.json")
        self._record = dict(record)

    def was_done(self, *, verified: bool) -> bool:
        """Whether everything is there, whole, and of what it depends on now.

        Parameters
        ----------
        verified : bool
            Whether it has to have a certificate, too.
        """
        earlier = provenance_in(self._beside)
        if not self._record or earlier.get("batch") != self._record or (verified and "certificate" not in earlier):
            return False
        files = earlier.get("files")
        try:
            return isinstance(files, dict) and all(files.get(p.name) == _bytes(p) for p in self.outputs.values())
        except OSError:
            return False

    def check(self) -> None:
        """Find out before the work whether results can be written.

        Raises
        ------
        OutputError
            If they cannot, or a folder is in the way that is no earlier result of this program.
        """
        ours = bool(provenance_in(self._beside))
        made(self.labels.parent)
        for path in self.outputs.values():
            if not (ours and path.is_dir() and path.suffix == ZARR):
                check_output(path)

    def make_way(self) -> None:
        """Make room for new results, which are computed; until they are complete, the provenance says so.

        Raises
        ------
        OutputError
            If earlier ones cannot be removed.
        """
        self.note({**_PROGRAM, "complete": False})
        for path in self.outputs.values():
            try:
                if path.is_dir():
                    shutil.rmtree(path)
            except OSError as error:
                raise OutputError(f"{path}, an earlier result, cannot be removed ({error.strerror}).") from None

    def complete(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Write that the results are complete, and where they come from; return what was written."""
        files = {path.name: _bytes(path) for path in self.outputs.values()}
        written = {**provenance, "batch": self._record, "files": files}
        self.note(written)
        return written

    def note(self, provenance: Mapping[str, Any]) -> None:
        """Write a provenance beside the labels.

        Raises
        ------
        OutputError
            If that is not possible.
        """
        write_json(self._beside, dict(provenance))


def provenance_in(path: Path) -> dict[str, Any]:
    """Return the provenance in a file; empty where there is none of this program."""
    if not path.is_file():
        return {}
    try:
        data = read_json(path, "provenance", _MOST_BYTES)
    except FcnSegError:
        return {}
    return data if data.get("program") == _PROGRAM["program"] else {}


def made(folder: Path) -> Path:
    """Return a folder for results, made if it is not there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}). Choose another one.") from None
    return folder


def _bytes(path: Path) -> int:
    """Return how large a file is, or all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if not file.is_dir())
