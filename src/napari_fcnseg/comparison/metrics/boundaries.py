"""Boundary scores of a class in two label maps in memory: Hausdorff distance, and boundary precision, recall and F1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class BoundaryScores:
    """How well the border of one class is found.

    A border is the pixels of the class with a side that touches another label or the end of the image.

    Attributes
    ----------
    label : int
        The class.
    precision, recall, f1 : float or None
        Share of the border in b that is within the tolerance of one in a, vice versa, and their harmonic
        mean (Csurka et al. 2013). None if b, a, or both have none of the class; f1 is 0 if only one has.
    hausdorff_95, hausdorff : float or None
        95th percentile and largest of the distances from each border pixel, of a and of b, to the other border
        (MedPy's ``hd95`` and ``hd``), in the unit of the spacing. None if no frame has the class in both.
    """

    label: int
    precision: float | None
    recall: float | None
    f1: float | None
    hausdorff_95: float | None
    hausdorff: float | None

    def named(self) -> dict[str, float | None]:
        """Return the scores by the names that tell them from those of the class's pixels."""
        own = {key: value for key, value in vars(self).items() if key != "label"}
        return {key if key.startswith("hausdorff") else f"border_{key}": value for key, value in own.items()}


def default_tolerance(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return 0.75 % of the image's diagonal, as the benchmark of Csurka et al. has it."""
    return 0.0075 * math.hypot(*(n * length for n, length in zip(shape, spacing, strict=True)))


def boundary_scores(
    a: Labels, b: Labels, label: int, spacing: Sequence[float], tolerance: float, spatial: int | None = None
) -> BoundaryScores:
    """Return the scores of one class.

    Where frames stand for themselves, the borders of all are taken together. In a frame where one map alone has the
    class there is no distance to be had: its border there is outside any tolerance, and in no Hausdorff distance.

    Parameters
    ----------
    a, b : ndarray of int
        The label maps, of one shape.
    label : int
        The class.
    spacing : sequence of float
        Length of a pixel along each axis.
    tolerance : float
        Of the shares, in the unit of the spacing.
    spatial : int, optional
        How many of the last axes borders and distances extend along; all otherwise.
    """
    spatial = a.ndim if spatial is None else spatial
    apart: tuple[list[Floats], list[Floats]] = ([], [])
    alone = [0, 0]
    found = [False, False]
    for frame in np.ndindex(a.shape[: a.ndim - spatial]):
        masks = a[frame] == label, b[frame] == label
        boxes = [_box(mask) for mask in masks]
        if None in boxes:
            for side, mask in enumerate(masks):
                found[side] |= boxes[side] is not None
                alone[side] += int(_border(mask).sum()) if boxes[side] is not None else 0
            continue
        found = [True, True]
        # Nothing outside the box around both is a border, so that no distance changes.
        around = tuple(
            slice(min(one.start, other.start), max(one.stop, other.stop)) for one, other in zip(*boxes, strict=True)
        )
        for side, distances in enumerate(_distances(masks[0][around], masks[1][around], spacing[-spatial:])):
            apart[side].append(distances)
    return _judged(label, apart, alone, found, tolerance)


def _judged(
    label: int, apart: tuple[list[Floats], list[Floats]], alone: list[int], found: list[bool], tolerance: float
) -> BoundaryScores:
    if not all(found):
        return BoundaryScores(label, None, None, 0.0 if any(found) else None, None, None)
    to_b, to_a = (np.concatenate([*several, np.empty(0)]) for several in apart)
    recall, precision = (
        float((distances <= tolerance).sum() / (len(distances) + more))
        for distances, more in zip((to_b, to_a), alone, strict=True)
    )
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    both = np.concatenate((to_a, to_b))
    if not len(both):
        return BoundaryScores(label, precision, recall, f1, None, None)
    return BoundaryScores(label, precision, recall, f1, float(np.percentile(both, 95)), float(both.max()))


def _distances(a: Mask, b: Mask, spacing: Sequence[float]) -> tuple[Floats, Floats]:
    """Return how far each border pixel of a is from the border of b, and vice versa."""
    from scipy.ndimage import distance_transform_edt

    border_a, border_b = _border(a), _border(b)
    to_b: Floats = distance_transform_edt(~border_b, spacing)[border_a]
    to_a: Floats = distance_transform_edt(~border_a, spacing)[border_b]
    return to_b, to_a


def _box(mask: Mask) -> tuple[slice, ...] | None:
    from scipy.ndimage import find_objects

    found: list[tuple[slice, ...] | None] = find_objects(mask.view(np.uint8))
    return found[0] if found else None


def _border(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    border: Mask = mask & ~binary_erosion(mask)
    return border
