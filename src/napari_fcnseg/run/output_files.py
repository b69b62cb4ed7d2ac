"""Where ``napari-fcnseg segment`` puts its results: in files written at the end, or in Zarr while it computes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, GrowingZarr, check_picture, stage_image
from napari_fcnseg.run.provenance_file import settle_provenance, stage_provenance
from napari_fcnseg.run.result import ResultArrays, chunk_shape, output_arrays
from napari_fcnseg.system.saving import partial_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.system.saving import Plan, Staged


_PUBLIC = {"scores": "probabilities"}  # where the arrays have another name for it


def result_arrays_for(
    run: Run,
    image: ImageFile,
    outputs: Mapping[str, Path],
    *,
    overwrite: bool = False,
    batch: bool = False,
    scaling: Rescaling | None = None,
) -> ResultArrays:
    """Return what a run's tiles are written into.

    Parameters
    ----------
    run : Run
        The run.
    image : ImageFile
        The image, whose axes and pixel size the results get.
    outputs : mapping of str to Path
        Where the labels, and what else is wanted, go, by their names: ``"labels"``, ``"probabilities"``,
        ``"confidence"``, ``"disagreement"``; those that end with ``.zarr`` are begun now.
    overwrite, batch : bool
        As for :class:`GrowingZarr`.
    scaling : Rescaling, optional
        How the image was rescaled for the run.

    Raises
    ------
    OutputError
        If a file cannot hold what it is for, or a Zarr folder cannot be begun.
    """
    growing: list[GrowingZarr | None] = []
    for name, (shape, dtype) in output_arrays(run, scaling).items():
        path = outputs.get(_PUBLIC.get(name, name))
        if path is not None and shape is not None:
            check_picture(path, len(shape), dtype)
        if path is None or shape is None or path.suffix.lower() != ZARR:
            growing.append(None)
            continue
        meaning, chunks = _like_result(run, image), chunk_shape(run.plan, shape)
        options: dict[str, Any] = {"classes": name == "scores", "overwrite": overwrite, "batch": batch}
        growing.append(GrowingZarr(path, shape, chunks, dtype, meaning, **options))
    return ResultArrays(run, *growing, scaling=scaling)


def publish(
    arrays: ResultArrays, image: ImageFile, outputs: Mapping[str, Path], provenance: Mapping[str, Any], plan: Plan
) -> None:
    """Write what is in memory, and give all results and their provenance their names, one right after the other.

    Who is killed before has written nothing. The provenance comes first, and knows each result by its hash: so no
    result is there without it, and it speaks for no other one. Until all have their names it holds the one that it
    replaces, too. Where one result cannot be written, the others are all
    the same.

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
        if outputs["labels"].name in results:  # without them, what is there keeps its own
            beside = stage_provenance(plan.beside[0], provenance, results)
            steps.insert(0, partial(beside.publish, overwrite=plan.overwrite, inputs=plan.inputs))
    except OutputError as error:
        problems.append(error)
    steps += [arrays.finish, lambda: settle_provenance(plan.beside[0], complete=not problems)]
    for step in steps:
        try:
            step()
        except OutputError as error:
            problems.append(error)
    if not problems:
        plan.forget_partial()
    _say(problems)


def keep(arrays: ResultArrays, image: ImageFile, outputs: Mapping[str, Path], plan: Plan) -> None:
    """Write what a run has done that was stopped, under names that say so.

    Raises
    ------
    OutputError
        If something could not be written.
    """
    staged, problems = _staged(arrays, image, {name: partial_of(path) for name, path in outputs.items()})
    for one in staged:
        try:
            one.publish(overwrite=plan.overwrite, inputs=plan.inputs)
        except OutputError as error:
            problems.append(error)
    _say(problems)


def note(beside: Path, provenance: Mapping[str, Any], outputs: Iterable[Path]) -> None:
    """Write a provenance again that is known to be of these results.

    Raises
    ------
    OutputError
        If it could not be written.
    """
    stage_provenance(beside, provenance, {path.name: path for path in outputs}).publish(overwrite=True)


def _staged(
    arrays: ResultArrays, image: ImageFile, outputs: Mapping[str, Path]
) -> tuple[list[Staged], list[FcnSegError]]:
    """Write what is in memory under hidden names; return it, and what could not be written."""
    image = _like_result(arrays.run, image)
    staged, problems = [], []
    for name, path in outputs.items():
        if path.suffix.lower() == ZARR:
            continue
        try:
            scores = name == _PUBLIC["scores"]
            labelled = image.scored(arrays.scores) if scores else image.labelled(getattr(arrays, name))
            if name == "labels":
                model = arrays.run.plan.models[0]
                labelled = replace(labelled, class_names=model.class_names, class_colors=model.class_colors)
            staged.append(stage_image(path, labelled))
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


def _like_result(run: Run, image: ImageFile) -> ImageFile:
    """Return the image with the channel axis and the pixel size of the run's result."""
    image = image.with_channels_along(run.plan.layout.channel_axis)
    return image.sampled(run.plan.settings.every, len(run.plan.extent))
