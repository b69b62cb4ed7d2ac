"""Files that open layers and chosen models come from; nothing is saved over them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

import napari

from napari_fcnseg.system.saving import Inputs, files_behind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari.layers import Layer

    from napari_fcnseg.model.patch_model import PatchModel


class Choice(Protocol):
    """What knows which models are chosen."""

    models: tuple[PatchModel, ...]
    wanted: tuple[str, ...]


_choices: WeakSet[Any] = WeakSet()


def watch_choice(choice: Choice) -> None:
    """Have a choice of models kept from being written over, as long as it is there."""
    _choices.add(choice)


def in_use() -> Inputs:
    """Return the files of all open layers and of all chosen models, with their sidecars."""
    return Inputs(paths_in_use())


def paths_in_use() -> tuple[str | Path, ...]:
    """Return the names of the same."""
    viewers = tuple(getattr(napari.Viewer, "_instances", ()))
    layers = [layer for viewer in viewers for layer in tuple(viewer.layers)]
    return (*(path for layer in layers for path in _files_of(layer)), *_model_files())


def _model_files() -> Iterator[str | Path]:
    from napari_fcnseg._napari.recent_models import recent
    from napari_fcnseg.model.sidecar import sidecar_path

    wanted = [path for choice in tuple(_choices) for path in choice.wanted]
    listed = [path for one in recent() for path in one.paths]
    for path in (*wanted, *listed):
        yield path
        yield sidecar_path(path)
    for choice in tuple(_choices):
        for model in choice.models:
            yield from model.files


def _files_of(layer: Layer) -> Iterator[str | Path]:
    """Yield what a layer was read from, and what its data are still read from."""
    with suppress(AttributeError, ReferenceError):
        source = layer.source
        parent = source.parent() if source.parent is not None else None
        for each in (source, parent.source if parent is not None else None):
            if each is not None and each.path:
                yield str(each.path)
    with suppress(Exception):  # whatever an array of another program does when it is looked at
        data: Any = layer.data
        yield from files_behind(*(list(data) if getattr(layer, "multiscale", False) else [data]))
