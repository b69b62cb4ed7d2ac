"""What was changed by hand in a layer of labels since the model gave them; nothing here knows Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari
import numpy as np

from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg.run.own_labels import count_edits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    from napari.layers import Layer

#: What the provenance calls it.
EDITED = "edited"
#: And, in the entry of objects, the pixels that were edited in the labels before the objects were found.
EDITED_LABELS = "edited_labels"
_own: WeakKeyDictionary[Layer, Callable[[], npt.NDArray[Any]]] = WeakKeyDictionary()


def keep_own(layer: Layer, own: Callable[[], npt.NDArray[Any]]) -> None:
    """Have the model's own labels of a layer known as long as the layer exists; ``own`` returns them, in its axes."""
    _own[layer] = own


def may_be_edited(layer: Layer) -> bool:
    """Whether the model's own labels of a layer are known."""
    return layer in _own


def edited_pixels(layer: Layer) -> int:
    """Return how many labels of a layer are not the model's own; 0 of a layer of which nobody knows.

    It looks at all of them, so call it in a worker.
    """
    return count_edits(layer.data, _own[layer]()) if layer in _own else 0


def with_edits(provenance: Mapping[str, Any], pixels: int) -> dict[str, Any]:
    """Return the provenance of labels of which so many were edited by hand, its certificate among it.

    Objects are edited as well where the labels were that they were found in.
    """
    pixels += (provenance.get("instances") or {}).get(EDITED_LABELS, 0)
    said = {name: value for name, value in provenance.items() if name != EDITED}
    certificate = said.get("certificate")
    if isinstance(certificate, dict):
        said["certificate"] = {**certificate, "edited_pixels": pixels}
    return {**said, EDITED: {"pixels": pixels}} if pixels else said


def pixels_in(provenance: Mapping[str, Any]) -> int:
    """Return how many pixels a provenance says were edited by hand."""
    entry = provenance.get(EDITED)
    pixels = entry.get("pixels") if isinstance(entry, dict) else 0
    return pixels if isinstance(pixels, int) else 0


def in_words(pixels: int) -> str:
    """Return an amount of edits as people say it."""
    return f"edited by hand ({pixels:,} px)"


def note_edits(layer: Layer, pixels: int) -> None:
    """Write into a layer how much of it was edited by hand."""
    entry = layer.metadata.get(METADATA)
    if isinstance(entry, dict) and (said := with_edits(entry, pixels)) != entry:
        layer.metadata[METADATA] = said


def layer_with(metadata: Any) -> Layer | None:
    """Return the layer of an open viewer that this very metadata is of: napari hands a writer no layer."""
    viewers = tuple(getattr(napari.Viewer, "_instances", ()))
    layers = (layer for viewer in viewers for layer in tuple(viewer.layers))
    return next((layer for layer in layers if layer.metadata is metadata), None)


def corrected(layer: Layer) -> npt.NDArray[Any]:
    """Return what somebody painted over the model's own labels of a layer, 0 elsewhere; call it in a worker."""
    data = np.asarray(layer.data)
    return np.where(data != _own[layer](), data, 0)
