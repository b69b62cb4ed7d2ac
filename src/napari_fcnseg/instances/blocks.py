"""Blocks that a frame is searched in, and room for numbers on the way: memory, or a folder that goes at the end."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.saving.names import final, hidden
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.recovery import PART

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box, LazyArray

    Mask: TypeAlias = npt.NDArray[np.bool_]
    Numbers: TypeAlias = npt.NDArray[np.integer[Any]]

#: Pixels of a block, if not given: some tens of bytes are needed for each.
_ROOM = 2**22


def block_shape(
    shape: Sequence[int], array: Any, given: int | Sequence[int] | None = None
) -> tuple[int, ...]:  # fmt: skip
    """Return the size of the blocks that a frame is searched in.

    Parameters
    ----------
    shape : sequence of int
        Of a frame.
    array : array_like
        That frames are read from; blocks are made of its chunks, where they are small enough.
    given : int or sequence of int, optional
        The size along every axis, or along each.

    Raises
    ------
    SettingsError
        If what was given is no size.
    """
    if given is not None:
        sizes = [given] * len(shape) if isinstance(given, int) else list(given)
        if len(sizes) != len(shape) or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise SettingsError(f"A block has one size above 0 per axis, {len(shape)} in all, not {given!r}.")
        return tuple(map(min, sizes, shape))
    if math.prod(shape) <= _ROOM:
        return tuple(shape)
    side = max(round(_ROOM ** (1 / len(shape))), 1)
    chunks = (chunk_shape_of(array) or (1,) * len(array.shape))[-len(shape) :]
    return tuple(min(n, c * max(side // c, 1) if c <= side else side) for n, c in zip(shape, chunks, strict=True))


def boxes_of(shape: Sequence[int], block: Sequence[int]) -> list[Box]:
    """Return the blocks of a frame in C order."""
    return list(
        itertools.product(*([(a, min(a + b, n)) for a in range(0, n, b)] for n, b in zip(shape, block, strict=True)))
    )


def grown(box: Box, margins: int | Sequence[int], shape: Sequence[int]) -> Box:
    """Return a box that is larger to every side, within a frame."""
    wide = [margins] * len(box) if isinstance(margins, int) else margins
    return tuple((max(a - m, 0), min(b + m, n)) for (a, b), m, n in zip(box, wide, shape, strict=True))


def slices(box: Box, origin: Sequence[int] | None = None) -> tuple[slice, ...]:
    """Return what chooses a box from a frame, or from a part of it that begins elsewhere."""
    first = origin if origin is not None else (0,) * len(box)
    return tuple(slice(a - o, b - o) for (a, b), o in zip(box, first, strict=True))


class Scratch:
    """Makes arrays of zeros that are needed for a while.

    Parameters
    ----------
    folder : Path or None
        Where they lie; None for memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._names = folder, itertools.count()

    def array(self, shape: tuple[int, ...], dtype: npt.DTypeLike, chunks: tuple[int, ...]) -> Any:
        """Return a new array."""
        if self._folder is None:
            return np.zeros(shape, dtype)
        import zarr

        return zarr.create_array(
            self._folder / str(next(self._names)), shape=shape, chunks=tuple(map(min, chunks, shape)), dtype=dtype
        )

    def forget(self, array: Any) -> None:
        """Remove an array."""
        if self._folder is not None:
            shutil.rmtree(array.store.root, ignore_errors=True)


@contextmanager
def scratch_in(folder: str | os.PathLike[str] | None, place: Path | None = None) -> Iterator[Scratch]:
    """Make room for arrays on disk, and remove them at the end.

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
    try:
        yield Scratch(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def scratch_beside(path: Path) -> AbstractContextManager[Scratch]:
    """Make room beside a result that has been claimed; what a killed process leaves goes with the next claim."""
    return scratch_in(final(path).parent, hidden(final(path), PART))


def check_target(target: Any, found: LazyArray) -> None:
    """Check that instances can be written into an array.

    Raises
    ------
    OutputError
        If not.
    """
    if not all(hasattr(target, needed) for needed in ("shape", "dtype", "__setitem__")) or hasattr(target, "dask"):
        raise OutputError(
            f"Objects cannot be written into a {type(target).__name__}. Give a zarr array, an ndarray, or the name of "
            "a new file that ends with .zarr."
        )
    if tuple(target.shape) != found.shape:
        raise OutputError(
            f"The output has the shape {format_shape(target.shape)}; it has to be {format_shape(found.shape)}."
        )
    if not np.can_cast(found.dtype, target.dtype, "safe"):
        raise OutputError(f"The output has the type {target.dtype}, which cannot hold {found.dtype}.")
