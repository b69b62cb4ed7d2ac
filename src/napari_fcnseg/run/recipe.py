"""A script, a command line or settings from a result's provenance; each gives the same result again, bit for bit."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS
from napari_fcnseg.run.threshold import Threshold
from napari_fcnseg.samples.catalogue import SAMPLES
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.run.output_kinds import OutputKind

#: Settings that the command line has a flag of its own for, with as many words as there are numbers.
_NUMBERS = ("channel_axis", "every", "tile")
_SPANS = ("region", "frames")
_WORDS = ("border", "precision", "device", "method")
_TEXTS = ("preprocess", "ways")
_SHORT = 12  # digits of a hash that a sentence shows


@dataclass(frozen=True)
class Inputs:
    """Where the image and the mask of a run can be read again.

    Attributes
    ----------
    files : tuple of str
        The image: one file, or one per channel in the model's order.
    sample : str
        Name of the sample that the image is, instead of files.
    mask : str
        File whose numbers other than 0 are inside; empty for none.
    channel_axis : int or None
        Where the files have their channels; None for where the run's own image had them.
    """

    files: tuple[str, ...] = ()
    sample: str = ""
    mask: str = ""
    channel_axis: int | None = None


def settings_of(provenance: Mapping[str, Any], inputs: Inputs | None = None) -> RunSettings:
    """Return the settings that give a result again, with the tile and the devices that were really used.

    Parameters
    ----------
    provenance : mapping
        Of the result (:attr:`napari_fcnseg.Segmentation.provenance`).
    inputs : Inputs, optional
        Where the image comes from; the run's own image otherwise.

    Raises
    ------
    SettingsError
        If the provenance does not say enough, or says what no run can do.
    """
    try:
        settings = dict(provenance["settings"])
        every = settings.get("every", 1)
        settings["tile"] = tuple(int(n) * every for n in provenance["tile"])  # it is stored in output pixels
        settings["channel_axis"] = provenance["channel_axis"]
        if inputs is not None and inputs.channel_axis is not None:
            settings["channel_axis"] = inputs.channel_axis
        settings["device"] = ",".join(provenance.get("devices", ())) or settings.get("device")
        ways = tuple(model.get("ways", "") for model in provenance["models"])
        settings["ways"] = ways if any(ways) else None
        return RunSettings.from_dict(settings)
    except (KeyError, TypeError, ValueError):
        raise SettingsError(
            "The result does not say how it was made: its provenance is missing or was changed. Run again to get one."
        ) from None


def check_models(provenance: Mapping[str, Any], models: Sequence[PatchModel]) -> None:
    """Check that models are those that a result was made with.

    Raises
    ------
    SettingsError
        If there is another number of them, or one was changed since.
    """
    used = provenance.get("models", ())
    if len(used) != len(models):
        raise SettingsError(
            f"The result was made with {len(used)} models, not with {len(models)}. Choose the same ones."
        )
    for entry, model in zip(used, models, strict=True):
        if entry["sha256"] != model.sha256:
            raise SettingsError(
                f"The model {str(model.path or model.name)!r} is not the one that the result was made with: its sha256 "
                f"begins with {model.sha256[:_SHORT]}, then it was {entry['sha256'][:_SHORT]}. "
                "Get the old file back, or run again with the new one."
            )


def as_python(provenance: Mapping[str, Any], inputs: Inputs, output: str = "labels.tif") -> str:
    """Return a script that computes a result again and writes it.

    Parameters
    ----------
    provenance : mapping
        Of the result.
    inputs : Inputs
        Where the image is.
    output : str
        Of the labels, in the folder that the script runs in.

    Raises
    ------
    SettingsError
        If a model was read from no file, the mask is missing, or the provenance does not say enough.
    """
    settings = settings_of(provenance, inputs)
    models = models_of(provenance)
    mask = _mask(provenance, inputs)
    image_lines, image = _image_in_python(inputs, settings, provenance)
    threshold = Threshold.from_dict(provenance["threshold"]) if provenance.get("threshold") else None
    arguments = [f"{name}={value!r}" for name, value in _chosen(settings).items()]
    if threshold is not None and not settings.confidence:
        arguments.append("confidence=True")
    if "rescale" in provenance:
        arguments.append(f"rescale={tuple(provenance['rescale'])!r}")
    if mask is not None:
        image_lines.append(f"mask = read_image([{inputs.mask!r}]).data{_hash_comment(mask)}")
        arguments.append("mask=mask")
    files = [output, *(_beside(output, kind.name) for kind in _extras(settings))]
    lines = [
        f"# {_origin(provenance)}",
        "from pathlib import Path",
        "",
        "import napari_fcnseg as fcn",
        *_imports(inputs),
        *(["from napari_fcnseg.run.threshold import Threshold"] if threshold is not None else []),
        "",
        *(f"check_output(Path({name!r}))  # said now, not after the run" for name in files),
        *image_lines,
        "models = [",
        *(f"    fcn.load_model({_call(model['path'], model['output'])}),{_hash_comment(model)}" for model in models),
        "]",
        "result = fcn.segment(",
        *(f"    {argument}," for argument in (image, "models", *arguments)),
        ")",
        *_like(settings, models),
    ]
    labels = "result.labels"
    if threshold is not None:
        limits = f"Threshold({threshold.value!r}, {threshold.classes})"
        labels = f"{limits}.apply(result.labels, result.confidence)"
    lines.append(f"write_image(Path({output!r}), image.labelled({labels}))")
    for kind in _extras(settings):
        shown = "scored" if kind.per_class else "labelled"
        lines.append(f"write_image(Path({_beside(output, kind.name)!r}), image.{shown}(result.{kind.name}))")
    return "\n".join(lines) + "\n"


def as_command_line(
    provenance: Mapping[str, Any], inputs: Inputs, output: str = "labels.tif", *, windows: bool | None = None
) -> str:
    """Return a command that computes a result again and writes it.

    Parameters
    ----------
    provenance, inputs, output
        As for :func:`as_python`.
    windows : bool, optional
        Whether it is quoted for Windows; for this computer's system otherwise.

    Raises
    ------
    SettingsError
        As for :func:`as_python`; and if the image is in no file, or each model of an ensemble has another output.
    """
    settings = settings_of(provenance, inputs)
    models = models_of(provenance)
    if not inputs.files:
        raise SettingsError("The image is in no file. Save it, open the file and run again, or copy as Python.")
    if provenance.get("threshold"):
        raise SettingsError("The result has a threshold, which a command line cannot say. Copy as Python.")
    answers = {model["output"] for model in models}
    if len(answers) > 1:
        raise SettingsError("Each model gives another of its answers, which a command line cannot say. Copy as Python.")
    words = ["napari-fcnseg", "segment", *map(str, inputs.files)]
    for model in models:
        words += ["--model", model["path"]]
    if answers != {""}:
        words += ["--model-output", *answers]
    if "series" in provenance:
        words += ["--series", str(provenance["series"])]
    if "rescale" in provenance:
        words += ["--rescale", *map(str, provenance["rescale"])]
    chosen = _chosen(settings)
    if _mask(provenance, inputs) is not None:
        words += ["--mask", inputs.mask]
    for name, value in chosen.items():
        words += _flag(name, value)
    words += ["-o", output]
    for kind in _extras(settings):
        words += [f"--{kind.name}", _beside(output, kind.name)]
    windows = sys.platform == "win32" if windows is None else windows
    return subprocess.list2cmdline(words) if windows else shlex.join(words)


def _chosen(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that are not the default."""
    values = {field.name: (getattr(settings, field.name), field.default) for field in fields(settings)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _extras(settings: RunSettings) -> list[OutputKind]:
    return [kind for kind in EXTRA_OUTPUTS if kind.is_kept(settings)]


def _flag(name: str, value: Any) -> list[str]:
    """Return a setting as words of a command line."""
    flag = f"--{name.replace('_', '-')}"
    if name in _TEXTS:
        return [flag, *(value or ("none",))]
    if name in _NUMBERS:
        return [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    if name in _SPANS:
        return [flag, *(f"{start}:{stop}" for start, stop in value)]
    if name in _WORDS:
        return [flag, value]
    if name == "memory_limit":
        return [flag, repr(value / 2**20)]  # MiB; the division is exact
    assert name in {kind.name for kind in EXTRA_OUTPUTS}, f"the command line has no flag for {name}"
    return []  # given with the file that it is written to


def models_of(provenance: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a provenance says of each model: its ``path``, ``output``, ``sha256`` and more.

    Raises
    ------
    SettingsError
        If one was read from no file.
    """
    models = list(provenance.get("models", ()))
    for model in models:
        if not model["path"]:
            raise SettingsError(
                f"The model {model['name']!r} was read from no file, so that no script can name it. Save it as a file, "
                "choose that, and run again."
            )
    return models


def _mask(provenance: Mapping[str, Any], inputs: Inputs) -> Mapping[str, Any] | None:
    mask: Mapping[str, Any] | None = provenance.get("mask")
    if mask is not None and not inputs.mask:
        raise SettingsError(
            "The result was kept inside a region that is in no file. Save the region as a label image and run again."
        )
    return mask


def _origin(provenance: Mapping[str, Any]) -> str:
    versions = provenance.get("versions", {})
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"The same result again, bit for bit, with {programs} on {provenance.get('device')}."


def _imports(inputs: Inputs) -> list[str]:
    if not inputs.sample:
        return ["from napari_fcnseg.imagefile import check_output, read_image, write_image"]
    reading = "read_image, " if inputs.mask else ""
    return [
        f"from napari_fcnseg.imagefile import ImageFile, check_output, {reading}write_image",
        "from napari_fcnseg.samples import SAMPLES",
    ]


def _image_in_python(inputs: Inputs, settings: RunSettings, provenance: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the lines that read the image, and the expression that is its pixels."""
    if inputs.sample:
        sample = SAMPLES[inputs.sample]
        size = dict(zip("YX", sample.pixel_size or (), strict=False))
        unit = {"micrometer": "µm"}.get(sample.units, "")
        place = f", {size!r}, {unit!r}" if size else ""
        return [f"image = ImageFile(SAMPLES[{inputs.sample!r}].image(), 'YXC'{place})"], "image.data"
    if not inputs.files:
        raise SettingsError("The image is in no file. Save it, open the file and run again.")
    series = f", series={provenance['series']!r}" if "series" in provenance else ""
    lines = [f"image = read_image({list(map(str, inputs.files))!r}{series})"]
    axis = provenance["channel_axis"]
    channels = 1 if axis is None else provenance["image"]["shape"][axis]
    if channels in (1, 3):
        lines[0] += f".for_model({channels})"
    if settings.channel_axis is not None:
        lines[0] += f".with_channels_along({settings.channel_axis})"
    return lines, "image.data"


def _like(settings: RunSettings, models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the line that gives the image the pixel size of a result with fewer pixels."""
    return [f"image = image.sampled({settings.every}, {len(models[0]['patch_shape'])})"] if settings.every > 1 else []


def _call(path: str, output: str) -> str:
    return repr(path) + (f", output={output!r}" if output else "")


def _hash_comment(entry: Mapping[str, Any]) -> str:
    return f"  # sha256 {entry['sha256']}" if entry.get("sha256") else ""


def _beside(output: str, name: str) -> str:
    """Return the name of a file for another array of the result: ``"labels.tif"`` and ``"labels.confidence.tif"``."""
    stem, dot, ending = output.rpartition(".")
    return f"{stem}.{name}{dot}{ending}"
