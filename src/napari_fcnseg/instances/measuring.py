"""Measurements of objects: size, place, shape and brightness, all at once whatever their number, block by block.

The same numbers as scikit-image's ``regionprops_table`` (which takes milliseconds for each object), by sums over all
pixels: S. van der Walt et al., scikit-image: image processing in Python, PeerJ 2:e453, 2014.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.arrays.lazy import parts_of
from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.csv_file import write_csv
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.saving.texts import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box

_AXES = "zyx"
_POWERS = " ²³"


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """Objects and what was measured of them.

    Attributes
    ----------
    columns : mapping of str to ndarray, shape (objects,)
        By their headings, units in brackets; the first one is ``label``.
    boxes : ndarray of int, shape (objects, 2, axes)
        First pixel of each object and the one after its last, along all axes of the labels.
    """

    columns: Mapping[str, npt.NDArray[Any]]
    boxes: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.boxes)

    def rows(self) -> list[list[Any]]:
        """Return the headings and a row per object."""
        values = [column.tolist() for column in self.columns.values()]
        return [list(self.columns), *map(list, zip(*values, strict=True))]

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write a CSV file.

        Parameters
        ----------
        path : Path
            The file.
        overwrite : bool
            Whether an earlier table of objects of that name is replaced; nothing else is.

        Raises
        ------
        OutputError
            If it cannot be written, or is there already.
        """
        write_csv(path, self.written_rows(), overwrite=overwrite, kind=OBJECTS)

    def written_rows(self) -> list[list[Any]]:
        """Return the headings and a row per object, with the digits that a file gets."""
        return [[_written(value) for value in row] for row in self.rows()]


def measure_objects(
    labels: Any,
    *,
    spatial: int = 2,
    spacing: Sequence[float] | None = None,
    unit: str = "",
    image: Any = None,
    channels: Sequence[str] = (),
) -> ObjectTable:
    """Measure objects.

    Parameters
    ----------
    labels : array_like of int, shape (*stack, *spatial)
        Objects from 1; 0 is none. An object that is in several frames of a stack is measured in each.
    spatial : int
        Along how many of the last axes an object extends: 2 or 3.
    spacing : sequence of float, optional
        Length of a pixel along each of these axes; 1 otherwise.
    unit : str
        Of the lengths; empty for pixels.
    image : array_like, shape (*stack, *spatial, channel), optional
        Whose brightness is measured.
    channels : sequence of str
        What its channels are called.

    Returns
    -------
    ObjectTable

    Raises
    ------
    ImageError
        If the image is not of the labels' shape.
    """
    lengths = np.asarray(spacing if spacing is not None else (1.0,) * spatial, float)
    shape = tuple(labels.shape)
    if image is not None and tuple(image.shape[:-1]) != shape:
        raise ImageError(
            f"The image ({format_shape(image.shape[:-1])}) and the objects ({format_shape(shape)}) have different "
            "shapes. Choose the image that was segmented."
        )
    stack = shape[: len(shape) - spatial]
    chunks = chunk_shape_of(labels) or (1,) * len(shape)
    parts, boxes = [], []
    for index in itertools.product(*map(range, stack)):
        blocks = [
            _sums_in(labels, image, index, block) for block in parts_of(shape[len(stack) :], chunks[len(stack) :])
        ]
        columns, box = _measures(_joined(blocks), lengths, unit, channels)
        count = len(box)
        names = [f"frame {axis + 1}" if len(stack) > 1 else "frame" for axis in range(len(stack))]
        where = {name: np.full(count, i) for name, i in zip(names, index, strict=True)}
        parts.append({"label": columns.pop("label"), **where, **columns})
        before = np.broadcast_to(np.array([index, np.add(index, 1)], np.intp).reshape(2, -1), (count, 2, len(stack)))
        boxes.append(np.concatenate([before, box], axis=2))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return ObjectTable(whole, np.concatenate(boxes))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the pixels of each object, in whole numbers of any size: they are the same whatever the blocks.

    Attributes
    ----------
    labels, pixels : ndarray of int, shape (objects,)
        The objects and how many pixels they have.
    place : ndarray of object, shape (axes, objects)
        Sum of the pixels' places along each axis.
    square : ndarray of object, shape (axes, axes, objects)
        Sum of the products of two of them.
    boxes : ndarray of int, shape (objects, 2, axes)
        First pixel of each object along each axis, and the one after the last.
    bright : ndarray of float, shape (channels, objects)
        Sum of the brightness.
    """

    labels: npt.NDArray[Any]
    pixels: npt.NDArray[Any]
    place: npt.NDArray[Any]
    square: npt.NDArray[Any]
    boxes: npt.NDArray[np.intp]
    bright: npt.NDArray[Any]


def _sums_in(labels: Any, image: Any, index: tuple[int, ...], block: Box) -> _Sums:
    """Return the sums over the objects' pixels in one block of a frame."""
    chosen = (*index, *(slice(*span) for span in block))
    part = np.asarray(labels[chosen])
    where, axes = np.nonzero(part), range(part.ndim)
    found, which = np.unique(part[where], return_inverse=True)
    count = len(found)
    pixels = np.bincount(which, minlength=count)

    def total(weights: Any) -> npt.NDArray[Any]:
        return np.bincount(which, weights, count).astype(np.int64).astype(object)

    number = pixels.astype(object)
    near = [total(places) for places in where]
    place, square = np.empty((part.ndim, count), object), np.empty((part.ndim, part.ndim, count), object)
    for a in axes:
        first = block[a][0]
        place[a] = near[a] + first * number
        for b in range(a + 1):
            other = block[b][0]
            sums = total(where[a] * where[b].astype(float)) + first * near[b] + other * near[a] + first * other * number
            square[a, b] = square[b, a] = sums
    boxes = _boxes(where, which, count) + np.array([low for low, _ in block], np.intp)
    bright = np.empty((0, count))
    if image is not None:
        values = np.asarray(image[(*chosen, slice(None))], np.float64)
        bright = np.stack([np.bincount(which, values[..., c][where], count) for c in range(values.shape[-1])])
    return _Sums(found, pixels, place, square, boxes, bright)


def _joined(blocks: Sequence[_Sums]) -> _Sums:
    """Return the sums over all blocks."""
    if len(blocks) == 1:
        return blocks[0]
    found, which = np.unique(np.concatenate([block.labels for block in blocks]), return_inverse=True)
    count = len(found)

    def total(name: str) -> npt.NDArray[Any]:
        parts = np.concatenate([getattr(block, name) for block in blocks], axis=-1)
        sums = np.zeros((count, *parts.shape[:-1]), parts.dtype)
        np.add.at(sums, which, np.moveaxis(parts, -1, 0))
        return np.moveaxis(sums, 0, -1)

    parts = np.concatenate([block.boxes for block in blocks])
    boxes = np.zeros((count, *parts.shape[1:]), np.intp)
    boxes[:, 0] = np.iinfo(np.intp).max
    np.minimum.at(boxes[:, 0], which, parts[:, 0])
    np.maximum.at(boxes[:, 1], which, parts[:, 1])
    return _Sums(found, total("pixels"), total("place"), total("square"), boxes, total("bright"))


def _measures(
    sums: _Sums, lengths: npt.NDArray[np.float64], unit: str, channels: Sequence[str]
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.intp]]:
    """Return the columns and the boxes of one frame."""
    pixels, spatial, count = sums.pixels, len(lengths), len(sums.labels)
    divisor, number = np.maximum(pixels, 1), pixels.astype(object)
    centre = [(place / divisor).astype(float) * length for place, length in zip(sums.place, lengths, strict=True)]
    spread = np.empty((count, spatial, spatial))
    for a, b in itertools.product(range(spatial), repeat=2):
        exact = number * sums.square[a, b] - sums.place[a] * sums.place[b]
        spread[:, a, b] = (exact / (number * number)).astype(float) * (lengths[a] * lengths[b])
    values = np.linalg.eigvalsh(spread).clip(0)[:, ::-1] if count else np.empty((0, spatial))
    name, power = ("area", 2) if spatial == 2 else ("volume", 3)
    length = unit or "px"
    size = pixels * float(np.prod(lengths))
    columns: dict[str, npt.NDArray[Any]] = {"label": sums.labels.astype(np.int64), f"{name} (px)": pixels}
    if unit:
        columns[f"{name} ({unit}{_POWERS[power - 1]})"] = size
    for letter, middle in zip(_AXES[-spatial:], centre, strict=True):
        columns[f"{letter} ({length})"] = middle
    factor = 16.0 if spatial == 2 else 20.0
    sphere = 2 * np.sqrt(size / np.pi) if spatial == 2 else np.cbrt(6 * size / np.pi)
    columns[f"equivalent diameter ({length})"] = sphere
    columns[f"major axis ({length})"] = np.sqrt(factor * values[:, 0])
    columns[f"minor axis ({length})"] = np.sqrt(factor * values[:, -1])
    if spatial == 2:
        ratio = np.divide(values[:, 1], values[:, 0], out=np.ones(count), where=values[:, 0] > 0)
        columns["eccentricity"] = np.sqrt(1 - ratio)
    for channel, total in enumerate(sums.bright):
        called = channels[channel] if channel < len(channels) else f"channel {channel + 1}"
        columns[f"mean {called}"], columns[f"sum {called}"] = total / divisor, total
    return columns, sums.boxes


def _boxes(where: tuple[npt.NDArray[np.intp], ...], which: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """Return the first pixel of each object along each axis, and the one after the last."""
    boxes = np.zeros((count, 2, len(where)), np.intp)
    boxes[:, 0] = np.iinfo(np.intp).max
    for axis, places in enumerate(where):
        np.minimum.at(boxes[:, 0, axis], which, places)
        np.maximum.at(boxes[:, 1, axis], which, places + 1)
    return boxes


def _written(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
