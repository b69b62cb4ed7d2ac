"""The exact reference: the patch network itself, patch by patch, without anything of the conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.border import WindowReader
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.labels import labels_of, measures_of
from napari_fcnseg.run.result import ResultArrays, Segmentation
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.model.patch_model import ModelLike

_PATCHES_AT_ONCE = 8192


def segment_patchwise(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    points: npt.ArrayLike | None = None,
    *,
    mask: Any = None,
    progress: Callable[[int, int], object] | None = None,
    **settings: Any,
) -> Segmentation:
    """Segment with the patch network itself, patch by patch: the slow, exact reference.

    Nothing of the conversion is used.

    Parameters
    ----------
    image, model, mask
        As for :func:`napari_fcnseg.segment`.
    points : array_like of int, shape (n, axes of the labels), optional
        Only these pixels; every pixel otherwise.
    progress : callable, optional
        Called with the number of finished tiles, or points, and of all.
    **settings
        The other arguments of :func:`napari_fcnseg.segment` but ``method`` and those that end with ``out``.

    Returns
    -------
    Segmentation
        At every pixel as :func:`napari_fcnseg.segment` returns it, probabilities included; at points ``labels``,
        ``confidence`` and ``disagreement`` are ``(n,)`` and ``probabilities`` ``(n, class)``.

    Raises
    ------
    FcnSegError
        As for :func:`napari_fcnseg.segment`, and if a point gets no label: because the patch around it is not whole,
        with ``border="valid"``, or because the region, frames or mask leave it out.
    """
    chosen = RunSettings.from_dict({**settings, "probabilities": True, "method": "patchwise"})
    run = Run(make_plan(image, as_ensemble(model), chosen, mask=mask))
    if points is None:
        return ResultArrays(run).fill(progress)
    answers = patchwise_answers(run, _checked_points(run, points), progress)
    scores: npt.NDArray[np.float32] = answers.mean(axis=0, dtype=np.float32)
    head = run.plan.networks[0].head
    labels = labels_of(scores, head, run.plan.label_dtype)
    return Segmentation(labels, scores, run.provenance(), *measures_of(list(answers), scores, labels, head, chosen))


def patchwise_scores(
    run: Run, points: npt.NDArray[np.integer[Any]], progress: Callable[[int, int], object] | None = None
) -> npt.NDArray[np.float32]:
    """Return the patch models' mean numbers at points of the labels, ``(n, class)``."""
    scores: npt.NDArray[np.float32] = patchwise_answers(run, points, progress).mean(axis=0, dtype=np.float32)
    return scores


def patchwise_answers(
    run: Run, points: npt.NDArray[np.integer[Any]], progress: Callable[[int, int], object] | None = None
) -> npt.NDArray[np.float32]:
    """Return each patch model's numbers at points of the labels, ``(model, n, class)``."""
    every = run.plan.settings.every
    scores = np.zeros((len(run.plan.models), len(points), run.plan.outputs), np.float32)
    stack = len(run.plan.layout.stack_shape)
    done = 0
    for index in np.unique(points[:, :stack], axis=0):
        mine = np.flatnonzero((points[:, :stack] == index).all(axis=1))
        source = run.source(tuple(map(int, index)))
        readers = [WindowReader(source, m.patch_shape, run.plan.settings.border) for m in run.plan.models]  # type: ignore[arg-type]
        for start in range(0, len(mine), _PATCHES_AT_ONCE):
            chosen = mine[start : start + _PATCHES_AT_ONCE]
            for number, (model, reader) in enumerate(zip(run.plan.models, readers, strict=True)):
                patches = reader.patches(points[chosen, stack:] * every, model.patch_shape)
                scores[number, chosen] = model.predict(patches)
            done += len(chosen)
            if progress is not None:
                progress(done, len(points))
    return scores


def _checked_points(run: Run, points: npt.ArrayLike) -> npt.NDArray[np.intp]:
    where = np.asarray(points)
    axes = len(run.plan.result_shape)
    if where.ndim != 2 or where.shape[1] != axes or where.dtype.kind not in "iu":
        raise SettingsError(f"Points are whole numbers of shape (n, {axes}), one per axis of the labels.")
    stack = [(0, n) for n in run.plan.layout.stack_shape]
    low, high = np.array([*stack, *run.plan.extent]).T
    outside = np.flatnonzero(((where < low) | (where >= high)).any(axis=1))
    if len(outside):
        point = tuple(map(int, where[outside[0]]))
        raise SettingsError(f"Point {point} has no prediction: the image has them from {tuple(low)} to {tuple(high)}.")
    where = where.astype(np.intp)
    left_out = np.flatnonzero(~run.plan.schedule.holds(where))
    if len(left_out):
        point = tuple(map(int, where[left_out[0]]))
        raise SettingsError(f"Point {point} is outside the mask, or in a frame that was not chosen.")
    return where
