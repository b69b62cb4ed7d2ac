"""The search for instances in labels, once it is known to be possible."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.instances.blocks import Grid, block_shape
from napari_fcnseg.instances.scratch import scratch_in
from napari_fcnseg.instances.searching import Found, Here, Search
from napari_fcnseg.instances.settings import InstanceSettings, checked_integer
from napari_fcnseg.instances.stages import Task
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from napari_fcnseg.instances.scratch import Scratch
    from napari_fcnseg.instances.searching import Workers


class StoppedError(Exception):
    """The search was cancelled."""


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
    workers: Callable[[Task, Scratch, Callable[[], None]], Workers] = Here,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[Found]:
    """Find instances; they are there until the context ends.

    Parameters
    ----------
    labels, settings, spatial, scores, spacing, stop, block
        As for :func:`~napari_fcnseg.find_instances`.
    room : context manager, optional
        Gives room for what is known on the way; memory otherwise.
    workers : callable
        Returns who does the stages, given the task, the room, and what is called again and again.
    progress : callable, optional
        As for :class:`Search`.
    """
    spatial = _checked(labels, settings, spatial)
    sampling = _sampling(spacing, spatial)
    if scores is not None:
        scores = scores if hasattr(scores, "dtype") else np.asarray(scores)
        _check_scores(scores, labels, settings)
    shape = tuple(labels.shape)[-spatial:]
    task = Task(labels, scores, settings, sampling, Grid(shape, block_shape(shape, labels, block)))
    with room if room is not None else scratch_in(None) as scratch:
        proceed = Proceed(stop)
        yield Search(task, scratch, workers(task, scratch, proceed), proceed, progress).run()


class Proceed:
    """Raises StoppedError when called after a stop was requested."""

    def __init__(self, stop: Callable[[], bool] | None) -> None:
        self._stop = stop

    def __call__(self) -> None:
        """Raise it, if so."""
        if self._stop is not None and self._stop():
            raise StoppedError("The search was stopped.")


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
    try:
        lengths = (1.0,) * spatial if spacing is None else tuple(map(float, spacing))
    except (TypeError, ValueError):
        lengths = ()
    if len(lengths) != spatial or not all(0 < length < math.inf for length in lengths):
        raise SettingsError(f"The spacing is one length above 0 per axis, {spatial} in all, not {spacing!r}.")
    return tuple(length / min(lengths) for length in lengths)


def _check_scores(scores: Any, labels: Any, settings: InstanceSettings) -> None:
    if np.dtype(scores.dtype).kind not in "buif":
        raise ImageError(f"Scores are numbers; these are {scores.dtype}. Give the probabilities of a run.")
    if tuple(scores.shape[:-1]) != tuple(labels.shape):
        raise ImageError(
            f"The scores are of {format_shape(scores.shape[:-1])} pixels, the labels of {format_shape(labels.shape)}."
        )
    if max(settings.classes) > scores.shape[-1]:
        raise ImageError(
            f"There are no scores of class {max(settings.classes)}: they are of {scores.shape[-1]} classes. Leave them "
            "out to use distances instead."
        )
