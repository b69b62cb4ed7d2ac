"""Write the results of a run to files: at its end, or to Zarr while it computes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import GrowingZarr, check_picture, stage_image
from napari_fcnseg.plan.blocks import chunk_shape
from napari_fcnseg.run.disk_room import check_results
from napari_fcnseg.run.output_kinds import LABELS, OUTPUT_KINDS, kept_outputs
from napari_fcnseg.run.provenance_file import settle_provenance, stage_provenance
from napari_fcnseg.run.rescaling import result_shape
from napari_fcnseg.run.result import ResultArrays
from napari_fcnseg.system.saving import grows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.run.continuation import Continuation
    from napari_fcnseg.run.output_kinds import OutputKind
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.system.saving import Plan, Staged


def result_arrays_for(
    run: Run,
    image: ImageFile,
    outputs: Mapping[str, Path],
    *,
    overwrite: bool = False,
    batch: bool = False,
    scaling: Rescaling | None = None,
    continuation: Continuation | None = None,
) -> ResultArrays:
    """Return what a run's tiles are written into.

    Parameters
    ----------
    run : Run
        The run.
    image : ImageFile
        The image, whose axes and pixel size the results get.
    outputs : mapping of str to Path
        Where the labels, and what else is kept, go, by the names of their kinds; those that end with ``.zarr`` are
        begun now.
    overwrite, batch : bool
        As for :class:`GrowingZarr`.
    scaling : Rescaling, optional
        How the image was rescaled for the run.
    continuation : Continuation, optional
        What the run takes over from an earlier one.

    Raises
    ------
    OutputError
        If a file cannot hold what it is for, a disk cannot hold it, or a Zarr folder cannot be begun.
    """
    growing: dict[str, GrowingZarr] = {}
    whole = result_shape(scaling, run.plan)
    check_results(run.plan, kept_outputs(run.plan.settings), outputs, whole)
    for kind in kept_outputs(run.plan.settings):
        path, shape, dtype = outputs.get(kind.name), kind.shape(run.plan, whole), kind.dtype(run.plan)
        if path is None:
            continue
        check_picture(path, len(shape), dtype)
        if grows(path):
            meaning, chunks = _described(kind, run, _like_result(run, image)), chunk_shape(run.plan, shape)
            options: dict[str, Any] = {"classes": kind.per_class, "overwrite": overwrite, "batch": batch}
            options |= continuation.opening_of(kind.name) if continuation is not None else {}
            growing[kind.name] = GrowingZarr(path, shape, chunks, dtype, meaning, **options)
    return ResultArrays(run, growing, overwrite=overwrite, batch=batch, scaling=scaling, continuation=continuation)


def publish(
    arrays: ResultArrays, image: ImageFile, outputs: Mapping[str, Path], provenance: Mapping[str, Any], plan: Plan
) -> None:
    """Write the arrays in memory, then publish all results and their provenance, one right after the other.

    A process that is killed before has published nothing. The provenance comes first and holds the hash of each result,
    so that no result is without one, and none is described by another's. Until all results are published it also holds
    the provenance that it replaces. Where one result cannot be written, the others still are.

    Parameters
    ----------
    arrays : ResultArrays
        With the tiles of a run that is complete.
    image : ImageFile
        The image.
    outputs : mapping of str to Path
        The results, by their kind.
    provenance : mapping
        What is written beside the labels.
    plan : Plan
        With the provenance's name, and whether earlier results are replaced.

    Raises
    ------
    OutputError
        If something could not be written.
    """
    growing = arrays.settle()
    staged, problems = _staged(arrays, image, outputs)
    results = {**growing, **{one.path.name: one.part for one in staged}}
    steps: list[Callable[[], object]] = [
        partial(one.publish, overwrite=plan.overwrite, inputs=plan.inputs) for one in staged
    ]
    try:
        if outputs["labels"].name in results:  # without labels, the earlier ones keep theirs
            beside = stage_provenance(plan.beside[0], provenance, results)
            replaces = plan.overwrite or plan.beside[0] in plan.free
            steps.insert(0, partial(beside.publish, overwrite=replaces, inputs=plan.inputs))
    except OutputError as error:
        problems.append(error)
    steps += [arrays.finish, lambda: settle_provenance(plan.beside[0], complete=not problems)]
    for step in steps:
        try:
            step()
        except OutputError as error:
            problems.append(error)
    if not problems:
        arrays.forget()
    _say(problems)


def add_certificate(certificate: Mapping[str, Any], provenance: Mapping[str, Any], plan: Plan) -> None:
    """Write a certificate, as plain data, into the provenance of results that have just been published.

    Raises
    ------
    OutputError
        If it could not be written.
    """
    certified = {**provenance, "certificate": certificate}
    results = {path.name: path for path in plan.outputs}
    stage_provenance(plan.beside[0], certified, results).publish(overwrite=True)


def _staged(
    arrays: ResultArrays, image: ImageFile, outputs: Mapping[str, Path]
) -> tuple[list[Staged], list[FcnSegError]]:
    """Write the arrays in memory to temporary files; return these, and the errors."""
    image = _like_result(arrays.run, image)
    staged, problems = [], []
    for kind in OUTPUT_KINDS:
        path = outputs.get(kind.name)
        if path is None or grows(path):
            continue
        try:
            show = image.scored if kind.per_class else image.labelled
            shown = _described(kind, arrays.run, show(arrays.arrays[kind.name]))
            staged.append(stage_image(path, shown))
        except FcnSegError as error:
            problems.append(error)
        except BaseException:
            for one in staged:
                one.discard()
            raise
    return staged, problems


def _say(problems: Sequence[FcnSegError]) -> None:
    if problems:
        raise problems[0] if len(problems) == 1 else OutputError(" ".join(map(str, problems)))


def _described(kind: OutputKind, run: Run, image: ImageFile) -> ImageFile:
    """Return labels with the names and the colours of their classes; another kind as it is."""
    if kind is not LABELS:
        return replace(image, is_labels=False)
    model = run.plan.models[0]
    return replace(image, is_labels=True, class_names=model.class_names, class_colors=model.class_colors)


def _like_result(run: Run, image: ImageFile) -> ImageFile:
    """Return the image with the channel axis and the pixel size of the run's result."""
    image = image.with_channels_along(run.plan.layout.channel_axis)
    return image.sampled(run.plan.settings.every, len(run.plan.extent))
