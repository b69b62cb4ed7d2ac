"""The arguments that ``segment`` and ``verify`` have in common, and what they are read into."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli.inspect import steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.saving import Inputs

#: What ``--cluster`` is, for ``--help``.
CLUSTER = "Dask scheduler whose workers compute, as it prints its address, or local:N for N processes"


def add_run_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options that name the image, the models and the settings."""
    from napari_fcnseg.arrays.border import BORDERS
    from napari_fcnseg.preprocess import STEPS, usage
    from napari_fcnseg.settings import EXACT, METHODS, PRECISIONS

    steps = f"as the model's sidecar says; else none, or {', '.join(map(usage, STEPS))}"
    add = command.add_argument
    images = (
        "one file, or one per channel in the order the model wants; Zarr also at an address on the web or on S3; "
        "segment takes a folder or a plate, too"
    )
    add("image", nargs="+", metavar="IMAGE", help=images)
    add("--model", action="append", nargs="+", required=True, metavar="M", help="several are averaged")
    add("--model-output", metavar="NAME", help="which output of a model with several (the first)")
    add("--patch-size", type=int, nargs="+", metavar="N", help="sizes of the patch, for a model that takes any")
    add("--preprocess", action="append", nargs="+", metavar="STEP", help=steps)
    add("--border", default="reflect", metavar="RULE", help=f"what surrounds the image: {', '.join(BORDERS)} (reflect)")
    add("--method", default="auto", metavar="NAME", help=f"{', '.join(METHODS)}; all are exact (auto: the quicker)")
    add("--every", type=int, default=1, metavar="N", help="label only every N-th pixel along each axis (1)")
    add("--region", type=_span, nargs="+", metavar="A:B", help="label only these pixels, one A:B per axis")
    add("--frames", type=_span, nargs="+", metavar="A:B", help="segment only these frames, one A:B per axis of a stack")
    add(
        "--mask",
        type=Path,
        metavar="FILE",
        help="label only where this image, as large as a frame or the stack, is not 0",
    )
    larger = "the model sees the image so many times as large (as its and the sidecar's pixel sizes say)"
    add("--rescale", type=float, nargs="*", metavar="F", help=larger)
    several = "which image of a file that holds several, from 0 (the largest)"
    add("--series", type=int, metavar="N", help=several)
    add("--tile", type=int, nargs="+", metavar="N", help="largest tile in pixels, for all axes or per axis")
    add("--channel-axis", type=int, metavar="AXIS", help="axis of the image that holds the channels")
    devices = "CPU, GPU, GPU:1, torch:GPU, jax:GPU, GPU:0,GPU:1, all (the fastest); doctor lists them"
    add("--device", metavar="NAME", help=devices)
    exact = "float32 is exact; tf32, bfloat16 and float16 are tried on this image first and compared with it"
    add("--precision", default=EXACT, metavar="NAME", help=f"{', '.join(PRECISIONS)} ({EXACT}): {exact}")
    ways = "how a processor computes convolutions and pools, as a provenance has it, for each model; or plain;"
    add("--ways", nargs="+", metavar="WAYS", help=f"{ways} the quickest if left out")
    add("--memory-limit", type=float, metavar="MIB", help="MiB that the computing process may take in all")
    add("--quiet", action="store_true", help="no progress, no summary")


def add_overwrite(command: argparse.ArgumentParser, what: str = "replace earlier results; never what is read") -> None:
    """Add ``--overwrite``."""
    command.add_argument("--overwrite", action="store_true", help=what)


def read_by(chosen: argparse.Namespace) -> Inputs:
    """Return the files that a run reads, as named on the command line; models add theirs once they are read."""
    from napari_fcnseg.model.sidecar import sidecar_path
    from napari_fcnseg.run.provenance_file import provenance_path
    from napari_fcnseg.system.saving import Inputs

    models = _flat(chosen.model)
    images = [Path(name) for name in (*chosen.image, *([chosen.mask] if chosen.mask is not None else []))]
    return Inputs([*images, *map(provenance_path, images), *models, *map(sidecar_path, models)])


def models_of(chosen: argparse.Namespace) -> tuple[PatchModel, ...]:
    """Read the models."""
    from napari_fcnseg.model.patch_model import as_ensemble, load_model

    paths, output, size = _flat(chosen.model), chosen.model_output, chosen.patch_size
    if output is None and size is None:
        return as_ensemble(paths)
    return as_ensemble([load_model(path, output, patch_size=size) for path in paths])


def inputs_of(
    chosen: argparse.Namespace, models: Sequence[PatchModel] | None = None
) -> tuple[ImageFile, tuple[PatchModel, ...]]:
    """Read the image and the models, unless those were read."""
    from napari_fcnseg.imagefile import read_image

    models = tuple(models) if models is not None else models_of(chosen)
    say_channels([Path(name).name for name in chosen.image], models[0], chosen.quiet)
    return said(read_image(chosen.image, chosen.series).for_model(models[0].channels)), models


def say_channels(called: Sequence[str], model: PatchModel, quiet: bool) -> None:
    """Print which file is which channel, and warn where the files' names say another order."""
    from napari_fcnseg.model.channels import order_notes

    named = model.sidecar.channel_names if model.sidecar is not None else ()
    which, warning = order_notes(named, called)
    for note in ("" if quiet else which, warning):
        if note:
            print(f"napari-fcnseg: {note}", file=sys.stderr)


def said(image: ImageFile) -> ImageFile:
    """Print what somebody might not expect of an image, be it asked for quiet or not; return it."""
    for note in image.notes:
        print(f"napari-fcnseg: {note}", file=sys.stderr)
    return image


def mask_of(chosen: argparse.Namespace) -> Any:
    """Return the mask's pixels, None if absent."""
    from napari_fcnseg.imagefile import read_image

    return read_image([chosen.mask], indices=True).data if chosen.mask is not None else None


def settings_of(chosen: argparse.Namespace, **more: Any) -> RunSettings:
    """Return the settings of a run."""
    from napari_fcnseg import preprocess
    from napari_fcnseg.settings import RunSettings

    steps = steps_of(_flat(chosen.preprocess)) if chosen.preprocess is not None else None
    preprocess.parse(steps or ())  # a mistyped step is said before a model or an image is read
    tile = tuple(chosen.tile) if chosen.tile and len(chosen.tile) > 1 else (chosen.tile or [None])[0]
    limit = int(chosen.memory_limit * 2**20) if chosen.memory_limit is not None else None
    return RunSettings(
        channel_axis=chosen.channel_axis, preprocess=steps, border=chosen.border, precision=chosen.precision,
        device=chosen.device, tile=tile, memory_limit=limit, method=chosen.method, every=chosen.every,
        region=chosen.region, frames=chosen.frames, ways=chosen.ways, **more,
    )  # fmt: skip


def on_axis(settings: RunSettings, image: ImageFile) -> RunSettings:
    """Take the channel axis that the file names, unless the user named one."""
    from dataclasses import replace

    return settings if settings.channel_axis is not None else replace(settings, channel_axis=image.channel_axis)


def rescaled(
    chosen: argparse.Namespace, image: ImageFile, models: Sequence[PatchModel], settings: RunSettings
) -> Rescaling | None:
    """Return how the image is rescaled for the models; without a wish for that, say where it might be wise.

    Raises
    ------
    SettingsError
        If a size of a pixel is missing, or that cannot be done with other settings.
    """
    from napari_fcnseg.run.rescaling import scaling_for

    scaling, note = scaling_for(chosen.rescale, image, models, settings, chosen.mask)
    if note:
        print(f"napari-fcnseg: {note}", file=sys.stderr)
    return scaling


def channels_note(image: ImageFile, axis: int | None) -> str:
    """Return what to say where an axis that the file calls something else is taken for the channels, or nothing."""
    if image.channel_axis is not None or axis is None or image.axes[axis] not in _CALLED:
        return ""
    return (
        f"The file calls axis {axis} {_CALLED[image.axes[axis]]}; it is taken for the channels, for it is as long as "
        "the model has channels. If it is not, give an image with channels."
    )


_CALLED = {"T": "time", "Z": "depth (z)"}


def _span(text: str) -> tuple[int, int]:
    try:
        start, stop = map(int, text.split(":"))
    except ValueError:
        problem = f"{text!r} is not A:B, the first one and the one after the last"
        raise argparse.ArgumentTypeError(problem) from None
    return start, stop


def _flat(lists: Sequence[Sequence[str]] | None) -> list[str]:
    return [item for several in lists or () for item in several]
