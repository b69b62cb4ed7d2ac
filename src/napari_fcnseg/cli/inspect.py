"""``napari-fcnseg inspect``: what becomes of a model, and what its sidecar says; it can write the sidecar too."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from napari_fcnseg.errors import AS_IT_IS, SettingsError

if TYPE_CHECKING:
    import argparse

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.model.sidecar import Sidecar

#: Options that hold one entry per class or channel: as many words, or one with commas.
_LISTS = ("class_names", "class_colors", "channel_names")
_FIELDS = (*_LISTS, "preprocess", "pixel_size", "unit", "citation", "doi", "name", "description")


def add_arguments(inspect: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    inspect.add_argument("model", metavar="MODEL", help="a trained model's file or folder")
    inspect.add_argument("--model-output", metavar="NAME", help="which output of a model with several (the first)")
    size = "sizes of the patch, for a model that takes any; --write-sidecar keeps them"
    inspect.add_argument("--patch-size", type=int, nargs="+", metavar="N", help=size)
    inspect.add_argument("--json", action="store_true", help="report and sidecar as JSON")
    add = inspect.add_argument_group("sidecar (MODEL.fcnseg.json: what the model file cannot say)").add_argument
    add("--write-sidecar", action="store_true", help="write or update it with the options below")
    add("--class-names", nargs="+", metavar="NAME", help="one per class: a,b,c or 'a' 'b' 'c'")
    add("--class-colors", nargs="+", metavar="COLOR", help="one per class, as #0072b2")
    add("--channel-names", nargs="+", metavar="NAME", help="one per channel")
    add("--preprocess", nargs="+", metavar="STEP", help="steps that an image goes through before the model, or none")
    add("--pixel-size", metavar="SIZE", help="of the images it was trained on: 0.65, or one per axis 2,0.65,0.65")
    add("--unit", help="of the pixel size: micrometer")
    add("--citation", metavar="TEXT", help="what to cite")
    add("--doi", help="of the citation")
    add("--name", help="of the model, for people")
    add("--description", metavar="TEXT", help="of the model, for people")
    add("--replace-sidecar", "--overwrite", action="store_true", help="replace a sidecar that cannot be read")
    inspect.set_defaults(run=inspect_model)


def inspect_model(chosen: argparse.Namespace) -> int:
    """Print what is known about a model; write its sidecar first if asked to."""
    from napari_fcnseg.model.patch_model import load_model

    model = load_model(
        chosen.model,
        chosen.model_output,
        patch_size=chosen.patch_size,
        ignore_sidecar=chosen.write_sidecar and _is_replaced(chosen),
    )
    given = [name for name in _FIELDS if getattr(chosen, name) is not None]
    if chosen.write_sidecar:
        _write(chosen, model)
    elif given:
        option = "--" + given[0].replace("_", "-")
        raise SettingsError(f"{option} is a field of the sidecar: add --write-sidecar to write it.")
    if chosen.json:
        sidecar = model.sidecar.as_dict() if model.sidecar is not None else None
        report = _as_it_is(model) if model.labels_every_pixel else model.fcn.report.as_dict()
        head = {"model": model.name, "sha256": model.sha256, "output": model.output, "outputs": list(model.outputs)}
        print(json.dumps({**head, **report, "sidecar": sidecar}, indent=1))
    else:
        _show(model, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, markup=False))
    return 0


def _show(model: PatchModel, console: Console) -> None:
    if model.labels_every_pixel:
        for line in (
            f"{model.name}: {model.channels} channel{'s' * (model.channels > 1)}, {model.classes} classes. {AS_IT_IS}",
            *model.source.notes,
        ):
            console.print(line, highlight=False)
    else:
        _show_report(model, console)
    path = model.sidecar_place
    if model.sidecar is None:
        console.print(
            f"No sidecar. Class names, colours and preprocessing can be kept in {path.name}: --write-sidecar.",
            highlight=False,
        )
        return
    console.print(f"Sidecar {path}", highlight=False, soft_wrap=True)
    console.print(str(model.sidecar), highlight=False, soft_wrap=True)
    for note in model.sidecar.notes:
        console.print(f"Note: {note}", highlight=False)


def _as_it_is(model: PatchModel) -> dict[str, Any]:
    """Return what is known of a model that is not converted, as plain data."""
    form = model.form
    known = {"channels": form.channels, "classes": form.classes, "halo": [n // 2 for n in form.patch_shape]}
    return {"labels_every_pixel": True, **known, "notes": [AS_IT_IS, *model.source.notes]}


def _show_report(model: PatchModel, console: Console) -> None:
    from napari_fcnseg.conversion.report import COLUMNS

    report = model.fcn.report
    table = Table(title=f"{model.name}: {model.channels} channel{'s' * (model.channels > 1)}, {model.classes} classes")
    numeric = {"channels", "FLOP/pixel"}
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in report.rows():
        table.add_row(*row)
    console.print(table)
    console.print(report.summary(), highlight=False)
    for note in report.notes:
        console.print(f"Note: {note}", highlight=False)


def _is_replaced(chosen: argparse.Namespace) -> bool:
    """Return whether the present sidecar cannot be read, and is to be replaced."""
    from napari_fcnseg.errors import ModelFileError
    from napari_fcnseg.model.sidecar import read_options

    try:
        read_options(chosen.model)
    except ModelFileError:
        return bool(chosen.replace_sidecar)
    return False


def _write(chosen: argparse.Namespace, model: PatchModel) -> None:
    from napari_fcnseg.errors import ModelFileError
    from napari_fcnseg.model.sidecar import blank, check, read_sidecar, write_sidecar

    numbers = {"classes": model.classes, "channels": model.channels, "spatial": len(model.patch_shape)}
    present: Sidecar | None = None
    try:
        present = read_sidecar(chosen.model, numbers["spatial"])
    except ModelFileError:
        if not chosen.replace_sidecar:
            raise
    start = present.for_output(model.output) if present is not None else model.own_sidecar or blank(**numbers)
    sidecar = replace(start, **_changes(chosen, start, numbers))
    if chosen.patch_size is not None:
        sidecar = replace(sidecar, patch_size=tuple(chosen.patch_size))
    check(sidecar, **numbers)
    if model.output:
        sidecar = _under_output(sidecar, model.output, present)
    write_sidecar(chosen.model, sidecar, replace_unreadable=chosen.replace_sidecar, files=model.files)


def _under_output(sidecar: Sidecar, output: str, present: Sidecar | None) -> Sidecar:
    """Keep the classes under the output they belong to, where a model has several."""
    from napari_fcnseg.model.sidecar import Classes

    outputs = {**sidecar.outputs, output: Classes(sidecar.class_names, sidecar.class_colors)}
    names, colors = (present.class_names, present.class_colors) if present is not None else ((), ())
    return replace(sidecar, outputs=outputs, class_names=names, class_colors=colors)


def _changes(chosen: argparse.Namespace, start: Sidecar, numbers: dict[str, int]) -> dict[str, Any]:
    """Return the fields that the options name, as a sidecar holds them."""
    from napari_fcnseg.model.sidecar import palette

    changes: dict[str, Any] = {key: _words(getattr(chosen, key)) for key in _LISTS if getattr(chosen, key) is not None}
    names = changes.get("class_names", ())
    nobodys = start.class_colors == palette(len(start.class_colors)) or len(start.class_colors) != len(names)
    if names and "class_colors" not in changes and nobodys:
        changes["class_colors"] = palette(len(names), names)
    for key in ("name", "description", "unit"):
        if getattr(chosen, key) is not None:
            changes[key] = getattr(chosen, key)
    if chosen.preprocess is not None:
        changes["preprocess"] = steps_of(chosen.preprocess)
    if chosen.pixel_size is not None:
        changes["pixel_size"] = _sizes(chosen.pixel_size, numbers["spatial"])
    if chosen.citation is not None or chosen.doi is not None:
        changes["cite"] = _cited(chosen, start)
    return changes


def steps_of(words: list[str]) -> tuple[str, ...]:
    """Return preprocessing steps; the word ``none`` alone means that there are none."""
    return () if [word.strip().lower() for word in words] == ["none"] else tuple(words)


def _words(words: list[str]) -> tuple[str, ...]:
    return tuple(word.strip() for word in (words[0].split(",") if len(words) == 1 else words))


def _sizes(text: str, spatial: int) -> tuple[float, ...]:
    try:
        sizes = tuple(float(number) for number in text.split(","))
    except ValueError:
        raise SettingsError(f"The pixel size is a number, or one per axis such as 0.65,0.65, not {text!r}.") from None
    return sizes * spatial if len(sizes) == 1 else sizes


def _cited(chosen: argparse.Namespace, start: Sidecar) -> tuple[Any, ...]:
    """Return the citations with the one that the options describe, which takes the place of the first."""
    from napari_fcnseg.model.sidecar import Citation

    first = start.cite[0] if start.cite else Citation("")
    text = chosen.citation if chosen.citation is not None else first.text
    doi = chosen.doi if chosen.doi is not None else first.doi
    return (replace(first, text=text or doi, doi=doi), *start.cite[1:])
