"""The command line: ``napari-fcnseg inspect | segment | teach | instances | verify | compare | package | gallery …``.

Exit codes: 0 all is well; 1 something does not fit, said in one line; 2 the command line itself was wrong; 3 the
verification found a difference; 130 stopped with Ctrl-C; 143 (129) told to end by SIGTERM (SIGHUP).
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from napari_fcnseg.cli import compare, gallery, instances, package, segment, teach, verify
from napari_fcnseg.cli import doctor as cli_doctor
from napari_fcnseg.cli.arguments import add_overwrite
from napari_fcnseg.cli.exit_codes import MISFIT, OK, STOPPED
from napari_fcnseg.cli.inspect import add_arguments
from napari_fcnseg.cli.signals import ToldToEnd, heeded
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    since = time.perf_counter()
    parser = _parser()
    chosen = parser.parse_args(arguments)
    chosen.since = since
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
    except BrokenPipeError:  # the reader of the output has gone, as in `… | head`
        sys.stderr.close()
        return OK


def _demo(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.cli import demo

    return demo.show(chosen.sample, chosen.output, window=not chosen.no_window, overwrite=chosen.overwrite)


class _Version(argparse.Action):
    """Prints the version, which takes a moment to look up."""

    def __call__(self, *_: object) -> None:
        from importlib.metadata import version

        print(f"napari-fcnseg {version('napari-fcnseg')}")
        sys.exit(OK)


class _Parser(argparse.ArgumentParser):
    """Says what people meet who name the models first."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        if "required: IMAGE" in message and self.prog.endswith(("segment", "verify")):
            message += ". What follows --model are models: name the images first, as in: image.tif --model cells.keras"
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="napari-fcnseg",
        description="Run a trained patch classifier densely over whole images: exact, fast, proven.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="which version this is")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="what becomes of each layer of a model, and its sidecar")
    add_arguments(inspect)

    segment.add_arguments(commands.add_parser("segment", help="segment an image, or all images in a folder"))
    verify.add_arguments(commands.add_parser("verify", help="compare the result with the patch model itself"))
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
    teach.add_arguments(commands.add_parser("teach", help="a patch model from strokes painted on images"))
    package.add_arguments(commands.add_parser("package", help="the dense network for other programs (bioimage.io)"))
    gallery.add_arguments(
        commands.add_parser("gallery", help="models of a folder and of a collection, and fetching one")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
