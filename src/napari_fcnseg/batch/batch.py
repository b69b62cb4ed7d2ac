"""Segment many images one after the other: each alone, so that one that is broken never stops the rest.

A result has its name only once it is complete, and its provenance says of which image, which models and which settings
it is. So a batch that was stopped goes on where it was: what is done is not done again.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from napari_fcnseg import preprocess
from napari_fcnseg.batch.objects import BatchObjects
from napari_fcnseg.batch.outcome import ResultFiles, put_away
from napari_fcnseg.batch.places import Places, ResultFolder
from napari_fcnseg.batch.plate_results import ResultPlate
from napari_fcnseg.batch.progress import BatchProgress
from napari_fcnseg.batch.record import record_of
from napari_fcnseg.batch.report import DONE, KEPT, STOPPED, BatchReport, ReportLine, failed_line, folder_lock, report_in
from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile.plate_labels import name_in_plate
from napari_fcnseg.instances.labeling import StoppedError
from napari_fcnseg.plan.run_plan import make_plan, resolve_settings
from napari_fcnseg.proof.verification import VerificationSampler, check_converted
from napari_fcnseg.run import output_files
from napari_fcnseg.run.continuation import continue_run
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.rescaling import scaling_for
from napari_fcnseg.run.run import Run
from napari_fcnseg.system.formatting import format_duration
from napari_fcnseg.system.saving import PYTHON, Inputs

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Generator, Iterable, Sequence

    from napari_fcnseg.batch.item import BatchItem
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.imagefile.plates import Plate
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Plan

_POLL = 0.05  # seconds after which a batch looks whether it should stop
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
        self.models, self.verify = tuple(models), verify
        if verify:
            check_converted(self.models)
        self.overwrite, self._advice, self._series = overwrite, advice, series
        self._rescale = tuple(rescale) if rescale is not None else None
        files = [file for model in self.models for file in model.files]
        self._inputs = Inputs([*inputs, *files, *_read(self.items, plate, Path(out_dir))])
        settings = resolve_settings(settings, self.models)
        self.settings = replace(settings, preprocess=tuple(map(str, preprocess.parse(settings.preprocess or ()))))
        self.kinds = kept_outputs(settings)
        if problem := self._inputs.problem(Path(out_dir) / "report.csv"):
            raise OutputError(f"{problem}. Choose another folder for the results.")
        counted = {"objects": objects is not None}
        self._places: Places = (
            ResultPlate(Path(out_dir), plate, self.models[0], self._inputs, self.kinds, **counted)
            if plate is not None
            else ResultFolder(Path(out_dir), form)
        )
        self.out_dir = self._places.folder
        self.report = report_in(self.out_dir)
        self.table: Path | None = None
        self.wells: Path | None = None
        self._objects = self._search(objects, volume) if objects is not None else None
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
        waiting, begun = deque(self.items), False
        with folder_lock(self.out_dir), BatchReport(self.report, self._places.wells) as report:
            try:
                self._places.begin()
                for line in self.left_out:
                    report.add(line)
                    yield line
                while waiting and not _is_set(stop):
                    begun = True
                    end = yield from self._one(waiting[0], stop)
                    if end is None:
                        return
                    waiting.popleft()
                    begun = False
                    report.add(end)
                    yield end
                if not waiting and self._objects is not None:
                    self.table = self._objects.finish()
            finally:
                with suppress(FcnSegError):
                    self.wells = self._places.finish()
                with suppress(OutputError):  # what could not be written is said already, or the report's name says it
                    for item in waiting:
                        said = "Stopped before it was complete." if begun else "Not begun: the batch was stopped."
                        begun = False
                        report.add(ReportLine(item.name, STOPPED, f"{said} Start the same batch again to go on."))
                self.report = report.close()

    def _one(self, item: BatchItem, stop: threading.Event | None) -> Generator[BatchProgress, None, ReportLine | None]:
        """Segment an image unless that was done; return what became of it, None if it was stopped."""
        yield self._standing(item)
        start = time.perf_counter()
        try:
            line = yield from self._done(item, stop)
            if line is not None and line.status != KEPT:
                line = replace(line, seconds=time.perf_counter() - start)
                self._paces.append(line.seconds)
        except StoppedError:
            line = None
        except Exception as error:
            line = failed_line(item.name, error, time.perf_counter() - start)
        try:
            self._places.settle(item, line)
        except Exception as error:
            return failed_line(item.name, error, time.perf_counter() - start)
        return line

    def _done(self, item: BatchItem, stop: threading.Event | None) -> Generator[BatchProgress, None, ReportLine | None]:
        self._places.prepare(item)
        record, outputs = self._record(item), self._places.outputs(item, [kind.name for kind in self.kinds])
        outcome = ResultFiles(outputs, record, **self._files())
        line: ReportLine | None
        if not self.overwrite and outcome.was_done(verified=self.verify):
            said = "It was done before, with the same model and settings."
            line = ReportLine(item.name, KEPT, said, outcome.first)
        else:
            with outcome.claim() as plan:
                line = yield from self._segment(item, outcome, plan, stop)
        if line is not None and self._objects is not None:
            line = self._with_objects(self._objects, item, line, record, stop)
        return line

    def _segment(
        self, item: BatchItem, outcome: ResultFiles, plan: Plan, stop: threading.Event | None
    ) -> Generator[BatchProgress, None, ReportLine | None]:
        image = item.read(self._series).for_model(self.models[0].channels)
        axis = self.settings.channel_axis
        settings = self.settings if axis is not None else replace(self.settings, channel_axis=image.channel_axis)
        scaling, size_note = scaling_for(self._rescale, image, self.models, settings)
        data = image.data if scaling is None else scaling.image
        make = partial(make_plan, data, self.models)
        begun = continue_run(make, settings, outcome.outputs, item.identity, scaling=scaling)
        run = Run(begun.plan)
        run.notes += filter(None, [begun.note])
        sampler = VerificationSampler(run) if self.verify else None
        if sampler is not None:
            sampler.expect()
        arrays = output_files.result_arrays_for(
            run, image, outcome.outputs, overwrite=plan.overwrite, batch=True, scaling=scaling, continuation=begun
        )
        try:
            with closing(run.execute(_POLL, arrays.skip)) as tiles:
                for tile in tiles:
                    if _is_set(stop):
                        put_away(arrays, keep=begun.ledger is not None)
                        return None
                    if tile is not None:
                        arrays.write(tile)
                        if sampler is not None:
                            sampler.see(tile)
                    yield self._standing(item, run)
            arrays.settle()
        except OutputError:  # it says where what is finished is kept
            arrays.abandon()
            raise
        except BaseException:
            put_away(arrays, keep=begun.ledger is not None)
            raise
        provenance = outcome.provenance(
            {**run.provenance(), **self._chosen(), **(scaling.as_dict() if scaling is not None else {})}
        )
        output_files.publish(arrays, image, outcome.outputs, provenance, plan)
        line = self._conclude(item, run, outcome, provenance, plan, sampler)
        return replace(line, sentence=" ".join((line.sentence, *image.notes, *filter(None, [size_note]))))

    def _conclude(
        self, item: BatchItem, run: Run, outcome: ResultFiles, provenance: dict[str, Any], plan: Plan,
        sampler: VerificationSampler | None,
    ) -> ReportLine:  # fmt: skip
        """Compare the result with the patch model if that is wanted; return the image's line."""
        pixels = run.plan.summary.pixels
        said = [f"{pixels:,} pixels in {format_duration(run.spent.computing)} on {run.device}.", *run.notes]
        verified = None
        if sampler is not None:
            verification = sampler.verify()
            output_files.add_certificate(verification.certificate.as_dict(), provenance, plan)
            said.append(str(verification))
            verified = verification.passed
        return ReportLine(item.name, DONE, " ".join(said), outcome.first, 0.0, pixels, verified)

    def _with_objects(
        self, objects: BatchObjects, item: BatchItem, line: ReportLine, record: dict[str, Any],
        stop: threading.Event | None,
    ) -> ReportLine:  # fmt: skip
        """Find the objects in an image's labels, and say so in its line."""
        assert line.output is not None, "it has labels"

        def read() -> ImageFile:
            return item.read(self._series).for_model(self.models[0].channels)

        own = self._places.objects(item)
        try:
            found = objects.find(item.name, own, line.output, record, read, lambda: _is_set(stop))
        except FcnSegError as error:
            raise OutputError(f"The labels are written, but not the objects. {error}") from None
        status = DONE if found.new else line.status
        return replace(line, status=status, sentence=f"{line.sentence} {found.said}", objects=found.count)

    def _search(self, objects: InstanceSettings, volume: bool) -> BatchObjects:
        axis, record = self.settings.channel_axis, self._record()
        return BatchObjects(objects, self.models, axis, self.out_dir, record, volume=volume, **self._files())

    def _files(self) -> dict[str, Any]:
        """Return what all result files have in common."""
        return {"inputs": self._inputs, "overwrite": self.overwrite, "advice": self._advice}

    def _record(self, item: BatchItem | None = None) -> dict[str, Any]:
        return record_of(self.models, self.settings, self._chosen(), item)

    def _chosen(self) -> dict[str, Any]:
        """Return what was chosen beside the settings, by its name."""
        chosen = {"series": self._series, "rescale": self._rescale}
        return {name: value for name, value in chosen.items() if value is not None}

    def _standing(self, item: BatchItem, run: Run | None = None) -> BatchProgress:
        number, count = self.items.index(item), len(self.items)
        done, total = (run.done, run.total) if run is not None else (0, 0)
        rest = count - number - (done / total if total else 0)
        left = median(self._paces) * rest if self._paces else None
        return BatchProgress(item.name, number, count, done, total, left)


def _read(items: Sequence[BatchItem], plate: Plate | None, out: Path) -> list[Path]:
    """Return what is never written over; of a plate that gets the labels itself that is its images by other means."""
    if plate is None:
        return [path for item in items for path in item.paths]
    return [] if name_in_plate(out, plate.path) else [plate.path]


def _is_set(stop: threading.Event | None) -> bool:
    return stop is not None and stop.is_set()
