"""Single objects among class labels: connected components of a class, or a watershed that cuts what touches.

Nothing here computes a network again: the labels of a run are enough, and its scores where they are given.
"""

from __future__ import annotations

import math
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import copy_blocks
from napari_fcnseg.errors import ImageError, OutputError, SettingsError
from napari_fcnseg.imagefile import ZARR, ImageFile, grown, read_image
from napari_fcnseg.imagefile.omezarr import axis_letters
from napari_fcnseg.instances.blocks import block_shape, check_target, scratch_beside, scratch_in
from napari_fcnseg.instances.searching import Found, Search
from napari_fcnseg.instances.settings import InstanceSettings, checked_integer
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.saving import Inputs, Plan, files_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from napari_fcnseg.instances.blocks import Scratch


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
    block: int | Sequence[int] | None = None,
    output: Any = None,
    overwrite: bool = False,
) -> Any:
    """Find single instances among class labels.

    Holes are filled first, then instances are found and cut apart, and at last those that are too small are left out.
    For the watershed the cores of the instances are the components of the interior class, or where a ``separation``
    is asked for the extended maxima of the distance to its border [1]_; cores grow back to each other over interior
    and edge class, nearest first, or in the order of the scores [2]_, in each connected piece of both alone.

    Labels on disk are read block by block, and with an ``output`` on disk the memory that is taken depends on the
    number of objects only, not on that of pixels. The result is the same whatever the blocks.

    Parameters
    ----------
    labels : array_like of int, shape (*stack, *spatial), or path
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
        finest axis. Of a file it is what that says, if not given.
    stop : callable, optional
        Asked again and again whether to give up.
    block : int or sequence of int, optional
        Pixels of a block along every spatial axis, or along each; about four million pixels otherwise.
    output : array_like or path, optional
        What the instances are written into: a zarr array, or the name of a new one that ends with ``.zarr``.
    overwrite : bool
        Whether an earlier result of that name is replaced.

    Returns
    -------
    ndarray of uint16 or uint32, shape (*stack, *spatial)
        0 outside instances; each instance has a number of its own, from 1 without gaps, in the order of the frames
        and in a frame in the order of the instances' first pixels. 32 bits only where 16 do not suffice. With an
        ``output`` that array.

    Raises
    ------
    ImageError
        If the labels are no labels, or the scores are not theirs.
    SettingsError
        If settings do not fit the labels.
    OutOfMemoryError
        If objects that touch form a piece that is too large to be cut in memory.
    OutputError
        If the output cannot be written.
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
    file = None
    if isinstance(labels, str | os.PathLike):
        file = read_image([labels], indices=True)
        labels = file.data
        spacing = file.spacing(labels.ndim if spatial is None else spatial) if spacing is None else spacing
    labels = labels if hasattr(labels, "dtype") else np.asarray(labels)
    options: dict[str, Any] = {
        "spatial": spatial, "scores": scores, "spacing": spacing, "stop": stop, "block": block,
    }  # fmt: skip
    if isinstance(output, str | os.PathLike):
        return _into_file(Path(output), labels, settings, file, options, overwrite=overwrite)
    on_disk = output is not None and type(output) is not np.ndarray
    with searched(labels, settings, **options, room=scratch_in(tempfile.gettempdir() if on_disk else None)) as found:
        if output is None:
            return np.asarray(found)
        check_target(output, found)
        copy_blocks(found, output, _Proceed(stop))
        return output


@contextmanager
def searched(
    labels: Any,
    settings: InstanceSettings,
    *,
    spatial: int | None = None,
    scores: Any = None,
    spacing: Sequence[float] | None = None,
    stop: Callable[[], bool] | None = None,
    block: int | Sequence[int] | None = None,
    room: AbstractContextManager[Scratch] | None = None,
) -> Iterator[Found]:
    """Find instances; they are there until the context ends.

    Parameters
    ----------
    labels, settings, spatial, scores, spacing, stop, block
        As for :func:`find_instances`.
    room : context manager, optional
        Gives room for what is known on the way; memory otherwise.
    """
    spatial = _checked(labels, settings, spatial)
    sampling = _sampling(spacing, spatial)
    if scores is not None:
        _check_scores(scores, labels, settings)
    size = block_shape(tuple(labels.shape)[-spatial:], labels, block)
    with room if room is not None else scratch_in(None) as scratch:
        yield Search(labels, scores, settings, sampling, size, scratch, _Proceed(stop)).run()


def _into_file(
    path: Path, labels: Any, settings: InstanceSettings, file: ImageFile | None, options: dict[str, Any], *,
    overwrite: bool,
) -> Any:  # fmt: skip
    if path.suffix.lower() != ZARR:
        raise OutputError(f"{path} cannot be written block by block. Give a name that ends with {ZARR}.")
    plan = Plan((path,), Inputs(files_behind(labels)), overwrite=overwrite, stoppable=True)
    with plan.claim(), searched(labels, settings, **options, room=scratch_beside(path)) as found:
        result = file.labelled(found) if file is not None else ImageFile(found, axis_letters((), found.ndim))
        return grown(path, result, overwrite=overwrite).finish()


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
