"""The result files of one image of a batch: are they there and whole, may they be replaced."""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError
from napari_fcnseg.run.provenance_file import check_provenance, is_as_written, provenance_in, provenance_path
from napari_fcnseg.system.saving import PYTHON, Inputs, Plan
from napari_fcnseg.system.saving.names import growing_at, stand_in
from napari_fcnseg.system.saving.reasons import reason, remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from napari_fcnseg.run.result import ResultArrays


def named_like(stem: Path, kinds: Iterable[str], ending: str) -> dict[str, Path]:
    """Return where results lie whose names begin and end alike, by their kind, which is part of the name."""
    return {kind: stem.with_name(f"{stem.name}.{kind}{ending}") for kind in kinds}


class ResultFiles:
    """Results that belong together: all that come of one image, for one.

    Parameters
    ----------
    outputs : mapping of str to Path
        The files, by their kind; their provenance is called like the first.
    record : mapping
        What they depend on, as plain data; empty if that cannot be said.
    inputs : Inputs, optional
        What is never written over.
    overwrite : bool
        Whether results are replaced that are of something else, and what else has their names.
    advice : str
        How to have that, as the end of a sentence.

    Attributes
    ----------
    first : Path
        The first file.
    """

    def __init__(
        self,
        outputs: Mapping[str, Path],
        record: Mapping[str, Any],
        *,
        inputs: Inputs | None = None,
        overwrite: bool = False,
        advice: str = PYTHON,
    ) -> None:
        self.outputs = dict(outputs)
        self.first = next(iter(self.outputs.values()))
        self._beside = provenance_path(self.first)
        self._record = dict(record)
        self._inputs = inputs if inputs is not None else Inputs()
        self._overwrite, self._advice = overwrite, advice

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
        return isinstance(files, dict) and all(is_as_written(p, files.get(p.name)) for p in self.outputs.values())

    @contextmanager
    def claim(self) -> Iterator[Plan]:
        """Keep others from writing the same results; results that are of the same, or not complete, are replaced.

        Raises
        ------
        OutputError
            If something else is there, or the results cannot be written.
        """
        make_folder(self.first.parent)
        plan = Plan(tuple(self.outputs.values()), self._inputs, (self._beside,), overwrite=True, advice=self._advice)
        for path in itertools.chain.from_iterable((path, stand_in(path)) for path in self.outputs.values()):
            if problem := self._inputs.problem(growing_at(path)):
                raise OutputError(f"{problem}: it is never written over. Choose another folder for the results.")
        with plan.claim():
            check_provenance(self._beside, plan.outputs)
            self.check()
            yield plan

    def check(self) -> None:
        """Find out whether nothing is there that is not to be replaced.

        Raises
        ------
        OutputError
            If something is.
        """
        if not self._overwrite and (problem := self._in_the_way()):
            raise OutputError(f"{problem}. Choose another folder for the results, or {self._advice}.")

    def provenance(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Return a run's provenance with what the results depend on."""
        return {**provenance, "batch": self._record}

    def _in_the_way(self) -> str:
        """Return what is there that would be lost, as the beginning of a sentence; empty for nothing."""
        there = [path for path in self.outputs.values() if os.path.lexists(path)]
        earlier = provenance_in(self._beside)
        if not earlier and (there or os.path.lexists(self._beside)):
            return f"{(there or [self._beside])[0]} is in the way: no batch has written it"
        if not there or earlier.get("complete") is False:  # as earlier versions noted it
            return ""
        files = earlier.get("files")
        for path in there:
            if not (isinstance(files, dict) and is_as_written(path, files.get(path.name))):
                return f"{path} was changed since it was written, or is no result of a batch"
        if self._record and earlier.get("batch") == self._record:
            return ""
        return f"{self.first} is of another image, model or settings"


def make_folder(folder: Path) -> Path:
    """Return a folder for results, made if it is not there.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made: {reason(error)}. {remedy(error, 'Choose another one.')}"
        ) from None
    return folder


def put_away(arrays: ResultArrays, *, keep: bool) -> None:
    """Leave what has come so far of a result that is not complete for the same batch to go on with, or remove it."""
    for part in arrays.abandon():
        if not keep:
            shutil.rmtree(part, ignore_errors=True)
