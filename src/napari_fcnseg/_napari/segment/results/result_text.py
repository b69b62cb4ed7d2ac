"""A result in words: what it was made with; as a text that makes it again. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.axis_names import guessed_letters, letters_of
from napari_fcnseg._napari.layers.edits import in_words, pixels_in
from napari_fcnseg._napari.segment.run.messages import short_device
from napari_fcnseg.run.threshold import Threshold
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fcnseg._napari.segment.run.request import RunRequest

_HASH = 8  # digits that are shown


def describe_result(name: str, provenance: Mapping[str, Any]) -> str:
    """Return what a result is in a few words: how the image was prepared, whether it is whole, edited, checked."""
    precision = provenance.get("precision", "float32")
    parts = [steps_in_words(provenance), "" if precision == "float32" else precision]
    known = f": {' · '.join(filter(None, parts))}" if provenance.get("models") else ""
    sentences = [f"{name}{known}."]
    done, total = provenance.get("tiles", (0, 0))
    if done < total:
        sentences.append(f"Stopped: {done:,} of {total:,} tiles.")
    if threshold := provenance.get("threshold"):
        said = str(Threshold.from_dict(threshold))
        sentences.append(f"{said[:1].upper()}{said[1:]}.")
    if edited := pixels_in(provenance):
        sentences.append(f"{in_words(edited).capitalize()}.")
    certificate, whose = provenance.get("certificate"), " of the model's own labels" * bool(edited)
    if certificate is None and any(m.get("method") == "as it is" for m in provenance.get("models") or ()):
        sentences.append("Not converted, nothing to check.")
    elif certificate is None:
        sentences.append("Conversion not checked.")
    elif certificate["passed"]:
        sentences.append(f"Conversion{whose} checked.")
    elif certificate.get("label_agreement") == 1.0:
        sentences.append(f"Conversion check{whose} not passed: every label agrees, but numbers differ.")
    else:
        sentences.append(f"Conversion check{whose} FAILED.")
    return " ".join(sentences)


def made_with(provenance: Mapping[str, Any]) -> str:
    """Return what a result was made with: models and their hashes, device, time."""
    models = provenance.get("models", ())
    parts = [
        ", ".join(m["name"] for m in models),
        short_device(provenance.get("device") or ""),
        format_duration(provenance["seconds"]) if provenance.get("seconds") else "",
        ", ".join(f"sha256 {m['sha256'][:_HASH]}" for m in models if m.get("sha256")),
    ]
    return " · ".join(filter(None, parts))


def steps_in_words(provenance: Mapping[str, Any]) -> str:
    """Return how the image of a result was normalised."""
    return ", ".join((provenance.get("settings") or {}).get("preprocess") or ()) or "no normalisation"


def copy_result(
    write: Callable[..., str], provenance: Mapping[str, Any], request: RunRequest, samples: bool
) -> tuple[str, list[str]]:
    """Return a result as a text, and what the user should know of it; everything it names is found to be there."""
    from napari_fcnseg._napari.segment.results.inputs import inputs_of
    from napari_fcnseg.model.patch_model import load_model
    from napari_fcnseg.run.recipe import check_models, models_of

    check_models(provenance, [load_model(m["path"], m["output"] or None) for m in models_of(provenance)])
    inputs, notes = inputs_of(request, samples=samples)
    done, total = provenance.get("tiles", (0, 0))
    if done < total:
        notes.append(f"The run was stopped after {done} of {total} tiles; this computes all of them.")
    if edited := pixels_in(provenance):
        notes.append(f"The labels were {in_words(edited)}; this computes the model's own.")
    return write(provenance, inputs), notes


def find_inputs(request: RunRequest | None) -> dict[str, Any]:
    """Return where the image of a result can be read again, for its provenance, as far as it is in files."""
    from napari_fcnseg._napari.segment.results.inputs import inputs_of

    if request is None:
        return {}
    inputs, _ = inputs_of(request, save=False)
    return {"inputs": {"files": list(inputs.files), "sample": inputs.sample, "channel_axis": inputs.channel_axis}}


def with_axis_names(attributes: Mapping[str, Any], request: RunRequest | None, ndim: int) -> dict[str, Any]:
    """Return the state of a result's layer with the image's names of its axes, or what they are for the model."""
    if request is None:
        return dict(attributes)
    axes, image = request.source.axes, request.source.layers[0]
    letters = guessed_letters(axes, letters_of(image.axis_labels), rgb=image.rgb)
    known = [letter if len(letter) == 1 else "" for letter in letters]  # not what may be time or depth
    names = [known[axis] for axis in sorted(axes.result)]
    if request.spanned_axis is not None:
        names.insert(request.spanned_axis, "")
    return {**attributes, "axis_labels": names} if len(names) == ndim else dict(attributes)
