"""The cores of instances that are cut at their necks: extended maxima of the distance to the border.

In a window of a frame both the least and the most are computed that the frame may say: with nothing beyond the window,
and with depths there that let all of the window's sides be as high as their own depth. Where both say one thing, it is
that of the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.instances.basins import Heights
    from napari_fcnseg.instances.blocks import Mask

    Depths = npt.NDArray[np.float64]


def extended_maxima(
    inside: Mask, wanted: Mask, depth: Heights, unsure: Mask, separation: float, connectivity: int,
    proceed: Callable[[], None],
) -> tuple[Mask, Mask]:  # fmt: skip
    """Return the extended maxima of the depth in a window.

    Component by component, since a reconstruction of a whole image sorts all of its pixels. Not by ``h_maxima``, which
    counts two maxima of the same height twice however shallow the saddle between them is.

    Parameters
    ----------
    inside : ndarray of bool
        The interior.
    wanted : ndarray of bool
        Components without such a pixel are left out.
    depth : ndarray of float32
        How far each pixel is from what is not inside, or, where it is unsure, how far at most.
    unsure : ndarray of bool
        Where the depth may be less, or neighbours are not all in the window.
    separation : float
        How much deeper a maximum has to be than what joins it with a deeper one.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`.
    proceed : callable
        Called for each component.

    Returns
    -------
    cores : ndarray of bool
        The maxima.
    unknown : ndarray of bool
        Where the whole frame may say something else.
    """
    from scipy.ndimage import find_objects, generate_binary_structure
    from skimage.measure import label

    components = label(inside, connectivity=connectivity)  # type: ignore[no-untyped-call]
    asked = np.unique(components[wanted & inside])
    cores, unknown = np.zeros(inside.shape, bool), np.zeros(inside.shape, bool)
    structure = generate_binary_structure(inside.ndim, connectivity)
    windows = find_objects(components)
    for number in asked.tolist():
        proceed()
        window = windows[number - 1]
        own = np.pad(components[window] == number, 1)  # a flat part that fills its window has no maxima without
        found, open_ = _maxima(own, np.pad(depth[window], 1), np.pad(unsure[window], 1) & own, separation, structure)
        inner = (slice(1, -1),) * own.ndim
        cores[window] |= found[inner]
        unknown[window] |= open_[inner]
    return cores, unknown


def _maxima(own: Mask, depth: Heights, unsure: Mask, separation: float, structure: Mask) -> tuple[Mask, Mask]:
    """Return the extended maxima of one component, and where they are unknown."""
    from scipy.ndimage import label
    from skimage.morphology import local_maxima, reconstruction

    def raised(seeds: Depths, most: Depths) -> Depths:
        found: Depths = reconstruction(seeds, most, footprint=structure)  # type: ignore[no-untyped-call]
        return found

    def highest(values: Depths) -> Mask:
        found: Mask = local_maxima(np.where(own, values, -np.inf), structure)  # type: ignore[no-untyped-call]
        return found & own

    most = np.where(own, depth, 0).astype(np.float64)
    if not unsure.any():
        return highest(raised(most - separation, most)), unsure
    sure = np.where(unsure, 0, most)
    low = raised(sure - separation, sure)
    # What comes in at the sides can raise what is not as high as it is deep, and on the way to it nothing else.
    groups, _ = label(own & (unsure | (most > low)), structure)
    entered = np.zeros(groups.max() + 1, bool)
    entered[groups[unsure]] = True
    unknown = entered[groups]
    surely = highest(np.where(unsure, np.inf, np.where(unknown, most, low))) & ~unknown
    possibly = highest(np.where(unsure, -np.inf, low)) & ~unknown
    return surely, unknown | (possibly & ~surely)
