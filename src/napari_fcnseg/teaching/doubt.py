"""Where a taught model is least sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.frame_source import Region

_AROUND: Final = 9  # pixels over which doubt is averaged: a place, not a pixel


@dataclass(frozen=True)
class Doubt:
    """A place.

    Attributes
    ----------
    point : tuple of int
        Its pixel in the frame.
    doubt : float
        How close the two most probable classes are around it, 0 to 1.
    seen : float
        Share of the frame that was looked at.
    """

    point: tuple[int, ...]
    doubt: float
    seen: float


def most_doubtful(
    tiles: Sequence[tuple[Region, npt.NDArray[np.floating[Any]]]],
    count: int,
    avoid: Sequence[Sequence[int]],
    apart: Sequence[int],
) -> Doubt | None:
    """Return the most doubtful place of some tiles.

    Parameters
    ----------
    tiles : sequence of (Region, ndarray)
        Each with the doubt at its pixels.
    count : int
        How many tiles there are in all.
    avoid : sequence of points
        Places that are not to be found again.
    apart : sequence of int
        How far from those, per axis.
    """
    from scipy.ndimage import uniform_filter

    best: Doubt | None = None
    for region, doubt in tiles:
        smooth = uniform_filter(doubt.astype(np.float32), [min(_AROUND, n) for n in doubt.shape], mode="nearest")
        for point in avoid:
            near = tuple(
                slice(max(0, at - far - start), max(0, at + far + 1 - start))
                for at, far, (start, _) in zip(point, apart, region, strict=True)
            )
            smooth[near] = -1
        place = np.unravel_index(int(smooth.argmax()), smooth.shape)
        value = float(smooth[place])
        if value >= 0 and (best is None or value > best.doubt):
            point = tuple(int(at) + start for at, (start, _) in zip(place, region, strict=True))
            best = Doubt(point, value, len(tiles) / count)
    return best
