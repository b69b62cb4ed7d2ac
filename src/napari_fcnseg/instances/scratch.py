"""Room for what a search knows on the way: memory, or a folder that other processes see and that goes at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.saving.names import final, hidden
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.recovery import PART

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy.typing as npt


class Scratch:
    """Room for large arrays, and for notes: small ones that are read and written as a whole.

    Parameters
    ----------
    folder : Path or None
        Where they lie; None for the memory of this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._notes_here = folder is None
        self._arrays: dict[str, Any] = {}
        self._notes: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def inner(self, name: str) -> Scratch:
        """Return room within it, which can be emptied alone."""
        found = Scratch(self.folder / name if self.folder is not None else None)
        found._notes_here = self._notes_here
        return found

    def keep_notes_here(self) -> None:
        """Keep notes in memory, where no other process asks for them: a file for each takes a millisecond."""
        self._notes_here = True

    def make(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, chunks: tuple[int, ...]) -> None:
        """Make a new array of zeros."""
        if self.folder is None:
            self._arrays[name] = np.zeros(shape, dtype)
            return
        import zarr

        zarr.create_array(self.folder / name, shape=shape, chunks=tuple(map(min, chunks, shape)), dtype=dtype)

    def array(self, name: str) -> Any:
        """Return an array that was made, here or by another process."""
        if name not in self._arrays:
            import zarr

            assert self.folder is not None, "an array in memory is made before it is used"
            self._arrays[name] = zarr.open_array(self.folder / name, mode="r+")
        return self._arrays[name]

    def note(self, name: str, **arrays: npt.NDArray[Any]) -> None:
        """Keep small arrays under one name; what was kept under it is replaced at once."""
        if self.folder is None or self._notes_here:
            self._notes[name] = arrays
            return
        path = self.folder / f"{name}.npz"
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(part, path)

    def noted(self, name: str, *keys: str) -> list[npt.NDArray[Any]]:
        """Return some of the small arrays that are kept under a name."""
        if self.folder is None or self._notes_here:
            return [self._notes[name][key] for key in keys]
        with np.load(self.folder / f"{name}.npz", allow_pickle=False) as found:
            return [found[key] for key in keys]

    def empty(self) -> None:
        """Remove everything."""
        self._arrays.clear()
        self._notes.clear()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self) -> None:
        """Make the folder, if there is one."""
        if self.folder is not None:
            with suppress(FileExistsError):
                self.folder.mkdir()


@contextmanager
def scratch_in(folder: str | os.PathLike[str] | None, place: Path | None = None) -> Iterator[Scratch]:
    """Make room on disk, and remove it at the end.

    Parameters
    ----------
    folder : path or None
        Where there is room; None for memory.
    place : Path, optional
        A new folder in it, to be made; otherwise one with a temporary name.

    Raises
    ------
    OutputError
        If there is none.
    """
    if folder is None:
        yield Scratch()
        return
    try:
        if place is None:
            place = Path(tempfile.mkdtemp(dir=folder, prefix="fcnseg-"))
        else:
            place.mkdir()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written into: {reason(error)}. {remedy(error)}") from None
    scratch = Scratch(place)
    try:
        yield scratch
    finally:
        scratch.empty()


def scratch_beside(path: Path) -> AbstractContextManager[Scratch]:
    """Make room beside a result that has been claimed; what a killed process leaves goes with the next claim."""
    return scratch_in(final(path).parent, hidden(final(path), PART))
