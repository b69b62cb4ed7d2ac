"""A Zarr result that grows while a run goes on, under a name that says so, and gets its own name at the end.

References
----------
OME-Zarr specification 0.5, https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.omezarr import SPACE
from napari_fcnseg.imagefile.pyramid import complete_image, describe, described_image, storage
from napari_fcnseg.system.saving import is_zarr, swap_in
from napari_fcnseg.system.saving.names import final, growing_at, hidden, others
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.recovery import OLD, sweep
from napari_fcnseg.system.saving.renaming import remove, rename_new
from napari_fcnseg.system.saving.stores import MARK, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from napari_fcnseg.imagefile.image import ImageFile


class GrowingZarr:
    """A Zarr result that a run writes into; it has its final name only once it is complete.

    Parameters
    ----------
    path : Path
        Ends with ``.zarr``.
    shape, chunks : tuple of int
        Of the array.
    dtype : dtype
        Of the array.
    meaning : ImageFile, optional
        Axes and pixel size of a result like this one, without its classes: it becomes an OME-Zarr image. Without it,
        it becomes a plain array.
    classes : bool
        Whether the last axis is that of the classes; in an OME-Zarr image it comes before those of space.
    overwrite : bool
        Whether what is there of that name is replaced at the end, and what an earlier run left that was stopped at the
        beginning.
    batch : bool
        Whether it belongs to a batch, which does not go on with what is not complete, but begins it anew.
    anew : bool
        Whether what an earlier run left is put out of the way whatever it is.
    go_on : bool
        Whether what an earlier run left is opened, to be written on.
    shared : bool
        Whether several chunks may share a file: for one process that writes whole ``shards``.

    Attributes
    ----------
    array : array_like
        What to write into, axes as in ``shape``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: np.dtype[Any],
        meaning: ImageFile | None = None,
        *,
        classes: bool = False,
        overwrite: bool = False,
        batch: bool = False,
        anew: bool = False,
        go_on: bool = False,
        shared: bool = False,
    ) -> None:
        self.path = path
        self.part = growing_at(path)
        self._group, self._overwrite = meaning is not None, overwrite
        self._meaning, self._complete = meaning, False
        self._axes = stored_axes(meaning, classes=classes) if meaning is not None else ""
        self._earlier: Path | None = None
        self._mark: dict[str, Any] = {MARK: {"written": uuid.uuid4().hex, "batch": batch}}
        try:
            if go_on:
                self.array: Any = self._opened(shape, dtype, meaning, classes)
                return
            self._make_room(batch, anew or overwrite)
            try:
                self.array = self._create(shape, chunks, dtype, meaning, classes, shared)
            except BaseException:
                self.discard()
                raise
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {reason(error)}. {remedy(error)}") from None

    @property
    def mark(self) -> str:
        """What tells this array from any other of its name."""
        return str(self._mark[MARK]["written"])

    @property
    def address(self) -> dict[str, Any]:
        """Where the array is, as plain data: :func:`open_growing` opens it in another process."""
        axis = self.array.axis if isinstance(self.array, _ClassesLast) else None
        return {"part": str(self.part), "inside": "0" if self._group else "", "classes": axis, "mark": self.mark}

    def _opened(self, shape: tuple[int, ...], dtype: np.dtype[Any], meaning: ImageFile | None, classes: bool) -> Any:
        """Open what an earlier run left."""
        import zarr

        self._mark = {MARK: marked(self.part)}
        array = zarr.open_array(self.part / "0" if self._group else self.part, mode="r+")
        found: Any = _ClassesLast(array, _space_begins(meaning.result_axes)) if classes and meaning else array
        if tuple(found.shape) != shape or found.dtype != dtype:
            raise OutputError(f"{self.part} is no array that this run has begun. Remove it, then run again.")
        return found

    def _make_room(self, batch: bool, anew: bool) -> None:
        """Put what an earlier run left out of the way until there is more, if that is allowed."""
        sweep(self.part)  # of one that was killed here
        if not os.path.lexists(self.part):
            return
        allowed = marked(self.part).get("batch") is True if batch else anew
        if not is_zarr(self.part):
            raise OutputError(f"{self.part} is in the way: the result is kept there until it is complete. Remove it.")
        if not allowed:
            raise OutputError(
                f"{self.part} holds what an earlier run has done that was stopped. Move it away, or choose another "
                "name for the result."
            )
        self._earlier = hidden(self.part, OLD)
        os.rename(self.part, self._earlier)

    def _create(
        self, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype[Any], meaning: ImageFile | None,
        classes: bool, shared: bool,
    ) -> Any:  # fmt: skip
        import zarr  # late: a window that opens would wait for it

        if meaning is None:
            return zarr.create_array(self.part, shape=shape, chunks=chunks, dtype=dtype, attributes=self._mark)
        at = _space_begins(meaning.result_axes) if classes else None
        if at is not None:
            shape, chunks = ((*n[:at], n[-1], *n[at:-1]) for n in (shape, chunks))
        group = zarr.create_group(self.part, attributes=self._mark, zarr_format=meaning.zarr_format)
        how = storage(shape, chunks, self._axes, meaning.zarr_format)
        if not shared:
            how.pop("shards", None)
        array = group.create_array("0", shape=shape, dtype=dtype, **how)
        first = [(1,) * len(shape)]
        if (described := described_image(self.path.stem, self._axes, meaning, first)) is not None:
            describe(group, {"multiscales": [described]}, meaning.zarr_format)
        return array if at is None else _ClassesLast(array, at)

    def complete(self, proceed: Callable[[], object] = lambda: None) -> None:
        """Add what an image has beside its finest level, once that is written: nothing is written into it after that.

        Parameters
        ----------
        proceed : callable, optional
            Called for each block.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if self._meaning is None or self._complete:
            return
        try:
            complete_image(self.part, self.path.stem, self._axes, self._meaning, proceed)
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {reason(error)}. What is finished is kept in {self.part}. "
                f"{remedy(error)}"
            ) from None
        self._complete = True

    def finish(self) -> Any:
        """Give the complete result its name; return the array, opened for reading.

        Raises
        ------
        OutputError
            If it cannot have it, with where the result is.
        """
        import zarr

        self.complete()
        try:
            swap_in(self.part, self.path, overwrite=self._overwrite)
        except FileExistsError:
            raise OutputError(
                f"{self.path} was not written: there is one of that name now. The new one was kept as {self._aside()}."
            ) from None
        except OSError as error:
            raise OutputError(
                f"{self.path} could not get its name ({reason(error)}). The result is complete and lies in "
                f"{self.part}: move it from there."
            ) from None
        self._forget_earlier()
        return zarr.open_array(self.path / "0" if self._group else self.path, mode="r")

    def keep(self) -> Path:
        """Leave what was written where it is, and return where."""
        self._forget_earlier()
        return self.part

    def discard(self) -> None:
        """Remove what was written; what an earlier run left gets its name again."""
        remove(self.part)
        if self._earlier is not None:
            with suppress(OSError):
                rename_new(self._earlier, self.part)

    def _aside(self) -> Path:
        """Give the complete result a name that is free."""
        for other in others(final(self.path)):
            try:
                rename_new(self.part, other)
            except OSError:
                continue
            return other
        return self.part

    def _forget_earlier(self) -> None:
        if self._earlier is not None:
            remove(self._earlier)
            self._earlier = None


def open_growing(address: Mapping[str, Any]) -> Any:
    """Open an array for writing that another process has begun (:attr:`GrowingZarr.address`).

    Raises
    ------
    OutputError
        If it is not there, or is another one of its name.
    """
    import zarr

    check_growing(address)
    part = Path(address["part"])
    array = zarr.open_array(part / address["inside"], mode="r+")
    return array if address["classes"] is None else _ClassesLast(array, address["classes"])


def check_growing(address: Mapping[str, Any]) -> None:
    """Find out whether an array is still the one that another process has begun (:attr:`GrowingZarr.address`).

    Raises
    ------
    OutputError
        If it is not there, or is another one of its name.
    """
    part = Path(address["part"])
    if marked(part).get("written") != address["mark"]:
        raise OutputError(f"{part} is not there as it was begun. Give the result a name in a folder that all see.")


class _ClassesLast:
    """A view of an array with one of its axes last, for reading and writing."""

    def __init__(self, array: Any, axis: int) -> None:
        self._array, self.axis = array, axis
        self.dtype = array.dtype
        self.shape, self.chunks, self.shards = (
            (*n[:axis], *n[axis + 1 :], n[axis]) if n else None for n in (array.shape, array.chunks, array.shards)
        )

    def __setitem__(self, where: tuple[int | slice, ...], numbers: npt.NDArray[Any]) -> None:
        before, after = where[: self.axis], where[self.axis :]
        axis = sum(isinstance(w, slice) for w in before)
        self._array[(*before, slice(None), *after)] = np.moveaxis(numbers, -1, axis)

    def __getitem__(self, where: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        before, after = where[: self.axis], where[self.axis :]
        numbers: npt.NDArray[Any] = self._array[(*before, slice(None), *after)]
        return np.moveaxis(numbers, sum(isinstance(w, slice) for w in before), -1)


def stored_axes(meaning: ImageFile, *, classes: bool) -> str:
    """Return the letters of the axes as they are stored: that of the classes before those of space."""
    axes = meaning.result_axes
    at = _space_begins(axes)
    return axes[:at] + "C" + axes[at:] if classes else axes


def _space_begins(axes: str) -> int:
    return next((n for n, letter in enumerate(axes) if letter in SPACE), len(axes))
