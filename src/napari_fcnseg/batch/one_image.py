"""What is done with one image of a batch: it is segmented, checked, written, and its objects are found."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_fcnseg.batch.outcome import ResultFiles, put_away
from napari_fcnseg.batch.record import record_of
from napari_fcnseg.batch.report import DONE, KEPT, ReportLine, failed_line
from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.instances.labeling import StoppedError
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.proof.verification import VerificationSampler
from napari_fcnseg.run import output_files
from napari_fcnseg.run.continuation import continue_run
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.rescaling import scaling_for
from napari_fcnseg.run.run import Run
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.batch.item import BatchItem
    from napari_fcnseg.batch.objects import BatchObjects
    from napari_fcnseg.batch.options import ImageOptions
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Inputs, Plan

_POLL = 0.05  # seconds after which a batch looks whether it should stop


class ImageWork:
    """Segments images with the same models and settings, each for itself.

    Parameters
    ----------
    models : sequence of PatchModel
        The ensemble.
    settings : RunSettings
        For every image, with what the models' sidecars say (:func:`napari_fcnseg.plan.run_plan.resolve_settings`).
    options : ImageOptions
        What else was chosen.
    inputs : Inputs
        What is never written over.
    objects : BatchObjects, optional
        Finds the objects in each image's labels.
    """

    def __init__(
        self, models: Sequence[PatchModel], settings: RunSettings, options: ImageOptions, inputs: Inputs,
        objects: BatchObjects | None = None,
    ) -> None:  # fmt: skip
        self.models, self.settings, self.options = tuple(models), settings, options
        self.kinds = kept_outputs(settings)
        self._inputs, self._objects = inputs, objects

    def line(
        self,
        item: BatchItem,
        outputs: Mapping[str, Path],
        own: Mapping[str, Path],
        stop: threading.Event | None = None,
        record: dict[str, Any] | None = None,
    ) -> Generator[Run | None, None, ReportLine | None]:
        """Segment an image unless that was done, and find its objects.

        Parameters
        ----------
        item : BatchItem
            The image.
        outputs : mapping of str to Path
            Where its results lie, by their kinds.
        own : mapping of str to Path
            Where its objects and their table lie.
        stop : Event, optional
            Set to drop it; what has come so far is kept for the next time where that is possible.
        record : dict, optional
            What its results depend on, where that is known (:meth:`record`).

        Yields
        ------
        Run or None
            Several times a second while there is something to compute, once it is known what.

        Returns
        -------
        ReportLine or None
            What became of it; None if it was stopped.
        """
        start = time.perf_counter()
        try:
            line = yield from self._done(item, outputs, own, stop, record or self.record(item))
        except StoppedError:
            return None
        except Exception as error:
            return failed_line(item.name, error, time.perf_counter() - start)
        if line is not None and line.status != KEPT:
            line = replace(line, seconds=time.perf_counter() - start)
        return line

    def record(self, item: BatchItem | None = None) -> dict[str, Any]:
        """Return what an image's results depend on, or those of all (:func:`napari_fcnseg.batch.record.record_of`)."""
        return record_of(self.models, self.settings, self.options.for_record(), item)

    def _done(
        self, item: BatchItem, outputs: Mapping[str, Path], own: Mapping[str, Path], stop: threading.Event | None,
        record: dict[str, Any],
    ) -> Generator[Run | None, None, ReportLine | None]:  # fmt: skip
        options = self.options
        outcome = ResultFiles(
            outputs, record, inputs=self._inputs, overwrite=options.overwrite, advice=options.advice
        )  # fmt: skip
        line: ReportLine | None
        if not options.overwrite and outcome.was_done(verified=options.verify):
            said = "It was done before, with the same model and settings."
            line = ReportLine(item.name, KEPT, said, outcome.first)
        else:
            with outcome.claim() as plan:
                line = yield from self._segment(item, outcome, plan, stop)
        if line is not None and self._objects is not None:
            line = self._with_objects(self._objects, item, line, own, record, stop)
        return line

    def _segment(
        self, item: BatchItem, outcome: ResultFiles, plan: Plan, stop: threading.Event | None
    ) -> Generator[Run | None, None, ReportLine | None]:
        image = item.read(self.options.series).for_model(self.models[0].channels)
        axis = self.settings.channel_axis
        settings = self.settings if axis is not None else replace(self.settings, channel_axis=image.channel_axis)
        scaling, size_note = scaling_for(self.options.rescale, image, self.models, settings)
        data = image.data if scaling is None else scaling.image
        make = partial(make_plan, data, self.models)
        begun = continue_run(make, settings, outcome.outputs, item.identity, scaling=scaling)
        run = Run(begun.plan)
        run.notes += filter(None, [begun.note])
        sampler = VerificationSampler(run) if self.options.verify else None
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
                    yield run
            arrays.settle()
        except OutputError:  # it says where what is finished is kept
            arrays.abandon()
            raise
        except BaseException:
            put_away(arrays, keep=begun.ledger is not None)
            raise
        provenance = outcome.provenance(
            {**run.provenance(), **self.options.for_record(), **(scaling.as_dict() if scaling is not None else {})}
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
        self, objects: BatchObjects, item: BatchItem, line: ReportLine, own: Mapping[str, Path],
        record: dict[str, Any], stop: threading.Event | None,
    ) -> ReportLine:  # fmt: skip
        """Find the objects in an image's labels, and say so in its line."""
        assert line.output is not None, "it has labels"

        def read() -> ImageFile:
            return item.read(self.options.series).for_model(self.models[0].channels)

        try:
            found = objects.find(item.name, own, line.output, record, read, lambda: _is_set(stop))
        except FcnSegError as error:
            raise OutputError(f"The labels are written, but not the objects. {error}") from None
        status = DONE if found.new else line.status
        return replace(line, status=status, sentence=f"{line.sentence} {found.said}", objects=found.count)


def _is_set(stop: threading.Event | None) -> bool:
    return stop is not None and stop.is_set()
