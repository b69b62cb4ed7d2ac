"""Run a batch in a worker thread, and open one of its results as a layer."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.widgets.worker import POLL, Outcome
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_fcnseg.batch import BatchProgress, ReportLine
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings


_ADVICE = "tick “Replace earlier results”"


@dataclass(frozen=True)
class BatchFiles:
    """The files of a batch, known before the first is begun.

    Attributes
    ----------
    names : tuple of str
        All of them, those that are left out first.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BatchRequest:
    """Everything a batch needs to know, as it was when Start was pressed.

    Attributes
    ----------
    folder : str
        Where the images are, a plate for one; empty if they are layers.
    recursive : bool
        Whether its subfolders count.
    layers : tuple of (str, ImageFile)
        Names and images of layers.
    results : str
        Folder for the results, or the plate for them.
    form : str
        What they are written as.
    models : tuple of PatchModel
        The ensemble.
    settings : RunSettings
        What the user chose.
    overwrite : bool
        Whether earlier results are replaced.
    inputs : tuple of path
        What is never written over.
    objects : InstanceSettings or None
        The objects to find.
    volume : bool
        Whether they go through the slices.
    cluster : str
        Where workers segment the images of a folder; empty for this computer.
    stop : threading.Event
        Set to end the batch and keep the files that are done.
    """

    folder: str
    recursive: bool
    layers: tuple[tuple[str, ImageFile], ...]
    results: str
    form: str
    models: tuple[PatchModel, ...]
    settings: RunSettings
    overwrite: bool = False
    inputs: tuple[str | Path, ...] = ()
    objects: InstanceSettings | None = None
    volume: bool = False
    cluster: str = ""
    stop: threading.Event = field(default_factory=threading.Event)


def batch_worker(
    request: BatchRequest,
) -> Generator[tuple[BatchFiles | ReportLine | BatchProgress, ...], None, Outcome]:
    """Do a batch; yield what is new several times a second. The value of the outcome is the report's path.

    The work is done in a daemon thread: reading a large file cannot be interrupted.
    """
    news: queue.SimpleQueue[BatchFiles | ReportLine | BatchProgress] = queue.SimpleQueue()
    done = in_background(lambda: _work(request, news), "napari-fcnseg-batch")
    ended = False
    try:
        while not (done.done() and news.empty()):
            entries = []
            try:
                entries.append(news.get(timeout=POLL))
                while True:
                    entries.append(news.get_nowait())
            except queue.Empty:
                yield tuple(entries)
        ended = True
    finally:
        if not ended:
            request.stop.set()
    try:
        return Outcome(done.result(), cancelled=request.stop.is_set())
    except Exception as error:
        return Outcome(error=error)


def _work(request: BatchRequest, news: queue.SimpleQueue[Any]) -> Path:
    from napari_fcnseg.batch import batch_on, images_in, named_items

    left_out: tuple[ReportLine, ...] = ()
    inputs, plate = request.inputs, None
    if request.folder:
        found = images_in(request.folder, request.recursive, Path(request.results))
        items, left_out, inputs, plate = found.items, found.left_out, (*inputs, *found.others), found.plate
    else:
        items = named_items(request.layers)
    batch = batch_on(
        request.cluster or None, items, request.models, request.settings, request.results,
        form=request.form, left_out=left_out, overwrite=request.overwrite, inputs=inputs, advice=_ADVICE,
        objects=request.objects, volume=request.volume, plate=plate,
    )  # fmt: skip
    news.put(BatchFiles((*(line.input for line in left_out), *(item.name for item in items))))
    with closing(batch.execute(request.stop)) as entries:
        for entry in entries:
            news.put(entry)
    for _, line in batch.late:
        news.put(line)
    return batch.report


def import_ahead() -> None:
    """Import what a batch needs, so that Start need not wait for it in the window's own thread."""
    from napari_fcnseg._napari.segment.results import writer  # noqa: F401
    from napari_fcnseg.batch import Batch  # noqa: F401


def _geometry(image: ImageFile) -> dict[str, Any]:
    """Return the arguments that give a layer the pixel size that its file says."""
    size, unit = image.pixel_size, image.unit or "pixel"
    return {
        "scale": [size.get(letter, 1.0) for letter in image.axes],
        "units": [unit if letter in size else "pixel" for letter in image.axes],
    }
