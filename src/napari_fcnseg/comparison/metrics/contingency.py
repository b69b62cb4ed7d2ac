"""The contingency table of two label maps, from which all overlap scores follow."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BLOCK = 2**22  # pixels that are read at once
_MERGE = 2**20  # pairs that are collected before they are summed


@dataclass(frozen=True)
class LabelPositions:
    """Where each label of one map is.

    Attributes
    ----------
    centroid : ndarray of float, shape (labels, axes)
        In pixels.
    start, stop : ndarray of int, shape (labels, axes)
        The box around it: the first pixel, and the one after the last.
    """

    centroid: Floats
    start: Ints
    stop: Ints


@dataclass(frozen=True)
class Contingency:
    """Pixels per pair of labels; only pairs that occur are held.

    Attributes
    ----------
    a_labels, b_labels : ndarray of int
        The labels that occur, ascending; any whole numbers.
    rows, columns : ndarray of int
        For each pair that occurs, where its labels stand in ``a_labels`` and ``b_labels``.
    pixels : ndarray of int
        How many pixels have both.
    a_places, b_places : LabelPositions or None
        Where each label is, if that was asked for.
    """

    a_labels: Ints
    b_labels: Ints
    rows: Ints
    columns: Ints
    pixels: Ints
    a_places: LabelPositions | None = None
    b_places: LabelPositions | None = None

    @property
    def total(self) -> int:
        """Pixels in all."""
        return int(self.pixels.sum())

    @property
    def a_pixels(self) -> Ints:
        """Pixels of each label of a."""
        return _sums(self.rows, self.pixels, len(self.a_labels))

    @property
    def b_pixels(self) -> Ints:
        """Pixels of each label of b."""
        return _sums(self.columns, self.pixels, len(self.b_labels))


def count(
    a: Any, b: Any, *, ignore: Sequence[int] = (), where: Any = None, places: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Contingency:  # fmt: skip
    """Count the pixels of each pair of labels.

    Parameters
    ----------
    a, b : array_like of int
        Label maps of one shape; NumPy, dask, zarr or anything that can be sliced. Read block by block. Numbers of a
        floating type are taken if they are whole.
    ignore : sequence of int
        Labels of ``a`` whose pixels are left out.
    where : array_like of bool, optional
        Pixels that are counted; all otherwise.
    places : bool
        Find where each label is, too.
    progress : callable, optional
        Called with the numbers of finished and of all blocks; what it raises ends the count.

    Raises
    ------
    ImageError
        If the shapes differ, there are no pixels, or a value is no label.
    """
    a, b = array_of(a, "first"), array_of(b, "second")
    shape = tuple(int(n) for n in a.shape)
    if where is not None and tuple(where.shape) != shape:
        raise ImageError(
            f"The pixels that count have the shape {format_shape(where.shape)} and the label maps "
            f"{format_shape(shape)}."
        )
    if shape != tuple(b.shape):
        raise ImageError(
            f"The label maps have the shapes {format_shape(shape)} and {format_shape(b.shape)}. Compare maps of one "
            "shape: crop or resample one of them first."
        )
    if not shape or 0 in shape:
        raise ImageError(f"The label maps have no pixels to compare: their shape is {shape}.")
    blocks = list(blocks_of(shape, chunk_shape_of(a)))
    pairs: list[tuple[Ints, Ints, Ints]] = []
    found: tuple[list[_Found], list[_Found]] = ([], [])
    for done, block in enumerate(blocks, start=1):
        counted = None if where is None else np.asarray(where[block], bool)
        starts, lengths, run_a, run_b = _runs(
            whole_labels(a[block], "first"), whole_labels(b[block], "second"), counted
        )
        if ignore:
            kept = ~np.isin(run_a, np.asarray(ignore, np.int64))
            starts, lengths, run_a, run_b = starts[kept], lengths[kept], run_a[kept], run_b[kept]
        pairs.append(_added(run_a, run_b, lengths))
        if sum(len(part[0]) for part in pairs) > max(_MERGE, len(pairs[0][0])) + len(pairs[0][0]):
            pairs = [_joined(pairs)]
        if places:
            first = _coordinates(starts, block)
            found[0].append(_found(run_a, lengths, first))
            found[1].append(_found(run_b, lengths, first))
        if progress is not None:
            progress(done, len(blocks))
    run_a, run_b, pixels = _joined(pairs)
    a_labels, rows = np.unique(run_a, return_inverse=True)
    b_labels, columns = np.unique(run_b, return_inverse=True)
    at = [_places(several) for several in found] if places else [None, None]
    return Contingency(a_labels, b_labels, rows.astype(np.int64), columns.astype(np.int64), pixels, at[0], at[1])


def blocks_of(shape: tuple[int, ...], chunks: Sequence[int] | None) -> Iterator[tuple[slice, ...]]:
    """Yield parts that cover an array once, each of a few million pixels and along whole chunks where it has some."""
    if chunks is not None and math.prod(chunks) > 4 * _BLOCK:
        chunks = None  # reading a block again is better than holding it with its counts
    sizes = list(shape)
    for axis, length in enumerate(shape):
        rest = math.prod(sizes) // sizes[axis]
        size = max(1, min(length, _BLOCK // rest))
        step = chunks[axis] if chunks is not None else 1
        sizes[axis] = min(length, max(step, size // step * step))
        if math.prod(sizes) <= _BLOCK:
            break
    spans = [[slice(i, min(i + size, n)) for i in range(0, n, size)] for n, size in zip(shape, sizes, strict=True)]
    yield from itertools.product(*spans)


def array_of(data: Any, which: str) -> Any:
    """Return an array of labels as it is, and anything else as an array in memory.

    Raises
    ------
    ImageError
        If it is none, or has values that are masked, or parts of unknown size.
    """
    if not (hasattr(data, "shape") and hasattr(data, "dtype")):
        try:
            data = np.asarray(data)
        except ValueError:
            raise ImageError(f"The {which} label map is no array: its rows have different lengths.") from None
    if np.ma.is_masked(data):
        raise ImageError(f"The {which} label map has masked values. Fill them with a label, and leave that label out.")
    if any(n != n for n in data.shape):
        raise ImageError(f"The {which} label map has parts of unknown size. Call compute_chunk_sizes() on it first.")
    return data


def whole_labels(block: Any, which: str) -> npt.NDArray[Any]:
    """Return a block of labels as whole numbers."""
    values = np.asarray(block)
    kind = values.dtype.kind
    if kind == "b":
        return values.view(np.uint8)
    if kind == "f":
        # NaN and infinity fail the comparison as well.
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int64)
        if not (np.isfinite(values).all() and np.array_equal(whole.astype(values.dtype), values)):
            raise ImageError(
                f"The {which} label map holds numbers that are not whole. Give labels, not probabilities or an image."
            )
        return whole
    if kind not in "iu":
        raise ImageError(f"The {which} label map holds values of type {values.dtype}. Labels are whole numbers.")
    if values.dtype == np.uint64 and values.size and values.max() > np.iinfo(np.int64).max:
        raise ImageError(f"The {which} label map holds labels above 2^63 - 1. Number its labels anew from 1.")
    return values


def _runs(a: npt.NDArray[Any], b: npt.NDArray[Any], counted: npt.NDArray[Any] | None) -> tuple[Ints, Ints, Ints, Ints]:
    """Return stretches of equal pairs along the last axis: where they start, how long they are, and both labels."""
    change = np.empty(a.shape, bool)
    change[..., :1] = True
    np.not_equal(a[..., 1:], a[..., :-1], out=change[..., 1:])
    change[..., 1:] |= b[..., 1:] != b[..., :-1]
    if counted is not None:
        change[..., 1:] |= counted[..., 1:] != counted[..., :-1]
    starts = np.flatnonzero(change)
    lengths = np.diff(starts, append=a.size)
    if counted is not None:
        kept = counted.reshape(-1)[starts]
        starts, lengths = starts[kept], lengths[kept]
    return starts, lengths, a.reshape(-1)[starts].astype(np.int64), b.reshape(-1)[starts].astype(np.int64)


def _added(a: Ints, b: Ints, pixels: Ints) -> tuple[Ints, Ints, Ints]:
    """Add up the pixels of equal pairs."""
    a_labels, rows = np.unique(a, return_inverse=True)
    b_labels, columns = np.unique(b, return_inverse=True)
    keys, inverse = np.unique(rows * len(b_labels) + columns, return_inverse=True)
    width = max(len(b_labels), 1)
    return a_labels[keys // width], b_labels[keys % width], _sums(inverse, pixels, len(keys))


def _joined(pairs: Sequence[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    a, b, pixels = (np.concatenate(several) for several in zip(*pairs, strict=True))
    return _added(a, b, pixels)


def _sums(where: Ints, numbers: Ints, length: int) -> Ints:
    """Add up whole numbers by place; exact, since a sum of pixels is below 2^53."""
    return np.bincount(where, numbers, length).astype(np.int64)


#: Labels, pixels, sums of coordinates, first and last coordinates.
_Found = tuple[Ints, Ints, Floats, Ints, Ints]


def _coordinates(starts: Ints, block: tuple[slice, ...]) -> Ints:
    inside = np.unravel_index(starts, [part.stop - part.start for part in block])
    return np.stack([place + part.start for place, part in zip(inside, block, strict=True)], axis=1)


def _found(labels: Ints, lengths: Ints, first: Ints) -> _Found:
    last = first.copy()
    last[:, -1] += lengths - 1
    # A run is straight: its mean is half way between its ends.
    return _gathered(labels, lengths, (first + last) / 2 * lengths[:, None], first, last)


def _gathered(labels: Ints, pixels: Ints, sums: Floats, first: Ints, last: Ints) -> _Found:
    names, where = np.unique(labels, return_inverse=True)
    size, axes = len(names), first.shape[1]
    low, high = np.full((size, axes), np.iinfo(np.int64).max), np.full((size, axes), -1)
    total = np.zeros((size, axes))
    for axis in range(axes):
        np.minimum.at(low[:, axis], where, first[:, axis])
        np.maximum.at(high[:, axis], where, last[:, axis])
        total[:, axis] = np.bincount(where, sums[:, axis], size)
    return names, _sums(where, pixels, size), total, low, high


def _places(found: Sequence[_Found]) -> LabelPositions:
    labels, pixels, sums, first, last = (np.concatenate(several) for several in zip(*found, strict=True))
    _, counted, total, low, high = _gathered(labels, pixels, sums, first, last)
    return LabelPositions(total / counted[:, None], low, high + 1)
