"""The SavedModel of Keras 2: a folder with a description (``keras_metadata.pb``) and a checkpoint of the arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.folder import has_file, read_inside
from napari_fcnseg.readers.guard.protobuf import Message
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER, LayerSpec, ModelSpec
from napari_fcnseg.readers.keras.config import read_architecture
from napari_fcnseg.readers.keras.network import assemble
from napari_fcnseg.readers.likely import SAVED_MODEL
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.readers.savedmodel.checkpoint import Checkpoint
from napari_fcnseg.system import safe_json
from napari_fcnseg.system.safe_json import JsonFields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.keras.architecture import Architecture
    from napari_fcnseg.readers.weights import StoredArray

_MODEL, _METADATA = SAVED_MODEL
MAX_METADATA: Final = 32 * 2**20
MAX_MODEL: Final = 512 * 2**20
MAX_LAYERS: Final = 10_000
_RE_SAVE: Final = (
    "Where the model was trained, load it with tf.keras.models.load_model, save it with model.save('my_model.keras'), "
    "and open that file."
)
_EXPORTED: Final = (
    "An exported model cannot be turned back: save the trained model itself with model.save('my_model.keras'), and "
    "open that file."
)


def is_saved_model(folder: Path) -> bool:
    """Say whether a folder looks like a SavedModel."""
    return any(has_file(folder, name) for name in SAVED_MODEL)


def folder_of(path: Path) -> Path | None:
    """Give the SavedModel's folder where somebody chose one of its files, or None."""
    return path.parent if path.name in SAVED_MODEL and is_saved_model(path.parent) else None


def read(path: Path, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read a SavedModel folder.

    Parameters
    ----------
    path : Path
        The folder that holds ``keras_metadata.pb`` and ``variables``, or one of the files right inside it.
    output : str or None
        Which of several outputs; the first where none is named.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network it holds.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        A part is missing or damaged, or no Keras model wrote it.
    """
    folder = path if path.is_dir() else path.parent
    texts = _texts_in(folder)
    with inside("its description of the model"):
        names, description = _description(texts)
        architecture = read_architecture(description)
    checkpoint = Checkpoint(folder)
    labels = _labels(checkpoint, names)
    network = assemble(architecture, lambda leaf: _stored(checkpoint, labels, architecture, leaf), output, options)
    described = _METADATA if has_file(folder, _METADATA) else _MODEL
    files = (described, *sorted(checkpoint.files))
    return replace(network, files=tuple(name for name in files if folder == path or name != path.name))


def _texts_in(folder: Path) -> dict[str, memoryview]:
    """Give the description of the model, and those of its layers where they are apart, by their path from it."""
    with inside("its description of the model"):
        if has_file(folder, _METADATA):
            return _texts(read_inside(folder, _METADATA, limit=MAX_METADATA))
        text = _text_before_2_5(read_inside(folder, _MODEL, limit=MAX_MODEL))
    if text is None:
        raise UnreadableError(
            f"its SavedModel holds computations, not the model's layers (there is no {_METADATA!r}: Keras 3 and "
            "TensorFlow itself export such folders)",
            _EXPORTED,
        )
    return {"root": text}


def _description(texts: Mapping[str, memoryview]) -> tuple[dict[str, str], JsonFields]:
    """Give the names of all layers by their path from the model, and the description of the model."""
    brackets = sum(bytes(text).count(b"{") + bytes(text).count(b"[") for text in texts.values())
    if len(texts) > MAX_LAYERS or brackets > safe_json.MAX_BRACKETS:
        raise UnreadableError(f"it describes more than {MAX_LAYERS:,} layers, or each at incredible length")
    if "root" not in texts:
        raise UnreadableError(f"{_METADATA!r} describes no model", _RE_SAVE)
    root = _parse(texts["root"])
    if root.raw("is_graph_network") is False or "config" not in root:
        raise UnreadableError(
            "its structure is Python code (a subclass of Model) and not in the folder",
            "Build the same network with keras.Sequential, load the weights into it, and save that.",
        )
    paths = {path: _parse(text).raw("name") for path, text in texts.items() if path.startswith("root.layer")}
    return {path: name for path, name in paths.items() if isinstance(name, str)}, root


def _texts(content: bytes) -> dict[str, memoryview]:
    return {entry.text(3): entry.content(5) for entry in Message(content, repr(_METADATA)).messages(1)}


def _text_before_2_5(content: bytes) -> memoryview | None:
    """Look where TensorFlow before 2.5 kept the description: beside the model's object among the computations."""
    graphs = list(Message(content, repr(_MODEL)).messages(2))
    nodes = graphs[0].message(7).contents(1) if len(graphs) == 1 else []
    model = Message(nodes[0], repr(_MODEL)).message(4) if nodes else None
    if model is None or not model.text(1).startswith("_tf_keras"):
        return None
    return model.content(3) or None


def _parse(text: memoryview) -> JsonFields:
    fields = safe_json.parse(bytes(text), repr(_METADATA))
    return JsonFields({key: _plain(fields.raw(key)) for key in fields.keys()})


def _plain(value: Any) -> Any:
    """Turn tuples into the lists that every other format has, in place. The text's depth is bounded already."""
    if isinstance(value, dict):
        items = value.get("items")
        if value.get("class_name") in ("__tuple__", "TensorShape") and isinstance(items, list):
            return _plain(items)
        for key, item in value.items():
            value[key] = _plain(item)
    elif isinstance(value, list):
        value[:] = map(_plain, value)
    return value


def _labels(checkpoint: Checkpoint, names: dict[str, str]) -> dict[int, str]:
    """Give the name that the description has for an object of the checkpoint."""
    labels = {}
    for path, name in names.items():
        node: int | None = 0
        for part in path.split(".")[1:]:
            node = checkpoint.child(node, part) if node is not None else None
        if node is not None:
            labels[node] = name
    return labels


def _stored(
    checkpoint: Checkpoint, labels: dict[int, str], architecture: Architecture, leaf: LayerSpec
) -> list[StoredArray]:
    node = 0
    model: ModelSpec | LayerSpec = architecture.model
    for index in leaf.index:
        assert isinstance(model, ModelSpec)
        first = model.children[0]
        # As in Keras itself, a Sequential model does not count its input layer.
        skipped = model.kind == "Sequential" and first.layer_type == INPUT_LAYER
        found = checkpoint.child(node, f"layer-{index - skipped}")
        if found is None:
            raise UnreadableError("the checkpoint does not list it")
        node, model = found, model.children[index]
    if labels.get(node, leaf.name) != leaf.name:
        raise UnreadableError(
            f"the checkpoint has the layer {labels[node][:60]!r} in its place: the description and the arrays do not "
            "belong together"
        )
    return _variables(checkpoint, node)


def _variables(checkpoint: Checkpoint, node: int) -> list[StoredArray]:
    """Give a layer's arrays by the names under which it holds them, in the order of its list ``variables``.

    Preprocessing layers have no such list, but hold their arrays in order.
    """
    children = checkpoint.children(node)
    names: dict[int, str] = {}
    for name, child in children.items():
        names.setdefault(child, name)
    if "variables" in children:
        listed = checkpoint.children(children["variables"])
        order = [listed[key] for key in sorted(listed, key=lambda key: (len(key), key))]
    else:
        order = [child for child in names if checkpoint.is_variable(child)]
    return [checkpoint.array(names.get(child, "?"), child) for child in order]
