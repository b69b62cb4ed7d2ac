"""Instances that touch, cut apart: a watershed in each connected piece of interior and edge class, alone.

No piece knows of the block that it is searched in, so that one that lies across blocks is cut as it would be in the
whole frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import OutOfMemoryError
from napari_fcnseg.instances.blocks import grown, slices
from napari_fcnseg.system.formatting import format_bytes, format_shape
from napari_fcnseg.system.memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.settings import InstanceSettings

    Depth = npt.NDArray[np.floating[Any]]

#: Kinds of pixels.
INTERIOR, EDGE = 1, 2
#: Pixels that a neck has to be narrower than what it joins, if not given.
_SEPARATION = 1.0
_BYTES = 96  # that cutting takes for each pixel of the box around a piece
_SMALL = 2**24  # pixels of a box for which there is memory anyway


class Cutter:
    """Cuts pieces apart.

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
    proceed : callable
        Called again and again.
    """

    def __init__(
        self, kinds: Callable[[Box], Numbers], scores: Callable[[Box], npt.NDArray[Any]] | None,
        shape: tuple[int, ...], settings: InstanceSettings, sampling: tuple[float, ...], proceed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._kinds, self._scores, self.shape = kinds, scores, shape
        self._settings, self._sampling, self._proceed = settings, sampling, proceed
        self.separation = settings.separation or (_SEPARATION if settings.edge is None else 0)

    def cut(self, box: Box, first: int) -> tuple[Box, Numbers]:
        """Cut one piece.

        Parameters
        ----------
        box : Box
            What it lies in.
        first : int
            One of its pixels, as an index into the flat frame.

        Returns
        -------
        box : Box
            Around the piece.
        numbers : ndarray of int
            The instances in it, from 1; none where a piece has no interior.

        Raises
        ------
        OutOfMemoryError
            If the piece is too large to be cut in memory.
        """
        from skimage.measure import label
        from skimage.segmentation import watershed

        self._proceed()
        box = grown(box, 1, self.shape)
        self._check_room(box)
        kinds, connectivity = self._kinds(box), self._settings.connectivity
        pieces: Numbers = label(kinds > 0, connectivity=connectivity)  # type: ignore[no-untyped-call]
        place = np.unravel_index(first, self.shape)
        own: Mask = pieces == pieces[tuple(p - low for p, (low, _) in zip(place, box, strict=True))]
        inside = kinds == INTERIOR
        interior = inside & own
        if not interior.any():
            return box, np.zeros(own.shape, np.int32)
        markers: Numbers = label(interior, connectivity=connectivity)  # type: ignore[no-untyped-call]
        depth = None
        if self.separation and not inside.all():  # with no border there is no distance to it, and one component
            depth = self.depth(inside)
            cores = _deep_parts(markers, depth, self.separation, connectivity, self._proceed)
            markers = label(cores, connectivity=connectivity)  # type: ignore[no-untyped-call]
        if markers.max() == 1:
            return box, own.astype(np.int32)
        landscape = self._landscape(box, own, interior, depth)
        self._proceed()
        basins: Numbers = watershed(landscape, markers, connectivity, mask=own)  # type: ignore[no-untyped-call]
        return box, basins

    def depth(self, inside: Mask) -> Depth:
        """Return the distance of each interior pixel to the border of the interior."""
        from scipy.ndimage import distance_transform_edt

        depth: Depth = distance_transform_edt(inside, self._sampling)
        return depth

    def _landscape(self, box: Box, own: Mask, interior: Mask, depth: Depth | None) -> Depth:
        """Return what is flooded: from a core down its flanks, and on over the edge at equal pace, or the scores."""
        if self._scores is not None:
            scores, classes = self._scores(box), [number - 1 for number in self._settings.classes]
            led: Depth = -sum((scores[..., number] for number in classes[1:]), scores[..., classes[0]])
            return led
        landscape = np.zeros(own.shape) if self._settings.edge is None else self._distance(box, own, interior)
        if depth is not None:
            landscape -= depth
        return landscape

    def _distance(self, box: Box, own: Mask, interior: Mask) -> Depth:
        """Return how far each pixel of a piece is from the nearest interior, be it that of another piece."""
        distance = self.depth(~interior)
        reach = float(distance[own].max())
        wide = grown(box, [math.ceil(reach / step) for step in self._sampling], self.shape)
        inside = self._kinds(wide) == INTERIOR
        if np.count_nonzero(inside) == np.count_nonzero(interior):
            return distance
        return self.depth(~inside)[slices(box, [low for low, _ in wide])]

    def _check_room(self, box: Box) -> None:
        pixels = math.prod(b - a for a, b in box)
        if pixels > _SMALL and (needed := pixels * _BYTES) > (free := free_memory()):
            size = format_shape(tuple(b - a for a, b in box))
            raise OutOfMemoryError(
                f"Touching objects form one piece of {size} pixels. To cut it takes {format_bytes(needed)} of memory, "
                f"and {format_bytes(free)} are free. Use the method components, or give a part of the labels."
            )


def _deep_parts(
    components: Numbers, depth: Depth, separation: float, connectivity: int, proceed: Callable[[], None]
) -> Mask:
    """Return the extended maxima of the depth in each component, or all of one that is nowhere deep enough.

    Component by component, since a reconstruction of a whole image sorts all of its pixels. Not by ``h_maxima``, which
    counts two maxima of the same height twice however shallow the saddle between them is.
    """
    from scipy.ndimage import find_objects, generate_binary_structure
    from skimage.morphology import local_maxima, reconstruction

    cores: Mask = np.zeros(components.shape, bool)
    structure = generate_binary_structure(components.ndim, connectivity)
    for number, window in enumerate(find_objects(components), start=1):
        proceed()
        own = components[window] == number
        inside = np.pad(np.where(own, depth[window], 0), 1)  # a flat part that fills its window has no maxima without
        if inside.max() > separation:  # else nothing can be cut
            raised = reconstruction(inside - separation, inside, footprint=structure)  # type: ignore[no-untyped-call]
            own = local_maxima(raised, structure)[(slice(1, -1),) * own.ndim]  # type: ignore[no-untyped-call]
        cores[window] |= own
    return cores
