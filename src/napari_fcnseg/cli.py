"""The command line: ``napari-fcnseg inspect | segment | verify | demo | doctor``.

Exit codes: 0 all is well; 1 something does not fit, said in one line; 2 the command line itself was wrong; 3 the
verification found a difference; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from napari_fcnseg import cli_doctor
from napari_fcnseg.cli_inspect import add_arguments, steps_of
from napari_fcnseg.errors import FcnSegError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.run import Run
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.verification import Witness

OK, MISFIT, DIFFERENT, STOPPED = 0, 1, 3, 130  # and 2, argparse's own, for a wrong command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except FcnSegError as error:
        print(f"napari-fcnseg: {error}", file=sys.stderr)
        return MISFIT
    except MemoryError:
        print("napari-fcnseg: There is not enough memory. Choose a smaller image or --tile.", file=sys.stderr)
        return MISFIT
    except KeyboardInterrupt:
        print("napari-fcnseg: stopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader of our output has gone, as in `… | head`
        sys.stderr.close()
        return OK


def _segment(chosen: argparse.Namespace) -> int:
    from napari_fcnseg import cli_output
    from napari_fcnseg.canvas import finished_tiles
    from napari_fcnseg.imagefile import check_output
    from napari_fcnseg.run import Run
    from napari_fcnseg.verification import Witness

    settings = _settings(chosen, probabilities=chosen.probabilities is not None)
    outputs = [path for path in (chosen.output, chosen.probabilities) if path is not None]
    for path in outputs:
        check_output(path)
    image, models = _inputs(chosen)
    run = Run(image.data, models, _on_axis(settings, image))
    witness = Witness(run) if chosen.verify else None
    _foretell(run, chosen.quiet)
    canvas = cli_output.canvas_for(run, image, outputs)
    start = time.perf_counter()
    try:
        with _progress("Segmenting", chosen.quiet) as progress:
            for tile in finished_tiles(run):
                canvas.write(tile)
                if witness is not None:
                    witness.see(tile)
                progress(tile.done, tile.total)
        canvas.finish()
    except (FcnSegError, KeyboardInterrupt):
        canvas.abandon()
        if canvas.done:
            cli_output.write(canvas, image, list(map(cli_output.partial, outputs)))
            print(
                f"napari-fcnseg: {canvas.done} of {run.total} tiles are done and kept (*.partial.*).", file=sys.stderr
            )
        raise
    seconds = time.perf_counter() - start
    cli_output.write(canvas, image, outputs)
    if not chosen.quiet:
        written = " and ".join(map(str, outputs))
        print(f"{written}: {math.prod(run.result_shape):,} pixels in {seconds:.1f} s on {run.device}, tile {run.tile}.")
    return _prove(run.provenance(), witness, chosen.output, quiet=chosen.quiet)


def _foretell(run: Run, quiet: bool) -> None:
    """Say what arithmetic costs that is not exact, and how long it takes to run patch by patch."""
    from napari_fcnseg.estimation import estimate_run
    from napari_fcnseg.precision import try_run
    from napari_fcnseg.settings import EXACT

    if run.settings.precision != EXACT and not quiet:
        print(try_run(run), file=sys.stderr)
    if not quiet and any(way.method == "patchwise" for way in run.ways):
        print(estimate_run(run), file=sys.stderr)


def _prove(provenance: dict[str, Any], witness: Witness | None, output: Path, *, quiet: bool) -> int:
    """Write the provenance beside the labels, with the certificate if the run was verified."""
    from napari_fcnseg.jsonfile import write_json

    code = OK
    if witness is not None:
        verification = witness.testify()
        provenance = provenance | {"certificate": verification.certificate.as_dict()}
        code = OK if verification.passed else DIFFERENT
        if not quiet or code != OK:
            print(verification)
    write_json(output.with_name(f"{output.stem}.provenance.json"), provenance)
    return code


def _verify(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.canvas import finished_tiles
    from napari_fcnseg.run import Run
    from napari_fcnseg.verification import Witness

    settings = _settings(chosen)
    image, models = _inputs(chosen)
    written_to = _certificate_path(chosen, models)
    run = Run(image.data, models, _on_axis(settings, image))
    witness = Witness(run, chosen.points, chosen.seed)
    with _progress("Segmenting", chosen.quiet) as progress:
        for tile in finished_tiles(run):
            witness.see(tile)
            progress(tile.done, tile.total)
    verification = witness.testify()
    print(verification)
    if written_to is not None:
        print(f"Certificate: {verification.certificate.save(written_to)}")
    return OK if verification.passed else DIFFERENT


def _certificate_path(chosen: argparse.Namespace, models: Sequence[PatchModel]) -> Path | None:
    """Return where the certificate goes, found before a long run to be a place that can be written."""
    if chosen.no_certificate:
        return None
    image = Path(chosen.image[0])
    names = "+".join(model.name for model in models)[:80]
    path: Path = chosen.certificate or image.with_name(f"{image.stem}.{names}.certificate.json")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path} cannot be written. Choose another --certificate FILE, or --no-certificate.")
    return path


def _demo(chosen: argparse.Namespace) -> int:
    from napari_fcnseg import demo

    return demo.show(chosen.sample, chosen.output, window=not chosen.no_window)


def _inputs(chosen: argparse.Namespace) -> tuple[ImageFile, tuple[PatchModel, ...]]:
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.model import as_ensemble, load_model

    paths, output = _flat(chosen.model), chosen.model_output
    models = as_ensemble(paths if output is None else [load_model(path, output) for path in paths])
    return read_image(chosen.image).without_alpha(models[0].channels), models


def _settings(chosen: argparse.Namespace, **more: Any) -> RunSettings:
    from napari_fcnseg import preprocess
    from napari_fcnseg.settings import RunSettings

    steps = steps_of(_flat(chosen.preprocess)) if chosen.preprocess is not None else None
    preprocess.parse(steps or ())  # a mistyped step is said before a model or an image is read
    tile = tuple(chosen.tile) if chosen.tile and len(chosen.tile) > 1 else (chosen.tile or [None])[0]
    limit = int(chosen.memory_limit * 2**20) if chosen.memory_limit is not None else None
    return RunSettings(
        channel_axis=chosen.channel_axis, preprocess=steps, border=chosen.border, precision=chosen.precision,
        device=chosen.device, tile=tile, memory_limit=limit, method=chosen.method, every=chosen.every,
        region=chosen.region, **more,
    )  # fmt: skip


def _on_axis(settings: RunSettings, image: ImageFile) -> RunSettings:
    """Take the channel axis that the file names, unless the user named one."""
    from dataclasses import replace

    return settings if settings.channel_axis is not None else replace(settings, channel_axis=image.channel_axis)


def _span(text: str) -> tuple[int, int]:
    try:
        start, stop = map(int, text.split(":"))
    except ValueError:
        problem = f"{text!r} is not A:B, the first pixel and the one after the last"
        raise argparse.ArgumentTypeError(problem) from None
    return start, stop


def _flat(lists: Sequence[Sequence[str]] | None) -> list[str]:
    return [item for several in lists or () for item in several]


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-fcnseg",
        description="Run a trained patch classifier densely over whole images: exact, fast, proven.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="what becomes of each layer of a model, and its sidecar")
    add_arguments(inspect)

    segment = commands.add_parser("segment", help="segment an image")
    _add_run_arguments(segment)
    segment.add_argument("-o", "--output", type=Path, required=True, metavar="LABELS", help=".tif, .zarr, .png or .npy")
    segment.add_argument("--probabilities", type=Path, metavar="FILE", help="write the network's numbers too")
    segment.add_argument("--verify", action="store_true", help="compare with the patch model at 256 pixels too")
    segment.set_defaults(run=_segment)

    verify = commands.add_parser("verify", help="compare the result with the patch model itself")
    _add_run_arguments(verify)
    verify.add_argument("--points", type=int, default=256, metavar="N", help="pixels to compare (256)")
    verify.add_argument("--seed", type=int, default=0, help="of their random choice (0)")
    certificate = verify.add_mutually_exclusive_group()
    where = "where the proof is kept (IMAGE.MODEL.certificate.json beside the image)"
    certificate.add_argument("--certificate", type=Path, metavar="FILE", help=where)
    certificate.add_argument("--no-certificate", action="store_true", help="print the result only")
    verify.set_defaults(run=_verify)

    demo = commands.add_parser("demo", help="segment a sample image, in napari where there is a display")
    demo.add_argument("--sample", default="cells", help="cells (default) or tissue")
    demo.add_argument("--output", type=Path, default=Path("demo"), metavar="FOLDER", help="for the pictures (demo)")
    demo.add_argument("--no-window", action="store_true", help="pictures only")
    demo.set_defaults(run=_demo)

    doctor = commands.add_parser("doctor", help="what there is to compute with, and why there is no GPU")
    cli_doctor.add_arguments(doctor)
    return parser


def _add_run_arguments(command: argparse.ArgumentParser) -> None:
    from napari_fcnseg.preprocess import STEPS, usage
    from napari_fcnseg.settings import EXACT, METHODS, PRECISIONS
    from napari_fcnseg.tiling import BORDERS

    steps = f"as the model's sidecar says; else none, or {', '.join(map(usage, STEPS))}"
    add = command.add_argument
    add("image", nargs="+", metavar="IMAGE", help="one file, or one per channel in the order the model wants")
    add("--model", action="append", nargs="+", required=True, metavar="M", help="several are averaged")
    add("--model-output", metavar="NAME", help="which answer of a model with several (the first)")
    add("--preprocess", action="append", nargs="+", metavar="STEP", help=steps)
    add("--border", default="reflect", metavar="RULE", help=f"what surrounds the image: {', '.join(BORDERS)} (reflect)")
    add("--method", default="auto", metavar="NAME", help=f"{', '.join(METHODS)}; all are exact (auto: the quicker)")
    add("--every", type=int, default=1, metavar="N", help="label only every N-th pixel along each axis (1)")
    add("--region", type=_span, nargs="+", metavar="A:B", help="label only these pixels, one A:B per axis")
    add("--tile", type=int, nargs="+", metavar="N", help="largest tile in pixels, for all axes or per axis")
    add("--channel-axis", type=int, metavar="AXIS", help="axis of the image that holds the channels")
    devices = "CPU, GPU, GPU:1, torch:GPU, jax:GPU, GPU:0,GPU:1, all (the fastest); doctor lists them"
    add("--device", metavar="NAME", help=devices)
    exact = "float32 is exact; tf32, bfloat16 and float16 are tried on this image first and compared with it"
    add("--precision", default=EXACT, metavar="NAME", help=f"{', '.join(PRECISIONS)} ({EXACT}): {exact}")
    add("--memory-limit", type=float, metavar="MIB", help="MiB that the computing process may take in all")
    add("--quiet", action="store_true", help="no progress, no summary")


if __name__ == "__main__":
    sys.exit(main())
