"""Segment an image with a patch model: densely, tile by tile, or patch by patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.canvas import Canvas, Segmentation, finished_tiles
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model import as_ensemble
from napari_fcnseg.run import Run
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.tiling import WindowReader
from napari_fcnseg.ways import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.model import ModelLike
    from napari_fcnseg.run import Tile

_PATCHES_AT_ONCE = 8192


def segment(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    *,
    channel_axis: int | None = None,
    preprocess: str | Sequence[str] | None = None,
    border: str = "reflect",
    precision: str = "float32",
    device: str | None = None,
    tile: int | tuple[int, ...] | None = None,
    memory_limit: int | None = None,
    probabilities: bool = False,
    method: str = "auto",
    every: int = 1,
    region: Sequence[tuple[int, int]] | None = None,
    out: Any = None,
    probabilities_out: Any = None,
    progress: Callable[[int, int], object] | None = None,
) -> Segmentation:
    """Segment an image: at every pixel exactly what the patch model says of the patch around it.

    Parameters
    ----------
    image : array_like
        Any numeric type: an ndarray, memmap, dask, zarr or HDF5 array. Of a large one only what a tile needs is read,
        so it may be of any size. The model's spatial axes come last, a channel axis may stand anywhere; every other
        axis (z, time, …) is a stack of frames, each segmented alone.
    model : path, PatchModel, or sequence of them
        The trained patch model; several are an ensemble, whose numbers are averaged.
    channel_axis : int, optional
        Axis of the channels; found by its length otherwise.
    preprocess : sequence of str
        Steps applied to each whole frame, for example ``["divide_by_median", "subtract_local_mean:61"]``; those that
        the model's sidecar names otherwise, and none where there is no sidecar.
    border : {"reflect", "edge", "constant", "valid"}
        What surrounds the image. ``"valid"`` pads nothing: the frame without a full patch stays unlabelled.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic; only ``"float32"`` is exact. :func:`napari_fcnseg.try_precision` says what another costs and brings
        on this image.
    device : str, optional
        ``"CPU"``, ``"GPU"``, ``"GPU:1"``, ``"torch:GPU"``, ``"jax:GPU:0"``; several with commas, or ``"all"``, share
        the tiles. The fastest otherwise.
    tile : int or tuple of int, optional
        Largest tile in pixels. It changes speed and memory, never the labels.
    memory_limit : int, optional
        Bytes that the computing process may take in all, of which the framework itself takes about 700 MiB;
        otherwise tiles take half of what is free.
    probabilities : bool
        Whether to keep the network's numbers as well.
    method : {"auto", "dense", "patchwise"}
        Both are exact: ``"dense"`` is the converted network, ``"patchwise"`` the patch network at one pixel after the
        other. ``"auto"`` takes the one with less arithmetic.
    every : int
        Only every so-manieth pixel along the model's axes gets a label: the result is smaller by that factor, its
        entry ``i`` is pixel ``i * every``.
    region : sequence of (int, int), optional
        Only pixels ``start <= i < stop`` along each of the model's axes get a label; the others stay 0.
    out, probabilities_out : array_like or path, optional
        Where the labels, and the network's numbers, are written while the run goes on: anything with ``shape``,
        ``dtype`` and slice assignment (a zarr array, a memmap, …), where pixels without a prediction are left as they
        are; or the name of a new Zarr array, ``"labels.zarr"``. Until it is complete it is called
        ``labels.partial.zarr``. ``probabilities_out`` implies ``probabilities``.
    progress : callable, optional
        Called with the number of finished tiles and of all tiles after each.

    Returns
    -------
    Segmentation

    Raises
    ------
    FcnSegError
        With a sentence that says what does not fit, where, and what to do.

    References
    ----------
    H. Li, R. Zhao, X. Wang, "Highly efficient forward and backward propagation of convolutional neural networks for
    pixelwise classification", 2014, arXiv 1412.4526.
    """
    settings = RunSettings(
        channel_axis, preprocess, border, precision, device, tile, memory_limit,  # type: ignore[arg-type]
        probabilities or probabilities_out is not None, method, every, region,  # type: ignore[arg-type]
    )  # fmt: skip
    run = Run(image, as_ensemble(model), settings)
    with Canvas(run, out, probabilities_out) as canvas:
        return canvas.fill(progress)


def iter_segment(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    *,
    focus: Sequence[int] | None = None,
    preview: bool = False,
    **settings: Any,
) -> Iterator[Tile]:
    """Segment an image and yield each tile as it is finished.

    Parameters
    ----------
    image, model
        As for :func:`segment`.
    focus : sequence of int, optional
        A pixel of the labels: what is nearest to it comes first, beginning with a small tile.
    preview : bool
        Whether every so-manieth pixel of the whole frame comes after the first tile, at a fraction of the work and as
        exact as all. A run of a few seconds has no preview.
    **settings
        The other arguments of :func:`segment` but ``out``, ``probabilities_out`` and ``progress``.

    Yields
    ------
    Tile
        With its place in the labels: ``labels[tile.where] = tile.labels``, which has steps where ``tile.preview``.
        Closing the generator stops the run.

    Raises
    ------
    FcnSegError
        As for :func:`segment`; what does not fit is found before the first tile.
    """
    return finished_tiles(Run(image, as_ensemble(model), RunSettings.from_dict(settings), focus), preview)


def segment_patchwise(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    points: npt.ArrayLike | None = None,
    *,
    progress: Callable[[int, int], object] | None = None,
    **settings: Any,
) -> Segmentation:
    """Segment patch by patch with the patch network itself: the slow exact reference.

    Nothing of the conversion is used.

    Parameters
    ----------
    image, model
        As for :func:`segment`.
    points : array_like of int, shape (n, axes of the labels), optional
        Only these pixels; every pixel otherwise.
    progress : callable, optional
        Called with the number of finished tiles, or points, and of all.
    **settings
        The other arguments of :func:`segment` but ``method``.

    Returns
    -------
    Segmentation
        At every pixel as :func:`segment` returns it, probabilities included; at points ``labels`` is ``(n,)`` and
        ``probabilities`` ``(n, class)``.

    Raises
    ------
    FcnSegError
        As for :func:`segment`, and if a point has no full patch under ``border="valid"``.
    """
    chosen = RunSettings.from_dict({**settings, "probabilities": True, "method": "patchwise"})
    run = Run(image, as_ensemble(model), chosen)
    if points is None:
        return Canvas(run).fill(progress)
    where = _checked_points(run, points)
    scores = patchwise_scores(run, where, progress)
    return Segmentation(labels_of(scores, run.networks[0].head, run.label_dtype), scores, run.provenance())


def patchwise_scores(
    run: Run, points: npt.NDArray[np.integer[Any]], progress: Callable[[int, int], object] | None = None
) -> npt.NDArray[np.float32]:
    """Return the patch models' mean numbers at points of the labels, ``(n, class)``."""
    every = run.settings.every
    scores = np.zeros((len(points), run.outputs), np.float32)
    stack = len(run.layout.stack_shape)
    done = 0
    for index in np.unique(points[:, :stack], axis=0):
        mine = np.flatnonzero((points[:, :stack] == index).all(axis=1))
        source = run.source(tuple(map(int, index)))
        readers = [WindowReader(source, m.patch_shape, run.settings.border) for m in run.models]  # type: ignore[arg-type]
        for start in range(0, len(mine), _PATCHES_AT_ONCE):
            chosen = mine[start : start + _PATCHES_AT_ONCE]
            answers = [
                model.predict(reader.patches(points[chosen, stack:] * every, model.patch_shape))
                for model, reader in zip(run.models, readers, strict=True)
            ]
            scores[chosen] = np.mean(answers, axis=0, dtype=np.float32)
            done += len(chosen)
            if progress is not None:
                progress(done, len(points))
    return scores


def _checked_points(run: Run, points: npt.ArrayLike) -> npt.NDArray[np.intp]:
    where = np.asarray(points)
    axes = len(run.result_shape)
    if where.ndim != 2 or where.shape[1] != axes or where.dtype.kind not in "iu":
        raise SettingsError(f"Points are whole numbers of shape (n, {axes}), one per axis of the labels.")
    stack = [(0, n) for n in run.layout.stack_shape]
    low, high = np.array([*stack, *run.extent]).T
    outside = np.flatnonzero(((where < low) | (where >= high)).any(axis=1))
    if len(outside):
        point = tuple(map(int, where[outside[0]]))
        raise SettingsError(f"Point {point} has no prediction: the image has them from {tuple(low)} to {tuple(high)}.")
    return where.astype(np.intp)
