"""``napari-fcnseg teach``: strokes on images into a patch model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli.arguments import add_overwrite, said
from napari_fcnseg.cli.exit_codes import OK
from napari_fcnseg.cli.inspect import steps_of
from napari_fcnseg.cli.progress import progress_bar

if TYPE_CHECKING:
    import argparse

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.system.saving import Plan


def add_arguments(teach: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    from napari_fcnseg.preprocess import STEPS, usage

    add = teach.add_argument
    add("image", nargs="+", metavar="IMAGE", help="one file per image, with all its channels")
    add("--strokes", type=Path, nargs="+", required=True, metavar="S", help="for each image where what was painted")
    add("--model", type=Path, metavar="M", help="the model to begin with (fixed filters)")
    add("-o", "--output", type=Path, required=True, metavar="MODEL", help="a new .keras file")
    steps = f"as the model's sidecar says; else {', '.join(map(usage, STEPS))}"
    add("--preprocess", action="append", nargs="+", metavar="STEP", help=steps)
    add(
        "--border", default="reflect", metavar="RULE", help="what surrounds an image: reflect, edge, constant (reflect)"
    )
    add("--class-names", nargs="+", default=(), metavar="NAME", help="of the classes (those of the model)")
    add("--class-colors", nargs="+", default=(), metavar="COLOUR", help="of the classes, #rrggbb (those of the model)")
    add("--channel-axis", type=int, metavar="AXIS", help="axis of the images that holds the channels")
    add("--no-turning", action="store_true", help="see strokes as they are alone, not turned and mirrored too; quicker")
    add("--all-layers", action="store_true", help="train the model's own layers too, not the last ones alone; minutes")
    add("--seed", type=int, default=0, metavar="N", help="the same seed and strokes give the same model (0)")
    add("--device", metavar="NAME", help="as for segment (the fastest)")
    add("--memory-limit", type=float, metavar="MIB", help="MiB that the computing process may take in all")
    add("--quiet", action="store_true", help="no progress, no summary")
    add_overwrite(teach, "replace an earlier model; never one that is read")
    teach.set_defaults(run=run_teach)


def run_teach(chosen: argparse.Namespace) -> int:
    """Teach a model, write it, and return the exit code."""
    from napari_fcnseg import preprocess
    from napari_fcnseg.errors import OutputError, SettingsError
    from napari_fcnseg.model.sidecar import sidecar_path
    from napari_fcnseg.system.saving import COMMAND, Inputs, Plan

    if chosen.preprocess is not None:
        preprocess.parse(steps_of([step for steps in chosen.preprocess for step in steps]))
    if len(chosen.strokes) != len(chosen.image):
        raise SettingsError(
            f"There are {len(chosen.image)} images and {len(chosen.strokes)} files of strokes. Give one for each image."
        )
    if chosen.output.suffix != ".keras":
        raise OutputError(f"A patch model is written as a .keras file: choose {chosen.output.stem}.keras.")
    models = [] if chosen.model is None else [chosen.model, sidecar_path(chosen.model)]
    read = Inputs([*map(Path, chosen.image), *chosen.strokes, *models])
    plan = Plan((chosen.output,), read, (sidecar_path(chosen.output),), overwrite=chosen.overwrite, advice=COMMAND)
    with plan.claim():
        model = _taught(chosen, plan)
        model.write_into(plan)
    if not chosen.quiet:
        print(_summary(chosen.output, model))
    return OK


def _taught(chosen: argparse.Namespace, plan: Plan) -> PatchModel:
    from napari_fcnseg.engine import engine
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.model.patch_model import load_model
    from napari_fcnseg.teaching.teach import teach

    engine().start_reference()
    base = None if chosen.model is None else load_model(chosen.model)
    if base is not None:
        plan.read(base.files)
    images = [said(read_image([name])) for name in chosen.image]
    if base is not None:
        images = [image.for_model(base.channels) for image in images]
    marks = [read_image([name], indices=True).data for name in chosen.strokes]
    named = chosen.channel_axis if chosen.channel_axis is not None else images[0].channel_axis
    limit = int(chosen.memory_limit * 2**20) if chosen.memory_limit is not None else None
    steps: Any = None
    if chosen.preprocess is not None:
        steps = steps_of([step for several in chosen.preprocess for step in several])
    with progress_bar("Teaching", chosen.quiet, "%") as progress:
        return teach(
            [image.data for image in images], marks, base, channel_axis=named, preprocess=steps, border=chosen.border,
            class_names=chosen.class_names, class_colors=chosen.class_colors, device=chosen.device,
            memory_limit=limit, seed=chosen.seed, turned=not chosen.no_turning,
            all_layers=chosen.all_layers, progress=progress,
        )  # fmt: skip


def _summary(path: Path, model: PatchModel) -> str:
    assert model.sidecar is not None, "teaching made one"
    facts = model.sidecar.other["taught"]
    strokes, held = facts["strokes"], facts["held_out"]
    text = f"{path}: {model.classes} classes, taught on {strokes['pixels']:,} pixels of {strokes['count']:,} strokes."
    if "accuracy" in held:
        text += f" On strokes it did not learn from, {held['accuracy']:.1%} of the pixels are right."
    return text
