"""The command line: ``napari-fcnseg inspect | segment | instances | verify | compare | demo | doctor``.

Exit codes: 0 all is well; 1 something does not fit, said in one line; 2 the command line itself was wrong; 3 the
verification found a difference; 130 stopped with Ctrl-C; 143 (129) told to end by SIGTERM (SIGHUP).
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from napari_fcnseg.cli import batch, compare, instances
from napari_fcnseg.cli import doctor as cli_doctor
from napari_fcnseg.cli.arguments import (
    add_overwrite,
    add_run_arguments,
    channels_note,
    inputs_of,
    mask_of,
    models_of,
    on_axis,
    read_by,
    rescaled,
    settings_of,
)
from napari_fcnseg.cli.inspect import add_arguments
from napari_fcnseg.cli.signals import ToldToEnd, heeded
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Plan

OK, MISFIT, DIFFERENT, STOPPED = 0, 1, 3, 130  # and 2, argparse's own, for a wrong command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        with heeded():
            return int(chosen.run(chosen))
    except FcnSegError as error:
        print(f"napari-fcnseg: {error}", file=sys.stderr)
        return MISFIT
    except MemoryError:
        print("napari-fcnseg: There is not enough memory. Choose a smaller image or --tile.", file=sys.stderr)
        return MISFIT
    except ToldToEnd as told:
        with suppress(OSError):  # the terminal may have been closed
            print(f"napari-fcnseg: {told}", file=sys.stderr)
        return told.code
    except KeyboardInterrupt:
        print("napari-fcnseg: stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
        sys.stderr.close()
        return OK


def _segment(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.imagefile import check_ending
    from napari_fcnseg.run.provenance_file import check_provenance, provenance_path
    from napari_fcnseg.system.saving import COMMAND, Plan

    wanted = {name: getattr(chosen, name) for name in ("probabilities", "confidence", "disagreement")}
    settings = settings_of(chosen, **{name: path is not None for name, path in wanted.items()})
    if batch.is_folder(chosen):
        return batch.segment_folder(chosen, settings, lambda: models_of(chosen))
    outputs = {name: path for name, path in {"labels": chosen.output, **wanted}.items() if path is not None}
    for path in outputs.values():
        check_ending(path)
    plan = Plan(
        tuple(outputs.values()), read_by(chosen), (provenance_path(chosen.output),), stoppable=True,
        overwrite=chosen.overwrite, advice=COMMAND,
    )  # fmt: skip
    plan.check_names()
    check_provenance(plan.beside[0], plan.outputs)
    with plan.claim():
        return _segment_into(chosen, settings, outputs, plan)


def _segment_into(chosen: argparse.Namespace, settings: RunSettings, outputs: dict[str, Path], plan: Plan) -> int:
    """Segment one image into files that are claimed."""
    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run import output_files
    from napari_fcnseg.run.result import execute_into
    from napari_fcnseg.run.run import Run

    image, models = inputs_of(chosen)
    plan.read(file for model in models for file in model.files)
    settings = on_axis(settings, image)
    scaling = rescaled(chosen, image, models, settings)
    run = Run(make_plan(scaling.image if scaling else image.data, models, settings, mask=mask_of(chosen)))
    sampler = VerificationSampler(run) if chosen.verify else None
    if chosen.channel_axis is None and (note := channels_note(image, run.plan.layout.channel_axis)):
        print(f"napari-fcnseg: {note}", file=sys.stderr)
    _foretell(run, chosen.quiet)
    arrays = output_files.result_arrays_for(run, image, outputs, overwrite=plan.overwrite, scaling=scaling)
    start = time.perf_counter()
    try:
        with _progress("Segmenting", chosen.quiet) as progress:
            watching = (sampler.see,) if sampler is not None else ()
            execute_into(run, arrays.write, *watching, progress=progress)
        arrays.settle()
    except (FcnSegError, KeyboardInterrupt, MemoryError):
        arrays.abandon()
        if arrays.done:
            output_files.keep(arrays, image, outputs, plan)
            print(
                f"napari-fcnseg: {arrays.done} of {run.total} tiles are done and kept (*.partial.*).", file=sys.stderr
            )
        raise
    seconds = time.perf_counter() - start
    provenance = run.provenance() | ({"series": chosen.series} if chosen.series is not None else {})
    provenance |= scaling.as_dict() if scaling else {}
    output_files.publish(arrays, image, outputs, provenance, plan)
    if not chosen.quiet:
        written = " and ".join(map(str, outputs.values()))
        what = run.plan.summary
        print(f"{written}: {what.pixels:,} pixels in {seconds:.1f} s on {run.device}, tile {what.tile}.")
    return OK if sampler is None else _prove(provenance, sampler, plan, quiet=chosen.quiet)


def _foretell(run: Run, quiet: bool) -> None:
    """Say what arithmetic costs that is not exact, and how long it takes to run patch by patch."""
    from napari_fcnseg.proof.precision_trial import try_run
    from napari_fcnseg.run.time_estimate import estimate_run
    from napari_fcnseg.settings import EXACT

    if run.plan.settings.precision != EXACT and not quiet:
        print(try_run(run), file=sys.stderr)
    if not quiet and any(method.name == "patchwise" for method in run.plan.methods):
        print(estimate_run(run), file=sys.stderr)


def _prove(provenance: dict[str, Any], sampler: VerificationSampler, plan: Plan, *, quiet: bool) -> int:
    """Compare the result with the patch model, and write the certificate into the provenance."""
    from napari_fcnseg.run import output_files

    verification = sampler.verify()
    code = OK if verification.passed else DIFFERENT
    if not quiet or code != OK:
        print(verification)
    certified = {**provenance, "certificate": verification.certificate.as_dict()}
    output_files.note(plan.beside[0], certified, plan.outputs)
    return code


def _verify(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.system.saving import COMMAND, Plan
    from napari_fcnseg.system.saving.texts import CERTIFICATE

    settings = settings_of(chosen)
    if chosen.no_certificate:
        return _verify_into(chosen, settings, Plan((), read_by(chosen)))
    if chosen.certificate is not None:
        check = Plan((chosen.certificate,), read_by(chosen), overwrite=chosen.overwrite, advice=COMMAND)
        check.check_names()
        check.check_free()
    models = models_of(chosen)
    image = Path(chosen.image[0])
    names = "+".join(model.name for model in models)[:80]
    path = chosen.certificate or image.with_name(f"{image.stem}.{names}.certificate.json")
    plan = Plan((path,), read_by(chosen), overwrite=chosen.overwrite, advice=COMMAND)
    with plan.claim():
        CERTIFICATE.check(path)
        return _verify_into(chosen, settings, plan, models)


def _verify_into(
    chosen: argparse.Namespace, settings: RunSettings, plan: Plan, models: Sequence[PatchModel] | None = None
) -> int:
    """Verify a run, and leave the certificate in the file that is claimed, if there is one."""
    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run.result import execute_into
    from napari_fcnseg.run.run import Run

    image, models = inputs_of(chosen, models)
    plan.read(file for model in models for file in model.files)
    settings = on_axis(settings, image)
    scaling = rescaled(chosen, image, models, settings)
    run = Run(make_plan(scaling.image if scaling else image.data, models, settings, mask=mask_of(chosen)))
    sampler = VerificationSampler(run, chosen.points, chosen.seed)
    with _progress("Segmenting", chosen.quiet) as progress:
        execute_into(run, sampler.see, progress=progress)
    verification = sampler.verify()
    print(verification)
    for path in plan.outputs:
        print(f"Certificate: {verification.certificate.save(path, overwrite=plan.overwrite)}")
    return OK if verification.passed else DIFFERENT


def _demo(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.cli import demo

    return demo.show(chosen.sample, chosen.output, window=not chosen.no_window, overwrite=chosen.overwrite)


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, *_: object) -> None:
        from importlib.metadata import version

        print(f"napari-fcnseg {version('napari-fcnseg')}")
        sys.exit(OK)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-fcnseg",
        description="Run a trained patch classifier densely over whole images: exact, fast, proven.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="which version this is")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="what becomes of each layer of a model, and its sidecar")
    add_arguments(inspect)

    segment = commands.add_parser("segment", help="segment an image, or all images in a folder")
    add_run_arguments(segment)
    segment.add_argument("-o", "--output", type=Path, required=True, metavar="LABELS", help=".tif, .zarr, .png or .npy")
    segment.add_argument("--probabilities", type=Path, metavar="FILE", help="write the network's numbers too")
    segment.add_argument("--confidence", type=Path, metavar="FILE", help="write the winning class's number too")
    disagree = "write the share of the models that say another class than their mean too"
    segment.add_argument("--disagreement", type=Path, metavar="FILE", help=disagree)
    segment.add_argument("--verify", action="store_true", help="compare with the patch model at 256 pixels too")
    batch.add_arguments(segment)
    add_overwrite(segment)
    segment.set_defaults(run=_segment)

    verify = commands.add_parser("verify", help="compare the result with the patch model itself")
    add_run_arguments(verify)
    verify.add_argument("--points", type=int, default=256, metavar="N", help="pixels to compare (256)")
    verify.add_argument("--seed", type=int, default=0, help="of their random choice (0)")
    certificate = verify.add_mutually_exclusive_group()
    where = "where the proof is kept (IMAGE.MODEL.certificate.json beside the image)"
    certificate.add_argument("--certificate", type=Path, metavar="FILE", help=where)
    certificate.add_argument("--no-certificate", action="store_true", help="print the result only")
    add_overwrite(verify, "replace an earlier certificate; never what is read")
    verify.set_defaults(run=_verify)

    demo = commands.add_parser("demo", help="segment a sample image, in napari where there is a display")
    demo.add_argument("--sample", default="cells", help="cells (default) or tissue")
    demo.add_argument("--output", type=Path, default=Path("demo"), metavar="FOLDER", help="for the pictures (demo)")
    demo.add_argument("--no-window", action="store_true", help="pictures only")
    add_overwrite(demo, "replace files of the same names that are of no earlier demo, too")
    demo.set_defaults(run=_demo)

    doctor = commands.add_parser("doctor", help="what there is to compute with, and why there is no GPU")
    cli_doctor.add_arguments(doctor)
    instances.add_arguments(commands.add_parser("instances", help="single objects among the labels of segment"))
    compare.add_arguments(commands.add_parser("compare", help="label maps with the right one, the best first"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
