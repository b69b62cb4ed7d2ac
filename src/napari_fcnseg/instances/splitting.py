"""Splitting an object along a line that somebody has drawn over it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_NOT_THROUGH = "Draw it from outside the object to outside again."


@dataclass(frozen=True, eq=False)
class Split:
    """An object that is to be several.

    Attributes
    ----------
    label : int
        The object; its largest piece keeps this label.
    pieces : dict of int to tuple of ndarray
        The pixels of each other piece, one array of indices per axis of the labels, by its new label.
    """

    label: int
    pieces: dict[int, tuple[npt.NDArray[np.intp], ...]]


def split_object(
    labels: npt.NDArray[Any],
    line: npt.ArrayLike,
    *,
    label: int | None = None,
    spatial: int = 2,
    plane: Sequence[int] = (-2, -1),
    connectivity: int = 1,
    spacing: Sequence[float] | None = None,
) -> Split:
    """Split an object along a line; nothing is changed.

    The object without the line's pixels falls into connected pieces. The line's pixels go to the nearest of them, the
    largest one keeps the label, and the others get numbers that no object has.

    Parameters
    ----------
    labels : ndarray of int, shape (*stack, *spatial)
        Objects from 1; 0 is none.
    line : array_like, shape (vertices, axes)
        Along all axes of the labels, in pixels whose middles are at whole numbers.
    label : int, optional
        The object; the first one on the line otherwise.
    spatial : int
        Along how many of the last axes an object extends: 2 or 3. In a stack only the line's frame is split.
    plane : sequence of int
        The two axes in which the line was drawn. An object in three dimensions is cut all along the third.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`; pieces that touch at corners only are one if it is above 1.
    spacing : sequence of float, optional
        Length of a pixel along each of the last axes, for what is nearest.

    Returns
    -------
    Split

    Raises
    ------
    SettingsError
        If the line does not cut an object through.
    """
    vertices = np.asarray(line, float)
    within = tuple(sorted(axis % labels.ndim for axis in plane))
    stack = labels.ndim - spatial
    if within[0] < stack:
        raise SettingsError(
            "These objects are flat, and the view shows another plane. Show a whole frame to split one."
        )
    index = tuple(np.floor(vertices[0, :stack] + 0.5).astype(int).tolist())
    if any(not 0 <= i < n for i, n in zip(index, labels.shape, strict=False)):
        raise SettingsError("The line lies outside the objects' layer. Draw it across an object.")
    frame = np.asarray(labels[index])
    axes = (within[0] - stack, within[1] - stack)
    path = _path(vertices[:, within], corners=connectivity > 1)
    path = path[((path >= 0) & (path < np.take(frame.shape, axes))).all(axis=1)]
    if label is None:
        label = _first(frame, path, axes, vertices[0, stack:])
    mine = frame == label
    if not mine.any():
        raise SettingsError(f"Object {label} is not in this frame. Select one that is.")
    window, numbers = _pieces(mine, path, axes, connectivity, spacing)
    sizes = np.bincount(numbers.ravel())[1:]
    order = [int(number) for number in np.argsort(-sizes, kind="stable") + 1]
    top = int(labels.max())
    if top + len(order) - 1 > np.iinfo(labels.dtype).max:
        raise SettingsError(f"The layer cannot number more objects: it holds {labels.dtype}, and {top:,} is in use.")
    pieces = {}
    for new, number in enumerate(order[1:], start=top + 1):
        found = np.nonzero(numbers == number)
        inside = tuple(place + part.start for place, part in zip(found, window, strict=True))
        pieces[new] = (*(np.full(len(found[0]), i, np.intp) for i in index), *inside)
    return Split(label, pieces)


def _path(vertices: npt.NDArray[np.float64], *, corners: bool) -> npt.NDArray[np.intp]:
    """Return the pixels of a line in their order; with corners, no step of it is diagonal."""
    from skimage.draw import line

    points = np.floor(vertices + 0.5).astype(int)
    steps = itertools.pairwise(points)
    parts = [np.stack(line(*a, *b), axis=1) for a, b in steps]  # type: ignore[no-untyped-call]
    path: npt.NDArray[np.intp] = np.concatenate([points[:1], *(part[1:] for part in parts)])
    if corners:
        diagonal = np.flatnonzero((path[1:] != path[:-1]).all(axis=1))
        between = np.stack([path[diagonal + 1, 0], path[diagonal, 1]], axis=1)
        path = np.insert(path, diagonal + 1, between, axis=0)
    return path


def _first(
    frame: npt.NDArray[Any], path: npt.NDArray[np.intp], axes: tuple[int, int], start: npt.NDArray[np.float64]
) -> int:
    """Return the first object on a line."""
    where: list[Any] = np.floor(start + 0.5).astype(int).tolist()
    for axis, places in zip(axes, path.T, strict=True):
        where[axis] = places
    depth = [i for i in range(frame.ndim) if i not in axes]
    found = frame[tuple(where)] if all(0 <= where[i] < frame.shape[i] for i in depth) else frame[:0].ravel()
    found = found[found > 0]
    if not len(found):
        raise SettingsError("There is no object on the line. Draw it across one.")
    return int(found[0])


def _pieces(
    mine: npt.NDArray[np.bool_], path: npt.NDArray[np.intp], axes: tuple[int, int], connectivity: int,
    spacing: Sequence[float] | None,
) -> tuple[tuple[slice, ...], npt.NDArray[Any]]:  # fmt: skip
    """Return the box of an object, and in it the pieces' numbers from 1."""
    from scipy.ndimage import distance_transform_edt, find_objects
    from skimage.measure import label as components

    window = find_objects(mine.astype(np.uint8))[0]
    own = mine[window]
    curtain = np.zeros(own.shape, bool)
    inner = path - [window[axis].start for axis in axes]
    inner = inner[((inner >= 0) & (inner < np.take(own.shape, axes))).all(axis=1)]
    where: list[Any] = [slice(None)] * own.ndim
    where[axes[0]], where[axes[1]] = inner.T
    curtain[tuple(where)] = True
    if not (curtain & own).any():
        raise SettingsError(f"The line does not touch the object. {_NOT_THROUGH}")
    rest = own & ~curtain
    numbers: npt.NDArray[Any] = components(rest, connectivity=min(connectivity, own.ndim))  # type: ignore[no-untyped-call]
    if numbers.max() < 2:
        raise SettingsError(f"The line does not cut the object through. {_NOT_THROUGH}")
    nearest = distance_transform_edt(~rest, spacing, return_distances=False, return_indices=True)
    return window, np.where(own, numbers[tuple(nearest)], 0)
