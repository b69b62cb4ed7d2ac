"""Metadata that this program writes into layers: provenance in the metadata, names of classes in the features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels, Layer


#: Key under which this program keeps what it has to say about a layer in the layer's metadata.
METADATA = "napari_fcnseg"
#: Metadata of a layer that is there for a moment only, to draw on.
TOOL = {METADATA: {"tool": True}}


def real(layer: Any) -> Any:
    """Return a layer itself: what napari hands to a plugin by a viewer's attributes is a stand-in, new each time."""
    return getattr(layer, "__wrapped__", layer)


def is_result(layer: Layer) -> bool:
    """Whether a layer was made by this program."""
    entry = layer.metadata.get(METADATA)
    return isinstance(entry, dict) and "program" in entry


def is_tool(layer: Layer) -> bool:
    """Whether a layer is one that somebody draws on for a moment: no part of what is segmented."""
    entry = layer.metadata.get(METADATA)
    return isinstance(entry, dict) and "tool" in entry


def shows_comparison(layer: Layer) -> bool:
    """Whether a layer shows a comparison: it is no result of a model, and nothing to compare or to count."""
    entry = layer.metadata.get(METADATA)
    return isinstance(entry, dict) and "comparison" in entry


def class_names(layer: Labels) -> dict[int, str]:
    """Return what the classes of a layer are called, by their numbers; empty if it does not say."""
    features = layer.features
    if not {"index", "class"} <= set(features):
        return {}
    pairs = zip(features["index"], features["class"], strict=True)
    return {int(index): str(name) for index, name in pairs if int(index) > 0}
