"""What is known of a model besides what its own files say, for the package that is written of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.model.identity import sha256_of
from napari_fcnseg.model.sidecar import blank
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from napari_fcnseg.model.patch_model import PatchModel


def completed(model: PatchModel, **known: Any) -> PatchModel:
    """Return a model that says what its sidecar does not: what is known of it, else what a sample's catalogue says.

    Parameters
    ----------
    model : PatchModel
        The model. It stays as it is.
    **known
        Fields of a sidecar, in the model's order; empty where nothing is known.
    """
    own = model.sidecar
    start = own or replace(
        blank(classes=model.classes, channels=model.channels, spatial=len(model.patch_shape)),
        class_names=(), class_colors=(), channel_names=(),
    )  # fmt: skip
    facts = _of_sample(model) | {field: value for field, value in known.items() if value}
    if own is not None:  # one without steps or a size may mean that there are none
        facts = {f: value for f, value in facts.items() if f not in ("preprocess", "pixel_size", "unit")}
    more = {field: value for field, value in facts.items() if not getattr(start, field)}
    if not more:
        return model
    described = copy.copy(model)
    described.sidecar = replace(start, **more)
    return described


def _of_sample(model: PatchModel) -> dict[str, Any]:
    """Return what the catalogue says of a model that is a sample's, wherever its file lies."""
    for sample in SAMPLES.values():
        if model.sha256 and model.sha256 == sha256_of(sample.model_path, ()):
            facts = {name: getattr(sample, name) for name in ("class_names", "class_colors", "channel_names")}
            sized = {"pixel_size": sample.pixel_size, "unit": sample.units} if sample.pixel_size is not None else {}
            return {**facts, **sized, "preprocess": sample.preprocess}
    return {}
