"""How far apart the borders of a class are in two label maps in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BorderScores:
    """How well the border of one class is found.

    A border is the pixels of the class with a side that touches another label or the end of the image.

    Attributes
    ----------
    label : int
        The class.
    precision, recall, f1 : float or None
        Share of the border in b that is within the tolerance of one in a, the other way round, and their harmonic
        mean (Csurka et al. 2013). None if b, a, or both have none of the class; f1 is 0 if only one has.
    hausdorff_95, hausdorff : float or None
        95th percentile and largest of the distances from each border pixel, of a and of b, to the other border
        (MedPy's ``hd95`` and ``hd``), in the unit of the spacing. None if a or b has none of the class.
    """

    label: int
    precision: float | None
    recall: float | None
    f1: float | None
    hausdorff_95: float | None
    hausdorff: float | None


def default_tolerance(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return 0.75 % of the image's diagonal, as the benchmark of Csurka et al. has it."""
    return 0.0075 * math.hypot(*(n * length for n, length in zip(shape, spacing, strict=True)))


def border_scores(a: Any, b: Any, label: int, spacing: Sequence[float], tolerance: float) -> BorderScores:
    """Return the scores of one class."""
    from scipy.ndimage import distance_transform_edt

    of_a, of_b = np.asarray(a) == label, np.asarray(b) == label
    has_a, has_b = bool(of_a.any()), bool(of_b.any())
    if not (has_a and has_b):
        return BorderScores(label, None, None, 0.0 if has_a or has_b else None, None, None)
    border_a, border_b = _border(of_a), _border(of_b)
    from_b = distance_transform_edt(~border_a, spacing)[border_b]
    from_a = distance_transform_edt(~border_b, spacing)[border_a]
    precision, recall = float((from_b <= tolerance).mean()), float((from_a <= tolerance).mean())
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    distances = np.concatenate((from_a, from_b))
    return BorderScores(label, precision, recall, f1, float(np.percentile(distances, 95)), float(distances.max()))


def _border(mask: Mask) -> Mask:
    from scipy.ndimage import binary_erosion

    border: Mask = mask & ~binary_erosion(mask)
    return border
