"""Segment many images one after the other: each alone, so that one that is broken never stops the rest.

A result has its name only once it is complete, and its provenance says of which image, which models and which settings
it is. So a batch that was stopped goes on where it was: what is done is not done again.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from napari_fcnseg import preprocess
from napari_fcnseg.batch.item import BatchItem
from napari_fcnseg.batch.objects import ObjectSearch
from napari_fcnseg.batch.one_image import ImageWork
from napari_fcnseg.batch.options import ImageOptions
from napari_fcnseg.batch.places import Places, ResultFolder
from napari_fcnseg.batch.plate_results import ResultPlate
from napari_fcnseg.batch.progress import BatchProgress
from napari_fcnseg.batch.report import KEPT, STOPPED, BatchReport, ReportLine, failed_line, folder_lock, report_in
from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile.plate_labels import name_in_plate
from napari_fcnseg.plan.run_plan import resolve_settings
from napari_fcnseg.proof.verification import check_converted
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.system.saving import PYTHON, Inputs

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Generator, Iterable, Sequence

    from napari_fcnseg.imagefile.plates import Plate
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.settings import RunSettings

    #: An image that is begun, how far the batch is, or what became of an image.
    Entry = BatchItem | BatchProgress | tuple[BatchItem, ReportLine]

_PACES = 5  # images whose time says how long the others take; the very first one waits for the engine


class Batch:
    """Some images, one or more models and settings: what concerns all images is checked at once.

    Parameters
    ----------
    items : sequence of BatchItem
        The images.
    models : sequence of PatchModel
        An ensemble that fits together (:func:`napari_fcnseg.model.patch_model.as_ensemble`).
    settings : RunSettings
        For every image. They also say what is written beside the labels.
    out_dir : path
        Folder for the results, which is made if it is not there; it may be the one with the images. For ``a.tif`` it
        gets ``a.labels.tif``, ``a.labels.provenance.json``, and so on; for all together ``report.csv``. For a plate it
        is the plate of results, with the report in the folder ``NAME.report`` beside it.
    form : {"tif", "ome-zarr"}
        What results are written as.
    verify : bool
        Whether each result is compared with the patch model itself, with the certificate in its provenance.
    left_out : sequence of ReportLine
        Files that are no images; they come first in the report.
    overwrite : bool
        Whether everything is computed anew, and what has the names of results is replaced, but never an image or a
        model. Otherwise a result that is of another image, model or settings stays, and the image has failed.
    inputs : iterable of path
        Files beside the images and the models that are never written over.
    advice : str
        How to have earlier results replaced, as the end of a sentence.
    series : int, optional
        Which image of each file that holds several, from 0; otherwise the largest.
    rescale : sequence of float, optional
        Models see each image so many times as large; an empty one: by the pixel sizes of image and sidecar.
    objects : InstanceSettings, optional
        The objects that are found in each image's labels. For ``a.tif`` that gives ``a.objects.tif`` and their table
        ``a.objects.csv``, and at the end for all images ``objects.csv``.
    volume : bool
        Whether objects extend along the last three axes, as they do where the model's patches do.
    plate : Plate, optional
        What the images are the fields of.

    Attributes
    ----------
    report : Path
        The file with a line for each.
    table : Path or None
        The table of the objects of all images, once it is written.
    wells : Path or None
        The table of a plate's wells, once it is written.
    late : list of (BatchItem, ReportLine)
        What became of images that were done when the batch had been stopped already.

    Raises
    ------
    FcnSegError
        If settings are not possible, or the folder cannot be written.
    """

    def __init__(
        self,
        items: Sequence[BatchItem],
        models: Sequence[PatchModel],
        settings: RunSettings,
        out_dir: str | os.PathLike[str],
        *,
        form: str = "tif",
        verify: bool = False,
        left_out: Sequence[ReportLine] = (),
        overwrite: bool = False,
        inputs: Iterable[str | os.PathLike[str]] = (),
        advice: str = PYTHON,
        series: int | None = None,
        rescale: Sequence[float] | None = None,
        objects: InstanceSettings | None = None,
        volume: bool = False,
        plate: Plate | None = None,
    ) -> None:
        self.items, self.left_out = tuple(items), tuple(left_out)
        self.models = tuple(models)
        if verify:
            check_converted(self.models)
        files = [file for model in self.models for file in model.files]
        self.inputs = [*inputs, *files, *_read(self.items, plate, Path(out_dir))]
        protected = Inputs(self.inputs)
        settings = resolve_settings(settings, self.models)
        self.settings = replace(settings, preprocess=tuple(map(str, preprocess.parse(settings.preprocess or ()))))
        kinds = kept_outputs(settings)
        if problem := protected.problem(Path(out_dir) / "report.csv"):
            raise OutputError(f"{problem}. Choose another folder for the results.")
        counted = {"objects": objects is not None}
        self.places: Places = (
            ResultPlate(Path(out_dir), plate, self.models[0], protected, kinds, **counted)
            if plate is not None
            else ResultFolder(Path(out_dir), form)
        )
        self.out_dir = self.places.folder
        self.report = report_in(self.out_dir)
        self.table: Path | None = None
        self.wells: Path | None = None
        options = ImageOptions(verify, overwrite, advice, series, tuple(rescale) if rescale is not None else None)
        search = ObjectSearch(objects, volume) if objects is not None else None
        self.objects = search.finder(self.models, self.settings, self.out_dir, options, protected) if search else None
        self.search, self.work = search, ImageWork(self.models, self.settings, options, protected, self.objects)
        self.late: list[tuple[BatchItem, ReportLine]] = []
        self._paces: deque[float] = deque(maxlen=_PACES)

    def execute(self, stop: threading.Event | None = None) -> Generator[ReportLine | BatchProgress, None, None]:
        """Segment one image after the other.

        Parameters
        ----------
        stop : Event, optional
            Once it is set, the image that is being segmented is dropped, and the batch ends. So it does when the
            generator is closed, or with Ctrl-C.

        Yields
        ------
        ReportLine or BatchProgress
            What became of a file; and in between, several times a second while there is something to compute, how far
            the batch is.

        Raises
        ------
        OutputError
            If the report cannot be written, or another batch writes into the folder.
        """
        waiting, why = dict.fromkeys(self.items, ""), "The batch was stopped."
        with folder_lock(self.out_dir), BatchReport(self.report, self.places.wells) as report:
            try:
                self.places.begin()
                for line in self.left_out:
                    report.add(line)
                    yield line
                with closing(self._ends(stop)) as ends:
                    for entry in ends:
                        if isinstance(entry, BatchItem):
                            waiting[entry] = "Stopped before it was complete."
                        elif isinstance(entry, BatchProgress):
                            yield entry
                        else:
                            item, end = entry
                            waiting.pop(item)
                            report.add(end)
                            yield end
                if not waiting and self.objects is not None:
                    self.table = self.objects.finish()
            except FcnSegError as error:
                why = str(error)
                raise
            finally:
                with suppress(FcnSegError):
                    self.wells = self.places.finish()
                with suppress(OutputError):  # what could not be written is said already, or the report's name says it
                    for item, line in self.late:
                        waiting.pop(item, None)
                        report.add(line)
                    for item, said in waiting.items():
                        said = said or f"Not begun. {why}"
                        report.add(ReportLine(item.name, STOPPED, f"{said} Start the same batch again to go on."))
                self.report = report.close()

    def _ends(self, stop: threading.Event | None) -> Generator[Entry, None, None]:
        """Segment the images; yield each when it is begun, how far the batch is, and what became of each."""
        for number, item in enumerate(self.items):
            if stop is not None and stop.is_set():
                return
            yield item
            yield self._standing(item, number)
            line = yield from self._one(item, number, stop)
            if line is None:
                return
            yield item, line

    def _one(
        self, item: BatchItem, number: int, stop: threading.Event | None
    ) -> Generator[BatchProgress, None, ReportLine | None]:
        """Segment an image unless that was done; return what became of it, None if it was stopped."""
        start = time.perf_counter()
        try:
            places = self.where(item)
            line = yield from self._segmented(item, number, places, stop)
        except Exception as error:
            line = failed_line(item.name, error, time.perf_counter() - start)
        return self.settled(item, line)

    def _segmented(
        self, item: BatchItem, number: int, places: tuple[dict[str, Path], dict[str, Path]],
        stop: threading.Event | None,
    ) -> Generator[BatchProgress, None, ReportLine | None]:  # fmt: skip
        work = self.work.line(item, *places, stop)
        while True:
            try:
                run = next(work)
            except StopIteration as end:
                line: ReportLine | None = end.value
                return line
            yield self._standing(item, number, run)

    def where(self, item: BatchItem) -> tuple[dict[str, Path], dict[str, Path]]:
        """Make room for an image's results; return where they, and where its objects and their table lie."""
        self.places.prepare(item)
        return self.places.outputs(item, [kind.name for kind in self.work.kinds]), self.places.objects(item)

    def settled(self, item: BatchItem, line: ReportLine | None) -> ReportLine | None:
        """Take note of what has become of an image; return that."""
        try:
            self.places.settle(item, line)
        except Exception as error:
            return failed_line(item.name, error, line.seconds if line is not None else 0.0)
        if line is not None and line.status != KEPT:
            self._paces.append(line.seconds)
        return line

    def _standing(self, item: BatchItem, number: int, run: Run | None = None) -> BatchProgress:
        count = len(self.items)
        done, total = (run.done, run.total) if run is not None else (0, 0)
        rest = count - number - (done / total if total else 0)
        left = median(self._paces) * rest if self._paces else None
        return BatchProgress(item.name, number, count, done, total, left)


def _read(items: Sequence[BatchItem], plate: Plate | None, out: Path) -> list[Path]:
    """Return what is never written over; of a plate that gets the labels itself that is its images by other means."""
    if plate is None:
        return [path for item in items for path in item.paths]
    return [] if name_in_plate(out, plate.path) else [plate.path]
