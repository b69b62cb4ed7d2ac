"""The files that a task reads: whatever it writes, it is none of these, by no path to one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.system.addresses import address_of, is_elsewhere
from napari_fcnseg.system.saving.names import final, same_file
from napari_fcnseg.system.saving.stores import store_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_WORK: Any = 10**6  # steps to find out whether two arrays overlap; its stub knows 0 and -1 alone
_DEEP = 32  # views of views, from an array down to what it was opened from


class Inputs:
    """Files and folders that are read.

    Parameters
    ----------
    paths : iterable of path
        By any name. What is not there is no input. Of an array in a Zarr folder the whole folder counts.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]] = ()) -> None:
        self._files: dict[tuple[int, int], Path] = {}
        self._names: dict[tuple[str, str], Path] = {}
        self._folders: dict[tuple[int, int], Path] = {}
        self._above: dict[tuple[int, int], Path] = {}
        self.add(paths)

    def add(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Add files that are found to be read, too."""
        for each in dict.fromkeys(os.fspath(path) for path in paths if not address_of(path)):
            with suppress(OSError, ValueError):
                self._add(Path(each))

    def _add(self, given: Path) -> None:
        for path in {given, store_of(Path(os.path.abspath(given))), store_of(final(given))}:
            place = final(path)
            identity = _identity(place)
            self._files[identity] = given
            self._names[str(place.parent), place.name] = given
            if place.is_dir():
                self._folders[identity] = given
        # Each folder that it lies in, by its name and by its links' names: none of them is to be replaced.
        for parent in {*final(given).parents, *Path(os.path.abspath(given)).parents}:
            with suppress(OSError):
                self._above.setdefault(_identity(parent), given)

    def problem(self, path: Path) -> str:
        """Return why a file must not be written, as the beginning of a sentence; empty if it may."""
        place = final(path)
        with suppress(OSError):
            identity = _identity(place)
            if (given := self._files.get(identity)) is not None:
                return _read(path, given)
            if place.is_dir() and (given := self._above.get(identity)) is not None:
                return f"{path} holds {given}, which is read"
        if (given := self._names.get((str(place.parent), place.name))) is not None:  # it has been replaced since
            return _read(path, given)
        for parent in place.parents:
            with suppress(OSError):
                if (given := self._folders.get(_identity(parent))) is not None:
                    return f"{path} lies inside {given}, which is read"
        return ""


def same_array(one: Any, other: Any) -> bool:
    """Whether what is written into one array would be read from the other, as far as one can see."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        with suppress(np.exceptions.TooHardError):
            if np.shares_memory(one, other, max_work=_MOST_WORK):
                return True
        mapped = [(getattr(array, "filename", None), getattr(array, "offset", None)) for array in (one, other)]
        return None not in mapped[0] and mapped[0] == mapped[1]
    if hasattr(one, "store") or hasattr(other, "store"):
        return any(same_file(a, b) for a in files_behind(one) for b in files_behind(other))
    return one is other or (hasattr(one, "id") and hasattr(other, "id") and bool(one == other))  # HDF5 compares so


def files_behind(*arrays: Any) -> tuple[Path, ...]:
    """Return the files that arrays are read from when they are looked into: memory maps, Zarr, HDF5, and dask of them.

    Of an array in memory, or on another computer, there is none.
    """
    return tuple(dict.fromkeys(path for array in arrays_behind(*arrays) for path in _files_of(array)))


def arrays_behind(*arrays: Any) -> Iterator[Any]:
    """Yield arrays, and those that they are read from when they are looked into."""
    for array in arrays:
        yield from _behind(array, _DEEP)


def _files_of(array: Any) -> Iterator[Path]:
    if name := getattr(array, "filename", None):  # a memory map
        yield Path(os.fspath(name))
    store = getattr(array, "store", None)
    root = getattr(store, "root", None) or getattr(store, "path", None)
    if root is not None and not is_elsewhere(store):
        yield Path(os.fspath(root)) / str(getattr(array, "path", ""))
    file = getattr(array, "file", None)
    if isinstance(name := getattr(file, "filename", None), str | os.PathLike):  # HDF5
        yield Path(os.fspath(name))


def _behind(array: Any, deep: int) -> Iterator[Any]:
    if array is None or not deep:
        return
    if isinstance(array, list | tuple):
        for part in array:
            yield from _behind(part, deep - 1)
        return
    yield array
    for below in ("base", "_array", "_arrays"):
        yield from _behind(getattr(array, below, None), deep - 1)
    for layer in getattr(getattr(array, "dask", None), "layers", {}).values():
        for key, value in layer.items() if len(layer) == 1 else ():
            if isinstance(key, str) and "original" in key:
                yield from _behind(getattr(value, "value", value), deep - 1)


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _read(path: Path, given: Path) -> str:
    if os.fspath(path) == os.fspath(given):
        return f"{path} is read"
    real, read = (Path(os.path.realpath(one)) for one in (path, given))
    if real in read.parents:
        return f"{path} holds {given}, which is read"
    how = "lies in" if read in real.parents else "is the same as"
    return f"{path} {how} {given}, which is read"
