"""Layers that a description lists several times because several models use them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fcnseg.readers.keras.architecture import LayerSpec, ModelSpec


def first_listing(model: ModelSpec) -> dict[LayerSpec, LayerSpec]:
    """Find for every leaf the first listing of the same layer.

    Keras marks a later listing with a ``shared_object_id`` but may leave the first one without: that is then the
    leaf before it with the same name, class and settings.

    Parameters
    ----------
    model : ModelSpec
        The outermost model.

    Returns
    -------
    dict
        Leaf -> the first listing of the same layer, which is most often the leaf itself.
    """
    by_id: dict[int, LayerSpec] = {}
    by_settings: dict[tuple[str, str, str], LayerSpec] = {}
    first: dict[LayerSpec, LayerSpec] = {}
    for leaf in model.leaves():
        same = leaf
        alike = leaf.name, leaf.layer_type, json.dumps(_settings(leaf.stored.get("config")), sort_keys=True)
        if leaf.shared_id is not None:
            same = by_id.setdefault(leaf.shared_id, by_settings.get(alike, leaf))
        by_settings.setdefault(alike, leaf)
        first[leaf] = same
    return first


def _settings(value: Any) -> Any:
    """Leave out the numbers that mark shared objects."""
    if isinstance(value, list):
        return [_settings(item) for item in value]
    if isinstance(value, dict):
        return {key: _settings(item) for key, item in value.items() if key != "shared_object_id"}
    return value
