"""Where ``napari-fcnseg segment`` puts its results: in files written at the end, or in Zarr while it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.canvas import Canvas, kinds, stored_chunks
from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, GrowingZarr, write_image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.run import Run


_PUBLIC = {"scores": "probabilities"}  # where a canvas has another name for it


def canvas_for(run: Run, image: ImageFile, outputs: Mapping[str, Path]) -> Canvas:
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
    """
    growing: list[GrowingZarr | None] = []
    for name, (shape, dtype) in kinds(run).items():
        path = outputs.get(_PUBLIC.get(name, name))
        if path is None or shape is None or path.suffix.lower() != ZARR:
            growing.append(None)
            continue
        meaning, chunks = _like_result(run, image), stored_chunks(run, shape)
        growing.append(GrowingZarr(path, shape, chunks, dtype, meaning, classes=name == "scores"))
    return Canvas(run, *growing)


def write(canvas: Canvas, image: ImageFile, outputs: Mapping[str, Path]) -> None:
    """Write what is in memory; where one result cannot be written, the others are all the same.

    Raises
    ------
    OutputError
        If something could not be written.
    """
    image = _like_result(canvas.run, image)
    problems = []
    for name, path in outputs.items():
        if path.suffix.lower() == ZARR:
            continue
        try:
            scores = name == _PUBLIC["scores"]
            write_image(path, image.scored(canvas.scores) if scores else image.labelled(getattr(canvas, name)))
        except FcnSegError as error:
            problems.append(error)
    if problems:
        raise problems[0] if len(problems) == 1 else OutputError(" ".join(map(str, problems)))


def partial(path: Path) -> Path:
    """Return the name of a result that is not complete."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def _like_result(run: Run, image: ImageFile) -> ImageFile:
    """Return the image with the channel axis and the pixel size of the run's result."""
    image = image.with_channels_along(run.layout.channel_axis)
    return image.sampled(run.settings.every, len(run.extent))
