"""The files that a task reads and writes, checked before it begins."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.addresses import address_of, other_scheme, shown_place
from napari_fcnseg.system.saving.inputs import Inputs
from napari_fcnseg.system.saving.lock import Lock
from napari_fcnseg.system.saving.names import final, growing_at, same_file, stand_in
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.recovery import sweep
from napari_fcnseg.system.saving.stores import grows, is_one_image
from napari_fcnseg.system.saving.whole import is_special

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: How an earlier result is allowed to be replaced, in the words of who reads the sentence.
COMMAND: Final = "replace it with --overwrite"
PYTHON: Final = "say overwrite=True to replace it"


@dataclass(frozen=True)
class Plan:
    """The files of one task.

    Attributes
    ----------
    outputs : tuple of Path
        What it writes, by the names that the user gave.
    inputs : Inputs
        What it reads.
    beside : tuple of Path
        What it writes under names that follow from those of the outputs, as their provenance.
    stoppable : bool
        Whether it leaves what it has done under a name that says so (:func:`growing_at`) when it is stopped.
    overwrite : bool
        Whether earlier results are replaced.
    advice : str
        How to have that, as the end of a sentence; empty where it is not to be had.
    free : tuple of Path
        What may be replaced in any case, of what is written beside.
    """

    outputs: tuple[Path, ...]
    inputs: Inputs = field(default_factory=Inputs)
    beside: tuple[Path, ...] = ()
    stoppable: bool = False
    overwrite: bool = False
    advice: str = PYTHON
    free: tuple[Path, ...] = ()

    @property
    def partial(self) -> tuple[Path, ...]:
        """What a task that is stopped leaves."""
        if not self.stoppable:
            return ()
        growing = (growing_at(path) for path in self.outputs if grows(path))
        standing = (growing_at(stand_in(path)) for path in self.outputs)
        return tuple(dict.fromkeys((*growing, *standing)))

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Check everything, and keep other processes from writing the same files until the task has ended.

        Raises
        ------
        OutputError
            With a sentence, if an input would be written over, two results would be one file, an earlier result is
            there that is not to be replaced, another process writes it, or a folder cannot be written.
        """
        self.check_names()
        with ExitStack() as locks:
            for path in self._written():
                locks.enter_context(Lock(path))
                sweep(final(path))
            self.check_free()
            yield

    def read(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Take files that are found to be read, too, before anything is written.

        Raises
        ------
        OutputError
            If one would be written over.
        """
        self.inputs.add(paths)
        self.check_names()

    def check_names(self) -> None:
        """Find out whether no input would be written over, and each file has a name of its own; nothing is written.

        Raises
        ------
        OutputError
            If that is not so.
        """
        for path in self._everything():
            _check_name(path)
            if problem := self.inputs.problem(path):
                raise OutputError(f"{problem}: it is never written over. Choose another name{self._for(path)}.")
        paths = self._everything()
        named = len(paths) - len(self.partial)  # what is not complete may have two names
        for number, path in enumerate(paths):
            for other in paths[: min(number, named)]:
                if not is_special(path) and same_file(path, other):
                    raise OutputError(f"{_both(other, path)} Choose different names{self._for(path)}.")
                if final(other) in final(path).parents or final(path) in final(other).parents:
                    raise OutputError(f"{path} and {other} lie inside each other. Choose another name.")

    def check_free(self) -> None:
        """Find out whether everything can be written, and nothing is there that is not to be replaced.

        Raises
        ------
        OutputError
            If that is not so.
        """
        for path in self._everything():
            _check_name(path)
            check_place(path)
            if self.overwrite or path in self.free or is_special(path) or not os.path.exists(path):
                continue
            if path in self.partial:
                said = f"{path} holds what an earlier run has done that was stopped. Move it away"
            else:
                said = f"{path} exists already. Choose another name{self._for(path)}"
            if not self.advice:
                raise OutputError(f"{path} exists already. Remove it, or choose another name{self._for(path)}.")
            raise OutputError(f"{said}, or {self.advice}.")

    def _written(self) -> tuple[Path, ...]:
        return tuple(path for path in (*self.outputs, *self.beside) if not is_special(path))

    def _everything(self) -> tuple[Path, ...]:
        return (*self.outputs, *self.beside, *self.partial)

    def _for(self, path: Path) -> str:
        """Return for which result another name is to be chosen, where it is not the file itself."""
        if path in self.outputs or not self.outputs:
            return ""
        return f" than {self.outputs[0].name} for the result" if path in self.beside else " for the result"


def check_place(path: Path) -> None:
    """Find out whether a file can be written at a place, whether there is one now or not.

    Raises
    ------
    OutputError
        If the folder is missing or cannot be written, or something else than a file or a Zarr result is there.
    """
    if is_special(path):
        return
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent}. Create it, or choose another one.")
    place = final(path)
    if place.is_dir():
        if not grows(path):
            raise OutputError(f"{path} is a folder. Choose a file name in it.")
        if not is_one_image(place):
            raise OutputError(f"{path} is a folder that holds more than one result. Choose another name.")
    try:
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".fcnseg-"):
            pass
        if place.is_file():
            with place.open("ab"):
                pass
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from None


def _check_name(path: Path) -> None:
    if address_of(path) or other_scheme(path):
        raise OutputError(f"{shown_place(path)} is on another computer, which is only read: write to a folder here.")
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise OutputError(f"{path} cannot be written ({error.strerror}). Choose a shorter name.") from None
        if error.errno == errno.ELOOP:
            raise OutputError(f"{path} cannot be written: {reason(error)}. Choose another name.") from None


def _both(one: Path, other: Path) -> str:
    same = one.absolute() == other.absolute()
    return f"Two results would be written into {one}." if same else f"{one} and {other} are one file."
