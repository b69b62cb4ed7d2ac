"""Pixels of one frame that are read region by region: from memory, from an array on disk, or computed on demand.

Nothing here asks for more of an image than a region and what a local filter needs around it, so a frame may be of any
size. A frame that is small is held in memory instead.
"""

from __future__ import annotations

import itertools
import math
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.lazy import Box, LazyArray, read_box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


#: Start and stop per spatial axis, in pixels.
Region: TypeAlias = tuple[tuple[int, int], ...]
Image: TypeAlias = npt.NDArray[np.float32]
#: Numbers of a frame (pixels times channels) up to which it is held in memory: 64 MiB.
_HELD = 2**24
_BLOCK = 2**21  # numbers of a block that a statistic looks at
#: Pixels along the last axis whose sum is taken at once. Blocks end at multiples of it, so that no statistic depends on
#: how an image is stored.
LINE = 4096
_CELL = 2**18  # pixels that are decoded at once from an array in small chunks
_CACHE = 2**27  # bytes of an array's decoded chunks that are kept


class FrameSource(ABC):
    """One frame ``(*spatial, channel)`` in float32.

    Attributes
    ----------
    shape : tuple of int
        ``(*spatial, channel)``.
    chunks : tuple of int
        Spatial size of what is stored, or decoded, together.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    @abstractmethod
    def read(self, region: Region) -> Image:
        """Return a region inside the frame: ``(*spatial, channel)``, not to be written into.

        Raises
        ------
        ImageError
            If it holds values that are not finite.
        """

    def everything(self) -> Region:
        """Return the region that is the whole frame."""
        return tuple((0, n) for n in self.shape[:-1])

    def blocks(self) -> Iterator[Region]:
        """Yield regions that cover the frame once, each of a few million numbers and along whole chunks."""
        sizes = [min(c, n) for c, n in zip(self.chunks, self.shape, strict=False)]
        sizes[-1] = min(self.shape[len(sizes) - 1], -(-sizes[-1] // LINE) * LINE)
        room = _BLOCK // (math.prod(sizes) * self.shape[-1])
        for axis in reversed(range(len(sizes))):
            times = max(1, min(room, -(-self.shape[axis] // sizes[axis])))
            sizes[axis] = min(self.shape[axis], sizes[axis] * times)
            room //= times
        return _grid(self.shape[:-1], tuple(sizes))


def _grid(shape: Sequence[int], sizes: Sequence[int]) -> Iterator[Region]:
    axes = ([(a, min(a + s, n)) for a in range(0, n, s)] for n, s in zip(shape, sizes, strict=True))
    return itertools.product(*axes)


class MemorySource(FrameSource):
    """A frame in memory.

    Parameters
    ----------
    image : ndarray of float32, shape (*spatial, channel)
        The frame.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self.shape = image.shape
        self.chunks = (*(1,) * (image.ndim - 2), image.shape[-2])

    def read(self, region: Region) -> Image:
        """Return a region, as a view."""
        return self._image[tuple(slice(start, stop) for start, stop in region)]


class MappedSource(FrameSource):
    """A frame that is computed from another one.

    Parameters
    ----------
    source : FrameSource
        The other frame.
    functions : sequence of callable
        One per channel, from ``(*spatial)`` to the same shape.
    halo : int
        How many pixels to each side a function looks at. At the frame's border it continues the frame itself.
    """

    def __init__(self, source: FrameSource, functions: Sequence[Callable[[Image], Image]], halo: int = 0) -> None:
        self._source, self._functions, self._halo = source, tuple(functions), halo
        self.shape, self.chunks = source.shape, source.chunks

    def read(self, region: Region) -> Image:
        """Return a region."""
        wide = tuple(
            (max(start - self._halo, 0), min(stop + self._halo, n))
            for (start, stop), n in zip(region, self.shape, strict=False)
        )
        inside = tuple(slice(start - a, stop - a) for (start, stop), (a, _) in zip(region, wide, strict=True))
        given = self._source.read(wide)
        result = np.empty((*(stop - start for start, stop in region), len(self._functions)), np.float32)
        for channel, function in enumerate(self._functions):
            result[..., channel] = function(given[..., channel])[inside]
        return result


def is_large(shape: Sequence[int]) -> bool:
    """Whether a frame ``(*spatial, channel)`` of this shape is read region by region and not held in memory."""
    return math.prod(shape) > _HELD


def hold_if_small(source: FrameSource) -> FrameSource:
    """Return a small frame in memory, and a large one as it is."""
    if isinstance(source, MemorySource) or is_large(source.shape):
        return source
    return MemorySource(np.ascontiguousarray(source.read(source.everything())))


class ChunkedSource:
    """Reads a frame that is stored in chunks, and keeps the decoded chunks that it read last.

    Parameters
    ----------
    fetch : callable
        From a region to its pixels ``(*spatial, channel)``, of any type.
    shape, chunks : tuple of int
        Of the frame, without the channels.

    Attributes
    ----------
    cell : tuple of int
        What is fetched at once: a chunk, or several small ones.
    """

    def __init__(
        self, fetch: Callable[[Region], npt.NDArray[Any]], shape: tuple[int, ...], chunks: tuple[int, ...]
    ) -> None:
        self._fetch, self._shape = fetch, shape
        sizes = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
        while math.prod(sizes) < _CELL and sizes != list(shape):
            axis = min((a for a, n in enumerate(shape) if sizes[a] < n), key=sizes.__getitem__)
            sizes[axis] = min(2 * sizes[axis], shape[axis])
        self.cell = tuple(sizes)
        self._kept: OrderedDict[tuple[int, ...], npt.NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, region: Region) -> npt.NDArray[Any]:
        """Return the pixels of a region."""
        result: npt.NDArray[Any] | None = None
        for place in itertools.product(
            *(range(a // s, -(-b // s)) for (a, b), s in zip(region, self.cell, strict=True))
        ):
            part = self._cell_at(place)
            if result is None:
                result = np.empty([*(b - a for a, b in region), part.shape[-1]], part.dtype)
            target, source = [], []
            for (a, b), number, size, length in zip(region, place, self.cell, part.shape, strict=False):
                first = number * size
                low, high = max(a, first), min(b, first + length)
                target.append(slice(low - a, high - a))
                source.append(slice(low - first, high - first))
            result[tuple(target)] = part[tuple(source)]
        assert result is not None, "a region is never empty"
        return result

    def _cell_at(self, place: tuple[int, ...]) -> npt.NDArray[Any]:
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
        sizes = zip(place, self.cell, self._shape, strict=True)
        part = self._fetch(tuple((p * s, min((p + 1) * s, n)) for p, s, n in sizes))
        with self._lock:
            if place not in self._kept:
                self._kept[place] = part
                self._bytes += part.nbytes
            while self._bytes > _CACHE and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return part


def chunk_shape_of(array: Any) -> tuple[int, ...] | None:
    """Return the chunk shape of an array that says one: zarr, dask, HDF5; None of one in memory or mapped."""
    if isinstance(array, np.ndarray):
        return None
    chunks = getattr(array, "chunks", None)
    if not chunks:
        return None
    return tuple(c if isinstance(c, int) else max(c) for c in chunks)


class ChannelStack:
    """Arrays of one shape as channels on a new last axis; read lazily.

    Parameters
    ----------
    arrays : sequence of array_like
        One per channel.

    Attributes
    ----------
    arrays : tuple of array_like
        The same.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = self._arrays = tuple(arrays)
        self.shape = (*arrays[0].shape, len(arrays))
        self.dtype = np.result_type(*(np.dtype(a.dtype) for a in arrays))
        chunks = chunk_shape_of(arrays[0])
        self.chunks = None if chunks is None else (*chunks, len(arrays))

    @property
    def in_memory(self) -> bool:
        """Whether nothing has to be read for it."""
        return all(type(array) is np.ndarray for array in self._arrays)

    def __getitem__(self, where: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Return the part that one index per axis, the channel's last, chooses."""
        *place, channels = where
        return np.stack([np.asarray(a[tuple(place)]) for a in self._arrays], axis=-1)[..., channels]


def first_channels(array: Any, axis: int, count: int) -> Any:
    """Return an array with its first channels only; nothing is read.

    Parameters
    ----------
    array : array_like
        The array.
    axis, count : int
        Its axis of channels, not negative, and how many there shall be.
    """
    if isinstance(array, np.ndarray):
        return array[(slice(None),) * axis + (slice(count),)]
    return FirstChannels(array, axis, count)


class FirstChannels:
    """An array with its first channels only (:func:`first_channels`)."""

    def __init__(self, array: Any, axis: int, count: int) -> None:
        self.array, self.axis, self.count = array, axis, count
        self._array = array
        self.shape = tuple(count if a == axis else n for a, n in enumerate(array.shape))
        self.dtype = np.dtype(array.dtype)
        chunks = chunk_shape_of(array)
        self.chunks = None if chunks is None else tuple(map(min, chunks, self.shape))

    def __getitem__(self, where: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Return the part that one index per axis chooses; all channels, whatever the index of that axis."""
        all_channels = (slice(0, self.count),)
        return np.asarray(self.array[(*where[: self.axis], *all_channels, *where[self.axis + 1 :])])


def transposed(array: Any, order: Sequence[int]) -> Any:
    """Return an array with its axes in another order; nothing is read.

    Parameters
    ----------
    array : array_like
        The array.
    order : sequence of int
        Axes of the array, one for each axis of what is returned.
    """
    if tuple(order) == tuple(range(len(array.shape))):
        return array
    return array.transpose(order) if isinstance(array, np.ndarray) else Reordered(array, tuple(order))


class Reordered(LazyArray):
    """An array with its axes in another order (:func:`transposed`)."""

    def __init__(self, array: Any, order: tuple[int, ...]) -> None:
        self.array = self._array = array
        self.order = order
        self.shape = tuple(array.shape[axis] for axis in order)
        self.dtype = np.dtype(array.dtype)
        chunks = chunk_shape_of(array)
        self.chunks = None if chunks is None else tuple(chunks[axis] for axis in order)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the part in a box."""
        return read_box(self.array, tuple(box[self.order.index(axis)] for axis in range(self.ndim))).transpose(
            self.order
        )
