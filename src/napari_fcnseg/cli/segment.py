"""``napari-fcnseg segment``: an image into files of labels; a folder of images, or a plate, goes to ``batch``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli import batch
from napari_fcnseg.cli.arguments import (
    CLUSTER,
    add_overwrite,
    add_run_arguments,
    channels_note,
    inputs_of,
    models_of,
    on_axis,
    read_by,
    rescaled,
    settings_of,
)
from napari_fcnseg.cli.begun import Begun
from napari_fcnseg.cli.exit_codes import DIFFERENT, OK
from napari_fcnseg.cli.into_image import into_images
from napari_fcnseg.cli.progress import progress_bar
from napari_fcnseg.errors import AS_IT_IS, FcnSegError

if TYPE_CHECKING:
    import argparse

    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run.continuation import Continuation
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Plan

_HOW_TO_PREPARE = (
    "Was the model trained on normalised images? Give the same steps after --preprocess, for example --preprocess "
    "zero_mean_unit_variance; --help lists them, and who trained the model knows them."
)


def add_arguments(segment: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS

    add_run_arguments(segment)
    segment.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="LABELS",
        help=".tif, .zarr, .png, .npy, or IMAGE.zarr/labels/NAME; of a plate another plate, PLATE.zarr",
    )
    for kind in EXTRA_OUTPUTS:
        segment.add_argument(f"--{kind.name}", type=Path, metavar="FILE", help=f"write {kind.about} too")
    segment.add_argument("--verify", action="store_true", help="compare with the patch model at 256 pixels too")
    segment.add_argument("--cluster", metavar="ADDRESS", help=CLUSTER)
    batch.add_arguments(segment)
    add_overwrite(segment)
    segment.set_defaults(run=into_images(run_segment))


def run_segment(chosen: argparse.Namespace) -> int:
    """Segment an image into files, many images into a folder, or a plate into a plate; return the exit code."""
    from napari_fcnseg.imagefile import check_ending
    from napari_fcnseg.run.cluster.address import check_address
    from napari_fcnseg.run.continuation import gone_on_with
    from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS
    from napari_fcnseg.run.provenance_file import check_provenance, provenance_path
    from napari_fcnseg.system.saving import COMMAND, Plan

    many = batch.is_folder(chosen)
    if chosen.cluster is not None:
        check_address(chosen.cluster)
    wanted = {kind.name: getattr(chosen, kind.name) for kind in EXTRA_OUTPUTS}
    settings = settings_of(chosen, **{name: path is not None for name, path in wanted.items()})
    if many:
        return batch.segment_folder(chosen, settings, lambda: models_of(chosen))
    outputs = {name: path for name, path in {"labels": chosen.output, **wanted}.items() if path is not None}
    for path in outputs.values():
        check_ending(path)
    free, beside = gone_on_with(outputs), provenance_path(chosen.output)
    if free and not chosen.output.exists():
        free += (beside,)  # of a run that was killed when only the result's name was missing
    plan = Plan(
        tuple(outputs.values()), read_by(chosen), (beside,), stoppable=True, overwrite=chosen.overwrite,
        advice=COMMAND, free=free,
    )  # fmt: skip
    plan.check_names()
    check_provenance(plan.beside[0], plan.outputs)
    with plan.claim():
        return _segment_into(chosen, settings, outputs, plan)


def _segment_into(chosen: argparse.Namespace, settings: RunSettings, outputs: dict[str, Path], plan: Plan) -> int:
    """Segment one image into files that are claimed."""
    from napari_fcnseg.engine import engine
    from napari_fcnseg.run.cluster.address import ahead

    with ahead(chosen.cluster) as cluster:
        if cluster is None:
            engine().choose(settings.device, settings.precision)  # it starts while model and image are read
        image, models = inputs_of(chosen)
        plan.read(file for model in models for file in model.files)
        settings = on_axis(settings, image)
        scaling = rescaled(chosen, image, models, settings)
        begun = Begun(chosen, image, models, settings, outputs, scaling, cluster)
        with begun.run() as (run, continuation):
            return _execute(begun, run, continuation, plan)


def _execute(begun: Begun, run: Run, continuation: Continuation, plan: Plan) -> int:
    """Execute a run into files that are claimed; return the exit code."""
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run import output_files
    from napari_fcnseg.run.result import execute_into

    chosen, image, outputs, scaling = begun.chosen, begun.image, begun.outputs, begun.scaling
    sampler = VerificationSampler(run) if chosen.verify else None
    if sampler is not None:
        sampler.expect()
    if chosen.channel_axis is None and (note := channels_note(image, run.plan.layout.channel_axis)):
        print(f"napari-fcnseg: {note}", file=sys.stderr)
    if chosen.cluster is None:
        _print_forecast(run, chosen.quiet)
    arrays = output_files.result_arrays_for(
        run, image, outputs, overwrite=plan.overwrite, scaling=scaling, continuation=continuation
    )
    try:
        with progress_bar("Segmenting", chosen.quiet) as progress:
            watching = (sampler.see,) if sampler is not None else ()
            execute_into(run, arrays.write, *watching, progress=progress, skip=arrays.skip)
        arrays.settle()
    except (FcnSegError, KeyboardInterrupt, MemoryError):
        arrays.abandon()
        if arrays.done:
            kept = f"{arrays.done} of {run.total} tiles are done and kept (*.partial.*)."
            print(f"napari-fcnseg: {kept} The same command goes on.", file=sys.stderr)
        raise
    provenance = run.provenance() | ({"series": chosen.series} if chosen.series is not None else {})
    provenance |= scaling.as_dict() if scaling else {}
    output_files.publish(arrays, image, outputs, provenance, plan)
    if run.doubtful:
        print(f"napari-fcnseg: {_HOW_TO_PREPARE}", file=sys.stderr)
    if not chosen.quiet:
        written = " and ".join(map(str, outputs.values()))
        what = run.plan.summary
        seconds = time.perf_counter() - chosen.since
        print(f"{written}: {what.pixels:,} pixels in {seconds:.1f} s on {run.device}, tile {what.tile}.")
        print(f"{run.spent.of(seconds).capitalize()}.")
    return OK if sampler is None else _verify_result(provenance, sampler, plan, quiet=chosen.quiet)


def _print_forecast(run: Run, quiet: bool) -> None:
    """Print a comparison with float32 if the precision is not exact, and an estimate for a run patch by patch."""
    from napari_fcnseg.proof.precision_trial import try_run
    from napari_fcnseg.run.time_estimate import estimate_run
    from napari_fcnseg.settings import EXACT

    for model in run.plan.models:
        if model.labels_every_pixel and not quiet:
            print(" ".join([f"{model.name}: {AS_IT_IS}", *model.source.notes]), file=sys.stderr)
    if run.plan.settings.precision != EXACT and not quiet:
        print(try_run(run), file=sys.stderr)
    if not quiet and any(method.name == "patchwise" for method in run.plan.methods):
        estimate = estimate_run(run)
        print(" ".join(filter(None, [str(estimate), estimate.first_look])), file=sys.stderr)


def _verify_result(provenance: dict[str, Any], sampler: VerificationSampler, plan: Plan, *, quiet: bool) -> int:
    """Compare the result with the patch model, and write the certificate into the provenance."""
    from napari_fcnseg.run import output_files

    verification = sampler.verify()
    code = OK if verification.passed else DIFFERENT
    if not quiet or code != OK:
        print(verification)
    output_files.add_certificate(verification.certificate.as_dict(), provenance, plan)
    return code
