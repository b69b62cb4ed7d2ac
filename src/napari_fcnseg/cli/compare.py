"""``napari-fcnseg compare``: label maps against one truth, the best one first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli import probability
from napari_fcnseg.cli.pixel_spacing import lengths
from napari_fcnseg.errors import ImageError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.comparison import Study
    from napari_fcnseg.imagefile import ImageFile


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
    add("--overwrite", action="store_true", help="replace earlier tables and pages; never what is read")
    probability.add_arguments(compare)
    compare.set_defaults(run=run_compare)


def run_compare(chosen: argparse.Namespace) -> int:
    """Compare each mask with the truth, print them ranked, and write what was asked for."""
    from napari_fcnseg.run.provenance_file import provenance_path
    from napari_fcnseg.system.saving import COMMAND, Inputs, Plan
    from napari_fcnseg.system.saving.texts import PAGE, SCORES, TABLE

    _check(chosen)
    read = [Path(name) for name in (chosen.truth, *chosen.masks, *chosen.probabilities)]
    written = tuple(path for path in (chosen.csv, chosen.json, chosen.report) if path is not None)
    inputs = Inputs([*read, *map(provenance_path, read)])
    with Plan(written, inputs, overwrite=chosen.overwrite, advice=COMMAND).claim():
        for path, kind in ((chosen.csv, TABLE), (chosen.json, SCORES), (chosen.report, PAGE)):
            if path is not None:
                kind.check(path)
        _compare(chosen)
    return 0


def _compare(chosen: argparse.Namespace) -> None:
    from napari_fcnseg.comparison import AUTO, CLASSES, INSTANCES, CompareSettings, placed, study
    from napari_fcnseg.comparison.report.html import write_report
    from napari_fcnseg.run.provenance_file import provenance_of_file

    kind = INSTANCES if chosen.instances else CLASSES if chosen.classes else AUTO
    settings = CompareSettings(kind, tuple(chosen.ignore), chosen.iou, chosen.tolerance, chosen.spatial)
    names = [chosen.truth, *chosen.masks]
    files = [_labels(name) for name in names]
    truth, *masks = (
        placed(name, file.data, lengths(name, file, files[0])) for name, file in zip(names, files, strict=True)
    )
    if chosen.probabilities:
        probability.run_probability(chosen, truth, files[0])
        return
    if not masks:
        raise SettingsError("There is nothing to compare with the truth. Name masks, or --probabilities MAP.")
    origins = [provenance_of_file(path) for path in map(Path, names)]
    unit = files[0].unit if files[0].pixel_size else ""
    found = study(truth, masks, settings, unit=unit, class_names=_class_names(origins), provenance=origins)
    _print(found)
    if chosen.csv is not None:
        found.save_csv(chosen.csv, overwrite=chosen.overwrite)
    if chosen.json is not None:
        found.save_json(chosen.json, overwrite=chosen.overwrite)
    if chosen.report is not None:
        write_report(chosen.report, found, overwrite=chosen.overwrite)


def _labels(name: str) -> ImageFile:
    """Return a label map as its file has it."""
    from napari_fcnseg.cli.arguments import said
    from napari_fcnseg.imagefile import read_image

    file = said(read_image([name], indices=True))
    if file.channel_axis is not None:
        raise ImageError(f"{name} has channels, and labels have none. Give labels, as segment writes them.")
    return file


def _class_names(origins: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Return what the labels are called, by the first provenance that says so."""
    found = (origin.get("class_names") for origin in origins)
    names = next((names for names in found if names and isinstance(names, list)), [])
    return {label: str(name) for label, name in enumerate(names, start=1)}


def _print(found: Study) -> None:
    from napari_fcnseg.cli.table import number, print_table, short_names

    scores = found.ranks if found.single else ("different", *found.ranks)
    ranked = found.ranked()
    rows = (
        (str(rank), name, *(number(entry.value(score)) for score in scores))
        for rank, (entry, name) in enumerate(zip(ranked, short_names([one.name for one in ranked]), strict=True), 1)
    )
    print_table(("", "mask", *(score.replace("_", " ") for score in scores)), rows, found.notes)


def _check(chosen: argparse.Namespace) -> None:
    """Check that the options fit together."""
    if chosen.probabilities:
        if chosen.masks:
            raise SettingsError("Compare masks, or maps of probabilities, not both at once: run it twice.")
        of_masks = {"--report": chosen.report, "--instances": chosen.instances, "--classes": chosen.classes,
                    "--tolerance": chosen.tolerance, "--spatial": chosen.spatial}  # fmt: skip
        if odd := [name for name, value in of_masks.items() if value not in (None, False)]:
            raise SettingsError(f"{odd[0]} is for masks, and nothing of maps of probabilities. Leave it out.")
    elif chosen.label is not None:
        raise SettingsError(
            "--label says which label each map of --probabilities is of. Name the maps, or leave it out."
        )
