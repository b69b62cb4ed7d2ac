"""Dropping a model on the canvas hands it to the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What napari takes for "opened, and there is no layer to add".
NoLayers: TypeAlias = list[tuple[None]]

PLUGIN = "napari-fcnseg"
WIDGET = "Dense segmentation"


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], NoLayers] | None:
    """Return what opens model files, if these are."""
    paths = [path] if isinstance(path, str) else list(path)
    return open_in_dock if paths and all(p.lower().endswith(".keras") for p in paths) else None


def open_in_dock(path: str | Sequence[str]) -> NoLayers:
    """Open the dock with a model; files that are opened together become an ensemble."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        dock.drop_models([path] if isinstance(path, str) else list(path))
    return [(None,)]
