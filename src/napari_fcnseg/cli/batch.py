"""``napari-fcnseg segment FOLDER -o FOLDER``: every image in a folder, or in a plate, with a line for each."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from napari_fcnseg.cli.exit_codes import DIFFERENT, MISFIT, OK
from napari_fcnseg.cli.instances import add_search_arguments, search_settings
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.settings import METHODS
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from napari_fcnseg.batch import Batch, ReportLine
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that a folder of images has, or a plate."""
    parser.add_argument(
        "--format", choices=("tif", "ome-zarr"), metavar="NAME",
        help="of a folder's results: tif (default) or ome-zarr",
    )  # fmt: skip
    patterns = "one file per channel: a pattern for each, in the model's order, such as '*_phase.tif' '*_dapi.tif'"
    parser.add_argument("--channels", nargs="+", metavar="PATTERN", help=patterns)
    parser.add_argument("--recursive", action="store_true", help="images in subfolders of the folder, too")
    parser.add_argument("--wells", nargs="+", metavar="WELL", help="of a plate only these, such as A1 B3 (all)")
    group = parser.add_argument_group("objects of the images of a folder or a plate")
    find = "find and measure objects of these classes (name or number) in each image; one table for all: objects.csv"
    group.add_argument("--objects", nargs="+", metavar="CLASS", help=find)
    group.add_argument(
        "--objects-method", metavar="NAME", help=f"{' or '.join(METHODS)} (watershed if there is an edge class)"
    )
    add_search_arguments(group)


def is_folder(chosen: argparse.Namespace) -> bool:
    """Whether one folder of images was given, or a plate for a plate of results, and not an image.

    Raises
    ------
    SettingsError
        If an image was, with options that only a folder has.
    """
    from napari_fcnseg.system.saving import ZARR, is_zarr

    path = Path(chosen.image[0])
    plate = _is_whole_plate(chosen)
    folder = len(chosen.image) == 1 and path.is_dir() and path.suffix.lower() != ZARR and not is_zarr(path)
    if chosen.wells is not None and not plate:
        raise SettingsError(
            "--wells is for a plate of OME-Zarr, all of whose fields go into another plate: -o NAME.zarr. Name one, or "
            "leave it out."
        )
    if plate:
        _check_plate(chosen)
        folder = True
    if not folder and (chosen.format is not None or chosen.recursive):
        raise SettingsError("--format and --recursive are for a folder of images. Name one, or leave them out.")
    if not folder and chosen.channels is not None:
        raise SettingsError("--channels is for a folder of images. For one image, name a file for each channel.")
    if not folder and chosen.objects is not None:
        raise SettingsError("--objects is for a folder or a plate. For one image, run instances on its labels.")
    if chosen.objects is None and (given := _objects_options(chosen)):
        raise SettingsError(f"{given} is about objects. Name their classes with --objects, or leave it out.")
    return folder


def _is_whole_plate(chosen: argparse.Namespace) -> bool:
    """Whether all fields of a plate are meant, and not one that ``--series`` or the result's name asks for."""
    from napari_fcnseg.imagefile.plates import is_plate
    from napari_fcnseg.system.saving import ZARR

    whole = chosen.series is None and chosen.output.suffix.lower() in ("", ZARR)
    return len(chosen.image) == 1 and whole and is_plate(Path(chosen.image[0]))


def _check_plate(chosen: argparse.Namespace) -> None:
    """Check that no option is about files."""
    for name, given in (("format", chosen.format), ("channels", chosen.channels), ("recursive", chosen.recursive)):
        if given and given != "ome-zarr":
            raise SettingsError(f"--{name} is for a folder of images, and a plate becomes a plate. Leave it out.")


def _objects_options(chosen: argparse.Namespace) -> str:
    """Return the first option about objects that was given, beside their classes; empty for none."""
    standard = {
        "objects_method": None, "edge": None, "minimum_size": 0, "fill_holes": 0, "connectivity": 1,
        "separation": None, "volume": False,
    }  # fmt: skip
    given = (name for name, usual in standard.items() if getattr(chosen, name) != usual)
    return next((f"--{name.replace('_', '-')}" for name in given), "")


def segment_folder(
    chosen: argparse.Namespace, settings: RunSettings, models: Callable[[], tuple[PatchModel, ...]]
) -> int:
    """Segment the images in a folder or a plate and return the exit code.

    Parameters
    ----------
    chosen : Namespace
        The command line.
    settings : RunSettings
        What it says of the runs.
    models : callable
        Reads the models, once the folders are found to be there.

    Raises
    ------
    FcnSegError
        If something does not fit that concerns all images.
    """
    from napari_fcnseg.batch import batch_on, images_in
    from napari_fcnseg.batch.plate_results import plate_report
    from napari_fcnseg.batch.report import folder_lock
    from napari_fcnseg.cli.arguments import say_channels
    from napari_fcnseg.system.saving import COMMAND

    _check(chosen)
    found = images_in(
        chosen.image[0], chosen.recursive, chosen.output, chosen.channels or (), chosen.wells or ()
    )  # fmt: skip
    folder = chosen.output if found.plate is None else plate_report(chosen.output, found.plate)
    if folder.is_dir():
        with folder_lock(folder):  # raises before models are read if another batch has the folder
            pass
    ensemble, objects = models(), None
    if found.items and found.items[0].more:
        say_channels([path.name for path in found.items[0].paths], ensemble[0], chosen.quiet)
    if chosen.objects is not None:
        objects = search_settings(chosen, chosen.objects, ensemble[0].class_names, chosen.objects_method)
    batch = batch_on(
        chosen.cluster, found.items, ensemble, settings, chosen.output,
        form=chosen.format or "tif", verify=chosen.verify, left_out=found.left_out, overwrite=chosen.overwrite,
        inputs=found.others, advice=COMMAND, series=chosen.series, rescale=chosen.rescale,
        objects=objects, volume=chosen.volume, plate=found.plate,
    )  # fmt: skip
    lines = _execute(batch, chosen.quiet)
    if any(line.status == "failed" for line in lines):
        return MISFIT
    return DIFFERENT if any(line.verified is False for line in lines) else OK


def _execute(batch: Batch, quiet: bool) -> list[ReportLine]:
    """Segment, print a line for each file, and at the end how many there were of which kind."""
    from napari_fcnseg.batch import ReportLine, summary

    lines: list[ReportLine] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    console = Console(stderr=True)
    console.quiet = quiet or not console.is_terminal  # rich before 14.3 ends even a bar that is not shown with a line
    bar = Progress(*columns, console=console, transient=True, disable=console.quiet)
    task = bar.add_task("", left="")
    try:
        with bar, closing(batch.execute()) as news:
            for entry in news:
                if isinstance(entry, ReportLine):
                    lines.append(entry)
                    if not quiet or entry.status == "failed" or entry.verified is False:
                        bar.stop()  # the bar is on another stream and would mix with the line
                        print(entry, flush=True)
                        bar.start()
                    continue
                share = entry.done / entry.total if entry.total else 0
                left = f"{format_duration(entry.seconds_left)} left" if entry.seconds_left is not None else ""
                bar.update(task, description=str(entry), total=entry.count, completed=entry.number + share, left=left)
    finally:
        if not quiet:
            count = len(batch.items) + len(batch.left_out)
            lines += [line for _, line in batch.late]
            where = f" Report: {batch.report}" if batch.report.is_file() else ""
            where += f", wells: {batch.wells}" if batch.wells is not None else ""
            where += f", objects: {batch.table}" if batch.table is not None else ""
            print(f"{summary(lines, count)}{where}", file=sys.stderr if len(lines) < count else sys.stdout)
    return lines


def _check(chosen: argparse.Namespace) -> None:
    """Check that the options fit a folder."""
    from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS

    for name in (kind.name for kind in EXTRA_OUTPUTS):
        path = getattr(chosen, name)
        if path is not None and path.resolve() != chosen.output.resolve():
            raise SettingsError(
                f"All results of many images go to one place. Write --{name} {chosen.output}, as for -o."
            )
    if chosen.mask is not None:
        raise SettingsError("A mask belongs to one image. Segment that image alone, or leave out --mask.")
