"""``napari-fcnseg package``: a model's dense network for other programs, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.cli.arguments import add_overwrite, said
from napari_fcnseg.cli.exit_codes import OK
from napari_fcnseg.cli.inspect import steps_of

if TYPE_CHECKING:
    import argparse


def add_arguments(package: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    from napari_fcnseg.preprocess import STEPS, usage

    add = package.add_argument
    add("model", type=Path, metavar="MODEL", help="the patch model")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="a .zip file, such as nuclei.bioimage.zip")
    add("--licence", "--license", default="", metavar="NAME", help="for others, by its SPDX name: CC-BY-4.0, MIT, …")
    add("--author", action="append", default=[], metavar="NAME", help="who made the model; for several, say it again")
    add("--name", default="", help="of the model (as its sidecar or its file says)")
    add("--description", default="", metavar="TEXT", help="what it is for (as its sidecar says)")
    image = (
        "the middle of it becomes the test image, which others can see (random numbers); one file, or one per channel"
    )
    add("--image", nargs="+", metavar="IMAGE", help=image)
    add("--channel-axis", type=int, metavar="AXIS", help="axis of the image that holds the channels")
    steps = f"as the model's sidecar says, or a sample's catalogue; else none, or {', '.join(map(usage, STEPS))}"
    add("--preprocess", action="append", nargs="+", metavar="STEP", help=steps)
    add("--model-output", metavar="NAME", help="which output of a model with several (the first)")
    add("--patch-size", type=int, nargs="+", metavar="N", help="sizes of the patch, for a model that takes any")
    add("--quiet", action="store_true", help="no summary")
    add_overwrite(package, "replace an earlier package; never what is read")
    package.set_defaults(run=run_package)


def run_package(chosen: argparse.Namespace) -> int:
    """Write a package, and return the exit code."""
    from napari_fcnseg.engine import engine
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.model.patch_model import load_model
    from napari_fcnseg.package.writing import check_licence, write_package
    from napari_fcnseg.system.saving import COMMAND, Inputs, Plan

    check_licence(chosen.licence)
    images = list(map(Path, chosen.image or ()))
    plan = Plan((chosen.output,), Inputs([*images, chosen.model]), overwrite=chosen.overwrite, advice=COMMAND)
    plan.check_names()
    plan.check_free()
    engine().start_reference()
    model = load_model(chosen.model, chosen.model_output, patch_size=chosen.patch_size)
    image = said(read_image(chosen.image).for_model(model.channels)) if images else None
    steps = None
    if chosen.preprocess is not None:
        steps = steps_of([step for several in chosen.preprocess for step in several])
    axis = image.channel_axis if image is not None and chosen.channel_axis is None else chosen.channel_axis
    path = write_package(
        model, chosen.output, licence=chosen.licence, authors=chosen.author, channel_axis=axis, preprocess=steps,
        image=None if image is None else image.data, name=chosen.name, description=chosen.description,
        overwrite=chosen.overwrite,
    )  # fmt: skip
    if not chosen.quiet:
        print(f"{path}: the dense network as ONNX, found valid by bioimageio.spec, with its certificate.")
    return OK
