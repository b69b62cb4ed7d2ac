"""The map of agreement of two label maps, computed lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.arrays.lazy import Box, LazyArray, read_box
from napari_fcnseg.comparison.metrics.contingency import blocks_of, whole_labels
from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    Kinds = npt.NDArray[np.uint8]
    Mask = npt.NDArray[np.bool_]

#: What a pixel is: outside both, the same in both, labelled in one map only, or unlike.
NEITHER, BOTH, ONLY_A, ONLY_B, DIFFERENT = range(5)

#: Name and colour of each kind that is shown. Of the colours of Okabe and Ito (2008) these four are furthest
#: apart with and without colour vision deficiency, and none looks grey (tests/comparison/test_agreement_map.py).
AGREEMENT: Final[Mapping[int, tuple[str, str]]] = {
    BOTH: ("both", "#56b4e9"),
    ONLY_A: ("only A", "#0072b2"),
    ONLY_B: ("only B", "#d55e00"),
    DIFFERENT: ("different", "#f0e442"),
}

_SHARE = 4  # share of the free memory that a map may take
#: Kind for each sum of: 1 if a has a label, 2 if b has one, 4 if they are the same.
_KINDS = np.array([NEITHER, ONLY_A, ONLY_B, DIFFERENT, NEITHER, ONLY_A, ONLY_B, BOTH], np.uint8)


class _OfTwo(LazyArray):
    """A map of uint8 that follows pixel by pixel from two label maps of one shape.

    Parameters
    ----------
    a, b : array_like of int
        The label maps; any whole numbers, 0 is background. Sliceable with a tuple of slices.
    inside : array_like of bool, optional
        Pixels that count; all otherwise.

    Raises
    ------
    ImageError
        If the shapes differ.
    """

    def __init__(self, a: Any, b: Any, inside: Any = None) -> None:
        self._a, self._b = (array if hasattr(array, "dtype") else np.asarray(array) for array in (a, b))
        self._inside = inside
        self.shape, self.dtype = tuple(map(int, self._a.shape)), np.dtype(np.uint8)
        if tuple(self._b.shape) != self.shape:
            raise ImageError(
                f"The label maps have the shapes {format_shape(self.shape)} and {format_shape(self._b.shape)}. Compare "
                "maps of one shape: crop or resample one of them first."
            )
        self.chunks = chunk_shape_of(self._a) or chunk_shape_of(self._b)

    def _labels(self, box: Box) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return whole_labels(read_box(self._a, box), "first"), whole_labels(read_box(self._b, box), "second")

    def _only_inside(self, kinds: Kinds, box: Box) -> Kinds:
        if self._inside is not None:
            kinds *= read_box(self._inside, box)
        return kinds

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return all of it, computed block by block."""
        out = np.empty(self.shape, self.dtype)
        write_map(self, out)
        return out if dtype is None else out.astype(dtype, copy=False)


class AgreementMap(_OfTwo):
    """How two label maps agree at each pixel; read lazily.

    ``NEITHER`` where both are 0, ``ONLY_A`` and ``ONLY_B`` where only one has a label, ``BOTH`` where both have the
    same, ``DIFFERENT`` where both have one and it is not the same.

    Parameters
    ----------
    a, b : array_like of int
        The label maps; any whole numbers, 0 is background. Sliceable with a tuple of slices.
    inside : array_like of bool, optional
        Pixels that count, all otherwise; the others are ``NEITHER``.
    pairs : mapping of int to int, optional
        For single objects: the label in ``b`` of each object of ``a`` that has a partner, one to one. These are the
        same, and no others. Without, equal numbers are the same.
    ignore : sequence of int
        Labels of ``a`` that are left out: their pixels are ``NEITHER``.
    background : sequence of int
        Classes that count as no label, as 0 does, unless one map has one of them and the other 0 or another of them:
        that is ``DIFFERENT``. Networks number their background, too.

    Raises
    ------
    ImageError
        If the shapes differ; when it is read, if a value is no label.
    """

    def __init__(
        self, a: Any, b: Any, *, inside: Any = None, pairs: Mapping[int, int] | None = None, ignore: Sequence[int] = (),
        background: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__(a, b, inside)
        self._partners = None if pairs is None else _sorted(pairs)
        self._ignore, self._background = tuple(ignore), tuple(background)

    def read(self, box: Box) -> Kinds:
        """Return the kinds in a box."""
        a, b = self._labels(box)
        sums = self._labelled(a).view(np.uint8)
        sums += self._labelled(b).view(np.uint8) << 1
        same = a == b if self._partners is None else _partner(a, *self._partners) == b
        sums += same.view(np.uint8) << 2
        kinds: Kinds = np.take(_KINDS, sums)
        if self._background:
            kinds[(sums & 3 == 0) & ~same] = DIFFERENT
        for label in self._ignore:
            kinds[a == label] = NEITHER
        return self._only_inside(kinds, box)

    def _labelled(self, labels: npt.NDArray[Any]) -> Mask:
        there: Mask = labels != 0
        for label in self._background:
            there &= labels != label
        return there


class CellMap(_OfTwo):
    """The pixels of one cell of a confusion matrix: 1 where ``a`` has one label and ``b`` another, 0 elsewhere.

    Parameters
    ----------
    a, b : array_like of int
        The label maps. Sliceable with a tuple of slices.
    a_label, b_label : int
        The row and the column.
    inside : array_like of bool, optional
        Pixels that count; all otherwise.

    Raises
    ------
    ImageError
        If the shapes differ; when it is read, if a value is no label.
    """

    def __init__(self, a: Any, b: Any, a_label: int, b_label: int, *, inside: Any = None) -> None:
        super().__init__(a, b, inside)
        self._pair = a_label, b_label

    def read(self, box: Box) -> Kinds:
        """Return 0 and 1 in a box."""
        a, b = self._labels(box)
        mask: Mask = (a == self._pair[0]) & (b == self._pair[1])
        return self._only_inside(mask.view(np.uint8), box)


class Differing(LazyArray):
    """Where two label maps differ: True where a map of agreement is neither ``NEITHER`` nor ``BOTH``.

    Parameters
    ----------
    agreement : array_like of uint8
        An :class:`AgreementMap`, or what it was written into.
    """

    def __init__(self, agreement: Any) -> None:
        self._agreement = agreement
        self.shape, self.dtype = tuple(map(int, agreement.shape)), np.dtype(bool)
        self.chunks = chunk_shape_of(agreement)

    def read(self, box: Box) -> Mask:
        """Return the part in a box."""
        differing: Mask = read_box(self._agreement, box) >= ONLY_A
        return differing


def write_map(array: _OfTwo, out: Any = None, progress: Callable[[int, int], None] | None = None) -> dict[int, int]:
    """Compute a map, block by block.

    Parameters
    ----------
    array : AgreementMap or CellMap
        The map.
    out : array_like of uint8, optional
        What it is written into: anything of its shape with slice assignment. Without, it is only counted.
    progress : callable, optional
        Called with the numbers of finished and of all blocks; what it raises ends the work, and what is written stays.

    Returns
    -------
    dict of int to int
        How many pixels there are of each kind that occurs, ``NEITHER`` and 0 left out.
    """
    if not array.size:
        return {}
    counts = np.zeros(len(AGREEMENT) + 1, np.int64)
    blocks = list(blocks_of(array.shape, array.chunks if out is None else chunk_shape_of(out) or array.chunks))
    for done, block in enumerate(blocks, start=1):
        kinds = array[block]
        counts += np.bincount(kinds.reshape(-1), minlength=len(counts))
        if out is not None:
            out[block] = kinds
        if progress is not None:
            progress(done, len(blocks))
    return {kind: n for kind, n in enumerate(counts.tolist()) if kind and n}


def compute_map(array: _OfTwo, progress: Callable[[int, int], None] | None = None) -> tuple[Any, dict[int, int]]:
    """Compute a map into memory if there is room; otherwise it stays one that is computed where it is read.

    Parameters
    ----------
    array : AgreementMap or CellMap
        The map.
    progress : callable, optional
        As for :func:`write_map`.

    Returns
    -------
    array_like of uint8, dict of int to int
        The map, and its pixels of each kind as :func:`write_map` counts them.
    """
    room = np.empty(array.shape, np.uint8) if array.size <= free_memory() // _SHARE else None
    counts = write_map(array, room, progress)
    return (array if room is None else room), counts


def _sorted(pairs: Mapping[int, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs with labels of a ascending; one at least, so that there is a nearest one."""
    of_a, of_b = (np.array(list(several), np.int64) for several in (pairs.keys() or [0], pairs.values() or [0]))
    order = np.argsort(of_a)
    return of_a[order], of_b[order]


def _partner(a: npt.NDArray[Any], of_a: npt.NDArray[np.int64], of_b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the label in b that each pixel's object has for partner, 0 without; looked up once per run of pixels."""
    flat = a.reshape(-1)
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)[: flat.size]
    labels = flat[starts].astype(np.int64)
    nearest = np.minimum(np.searchsorted(of_a, labels), len(of_a) - 1)
    partners = np.where(of_a[nearest] == labels, of_b[nearest], 0)
    return np.repeat(partners, np.diff(starts, append=flat.size)).reshape(a.shape)
