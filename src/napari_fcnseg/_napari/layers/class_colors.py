"""Colours and names of the classes in a Labels layer. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

#: Of pixels of which a model is not sure enough.
UNSURE = "#ff66ff"


def class_look(names: Sequence[str], colors: Sequence[str], hidden: Sequence[int] = ()) -> dict[str, Any]:
    """Return the arguments that name the classes in a labels layer, and colour them where each has a colour."""
    look: dict[str, Any] = {"features": {"index": list(range(len(names) + 1)), "class": ["not labelled", *names]}}
    if len(colors) == len(names):
        look["colormap"] = class_colormap(colors, hidden)
    return {**look, "opacity": 0.5}


def restyle(layer: Labels, names: Sequence[str], colors: Sequence[str], hidden: Sequence[int] = ()) -> None:
    """Give a layer of labels names and colours: label 1 is the first class."""
    features = layer.features.copy()
    features["class"] = [features["class"].iloc[0], *names]
    layer.features = features
    if colors:
        recolour(layer, colors, hidden)


def recolour(layer: Labels, colors: Sequence[str], hidden: Sequence[int]) -> None:
    """Give a layer of labels the colours of its classes, those that are hidden none; a veil over the rest stays."""
    old = dict(layer.colormap.color_dict) if isinstance(layer.colormap, DirectLabelColormap) else {}
    new = class_colormap(colors, hidden, old.get(0, "transparent"))
    more = {label: color for label, color in old.items() if label is not None and label > len(colors)}
    layer.colormap = DirectLabelColormap(color_dict={**new.color_dict, **more}) if more else new


def class_colormap(colors: Sequence[str], hidden: Sequence[int] = (), rest: Any = "transparent") -> DirectLabelColormap:
    """Return the colours of labels: 1 is the first class, 0 is not labelled."""
    table: dict[int | None, Any] = {None: "transparent", 0: rest}
    table.update(enumerate(colors, start=1))
    table.update(dict.fromkeys(hidden, "transparent"))
    return DirectLabelColormap(color_dict=table)


def with_unsure(colormap: Any, label: int) -> Any:
    """Return the colours of classes with one for unsure pixels."""
    if not isinstance(colormap, DirectLabelColormap) or label in colormap.color_dict:
        return colormap
    return DirectLabelColormap(color_dict={**colormap.color_dict, label: UNSURE})


def is_classes(layer: Labels, count: int) -> bool:
    """Whether the labels of a layer are so many classes, and no instances."""
    return list(layer.features.get("index", ())) == list(range(count + 1)) and "class" in layer.features
