"""Blocks that a frame is searched in."""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        sizes = [given] * len(shape) if np.ndim(given) == 0 else list(given)  # type: ignore[arg-type]
        whole = [operator.index(n) for n in sizes if isinstance(n, int | np.integer) and not isinstance(n, bool)]
        if len(sizes) != len(shape) or len(whole) != len(sizes) or min(whole) < 1:
            raise SettingsError(f"A block has one size above 0 per axis, {len(shape)} in all, not {given!r}.")
        return tuple(map(min, whole, shape))
    if math.prod(shape) <= _ROOM:
        return tuple(shape)
    side = max(round(_ROOM ** (1 / len(shape))), 1)
    chunks = (chunk_shape_of(array) or (1,) * len(array.shape))[-len(shape) :]
    return tuple(min(n, c * max(side // c, 1) if c <= side else side) for n, c in zip(shape, chunks, strict=True))


@dataclass(frozen=True)
class Grid:
    """A frame, cut into blocks, which are numbered from 0 in C order.

    Attributes
    ----------
    shape, block : tuple of int
        Pixels of the frame, and of a block.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block, strict=True))

    def __len__(self) -> int:
        """Blocks in all."""
        return math.prod(self.counts)

    def place(self, number: int) -> tuple[int, ...]:
        """Return where a block is among the blocks."""
        return tuple(map(int, np.unravel_index(number, self.counts)))

    def box(self, number: int) -> Box:
        """Return the pixels of a block."""
        return tuple(
            (i * b, min((i + 1) * b, n)) for i, b, n in zip(self.place(number), self.block, self.shape, strict=True)
        )

    def number(self, place: Sequence[int]) -> int:
        """Return the block at a place; -1 where there is none."""
        if any(not 0 <= i < n for i, n in zip(place, self.counts, strict=True)):
            return -1
        return int(np.ravel_multi_index(place, self.counts))

    def over(self, box: Box) -> Iterator[int]:
        """Yield the blocks that a box lies in."""
        spans = (range(a // b, -(-z // b)) for (a, z), b in zip(box, self.block, strict=True))
        return map(self.number, itertools.product(*spans))


def grown(box: Box, margins: int | Sequence[int], shape: Sequence[int]) -> Box:
    """Return a box that is larger to every side, within a frame."""
    wide = [margins] * len(box) if isinstance(margins, int) else margins
    return tuple((max(a - m, 0), min(b + m, n)) for (a, b), m, n in zip(box, wide, shape, strict=True))


def slices(box: Box, origin: Sequence[int] | None = None) -> tuple[slice, ...]:
    """Return what chooses a box from a frame, or from a part of it that begins elsewhere."""
    first = origin if origin is not None else (0,) * len(box)
    return tuple(slice(a - o, b - o) for (a, b), o in zip(box, first, strict=True))


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
