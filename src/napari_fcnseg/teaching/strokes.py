"""Strokes: which pixels of the images somebody painted, as which class, and which of them belong together."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.plan.layout import Layout

FEWEST: Final = 10  # painted pixels of a class
MOST_CLASSES: Final = 255
_AT_ONCE: Final = 2**24  # pixels that are read at once
_MOST: Final = 4_000  # pixels of a class that are taken: more of the same strokes teach nothing new


@dataclass(frozen=True)
class Strokes:
    """Painted pixels of all images together.

    Attributes
    ----------
    image : ndarray of int, shape (n,)
        Which image.
    points : tuple of ndarray of int, shape (m, axes of the labels)
        Of each image those that are its.
    labels : ndarray of int, shape (n,)
        Class index + 1.
    stroke : ndarray of int, shape (n,)
        Which stroke: painted pixels of one class that touch.
    classes : int
        The largest label.
    sha256 : str
        Hash of what was painted, and where.
    """

    image: npt.NDArray[np.intp]
    points: tuple[npt.NDArray[np.intp], ...]
    labels: npt.NDArray[np.intp]
    stroke: npt.NDArray[np.intp]
    classes: int
    sha256: str

    def only(self, wanted: npt.NDArray[np.bool_]) -> Strokes:
        """Return some of the pixels."""
        points = tuple(p[wanted[self.image == n]] for n, p in enumerate(self.points))
        return replace(
            self, image=self.image[wanted], points=points, labels=self.labels[wanted], stroke=self.stroke[wanted]
        )


def class_word(label: int, names: Sequence[str] = ()) -> str:
    """Return what a class is called in a message: its name, or its number."""
    return f"{names[label - 1]!r}" if 0 < label <= len(names) else f"class {label}"


def read_strokes(arrays: Sequence[Any], layouts: Sequence[Layout], seed: int = 0, names: Sequence[str] = ()) -> Strokes:
    """Read which pixels are painted; an array on disk is read part by part.

    Parameters
    ----------
    arrays : sequence of array_like
        For each image its strokes: as large as it without its channel axis, 0 where nothing is painted, else the label.
    layouts : sequence of Layout
        Of the images.
    seed : int
        Of the choice of pixels where there are very many.
    names : sequence of str
        Of the classes, for messages.

    Raises
    ------
    SettingsError
        If they do not fit the images, or too little is painted.
    """
    points, labels, digest = [], [], hashlib.sha256()
    for number, (array, layout) in enumerate(zip(arrays, layouts, strict=True)):
        where, what = _painted(_checked(array, layout, number, len(layouts)), number, len(layouts))
        digest.update(f"{where.shape}".encode())
        digest.update(np.ascontiguousarray(where, "<i8").tobytes())
        digest.update(np.ascontiguousarray(what, "<i8").tobytes())
        points.append(where)
        labels.append(what)
    _require_enough(np.concatenate(labels), names)
    strokes = _numbered(points, labels)
    image = np.repeat(np.arange(len(points)), [len(p) for p in points])
    chosen = _chosen(image, points, np.concatenate(labels), seed)
    return Strokes(
        image[chosen],
        tuple(p[chosen[image == n]] for n, p in enumerate(points)),
        np.concatenate(labels)[chosen],
        strokes[chosen],
        int(np.concatenate(labels).max()),
        digest.hexdigest(),
    )


def _of(number: int, count: int) -> str:
    return f" of image {number + 1}" if count > 1 else ""


def _checked(array: Any, layout: Layout, number: int, count: int) -> Any:
    array = array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)
    shape, which = tuple(int(n) for n in array.shape), _of(number, count)
    if shape != layout.result_shape:
        raise SettingsError(
            f"The strokes{which} have the shape {format_shape(shape) or 'of one number'}, and the image has "
            f"{format_shape(layout.result_shape)} pixels. Paint on a layer as large as the image."
        )
    if np.dtype(array.dtype).kind not in "bui":
        raise SettingsError(f"The strokes{which} hold values of type {array.dtype}. Labels are whole numbers.")
    return array


def _painted(array: Any, number: int, count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the painted pixels of an array in their order, and their labels."""
    rows = max(1, _AT_ONCE // max(1, math.prod(array.shape[1:])))
    places, labels = [], []
    for start in range(0, array.shape[0], rows):
        part = np.asarray(array[start : start + rows])
        where = np.nonzero(part)
        labels.append(part[where].astype(np.intp))
        places.append(np.stack(where, axis=1) + np.array([start] + [0] * (part.ndim - 1)))
    what = np.concatenate(labels)
    if len(what) and (what.min() < 0 or what.max() > MOST_CLASSES):
        wrong = int(what.min() if what.min() < 0 else what.max())
        raise SettingsError(
            f"The strokes{_of(number, count)} hold the label {wrong}. Labels are 1 to {MOST_CLASSES}, one per class."
        )
    return np.concatenate(places), what


def _require_enough(labels: npt.NDArray[np.intp], names: Sequence[str]) -> None:
    counts = np.bincount(labels)
    present = np.flatnonzero(counts).tolist()
    if not len(present):
        raise SettingsError("Nothing is painted. Paint a stroke or more of each class.")
    if len(present) == 1:
        raise SettingsError(f"All strokes are of {class_word(present[0], names)}. Paint strokes of another class, too.")
    missing = sorted(set(range(1, max(len(counts), len(names) + 1))) - set(present))
    if missing and len(names) >= missing[-1]:
        words = " and ".join(class_word(label, names) for label in missing)
        raise SettingsError(f"{words} ha{'ve' if missing[1:] else 's'} no stroke. Paint some, or leave the class out.")
    if missing:
        raise SettingsError(
            f"{_upper(class_word(missing[0], names))} has no stroke, and {class_word(len(counts) - 1, names)} has. "
            "Paint some, or number the classes without a gap."
        )
    few = next((label for label in present if counts[label] < FEWEST), None)
    if few is not None:
        raise SettingsError(
            f"{_upper(class_word(few, names))} has {counts[few]} painted pixel{'s' * int(counts[few] != 1)}. Paint at "
            f"least {FEWEST}, better in several places."
        )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _numbered(points: Sequence[npt.NDArray[np.intp]], labels: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
    """Return which stroke each pixel is of: pixels of one class that touch, also at corners."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    found, above = [], 0
    for where, what in zip(points, labels, strict=True):
        if not len(where):
            continue
        keyed = np.concatenate([what[:, None], where], axis=1)
        size = keyed.max(axis=0) + 2
        key = np.ravel_multi_index(tuple(keyed.T), tuple(size))
        order = np.argsort(key)
        pairs = []
        for step in itertools.product((-1, 0, 1), repeat=where.shape[1]):
            if step <= (0,) * where.shape[1]:
                continue
            near = keyed + np.array([0, *step])
            inside = (near >= 0).all(axis=1) & (near < size).all(axis=1)
            wanted = np.ravel_multi_index(tuple(near[inside].T), tuple(size))
            place = np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)
            hit = key[order][place] == wanted
            pairs.append(np.stack([np.flatnonzero(inside)[hit], order[place[hit]]]))
        rows, cols = np.concatenate(pairs, axis=1)
        graph = coo_array((np.ones(len(rows), bool), (rows, cols)), (len(where), len(where)))
        count, numbers = connected_components(graph, directed=False)
        found.append(numbers.astype(np.intp) + above)
        above += count
    return np.concatenate(found)


def _chosen(
    image: npt.NDArray[np.intp], points: Sequence[npt.NDArray[np.intp]], labels: npt.NDArray[np.intp], seed: int
) -> npt.NDArray[np.bool_]:
    """Return which pixels are taken: all, or of a class with very many as many as teach anything.

    Each pixel has a number of its own, and those with the lowest are taken: another stroke changes few of them.
    """
    chosen = np.zeros(len(labels), bool)
    numbers: npt.NDArray[np.uint64] | None = None
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        if len(mine) > _MOST:
            if numbers is None:
                numbers = _mixed(image, np.concatenate([p for p in points if len(p)]), seed)
            mine = mine[np.argsort(numbers[mine], kind="stable")[:_MOST]]
        chosen[mine] = True
    return chosen


def _mixed(image: npt.NDArray[np.intp], points: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.uint64]:
    """Return a number for each pixel that looks random (the finalizer of SplitMix64)."""
    mixed = np.full(len(points), seed, np.uint64)
    for column in (image, *points.T):
        mixed = (mixed ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return mixed
