"""Arrays listed by name for each layer of the outermost model (``layer_names``, ``weight_names``), as in ``.h5`` files.

A model inside the model has one list for all its layers: first what can be trained, then the rest, so that it takes
the settings of every layer in it to tell whose an array is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.keras.architecture import TENSORFLOW_OPERATIONS, Generation, LayerSpec, ModelSpec, Stored
from napari_fcnseg.readers.keras.layers import is_known
from napari_fcnseg.readers.keras.shared_layers import first_listing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fcnseg.readers.guard.hdf5 import Hdf5
    from napari_fcnseg.readers.keras.architecture import Architecture
    from napari_fcnseg.readers.weights import StoredArray

#: What a wrapper keeps beside the arrays of the layer in it.
WRAPPERS_OWN: Final = ("vector_u", "sn_u")
#: One array: whose it is, and the how-manieth of that leaf.
_Item = tuple[LayerSpec, int]


def stored_in_lists(content: Hdf5, architecture: Architecture, *root: str) -> Stored:
    """Give the function that finds a leaf's arrays.

    Parameters
    ----------
    content : Hdf5
        The open file.
    architecture : Architecture
        What the file says of the layers.
    *root : str
        The group in which the layers lie: ``"model_weights"`` in a whole model, none in a weights-only file.

    Returns
    -------
    callable
        Leaf -> its arrays.
    """
    first = first_listing(architecture.model)
    shared_out: dict[ModelSpec, dict[LayerSpec, list[StoredArray]]] = {}

    def stored(leaf: LayerSpec) -> list[StoredArray]:
        top = architecture.model.children[leaf.index[0]]
        if isinstance(top, ModelSpec) and top in shared_out:  # its one list is read once, not for each of its layers
            found = shared_out[top]
            return found[first[leaf]] if first[leaf] in found else found[leaf]
        names, arrays = _listed(content, (*root, *top.name.split("/")))
        if isinstance(top, LayerSpec):
            return [array for array in arrays if array.name not in WRAPPERS_OWN] if top.wrapped else arrays
        shared_out[top] = _share_out(top, names, arrays, first, architecture.generation)
        return stored(leaf)

    return stored


def _listed(content: Hdf5, group: tuple[str, ...]) -> tuple[list[str], list[StoredArray]]:
    """Find a group's arrays: listed in its attributes, under names that may hold slashes."""
    names, arrays = list(content.names("weight_names", *group) or ()), []
    for name in names:
        parts = name.split("/")
        # Keras 2 ends its names in ":0", as TensorFlow did.
        array = content.array(parts[-1].split(":")[0], *group, *parts)
        if array is None:
            raise UnreadableError(f"its array {name[:60]!r} is missing from the file")
        arrays.append(array)
    return names, arrays


def _share_out(
    model: ModelSpec,
    names: list[str],
    arrays: list[StoredArray],
    first: dict[LayerSpec, LayerSpec],
    generation: Generation,
) -> dict[LayerSpec, list[StoredArray]]:
    """Tell whose the arrays in a model's list are."""
    order = _keras_2(model) if generation == 2 else _keras_3(model)
    items = list(dict.fromkeys((first[leaf], number) for leaf, number in order))
    if len(items) != len(names):
        # What looks like a second listing may be another layer of the same name.
        items = order
    if len(items) != len(names):
        raise UnreadableError(
            f"the file holds {len(names)} arrays for the model {model.name[:60]!r} inside it, but its layers have "
            f"{len(items)}"
        )
    leaf_names = {leaf.name for leaf in model.leaves()}
    found: dict[LayerSpec, list[tuple[int, StoredArray]]] = {leaf: [] for leaf in model.leaves()}
    for (leaf, number), name, array in zip(items, names, arrays, strict=True):
        owner = name.split("/")[-2:-1]
        if owner and owner[0] != leaf.name and owner[0] in leaf_names:
            raise UnreadableError(f"the file holds the array {name[:60]!r} where one of {leaf.name[:60]!r} belongs")
        found.setdefault(leaf, []).append((number, array))
    return {
        leaf: [array for _, array in sorted(pairs, key=_number) if not _is_wrapper_s(leaf, array)]
        for leaf, pairs in found.items()
    }


def _is_wrapper_s(leaf: LayerSpec, array: StoredArray) -> bool:
    return leaf.wrapped and array.name in WRAPPERS_OWN


def _number(pair: tuple[int, StoredArray]) -> int:
    return pair[0]


def _keras_2(model: ModelSpec) -> list[_Item]:
    trained, rest = _halves(model)
    return trained + rest


def _halves(child: LayerSpec | ModelSpec) -> tuple[list[_Item], list[_Item]]:
    """Give what can be trained and what cannot, as Keras 2 tells them apart."""
    if isinstance(child, LayerSpec):
        own, kept = _variables(child)
        trained, rest = _items(child, range(own)), _items(child, range(own, own + kept))
    else:
        halves = [_halves(inner) for inner in child.children]
        trained, rest = [i for t, _ in halves for i in t], [i for _, r in halves for i in r]
    return (trained, rest) if child.trainable else ([], trained + rest)


def _keras_3(model: ModelSpec) -> list[_Item]:
    trained, whole = [], []
    for leaf in model.leaves():
        own, kept = _variables(leaf)
        whole += _items(leaf, range(own + kept))
        if leaf.trainable:
            trained += _items(leaf, range(own))
    if not model.trainable:
        return whole
    return list(dict.fromkeys(trained + whole))


def _items(leaf: LayerSpec, numbers: Iterable[int]) -> list[_Item]:
    return [(leaf, number) for number in numbers]


def _variables(leaf: LayerSpec) -> tuple[int, int]:
    """Say how many arrays a leaf has that can be trained, and how many that cannot."""
    if leaf.wrapped:
        own, kept = _variables(replace(leaf, wrapped=False))
        return own, kept + 1
    config, kind = leaf.config, leaf.layer_type
    if leaf.is_operation or kind in TENSORFLOW_OPERATIONS:
        return 0, 0
    if not is_known(leaf):
        raise UnreadableError(
            f"its arrays cannot be told from those of the layer {leaf.name[:60]!r} ({kind[:60]}), which this program "
            "does not know",
            "Save the model as .keras (model.save('my_model.keras')), and open that file.",
        )
    bias = config.flag("use_bias", True)
    if kind.startswith("Separable"):
        return 2 + bias, 0
    if kind.startswith(("Conv", "Depthwise", "Dense", "TensorProd")):
        return 1 + bias, 0
    if kind in ("BatchNormalization", "SyncBatchNormalization", "LayerNormalization", "GroupNormalization"):
        scaled = config.flag("scale", True) + config.flag("center", True)
        statistics = 5 if config.raw("renorm") is True else 2
        return scaled, statistics if kind.endswith("BatchNormalization") else 0
    if kind == "Normalization":
        return 0, 0 if "mean" in config else 3
    return int(kind in ("PReLU", "LayerScale", "RMSNormalization")), 0
