"""Segment an image with a patch model: densely, tile by tile, or patch by patch."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.identity import identity_of
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.continuation import continue_run, gone_on_with
from napari_fcnseg.run.disk_room import check_results
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.rescaling import Rescaling, result_shape
from napari_fcnseg.run.result import ResultArrays, Segmentation, check_grows, iter_tiles
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.saving import ZARR, Inputs, Plan, files_behind, same_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from napari_fcnseg.model.patch_model import ModelLike, PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.run import Tile


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
    frames: Sequence[tuple[int, int]] | None = None,
    mask: Any = None,
    confidence: bool = False,
    disagreement: bool = False,
    ways: str | Sequence[str] | None = None,
    out: Any = None,
    probabilities_out: Any = None,
    confidence_out: Any = None,
    disagreement_out: Any = None,
    overwrite: bool = False,
    rescale: float | Sequence[float] | None = None,
    cluster: Any = None,
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
        Bytes that the computing process may take in all, of which it takes about 200 MiB before any tile;
        otherwise tiles take half of what is free.
    probabilities : bool
        Whether to keep the network's numbers as well.
    method : {"auto", "dense", "patchwise"}
        Both are exact: ``"dense"`` is the converted network, ``"patchwise"`` the patch network at one pixel after the
        other. ``"auto"`` takes the one with less arithmetic.
    every : int
        Only every Nth pixel along the model's axes gets a label: the result is smaller by that factor, its
        entry ``i`` is pixel ``i * every``.
    region : sequence of (int, int), optional
        Only pixels ``start <= i < stop`` along each of the model's axes get a label; the others stay 0.
    frames : sequence of (int, int), optional
        Of a stack, only frames ``start <= i < stop`` along each of its axes are segmented; the others stay 0.
    mask : array_like, optional
        Only pixels where it is not 0 get a label, with the numbers that they have without a mask: as large as a frame,
        or as the whole stack. Tiles that hold none of them are not computed.
    confidence : bool
        Whether to keep the number of the class that wins at each pixel.
    disagreement : bool
        Whether to keep the share of an ensemble's members that say another class than the ensemble at each pixel
        (Freeman's variation ratio, 0 where all agree).
    ways : str or sequence of str, optional
        How a processor computes convolutions and pools, for all models or for each, as a result's provenance has it:
        ``"2 winograd, direct"``, or ``"plain"`` for the definition's sums. They differ in rounding alone. The quickest
        otherwise.
    out, probabilities_out, confidence_out, disagreement_out : array_like or path, optional
        Where the labels, and the numbers of each kind, are written while the run goes on: anything with ``shape``,
        ``dtype`` and slice assignment (a zarr array, a memmap, …), where tiles that are not computed are left as they
        are; or the name of a new Zarr array, ``"labels.zarr"``. Until it is complete it is called
        ``labels.partial.zarr``; the same call goes on with that, whatever ended the run. Each but ``out`` implies that
        its kind is kept.
    overwrite : bool
        Whether Zarr arrays of these names, and what an earlier run left of them that was stopped, are replaced; neither
        the image nor a model ever is.
    rescale : float or sequence of float, optional
        The model sees the image so many times as large, along all of its axes or along each: for pixels of another size
        than those that it was trained on. Labels and numbers are those at the image's own pixels all the same. Not
        together with ``every``, ``region`` or a mask.
    cluster : str or distributed.Client, optional
        Where workers compute it: the address of a Dask scheduler, ``"tcp://HOST:8786"``, a client, or ``"local:4"`` for
        four processes on this computer. The image has to be a file that the workers see (a Zarr or HDF5 array, a memory
        map; with ``"local:N"`` anything), and every result a new Zarr folder. The bits are those of a run without it.
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

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> sample = SAMPLES["cells"]
    >>> image = sample.image()[:64, :64]
    >>> result = fcn.segment(image, sample.model_path, preprocess=sample.preprocess, confidence=True)
    >>> image.shape, result.labels.shape, result.labels.dtype.name, result.confidence.shape
    ((64, 64, 2), (64, 64), 'uint8', (64, 64))
    """
    settings = RunSettings(
        channel_axis, preprocess, border, precision, device, tile, memory_limit,  # type: ignore[arg-type]
        probabilities or probabilities_out is not None, method, every, region, frames,  # type: ignore[arg-type]
        confidence or confidence_out is not None, disagreement or disagreement_out is not None,
        ways,  # type: ignore[arg-type]
    )  # fmt: skip
    models = as_ensemble(model)
    scaling = Rescaling.of(image, models, settings, rescale, mask) if rescale is not None else None
    outs = {"labels": out, "probabilities": probabilities_out, "confidence": confidence_out,
            "disagreement": disagreement_out}  # fmt: skip
    given = {name: target for name, target in outs.items() if target is not None}
    paths = {name: Path(target) for name, target in given.items() if isinstance(target, str | os.PathLike)}
    growing = len(paths) == len(given) and all(path.suffix.lower() == ZARR for path in paths.values())

    def make(chosen: RunSettings) -> RunPlan:
        return make_plan(image if scaling is None else scaling.image, models, chosen, mask=mask)

    with _claimed(models, given, paths, (image, mask), overwrite):
        if cluster is not None:
            for path in paths.values():
                check_grows(path)
            return _segment_on(cluster, make, settings, paths, image, mask, overwrite, progress, scaling)
        to_files = paths if growing else {}
        continuation = continue_run(make, settings, to_files, lambda: identity_of(image), scaling=scaling)
        run = Run(continuation.plan)
        run.notes += filter(None, [continuation.note])
        check_results(run.plan, kept_outputs(run.plan.settings), paths, result_shape(scaling, run.plan))
        with ResultArrays(run, outs, overwrite=overwrite, scaling=scaling, continuation=continuation) as arrays:
            return arrays.fill(progress)


def _segment_on(
    cluster: Any,
    make: Callable[[RunSettings], RunPlan],
    settings: RunSettings,
    paths: Mapping[str, Path],
    image: Any,
    mask: Any,
    overwrite: bool,
    progress: Callable[[int, int], object] | None,
    scaling: Rescaling | None,
) -> Segmentation:
    """Segment an image on a cluster."""
    from napari_fcnseg.run.cluster.session import placed, run_on

    with ExitStack() as places:
        place = places.enter_context(placed(cluster, image, "image"))
        where = places.enter_context(placed(cluster, mask, "mask")) if mask is not None else None
        run, continuation = places.enter_context(
            run_on(cluster, make, settings, paths, lambda: identity_of(image), place, where, scaling)
        )
        check_results(run.plan, kept_outputs(run.plan.settings), paths, result_shape(scaling, run.plan))
        with ResultArrays(
            run, paths, overwrite=overwrite, scaling=scaling, continuation=continuation
        ) as arrays:  # fmt: skip
            return arrays.fill(progress)


def _claimed(
    models: Sequence[PatchModel],
    given: Mapping[str, Any],
    paths: Mapping[str, Path],
    read: Sequence[Any],
    overwrite: bool,
) -> AbstractContextManager[None]:
    """Protect a run's inputs from being overwritten, and its outputs from other processes.

    Raises
    ------
    OutputError
        If an array that is to be written into is read.
    """
    for array in given.values():
        if any(same_array(array, other) for other in read):
            raise OutputError("The result would be written into the image or the mask itself. Give another array.")
    if not paths:
        return nullcontext()
    inputs = Inputs([*files_behind(*read), *(file for model in models for file in model.files)])
    free = gone_on_with(paths)
    return Plan(tuple(paths.values()), inputs, stoppable=True, overwrite=overwrite, free=free).claim()


def iter_segment(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    *,
    focus: Sequence[int] | None = None,
    preview: bool = False,
    mask: Any = None,
    **settings: Any,
) -> Iterator[Tile]:
    """Segment an image and yield each tile as it is finished.

    Parameters
    ----------
    image, model, mask
        As for :func:`segment`.
    focus : sequence of int, optional
        A pixel of the labels: what is nearest to it comes first, in a long run beginning with a small tile that comes
        again with the one it lies in. It changes no number.
    preview : bool
        Whether every Nth pixel of the whole frame comes after the first tile, at a fraction of the work and as
        exact as all. A run of a few seconds has no preview.
    **settings
        The other arguments of :func:`segment` but ``progress`` and those that end with ``out``.

    Yields
    ------
    Tile
        With its place in the labels: ``labels[tile.where] = tile.labels``, which has steps where ``tile.preview``.
        Closing the generator stops the run.

    Raises
    ------
    FcnSegError
        As for :func:`segment`; what does not fit is found before the first tile.

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> sample = SAMPLES["cells"]
    >>> image = sample.image()[:64, :64]
    >>> for tile in fcn.iter_segment(image, sample.model_path, preprocess=sample.preprocess, tile=32):
    ...     print(tile.done, "of", tile.total, tile.labels.shape)
    1 of 4 (32, 32)
    2 of 4 (32, 32)
    3 of 4 (32, 32)
    4 of 4 (32, 32)
    """
    plan = make_plan(image, as_ensemble(model), RunSettings.from_dict(settings), focus, mask)
    return iter_tiles(Run(plan), preview)
