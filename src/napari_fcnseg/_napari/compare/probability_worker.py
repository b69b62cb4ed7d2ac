"""Find the layers that are probability maps, guess their classes, and score them. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels

from napari_fcnseg._napari.compare.placing import placed_layer
from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.geometry import geometry
from napari_fcnseg._napari.layers.metadata import METADATA, class_names, is_result
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from napari.layers import Layer

    from napari_fcnseg.comparison import Placed
    from napari_fcnseg.comparison.metrics.probability import ProbabilityScores
    from napari_fcnseg.system.saving import Plan

_NO_MAPS = tuple(f" · {kind.name}" for kind in EXTRA_OUTPUTS if not kind.per_class)  # ends of layers' names


@dataclass(frozen=True, eq=False)
class ProbabilityRequest:
    """Maps to compare with a truth, as they were when that was asked for.

    Attributes
    ----------
    truth : Placed
        Labels.
    layers : tuple of Image
        The layers of the maps.
    maps : tuple of (Placed, int)
        The maps, and the label of the truth that each foretells.
    """

    truth: Placed
    layers: tuple[Image, ...]
    maps: tuple[tuple[Placed, int], ...]

    @classmethod
    def of(cls, truth: Labels | None, chosen: Sequence[tuple[Image, int]]) -> ProbabilityRequest:
        """Take a snapshot.

        Raises
        ------
        SettingsError
            If there is no truth or no map.
        """
        if truth is None:
            raise SettingsError("There is no truth. Open a Labels layer, and choose it above under Masks as A.")
        if not chosen:
            raise SettingsError("No map was chosen. Check one at least: an Image layer with a class's probabilities.")
        maps = tuple((placed_layer(layer, truth.units), label) for layer, label in chosen)
        return cls(placed_layer(truth, truth.units), tuple(layer for layer, _ in chosen), maps)

    def scores(
        self, progress: Callable[[int, int], None]
    ) -> tuple[ProbabilityRequest, tuple[ProbabilityScores, ...], tuple[str, ...]]:
        """Return the request, its scores, and notes on what was done to the maps. Slow: call it in a worker."""
        from napari_fcnseg.comparison.metrics.probability import compare_probability

        found, notes = compare_probability(self.truth, self.maps, progress=progress)
        return self, found, tuple(dict.fromkeys((*notes, *(note for one in found for note in one.notes))))


def maps_among(layers: Iterable[Layer]) -> list[Image]:
    """Return the layers that may be maps of probabilities, those of runs first, the newest first."""
    images = [layer for layer in layers if isinstance(layer, Image) and not layer.rgb and _may_be(layer)]
    images.reverse()
    return sorted(images, key=lambda layer: not is_result(layer))


def _may_be(layer: Image) -> bool:
    return np.dtype(full_resolution(layer).dtype).kind == "f" and not layer.name.endswith(_NO_MAPS)


def is_likely(layer: Image) -> bool:
    """Return whether a map holds probabilities: one of a run, or one that is shown from 0 to 1 or less."""
    low, high = layer.contrast_limits
    return is_result(layer) or bool(low >= 0 and high <= 1)


def label_of(layer: Image, truth: Labels | None, maps: Sequence[Image]) -> int:
    """Return the label that a map most likely predicts: by the name of its class, else by its rank among the maps."""
    own = layer.name.rpartition("· ")[2].strip().lower()
    for label, name in (class_names(truth) if truth is not None else {}).items():
        if name.lower() == own:
            return label
    stem = layer.name.rpartition("· ")[0]
    fellows = [other for other in maps if stem and other.name.rpartition("· ")[0] == stem]
    return len(fellows) - next((i for i, other in enumerate(fellows) if other is layer), len(fellows) - 1)


def thresholded(layer: Image, scores: ProbabilityScores) -> Labels:
    """Return a layer with the label where a map reaches the best threshold. Slow: call it in a worker."""
    assert scores.best_threshold is not None, "asked for where there is one"
    data = np.where(np.asarray(full_resolution(layer)) >= scores.best_threshold, scores.label, 0)
    about = {"map": layer.name, "threshold": scores.best_threshold, "label": scores.label}
    kind = np.min_scalar_type(scores.label)
    name = f"{layer.name} ≥ {scores.best_threshold:.3g}"
    metadata = {METADATA: {"program": "napari-fcnseg", "thresholded": about}}
    return Labels(data.astype(kind), name=name, metadata=metadata, opacity=0.6, **geometry(layer))


def write_scores(plan: Plan, found: Sequence[ProbabilityScores], truth: str) -> Path:
    """Write the one file of a plan, as JSON or CSV by its ending, and return it.

    Raises
    ------
    OutputError
        If it cannot be written, or would be written over something that is not to be replaced.
    """
    from napari_fcnseg.comparison.metrics.probability import save_csv, save_json

    (path,) = plan.outputs
    with plan.claim():
        if path.suffix.lower() == ".json":
            save_json(path, found, truth, overwrite=plan.overwrite)
        else:
            save_csv(path, found, overwrite=plan.overwrite)
    return path
