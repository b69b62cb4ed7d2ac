"""Hints from a layer or a sample about its model: input, preprocessing, names of classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg.samples.catalogue import SAMPLES, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_fcnseg._napari.segment.models.memory import ModelMemory
    from napari_fcnseg.model.patch_model import PatchModel


@dataclass(frozen=True)
class ModelHints:
    """What a layer or a sample says about the model that fits it.

    Attributes
    ----------
    model : str
        Path of the model file; empty if unknown.
    preprocess : tuple of str
        Steps the image goes through before the model.
    channel_names, class_names, class_colors : tuple of str
        In the model's order; empty where unknown.
    hidden : tuple of int
        Labels of classes that results do not show.
    """

    model: str = ""
    preprocess: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    class_colors: tuple[str, ...] = ()
    hidden: tuple[int, ...] = ()

    def metadata(self) -> dict[str, Any]:
        """Return the entry for a layer's metadata that :func:`hints_of` reads."""
        return {METADATA: {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "hidden"}}

    def completed(self, model: PatchModel, memory: ModelMemory) -> ModelHints:
        """Return these hints, with what they leave open filled in from a model's sidecar, or from memory."""
        sidecar = model.sidecar
        names, colors = (sidecar.class_names, sidecar.class_colors) if sidecar is not None else ((), ())

        def first(*given: tuple[str, ...]) -> tuple[str, ...]:
            return next((each for each in given if len(each) == model.classes), given[-1])

        return replace(
            self,
            channel_names=self.channel_names or (sidecar.channel_names if sidecar is not None else ()),
            class_names=first(self.class_names, names, memory.class_names, model.class_names),
            class_colors=first(self.class_colors, colors, memory.class_colors, model.class_colors),
        )


def sample_hints(sample: Sample) -> ModelHints:
    """Return what a sample says about its model."""
    return ModelHints(
        str(sample.model_path), sample.preprocess, sample.channel_names, sample.class_names, sample.class_colors
    )


def hints_of(layer: Image | None) -> ModelHints | None:
    """Return what a layer says about its model; None if nothing, or nothing that makes sense."""
    entry = layer.metadata.get(METADATA) if layer is not None else None
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model"), str | os.PathLike):
        return None
    texts = {}
    for name in ("preprocess", "channel_names", "class_names", "class_colors"):
        value = entry.get(name, ())
        value = (value,) if isinstance(value, str) else value
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            return None
        texts[name] = tuple(value)
    return ModelHints(os.fspath(entry["model"]), **texts)


def hints_for(paths: Sequence[str], layers: Sequence[Image]) -> ModelHints:
    """Return what is known about chosen model files: a single sample model is known, and so is a layer's own."""
    if len(paths) == 1:
        known = [hints for layer in layers if (hints := hints_of(layer)) is not None]
        known += [sample_hints(sample) for sample in SAMPLES.values()]
        for hints in known:
            if os.path.abspath(hints.model) == os.path.abspath(paths[0]):
                return hints
    return ModelHints()
