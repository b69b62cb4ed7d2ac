"""Where ``napari-fcnseg segment`` puts its results: in files written at the end, or in Zarr while it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.canvas import Canvas, stored_chunks
from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, GrowingZarr, write_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.run import Run


def canvas_for(run: Run, image: ImageFile, outputs: Sequence[Path]) -> Canvas:
    """Return what a run's tiles are written into.

    Parameters
    ----------
    run : Run
        The run.
    image : ImageFile
        The image, whose axes and pixel size the results get.
    outputs : sequence of Path
        For the labels and, if there are two, for the scores; those that end with ``.zarr`` are begun now.
    """
    scores = (*run.result_shape, run.outputs)
    wanted = [(run.result_shape, run.label_dtype, False), (scores, np.dtype(np.float32), True)]
    growing = [
        GrowingZarr(path, shape, stored_chunks(run, shape), dtype, _like_result(run, image), classes=classes)
        if path.suffix.lower() == ZARR
        else None
        for path, (shape, dtype, classes) in zip(outputs, wanted, strict=False)
    ]
    return Canvas(run, *growing)


def write(canvas: Canvas, image: ImageFile, outputs: Sequence[Path]) -> None:
    """Write labels and scores that are in memory; where one cannot be written, the other is all the same.

    Raises
    ------
    OutputError
        If one or both could not be written.
    """
    image = _like_result(canvas.run, image)
    problems = []
    for number, path in enumerate(outputs):
        if path.suffix.lower() == ZARR:
            continue
        try:
            write_image(path, image.scored(canvas.scores) if number else image.labelled(canvas.labels))
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
