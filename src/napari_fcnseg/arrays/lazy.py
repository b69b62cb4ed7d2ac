"""Arrays that are computed lazily, where they are indexed."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Start and stop along each axis.
Box: TypeAlias = tuple[tuple[int, int], ...]


_PART = 2**22  # numbers that are copied at once


class LazyArray(ABC):
    """An array of which only the indexed part is computed.

    Attributes
    ----------
    shape : tuple of int
        Its size.
    dtype : dtype
        Of its values.
    chunks : tuple of int or None
        Size of the parts that are read together; None if any part is as good.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @abstractmethod
    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box, which lies within the array."""

    def __getitem__(self, where: Any) -> npt.NDArray[Any]:
        """Return the part that whole numbers and slices choose, as NumPy would."""
        box, rest = boxed(where, self.shape)
        part: npt.NDArray[Any] = self.read(box)[rest]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it."""
        whole = self.read(tuple((0, n) for n in self.shape))
        return whole if dtype is None else whole.astype(dtype, copy=False)


def boxed(where: Any, shape: Sequence[int]) -> tuple[Box, tuple[Any, ...]]:
    """Return the smallest box that holds what an index chooses, and what chooses it from the box.

    Parameters
    ----------
    where : int, slice, Ellipsis or tuple of these
        The index.
    shape : sequence of int
        Of the array.

    Raises
    ------
    IndexError
        If it is another kind of index, or outside the array.
    """
    parts = list(where) if isinstance(where, tuple) else [where]
    if any(part is Ellipsis for part in parts):
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    if len(parts) > len(shape):
        raise IndexError(f"An array with {len(shape)} axes takes no index with {len(parts)}.")
    box: list[tuple[int, int]] = []
    rest: list[Any] = []
    for part, length in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            chosen = range(*part.indices(length))
            low, high = (min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1) if chosen else (0, 0)
            box.append((low, high))
            rest.append(slice(None, None, chosen.step))
            continue
        number = int(part.__index__())
        if not -length <= number < length:
            raise IndexError(f"{number} is outside an axis of length {length}.")
        number %= length
        box.append((number, number + 1))
        rest.append(0)
    return tuple(box), tuple(rest)


def overlap(box: Box, other: Box) -> Box:
    """Return what two boxes have in common; a side ends before it begins where that is nothing."""
    return tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, other, strict=True))


def stored_shape(array: Any) -> tuple[int, ...] | None:
    """Return the size of what is stored as a whole: chunks, or what several of them share; None of other arrays."""
    stored: tuple[int, ...] | None = getattr(array, "shards", None) or getattr(array, "chunks", None)
    return stored


def read_box(array: Any, box: Box) -> npt.NDArray[Any]:
    """Return the part of an array in a box, in memory."""
    return np.asarray(array[tuple(slice(start, stop) for start, stop in box)])


def copy_blocks(source: Any, target: Any, proceed: Callable[[], object] = lambda: None) -> None:
    """Write an array into another one of its shape, a few of the other's chunks at a time.

    Parameters
    ----------
    source, target : array_like
        The arrays.
    proceed : callable, optional
        Called for each part.
    """
    shape = tuple(target.shape)
    stored = stored_shape(target) or (1,) * len(shape)
    for box in parts_of(shape, stored):
        proceed()
        target[tuple(slice(*span) for span in box)] = read_box(source, box)


def parts_of(shape: Sequence[int], chunks: Sequence[int], most: int = _PART) -> Iterator[Box]:
    """Yield boxes that cover an array once, in C order, each of whole chunks and of up to ``most`` numbers, if it can.

    Parameters
    ----------
    shape, chunks : sequence of int
        Of the array.
    most : int
        Numbers in a box.
    """
    sizes = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
    for axis in reversed(range(len(sizes))):
        room = max(most // math.prod(sizes), 1)
        sizes[axis] = min(sizes[axis] * room, shape[axis])
    starts = (range(0, n, size) for n, size in zip(shape, sizes, strict=True))
    for corner in itertools.product(*starts):
        yield tuple((a, min(a + size, n)) for a, size, n in zip(corner, sizes, shape, strict=True))


class LazyBox(LazyArray):
    """A box of another array; nothing is read.

    Parameters
    ----------
    array : array_like
        The other array.
    box : tuple of (int, int)
        Start and stop along each axis.
    """

    def __init__(self, array: Any, box: Box) -> None:
        self._array, self._box = array, box
        self.shape, self.dtype = tuple(stop - start for start, stop in box), np.dtype(array.dtype)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        inner = zip(box, self._box, strict=True)
        return read_box(self._array, tuple((start + first, stop + first) for (start, stop), (first, _) in inner))


class LazyRepeat(LazyArray):
    """An array that is the same at every place along axes in front of its own.

    Parameters
    ----------
    array : array_like
        The array.
    leading : sequence of int
        Lengths of those axes.
    """

    def __init__(self, array: Any, leading: Sequence[int]) -> None:
        self._array, self._extra = array, len(leading)
        self.shape, self.dtype = (*leading, *map(int, array.shape)), np.dtype(array.dtype)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        part = read_box(self._array, box[self._extra :])
        return np.broadcast_to(part, (*(stop - start for start, stop in box[: self._extra]), *part.shape))
