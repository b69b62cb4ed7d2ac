"""``napari-fcnseg compare``: label maps against one truth, the best one first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg import cli_probability
from napari_fcnseg.errors import ImageError, SettingsError

if TYPE_CHECKING:
    import argparse

    from napari_fcnseg.comparison import Placed, Study


def add_arguments(compare: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = compare.add_argument
    add("truth", metavar="TRUTH", help="the labels that are right")
    add("masks", nargs="*", metavar="MASK", help="other labels; with pixels of another size where the files say so")
    kind = compare.add_mutually_exclusive_group()
    kind.add_argument("--instances", action="store_true", help="labels are single objects (so for more than 64)")
    kind.add_argument("--classes", action="store_true", help="labels are classes")
    add("--ignore", type=int, nargs="+", default=[], metavar="N", help="leave the truth's pixels of these labels out")
    add("--iou", type=float, default=0.5, metavar="X", help="two objects are a pair from this overlap on (0.5)")
    add("--tolerance", type=float, metavar="X", help="of border scores, in the file's unit (0.75 %% of the diagonal)")
    add("--spatial", type=int, metavar="N", help="so many last axes are space: 3 for a volume (2)")
    add("--csv", type=Path, metavar="FILE", help="every score, one line each")
    add("--json", type=Path, metavar="FILE", help="every score, the confusion matrices and the objects")
    add("--report", type=Path, metavar="FILE", help="one page with pictures and numbers of the best mask, as HTML")
    cli_probability.add_arguments(compare)
    compare.set_defaults(run=run_compare)


def run_compare(chosen: argparse.Namespace) -> int:
    """Compare each mask with the truth, print them ranked, and write what was asked for."""
    from napari_fcnseg.comparison import AUTO, CLASSES, INSTANCES, CompareSettings, study
    from napari_fcnseg.comparison.report import write_report

    kind = INSTANCES if chosen.instances else CLASSES if chosen.classes else AUTO
    settings = CompareSettings(kind, tuple(chosen.ignore), chosen.iou, chosen.tolerance, chosen.spatial)
    (truth, unit), *masks = (_labels(name) for name in (chosen.truth, *chosen.masks))
    if chosen.probabilities:
        if masks:
            raise SettingsError("Compare masks, or maps of probabilities, not both at once: run it twice.")
        cli_probability.run_probability(chosen, truth)
        return 0
    if not masks:
        raise SettingsError("There is nothing to compare with the truth. Name masks, or --probabilities MAP.")
    found = study(truth, [mask for mask, _ in masks], settings, unit=unit)
    _print(found)
    if chosen.csv is not None:
        found.save_csv(chosen.csv)
    if chosen.json is not None:
        found.save_json(chosen.json)
    if chosen.report is not None:
        write_report(chosen.report, found)
    return 0


def _labels(name: str) -> tuple[Placed, str]:
    """Return a label map that lies where its file says, and the unit of its lengths."""
    from napari_fcnseg.comparison import placed
    from napari_fcnseg.imagefile import read_image

    file = read_image([name])
    if file.channel_axis is not None:
        raise ImageError(f"{name} has channels, and labels have none. Give labels, as segment writes them.")
    sizes = [file.pixel_size.get(letter) or 1.0 for letter in file.axes]
    return placed(name, file.data, sizes), file.unit if file.pixel_size else ""


def _print(found: Study) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "mask", *(score.replace("_", " ") for score in found.ranks), box=None)
    for rank, entry in enumerate(found.ranked(), start=1):
        values = [entry.value(score) for score in found.ranks]
        table.add_row(str(rank), Path(entry.name).name, *("–" if n is None else f"{n:.4g}" for n in values))
    console = Console()
    console.print(table)
    for note in found.notes:
        console.print(note, style="dim", highlight=False)
