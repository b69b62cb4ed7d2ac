"""``napari-fcnseg compare``: label maps against one truth, the best one first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    import argparse

    from napari_fcnseg.comparison import Comparison
    from napari_fcnseg.imagefile import ImageFile

_CLASSES = ("mean_dice", "mean_jaccard", "accuracy", "kappa", "rand_error", "variation_of_information")
_OBJECTS = ("mean_average_precision", "average_precision", "panoptic_quality", "splits", "merges", "rand_error")


def add_arguments(compare: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = compare.add_argument
    add("truth", metavar="TRUTH", help="the labels that are right")
    add("masks", nargs="+", metavar="MASK", help="labels of the same shape")
    kind = compare.add_mutually_exclusive_group()
    kind.add_argument("--instances", action="store_true", help="labels are single objects (so for more than 64)")
    kind.add_argument("--classes", action="store_true", help="labels are classes")
    add("--ignore", type=int, nargs="+", default=[], metavar="N", help="leave the truth's pixels of these labels out")
    add("--iou", type=float, default=0.5, metavar="X", help="two objects are a pair from this overlap on (0.5)")
    add("--tolerance", type=float, metavar="X", help="of border scores, in the file's unit (0.75 %% of the diagonal)")
    add("--csv", type=Path, metavar="FILE", help="every score, one line each")
    add("--json", type=Path, metavar="FILE", help="every score, the confusion matrices and the objects")
    compare.set_defaults(run=run_compare)


def run_compare(chosen: argparse.Namespace) -> int:
    """Compare each mask with the truth, print them ranked, and write what was asked for."""
    from napari_fcnseg.comparison import compare, write_csv
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.jsonfile import write_json

    truth = _labels(chosen.truth, read_image([chosen.truth]))
    sizes = [truth.pixel_size.get(letter) for letter in truth.axes]
    spacing = [size for size in sizes if size] if all(sizes) else None
    single: bool | None = True if chosen.instances else False if chosen.classes else None
    done: list[tuple[str, Comparison]] = []
    for name in chosen.masks:
        mask = _labels(name, read_image([name]))
        found = compare(
            truth.data, mask.data, spacing=spacing, unit=truth.unit if spacing else "", ignore=chosen.ignore,
            instances=single, threshold=chosen.iou, tolerance=chosen.tolerance,
        )  # fmt: skip
        single = found.instances is not None  # one kind for all, or they could not be ranked
        done.append((name, found))
    done.sort(key=lambda item: -(_value(item[1], (_OBJECTS if single else _CLASSES)[0]) or 0))
    _print(done)
    if chosen.csv is not None:
        rows = [(name, *row) for name, found in done for row in found.rows()]
        write_csv(chosen.csv, [("mask", "of", "score", "value"), *rows])
    if chosen.json is not None:
        ranked = [{"mask": name, **found.as_dict()} for name, found in done]
        write_json(chosen.json, {"program": "napari-fcnseg", "truth": chosen.truth, "masks": ranked})
    return 0


def _labels(name: str, file: ImageFile) -> ImageFile:
    if file.channel_axis is not None:
        raise ImageError(f"{name} has channels, and labels have none. Give labels, as segment writes them.")
    return file


def _value(found: Comparison, score: str) -> float | int | None:
    """Return a score of a whole mask."""
    for source in (found.instances, found.instances and found.instances.at, found.overall, found):
        if source is not None and hasattr(source, score):
            value: Any = getattr(source, score)
            return None if value is None else value
    raise KeyError(score)


def _print(done: list[tuple[str, Comparison]]) -> None:
    from rich.console import Console
    from rich.table import Table

    scores = _CLASSES if done[0][1].instances is None else _OBJECTS
    table = Table("", "mask", *(score.replace("_", " ") for score in scores), box=None)
    for rank, (name, found) in enumerate(done, start=1):
        values = [_value(found, score) for score in scores]
        table.add_row(str(rank), Path(name).name, *("–" if n is None else f"{n:.4g}" for n in values))
    console = Console()
    console.print(table)
    for note in dict.fromkeys(note for _, found in done for note in found.notes):
        console.print(note, style="dim", highlight=False)
