"""Dropping a model on the canvas hands it to the dock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What napari takes for "opened, and there is no layer to add".
NoLayers: TypeAlias = list[tuple[None]]

PLUGIN = "napari-fcnseg"
WIDGET = "Dense segmentation"

_ENDINGS = (".keras", ".onnx")
#: The file by which a SavedModel folder is recognised. Folders themselves are left to others: napari would ask which
#: program is to open each one that is dropped, whatever it holds.
_SAVED_MODEL = "saved_model.pb"


def get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], NoLayers] | None:
    """Return what opens model files, if these are."""
    paths = [path] if isinstance(path, str) else list(path)
    return open_in_dock if paths and all(map(_is_model, paths)) else None


def open_in_dock(path: str | Sequence[str]) -> NoLayers:
    """Open the dock with a model; files that are opened together become an ensemble."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        dock.drop_models([_model(p) for p in ([path] if isinstance(path, str) else path)])
    return [(None,)]


def _is_model(path: str) -> bool:
    return path.lower().endswith(_ENDINGS) or Path(path).name == _SAVED_MODEL


def _model(path: str) -> str:
    """Return the model's file, or the folder where that is the model."""
    return str(Path(path).parent) if Path(path).name == _SAVED_MODEL else path
