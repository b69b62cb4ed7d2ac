"""Instances that touch, cut apart: a watershed that starts at their cores.

What a window of a frame shows is enough to know its basins, but near its sides: there, what comes in from outside is
unknown, and floods first whatever it can reach (:func:`flooded`). Every pixel that it does not reach has the basin
that it has in the whole frame: that would need something to come in earlier than at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.instances.widening import room_around

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.settings import InstanceSettings

    Heights = npt.NDArray[np.float32]

#: Kinds of pixels.
INTERIOR, EDGE = 1, 2
#: Pixels that a neck has to be narrower than what it joins, if not given.
_SEPARATION = 1.0
_UNKNOWN = np.iinfo(np.int32).max
_FLAT = 1e-30  # from 0, or less: some libraries have processors take the smallest numbers for 0
_HIGH = 1e30


def separation_of(settings: InstanceSettings) -> float:
    """Return by how much a neck has to be narrower than what it joins; 0 where none is cut."""
    return settings.separation or (_SEPARATION if settings.edge is None else 0)


class Terrain:
    """Heights that are flooded, in windows of a frame.

    Parameters
    ----------
    kinds : callable
        Returns the kind of the pixels in a box: 0 outside, INTERIOR or EDGE.
    scores : callable or None
        Returns the network's numbers in a box, the classes last; None for distances.
    shape : tuple of int
        Of the frame.
    settings : InstanceSettings
        For what.
    sampling : tuple of float
        Length of a pixel along each axis, the finest being 1.
    """

    def __init__(
        self, kinds: Callable[[Box], Numbers], scores: Callable[[Box], npt.NDArray[Any]] | None,
        shape: tuple[int, ...], settings: InstanceSettings, sampling: tuple[float, ...],
    ) -> None:  # fmt: skip
        self.kinds, self._scores, self.shape = kinds, scores, shape
        self._settings, self.sampling = settings, sampling

    def depth(self, inside: Mask, window: Box) -> tuple[Heights, Mask]:
        """Return how far pixels are from what is not inside.

        Parameters
        ----------
        inside : ndarray of bool
            In a window.
        window : Box
            Where that is.

        Returns
        -------
        depth : ndarray of float32
            Never too small.
        exact : ndarray of bool
            Where nothing beyond the window is nearer.
        """
        from scipy.ndimage import distance_transform_edt

        room = room_around(window, self.shape, self.sampling)
        if inside.all():
            return np.full(inside.shape, _HIGH, np.float32), np.isinf(room)
        depth: Heights = distance_transform_edt(inside, self.sampling).astype(np.float32)
        return depth, depth <= room

    def heights(self, window: Box) -> tuple[Heights, Mask]:
        """Return what is flooded: from a core down its flanks, and on over the edge at equal pace, or the scores.

        Parameters
        ----------
        window : Box
            Of the frame.

        Returns
        -------
        heights : ndarray of float32
            Of its pixels.
        exact : ndarray of bool
            Where nothing beyond the window changes them.
        """
        everywhere = np.ones([b - a for a, b in window], bool)
        if self._scores is not None:
            scores = self._scores(window)
            with np.errstate(invalid="ignore", over="ignore"):
                led = -np.sum([scores[..., n - 1].astype(np.float64) for n in self._settings.classes], axis=0)
            return np.clip(np.nan_to_num(led, nan=_HIGH), -_HIGH, _HIGH).astype(np.float32), everywhere
        heights, exact = np.zeros(everywhere.shape, np.float32), everywhere
        inside = self.kinds(window) == INTERIOR
        if self._settings.edge is not None:
            heights, exact = self.depth(~inside, window)
        if separation_of(self._settings):
            depth, known = self.depth(inside, window)
            heights, exact = heights - depth, exact & known
        return heights, exact


def flooded(
    heights: Heights, exact: Mask, cores: Numbers, mask: Mask, sides: Mask, connectivity: int
) -> tuple[Numbers, Mask]:  # fmt: skip
    """Return the basins in a window.

    Where fronts come to a pixel at the same height, the one that began earlier takes it, and of those that began at
    one height the one whose first pixel is earlier in the frame.

    Parameters
    ----------
    heights : ndarray of float32
        What is flooded.
    exact : ndarray of bool
        Where the heights are those of the frame.
    cores : ndarray of int32
        Where floods start, by the basin's number from 1.
    mask : ndarray of bool
        What can be flooded.
    sides : ndarray of bool
        Pixels whose neighbours are not all in the window.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`.

    Returns
    -------
    basins : ndarray of int32
        Their numbers where no core is; 0 where there is none.
    unsure : ndarray of bool
        Where the whole frame may say something else.
    """
    from scipy.ndimage import binary_dilation, generate_binary_structure
    from skimage.segmentation import watershed

    unknown = mask & (sides | ~exact)
    seeds = np.where(mask, cores, 0)
    beside = binary_dilation(mask & (seeds == 0), generate_binary_structure(mask.ndim, connectivity))
    mask = mask & (unknown | beside)  # what is within a core floods nothing
    seeds = np.where(mask, seeds, 0)
    heights = np.where(np.abs(heights) < _FLAT, np.float32(0), heights)
    level = heights.astype(np.float64)
    known = np.flatnonzero((seeds > 0) & ~unknown)
    above = heights.ravel()[known]
    below = np.where(above == 0, -_FLAT, np.nextafter(above, np.float32(-np.inf)).astype(np.float64))
    # before all else of their height, and one after the other: the library takes those of one height in any order
    level.ravel()[known] = below + (above - below) * (np.arange(1, len(known) + 1) / (len(known) + 1))
    level[unknown] = -np.inf
    seeds[unknown] = _UNKNOWN
    basins: Numbers = watershed(level, seeds, connectivity, mask=mask)  # type: ignore[no-untyped-call]
    reached = basins == _UNKNOWN
    return basins, reached & (cores == 0)
