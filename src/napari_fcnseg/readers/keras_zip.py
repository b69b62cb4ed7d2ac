"""Keras's own format: a zip of ``config.json`` and ``model.weights.h5`` (Keras 3, and tf.keras 2.12 to 2.15)."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.readers import jsonsafe
from napari_fcnseg.readers.archive import Archive
from napari_fcnseg.readers.hdf5 import Hdf5
from napari_fcnseg.readers.keras_config import read_architecture
from napari_fcnseg.readers.keras_network import assemble
from napari_fcnseg.readers.layer import INPUT_LAYER
from napari_fcnseg.readers.problem import UnreadableError, within

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.layer import Architecture, Layer
    from napari_fcnseg.readers.weights import StoredArray

_CONFIG: Final = "config.json"
_ARRAYS: Final = "model.weights.h5"
#: tf.keras 2.12 and 2.13 kept the layers under this name, and counted those with arrays twice.
_OLD_GROUP: Final = "_layer_checkpoint_dependencies"


def read(file: BinaryIO) -> Network:
    """Read a ``.keras`` file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.

    Returns
    -------
    Network
        The network it holds.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        The file is damaged, or no such file.
    """
    archive = Archive(file)
    if not {_CONFIG, _ARRAYS} <= archive.names():
        raise _foreign(archive.names())
    with within("its description of the model"):
        model = jsonsafe.parse(archive.read(_CONFIG, jsonsafe.MAX_BYTES), _CONFIG)
        architecture = read_architecture(model)
    content = archive.read(_ARRAYS)
    with Hdf5(io.BytesIO(content), len(content)) as arrays:
        groups = _groups(architecture, arrays)
        return assemble(architecture, lambda layer: _stored(arrays, groups[layer.name], layer))


def _foreign(names: frozenset[str]) -> UnreadableError:
    if any(name.endswith("data.pkl") for name in names):
        return UnreadableError(
            "it is a PyTorch file, which can only be opened by running code from it",
            "Export the model with torch.onnx.export, or rebuild it in Keras and save it as .keras.",
        )
    if any(name.endswith("saved_model.pb") for name in names):
        return UnreadableError(
            "it is a zip archive around a TensorFlow SavedModel",
            "Load it with tf.keras where it was trained, save it with model.save('my_model.keras'), open that file.",
        )
    return UnreadableError(f"it is a zip archive without {_CONFIG!r} and {_ARRAYS!r}, so it is no Keras model")


def _groups(architecture: Architecture, arrays: Hdf5) -> dict[str, tuple[str, str]]:
    """Work out in which group each layer's arrays are: named by class and counted, whatever the user called them."""
    old = _OLD_GROUP in arrays.keys()
    top = _OLD_GROUP if old else "layers"
    entries = architecture.entries
    if architecture.kind == "Sequential" and entries[0].layer_type == INPUT_LAYER:
        entries = entries[1:]
    used: Counter[str] = Counter()
    groups = {}
    for entry in entries:
        stem = _snake_case(entry.layer_type)
        group = f"{stem}_{used[stem]}" if used[stem] else stem
        used[stem] += 2 if old and arrays.keys(top, group, "vars") else 1
        groups[entry.name] = (top, group)
    return groups


def _snake_case(name: str) -> str:
    """Turn a class name into a group's name exactly as Keras does."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _stored(arrays: Hdf5, group: tuple[str, str], layer: Layer) -> list[StoredArray]:
    path = (*group, "vars")
    found = arrays.text("name", *path)
    if found is not None and found != layer.name:
        raise UnreadableError(
            f"its arrays are labelled {found[:60]!r}: the description and the arrays do not belong together"
        )
    keys = arrays.keys(*path)
    if keys != {str(number) for number in range(len(keys))}:
        raise UnreadableError("its arrays are not numbered as Keras numbers them")
    stored = (arrays.array(None, *path, str(number)) for number in range(len(keys)))
    return [array for array in stored if array is not None]
