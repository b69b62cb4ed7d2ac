"""Colours and names of the classes in a Labels layer. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels


def class_look(names: Sequence[str], colors: Sequence[str]) -> dict[str, Any]:
    """Return the keyword arguments for a Labels layer that name its classes, and colour them if each has a colour."""
    look: dict[str, Any] = {"features": {"index": list(range(len(names) + 1)), "class": ["not predicted", *names]}}
    if len(colors) == len(names):
        look["colormap"] = class_colormap(colors)
    return {**look, "opacity": 0.5}


def restyle(layer: Labels, names: Sequence[str], colors: Sequence[str]) -> None:
    """Give a layer of labels names and colours: label 1 is the first class."""
    features = layer.features.copy()
    features["class"] = ["not predicted", *names]
    layer.features = features
    if colors:
        layer.colormap = class_colormap(colors)


def class_colormap(colors: Sequence[str]) -> DirectLabelColormap:
    """Return the colours of labels: 1 is the first class, 0 was not predicted."""
    table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    table.update(enumerate(colors, start=1))
    return DirectLabelColormap(color_dict=table)
