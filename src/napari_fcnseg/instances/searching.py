"""The search for instances, frame by frame and in a frame block by block, with numbers that depend on no block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.frame_source import ChunkedSource, chunk_shape_of
from napari_fcnseg.arrays.lazy import LazyArray
from napari_fcnseg.errors import ImageError
from napari_fcnseg.instances.basins import EDGE, INTERIOR, Cutter
from napari_fcnseg.instances.blocks import boxes_of, slices
from napari_fcnseg.instances.cutting import BlockCutter
from napari_fcnseg.instances.joining import join_components
from napari_fcnseg.instances.settings import WATERSHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers, Scratch
    from napari_fcnseg.instances.joining import Table
    from napari_fcnseg.instances.settings import InstanceSettings

    Kinds = Callable[[Box], Numbers]

_FEW = 2**16  # instances that 16 bits can number, and one
_MANY = 2**32


class Found(LazyArray):
    """Instances: numbers from 1 without gaps, in the order of the frames and in a frame of the instances' first pixels.

    Parameters
    ----------
    numbers : array_like of uint32, shape (*stack, *spatial)
        Parts of instances.
    tables : list of ndarray
        For each frame, the instance that each number belongs to.
    sizes : ndarray of int, shape (instances,)
        Pixels of each instance, that of instance 1 first.
    block : tuple of int
        The size of the blocks of a frame.
    """

    def __init__(self, numbers: Any, tables: list[Table], sizes: Table, block: tuple[int, ...]) -> None:
        self._numbers, self._tables, self.sizes, self.block = numbers, tables, sizes, block
        self.shape = tuple(numbers.shape)
        count = len(sizes)
        self.dtype = np.dtype(np.uint16 if count < _FEW else np.uint32 if count < _MANY else np.uint64)
        self._stack = self.shape[: len(self.shape) - len(block)]
        self.chunks = (*(1,) * len(self._stack), *block)
        self._kept: tuple[tuple[int, ...], ChunkedSource] | None = None

    def read(self, box: Box) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the part in a box."""
        frames, within = box[: len(self._stack)], box[len(self._stack) :]
        result = np.empty([b - a for a, b in box], self.dtype)
        for place in np.ndindex(*(b - a for a, b in frames)):
            index = tuple(a + n for (a, _), n in zip(frames, place, strict=True))
            table = self._tables[int(np.ravel_multi_index(index, self._stack)) if index else 0]
            result[place] = table[self._near(index, within)]
        return result

    def _near(self, index: tuple[int, ...], box: Box) -> npt.NDArray[Any]:
        """Return numbers of a frame; of one on disk, what was read last is kept: outlines ask for many small boxes."""
        frame = _Frame(self._numbers, index)
        if isinstance(self._numbers, np.ndarray):
            return frame[slices(box)]
        if self._kept is None or self._kept[0] != index:
            shape = self.shape[len(index) :]
            self._kept = index, ChunkedSource(lambda part: frame[slices(part)][..., None], shape, self.block)
        return self._kept[1].read(box)[..., 0]


class _Frame:
    """One frame of an array, for reading and writing."""

    def __init__(self, array: Any, index: tuple[int, ...]) -> None:
        self._array, self._index = array, index

    def __getitem__(self, where: tuple[slice, ...]) -> npt.NDArray[Any]:
        return np.asarray(self._array[(*self._index, *where)])

    def __setitem__(self, where: tuple[slice, ...], numbers: npt.NDArray[Any]) -> None:
        self._array[(*self._index, *where)] = numbers


class Search:
    """Searches an array for instances.

    Parameters
    ----------
    labels, scores : array_like
        As for :func:`~napari_fcnseg.find_instances`.
    settings : InstanceSettings
        For what.
    sampling : tuple of float
        Length of a pixel along each axis of an instance, the finest being 1.
    block : tuple of int
        The size of a block.
    scratch : Scratch
        Room for what is known on the way.
    proceed : callable
        Called again and again.
    """

    def __init__(
        self, labels: Any, scores: Any, settings: InstanceSettings, sampling: tuple[float, ...],
        block: tuple[int, ...], scratch: Scratch, proceed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._labels, self._scores, self._settings, self._sampling = labels, scores, settings, sampling
        self._block, self._scratch, self._proceed = block, scratch, proceed
        self._shape = tuple(labels.shape)[-len(block) :]
        self._boxes = boxes_of(self._shape, block)

    def run(self) -> Found:
        """Return what there is."""
        stack = tuple(self._labels.shape)[: -len(self._block)]
        numbers = self._scratch.array(tuple(self._labels.shape), np.uint32, (*(1,) * len(stack), *self._block))
        tables, sizes, count = [], [], 0
        for index in np.ndindex(*stack):
            table, own = self._frame(index, _Frame(numbers, index))
            table[table > 0] += count
            count += len(own)
            tables.append(table)
            sizes.append(own)
        return Found(numbers, tables, np.concatenate(sizes), self._block)

    def _frame(self, index: tuple[int, ...], numbers: _Frame) -> tuple[Table, Table]:
        """Return the instance of each of one frame's parts, from 1, and the sizes of these."""
        settings = self._settings
        kinds = self._near(self._kinds_of(_Frame(self._labels, index)), self._labels)
        filled = None
        if settings.fill_holes:
            filled = self._scratch.array(self._shape, np.uint8, self._block)
            self._fill(kinds, filled)
            kinds = self._near(lambda box: np.asarray(filled[slices(box)]), filled)

        def mask(box: Box) -> Mask:
            return kinds(box) > 0

        parts = join_components(mask, numbers, self._shape, self._boxes, settings.connectivity, self._proceed)
        if settings.method == WATERSHED:
            scores = None if self._scores is None else _Frame(self._scores, index)
            read = None if scores is None else lambda box: scores[(*slices(box), slice(None))]
            cutter = Cutter(kinds, read, self._shape, settings, self._sampling, self._proceed)
            cut = BlockCutter(cutter, kinds, parts, self._block, settings.connectivity)
            for number, box in enumerate(self._boxes):
                self._proceed()
                numbers[slices(box)] = cut.block(number, box, numbers[slices(box)])
            size, first = cut.objects()
            table, own = _ranked(size, first, size > 0, settings.minimum_size)
        else:
            table, own = _ranked(parts.size, parts.first, parts.is_root, settings.minimum_size)
            table = table[parts.root]
        if filled is not None:
            self._scratch.forget(filled)
        return table, own

    def _kinds_of(self, frame: _Frame) -> Kinds:
        settings = self._settings

        def kinds(box: Box) -> Numbers:
            labels = frame[slices(box)]
            if labels.dtype.kind == "i" and labels.min() < 0:
                raise ImageError(
                    f"Labels are whole numbers from 0; these hold {labels.min()}. Give the labels of a run."
                )
            found = np.zeros(labels.shape, np.uint8)
            if settings.edge is not None:
                found[labels == settings.edge] = EDGE
            for number in settings.classes:
                found[labels == number] = INTERIOR
            return found

        return kinds

    def _near(self, read: Kinds, array: Any) -> Kinds:
        """Return what reads an array on disk and keeps what it read last; an array in memory is near."""
        if isinstance(array, np.ndarray):
            return read
        chunks = tuple(map(min, (chunk_shape_of(array) or self._block)[-len(self._block) :], self._block))
        near = ChunkedSource(lambda box: read(box)[..., None], self._shape, chunks)
        return lambda box: near.read(box)[..., 0]

    def _fill(self, kinds: Kinds, filled: Any) -> None:
        """Write kinds with holes filled: of the interior first, then of interior and edge class together."""

        def inner(box: Box) -> Numbers:
            return np.asarray(filled[slices(box)])

        for box, small in self._holes(lambda box: kinds(box) == INTERIOR):
            filled[slices(box)] = np.where(small, np.uint8(INTERIOR), kinds(box))
        if self._settings.edge is not None:
            for box, small in self._holes(lambda box: inner(box) > 0):
                filled[slices(box)] = np.where(small, np.uint8(EDGE), inner(box))

    def _holes(self, mask: Callable[[Box], Mask]) -> Iterator[tuple[Box, Mask]]:
        """Yield each block with the holes that ``skimage.morphology.remove_small_holes`` fills.

        What the threshold of that function means depends on its version.
        """
        settings = self._settings
        numbers = self._scratch.array(self._shape, np.uint32, self._block)
        gaps = join_components(
            lambda box: ~mask(box), numbers, self._shape, self._boxes, settings.connectivity, self._proceed
        )
        small = (gaps.size[gaps.root] <= settings.fill_holes) & (gaps.root > 0)
        for box in self._boxes:
            self._proceed()
            yield box, small[np.asarray(numbers[slices(box)])]
        self._scratch.forget(numbers)


def _ranked(size: Table, first: Table, whole: Mask, least: int) -> tuple[Table, Table]:
    """Return numbers, in the order of first pixels, of what is whole and large enough, and the sizes in that order."""
    kept = np.flatnonzero(whole & (size >= max(least, 1)))
    order = kept[np.argsort(first[kept])]
    table = np.zeros(len(size), np.int64)
    table[order] = np.arange(1, len(order) + 1)
    return table, size[order]
