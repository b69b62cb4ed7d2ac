"""The files that layers were read from. Free of Qt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer


def path_of(layer: Layer) -> str:
    """Return the file that a layer, or the one that it was split from, was read from; empty if none is there."""
    source = layer.source
    parent = source.parent() if source.parent is not None else None
    path = source.path or (parent.source.path if parent is not None else None)
    return str(path) if path and os.path.exists(path) else ""


def folder_of(layers: Iterable[Layer]) -> Path:
    """Return the folder that the first of some layers was read from, else the user's own."""
    path = next(filter(None, map(path_of, layers)), "")
    return Path(path).parent if path else Path.home()
