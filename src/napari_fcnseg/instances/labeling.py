"""Single objects among class labels: connected components of a class, or a watershed that cuts what touches.

Nothing here computes a network again: the labels of a run are enough, and its scores where they are given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.instances.settings import WATERSHED, InstanceSettings, checked_integer
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]
    Numbers = npt.NDArray[np.integer[Any]]
    Depth = npt.NDArray[np.floating[Any]]

#: Pixels that a neck has to be narrower than what it joins, if not given.
_SEPARATION = 1.0
_FEW = 2**16  # instances that 16 bits can number, and one


class StoppedError(Exception):
    """The search was cancelled."""


def find_instances(
    labels: Any,
    settings: InstanceSettings,
    *,
    spatial: int | None = None,
    scores: Any = None,
    spacing: Sequence[float] | None = None,
    stop: Callable[[], bool] | None = None,
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Find single instances among class labels.

    Holes are filled first, then instances are found and cut apart, and at last those that are too small are left out.
    For the watershed the cores of the instances are the components of the interior class, or where a ``separation``
    is asked for the extended maxima of the distance to its border [1]_; cores grow back to each other over interior
    and edge class, nearest first, or in the order of the scores [2]_.

    Parameters
    ----------
    labels : array_like of int, shape (*stack, *spatial)
        Classes from 1; 0 is "not labelled" and belongs to no instance.
    settings : InstanceSettings
        What to look for.
    spatial : int, optional
        How many of the last axes an instance extends along; each entry of the others is a frame of its own. All axes
        otherwise.
    scores : array_like, shape (*stack, *spatial, classes), optional
        The network's numbers. The watershed then follows those of the interior class instead of distances.
    spacing : sequence of float, optional
        Length of a pixel along each spatial axis, of which only the ratios matter: distances are in pixels of the
        finest axis.
    stop : callable, optional
        Asked again and again whether to give up.

    Returns
    -------
    ndarray of uint16 or uint32, shape (*stack, *spatial)
        0 outside instances; each instance has a number of its own, from 1 without gaps, in the order of the frames
        and in a frame in the order of the cores' first pixels. 32 bits only where 16 do not suffice.

    Raises
    ------
    ImageError
        If the labels are no labels, or the scores are not theirs.
    SettingsError
        If settings do not fit the labels.
    StoppedError
        If it was to give up.

    See Also
    --------
    skimage.measure.label, skimage.morphology.reconstruction, skimage.segmentation.watershed

    References
    ----------
    .. [1] Soille, P., "Morphological Image Analysis: Principles and Applications", 2nd edition, chapters 6 and 9,
           Springer 2003.
    .. [2] Beucher, S. and Meyer, F., "The morphological approach to segmentation: the watershed transformation", in
           "Mathematical Morphology in Image Processing", Marcel Dekker 1993.

    Examples
    --------
    >>> import numpy as np
    >>> find_instances(np.array([[2, 2, 1, 2], [2, 2, 1, 2]]), InstanceSettings(interior=2)).tolist()
    [[1, 1, 0, 2], [1, 1, 0, 2]]
    """
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    spatial = _checked(labels, settings, spatial)
    sampling = _sampling(spacing, spatial)
    if scores is not None:
        _check_scores(scores, labels, settings)
    proceed = _Proceed(stop)
    found = np.zeros(labels.shape, np.uint32)
    count = 0
    for index in np.ndindex(*labels.shape[: labels.ndim - spatial]):
        proceed()
        frame: Numbers = np.asarray(labels[index])
        if frame.dtype.kind == "i" and frame.min() < 0:
            raise ImageError(f"Labels are whole numbers from 0; these hold {frame.min()}. Give the labels of a run.")
        own = None if scores is None else np.asarray(scores[index])
        instances, several = _of_frame(frame, settings, sampling, own, proceed)
        np.add(instances, count, out=found[index], where=instances > 0, casting="unsafe")
        count += several
    return found if count >= _FEW else found.astype(np.uint16)


class _Proceed:
    """Raises StoppedError when called after a stop was requested."""

    def __init__(self, stop: Callable[[], bool] | None) -> None:
        self._stop = stop

    def __call__(self) -> None:
        if self._stop is not None and self._stop():
            raise StoppedError


def _checked(labels: Any, settings: InstanceSettings, spatial: int | None) -> int:
    """Return the number of spatial axes of labels that are fit to be searched."""
    kind = np.dtype(labels.dtype)
    if kind.kind not in "iub":
        raise ImageError(f"Labels are whole numbers; these are {kind}. Give labels, not probabilities.")
    if labels.ndim == 0 or 0 in labels.shape:
        raise ImageError(f"The labels have no pixels: their shape is {tuple(labels.shape)}. Give the labels of a run.")
    spatial = labels.ndim if spatial is None else checked_integer(spatial, "The number of axes of an instance", 1)
    if spatial > labels.ndim:
        raise SettingsError(f"Instances cannot extend along {spatial} axes where labels have {labels.ndim}.")
    if settings.connectivity > spatial:
        raise SettingsError(f"The connectivity is at most the number of axes, {spatial}, not {settings.connectivity}.")
    most = 1 if kind.kind == "b" else np.iinfo(kind).max
    if (wrong := max(*settings.classes, settings.edge or 0)) > most:
        raise SettingsError(f"There is no class {wrong}: the labels are {kind} and hold {most} at most.")
    return spatial


def _sampling(spacing: Sequence[float] | None, spatial: int) -> tuple[float, ...]:
    """Return the length of a pixel along each axis, the finest being 1."""
    lengths = (1.0,) * spatial if spacing is None else tuple(map(float, spacing))
    if len(lengths) != spatial or not all(0 < length < math.inf for length in lengths):
        raise SettingsError(f"The spacing is one length above 0 per axis, {spatial} in all, not {spacing!r}.")
    return tuple(length / min(lengths) for length in lengths)


def _check_scores(scores: Any, labels: Any, settings: InstanceSettings) -> None:
    if tuple(scores.shape[:-1]) != tuple(labels.shape):
        raise ImageError(
            f"The scores are of {format_shape(scores.shape[:-1])} pixels, the labels of {format_shape(labels.shape)}."
        )
    if max(settings.classes) > scores.shape[-1]:
        raise ImageError(
            f"There are no scores of class {max(settings.classes)}: they are of {scores.shape[-1]} classes. Leave them "
            "out to use distances instead."
        )


def _of_frame(
    frame: Numbers, settings: InstanceSettings, sampling: tuple[float, ...], scores: npt.NDArray[Any] | None,
    proceed: _Proceed,
) -> tuple[Numbers, int]:  # fmt: skip
    """Return the instances of one frame, numbered from 1, and how many there are."""
    from skimage.measure import label

    interior = _without_holes(_of_classes(frame, settings.classes), settings)
    instances: Numbers = label(interior, connectivity=settings.connectivity)  # type: ignore[no-untyped-call]
    proceed()
    if settings.method == WATERSHED and interior.any():
        instances = _cut(frame, interior, instances, settings, sampling, scores, proceed)
    sizes = np.bincount(instances.ravel())
    kept = sizes >= max(settings.minimum_size, 1)
    kept[0] = False
    numbers: Numbers = (np.cumsum(kept) * kept).astype(np.uint32)
    return numbers[instances], int(kept.sum())


def _of_classes(frame: Numbers, classes: Sequence[int]) -> Mask:
    mask: Mask = np.zeros(frame.shape, bool)
    for number in classes:
        mask |= frame == number
    return mask


def _without_holes(mask: Mask, settings: InstanceSettings) -> Mask:
    """Fill what ``skimage.morphology.remove_small_holes`` fills; what its threshold means depends on its version."""
    if not settings.fill_holes:
        return mask
    from skimage.measure import label

    gaps = label(~mask, connectivity=settings.connectivity)  # type: ignore[no-untyped-call]
    small = np.bincount(gaps.ravel()) <= settings.fill_holes
    small[0] = False
    filled: Mask = mask | small[gaps]
    return filled


def _cut(
    frame: Numbers, interior: Mask, components: Numbers, settings: InstanceSettings, sampling: tuple[float, ...],
    scores: npt.NDArray[Any] | None, proceed: _Proceed,
) -> Numbers:  # fmt: skip
    """Return basins of a watershed over interior and edge class, one around each core."""
    from scipy.ndimage import distance_transform_edt
    from skimage.measure import label
    from skimage.segmentation import watershed

    region, markers, depth = interior, components, None
    if settings.edge is not None:
        region = _without_holes(interior | (frame == settings.edge), settings)
    separation = settings.separation or (_SEPARATION if settings.edge is None else 0)
    if separation and not interior.all():  # with no border there is no distance to it, and one component
        depth = distance_transform_edt(interior, sampling)
        cores = _deep_parts(components, depth, separation, settings.connectivity, proceed)
        markers = label(cores, connectivity=settings.connectivity)  # type: ignore[no-untyped-call]
        proceed()
    if scores is not None:
        landscape = -sum(scores[..., number - 1] for number in settings.classes)
    else:  # from a core down its flanks, and on over the edge at equal pace
        landscape = np.zeros(frame.shape) if settings.edge is None else distance_transform_edt(~interior, sampling)
        if depth is not None:
            landscape -= depth
    proceed()
    basins: Numbers = watershed(landscape, markers, settings.connectivity, mask=region)  # type: ignore[no-untyped-call]
    return basins


def _deep_parts(components: Numbers, depth: Depth, separation: float, connectivity: int, proceed: _Proceed) -> Mask:
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
