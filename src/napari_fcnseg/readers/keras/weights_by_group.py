"""Arrays in groups that are named by class and counted (``layers/conv2d_1/vars/0``), whatever the user called a layer.

So does the ``model.weights.h5`` in a ``.keras`` file, and a weights-only file whose name ends in ``.weights.h5``.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER, LayerSpec, ModelSpec, Stored
from napari_fcnseg.readers.keras.shared_layers import first_listing

if TYPE_CHECKING:
    from napari_fcnseg.readers.guard.hdf5 import Hdf5
    from napari_fcnseg.readers.keras.architecture import Architecture
    from napari_fcnseg.readers.weights import StoredArray

#: tf.keras 2.12 and 2.13 kept the layers under this name, and counted those with arrays twice.
OLD_GROUP: Final = "_layer_checkpoint_dependencies"
_GROUP: Final = "layers"
#: What a wrapper calls the layer in it.
_WRAPPED: Final = "layer"


def stored_in_groups(arrays: Hdf5, architecture: Architecture) -> Stored:
    """Give the function that finds a leaf's arrays.

    Parameters
    ----------
    arrays : Hdf5
        The open file of arrays.
    architecture : Architecture
        What the file says of the layers.

    Returns
    -------
    callable
        Leaf -> its arrays.
    """
    first = first_listing(architecture.model)
    groups = _Groups(arrays, first).groups_of(architecture.model)

    def stored(leaf: LayerSpec) -> list[StoredArray]:
        # A shared layer is saved once, where it is listed first.
        return _arrays(arrays, groups[leaf], leaf) or _arrays(arrays, groups[first[leaf]], leaf)

    return stored


class _Groups:
    def __init__(self, arrays: Hdf5, first: dict[LayerSpec, LayerSpec]) -> None:
        self._arrays = arrays
        self._first = first
        self._old = OLD_GROUP in arrays.keys()
        self._groups: dict[LayerSpec, tuple[str, ...]] = {}

    def groups_of(self, model: ModelSpec) -> dict[LayerSpec, tuple[str, ...]]:
        self._walk(model, ())
        return self._groups

    def _walk(self, model: ModelSpec, prefix: tuple[str, ...]) -> bool:
        """Name the groups of a model's layers; say whether any has arrays."""
        children = [child for child in model.children if not (isinstance(child, LayerSpec) and child.is_operation)]
        if model.kind == "Sequential" and children and children[0].layer_type == INPUT_LAYER:
            children = children[1:]
        used: Counter[str] = Counter()
        filled = False
        for child in children:
            stem = _snake_case(child.layer_type if isinstance(child, ModelSpec) else child.written_type)
            group = (*prefix, OLD_GROUP if self._old else _GROUP, f"{stem}_{used[stem]}" if used[stem] else stem)
            if isinstance(child, ModelSpec):
                owns = self._walk(child, group)
            else:
                self._groups[child] = (*group, _WRAPPED) if child.wrapped else group
                owns = self._old and self._owns(child)
            used[stem] += 2 if self._old and owns else 1
            filled |= owns
        return filled

    def _owns(self, leaf: LayerSpec) -> bool:
        listed = (self._groups[leaf], self._groups.get(self._first[leaf], self._groups[leaf]))
        return any(self._arrays.keys(*group, "vars") for group in listed)


def _snake_case(name: str) -> str:
    """Turn a class name into a group's name exactly as Keras does."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _arrays(arrays: Hdf5, group: tuple[str, ...], leaf: LayerSpec) -> list[StoredArray]:
    path = (*group, "vars")
    found = arrays.text("name", *path)
    if found is not None and found != leaf.name and not leaf.wrapped:
        raise UnreadableError(
            f"its arrays are labelled {found[:60]!r}: the description and the arrays do not belong together"
        )
    keys = arrays.keys(*path)
    if keys != {str(number) for number in range(len(keys))}:
        raise UnreadableError("its arrays are not numbered as Keras numbers them")
    stored = (arrays.array(None, *path, str(number)) for number in range(len(keys)))
    return [array for array in stored if array is not None]
