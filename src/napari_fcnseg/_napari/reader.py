"""Opening a model in napari hands it to the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.readers.likely import likely_models

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What napari takes for "opened, and there is no layer to add".
NoLayers: TypeAlias = list[tuple[None]]

PLUGIN = "napari-fcnseg"
WIDGET = "Dense segmentation"


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], NoLayers] | None:
    """Return what opens models, if these are.

    The manifest asks for the endings that only models have. For folders and HDF5 files napari would ask which program
    is to open each one that is dropped, whatever it holds: those are for the open dock alone
    (:mod:`napari_fcnseg._napari.segment.models.drop`).
    """
    return open_in_dock if likely_models(_listed(path)) else None


def open_in_dock(path: str | Sequence[str]) -> NoLayers:
    """Open the dock with a model; files that are opened together become an ensemble."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        dock.drop_models(likely_models(_listed(path)))
    return [(None,)]


def _listed(path: str | Sequence[str]) -> list[str]:
    return [path] if isinstance(path, str) else list(path)
