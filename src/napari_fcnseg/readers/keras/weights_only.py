"""Two files that are one model: its architecture as JSON (``model.to_json()``), and its weights in HDF5 beside it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.deepcell import deepcell2016
from napari_fcnseg.readers.guard.folder import open_inside, read_inside
from napari_fcnseg.readers.guard.hdf5 import Hdf5
from napari_fcnseg.readers.keras import keras1
from napari_fcnseg.readers.keras.config import read_architecture
from napari_fcnseg.readers.keras.network import assemble
from napari_fcnseg.readers.keras.weights_by_group import stored_in_groups
from napari_fcnseg.readers.keras.weights_by_list import stored_in_lists
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.system import safe_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.keras.architecture import Architecture, LayerSpec, Stored
    from napari_fcnseg.readers.weights import StoredArray

MAX_FILES: Final = 100_000
_WEIGHTS_ENDS: Final = (".h5", ".hdf5")
_JSON_ENDS: Final = (".json",)
#: A sidecar of this program describes no architecture.
_SIDECAR_END: Final = ".fcnseg.json"
#: What the name of one of the two files says of its part, at its end or all there is of it.
_ROLE: Final = re.compile(r"(?:^|[._\- ])(?:weights?|architecture|arch|model|config|structure|json)$")
_OWN_FOLDER: Final = "Put the architecture and its weights into a folder of their own, and open one of them there."
_SAVE_WHOLE: Final = (
    "where the model was trained, load the weights into it and save it whole with model.save('my_model.keras'), then "
    "open that file."
)


def holds_weights_only(content: Hdf5) -> bool:
    """Say whether an HDF5 file holds the arrays of a Keras model without its structure."""
    if content.text("model_config") is not None:
        return False
    groups = {"layers", "_layer_checkpoint_dependencies"} & content.keys()
    return bool(groups) or content.names("layer_names") is not None


def read_weights(path: Path, content: Hdf5, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read a weights-only file: a published network of DeepCell, or one with its architecture beside it.

    Parameters
    ----------
    path : Path
        The file.
    content : Hdf5
        Its content.
    output : str or None
        Which of several outputs; the first where none is named.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        There is not exactly one architecture beside it, the two do not fit, or one is damaged.
    """
    if deepcell2016.is_keras_1(content) and not _has_partner(path):
        return deepcell2016.read(content)
    name = _partner(
        path,
        _JSON_ENDS,
        "it holds the weights of a model only, not its structure",
        "Put the text of model.to_json() beside it as {stem}.json",
    )
    network = _read(name, read_inside(path.parent, name, limit=safe_json.MAX_BYTES), content, output, options)
    return replace(network, files=(name,))


def read_json(path: Path, file: BinaryIO, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read an architecture with its weights beside it.

    Parameters
    ----------
    path : Path
        The JSON file.
    file : BinaryIO
        Its content, open for reading.
    output : str or None
        Which of several outputs; the first where none is named.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        There is not exactly one file of weights beside it, the two do not fit, or one is damaged.
    """
    text = file.read(safe_json.MAX_BYTES + 1)
    _refuse_tfjs(text)
    name = _partner(
        path,
        _WEIGHTS_ENDS,
        "it is a JSON text, which at best describes a model without its weights",
        "Put them beside it as {stem}.weights.h5 (or {stem}_weights.h5, or {stem}.h5)",
    )
    with open_inside(path.parent, name) as weights:
        with Hdf5(weights, os.fstat(weights.fileno()).st_size) as content:
            if not holds_weights_only(content):
                raise UnreadableError(
                    f"the file {name!r} beside it holds no weights alone", "If that is a whole model, open it instead."
                )
            return replace(_read(path.name, text, content, output, options), files=(name,))


def _refuse_tfjs(text: bytes) -> None:
    """Say of a model of TensorFlow.js what makes a file that is read."""
    if b'"weightsManifest"' in text and b'"modelTopology"' in text:
        raise UnreadableError(
            "it is a model of TensorFlow.js, whose weights lie in .bin files beside it",
            "Turn it back with tensorflowjs_converter --input_format=tfjs_layers_model --output_format=keras "
            "model.json my_model.h5, and open that file.",
        )


def _read(name: str, text: bytes, content: Hdf5, output: str | None, options: ReadOptions) -> Network:
    with inside(f"the description of the model, {name[:100]!r}"):
        model = safe_json.parse(text, repr(name))
        version, written = model.raw("keras_version"), None
        if keras1.written_by_keras_1(model, version if isinstance(version, str) else None):
            model, written = keras1.upgraded(model, str(version or ""), options.keras_1_backend)
        architecture = read_architecture(model)
    if content.names("layer_names") is None:
        stored = _with_shared(architecture, stored_in_groups(content, architecture))
    else:
        stored = stored_in_lists(content, architecture)
    if written is None:
        return assemble(architecture, stored, output, options)
    network = assemble(architecture, keras1.stored_as_keras_2(stored, written), output, options)
    return replace(network, notes=(*keras1.notes(architecture, written), *network.notes))


def _with_shared(architecture: Architecture, stored: Stored) -> Stored:
    """Give a leaf without arrays those of the same leaf listed before.

    A layer that several models share has its arrays where it is listed first, but the text of ``to_json()`` does not
    always say that it is the same one: then its name, class and settings must do.
    """
    leaves = list(architecture.model.leaves())

    def found(leaf: LayerSpec) -> Sequence[StoredArray]:
        for other in (leaf, *leaves[: leaves.index(leaf)]):
            alike = (other.name, other.layer_type) == (leaf.name, leaf.layer_type)
            if alike and other.stored.get("config") == leaf.stored.get("config") and (arrays := stored(other)):
                return arrays
        return ()

    return found


def _has_partner(path: Path) -> bool:
    """Say whether there is a text beside a file of weights that may be its architecture."""
    try:
        return bool(_partner(path, _JSON_ENDS, "", ""))
    except UnreadableError:
        return False


def _partner(path: Path, ends: tuple[str, ...], problem: str, advice: str) -> str:
    """Give the name of the one file in the same folder that belongs to a file by its name."""
    stem, found = _stem(path.name), []
    with os.scandir(path.parent) as entries:
        for number, entry in enumerate(entries):
            if number > MAX_FILES:
                raise UnreadableError(f"{problem}, and the folder is too full to look for the rest", _OWN_FOLDER)
            name = entry.name
            if name.lower().endswith(ends) and not name.lower().endswith(_SIDECAR_END) and _stem(name) == stem:
                found.append(name)
    if len(found) == 1:
        return found[0]
    advice = f"{advice.format(stem=stem or 'model')}, or {_SAVE_WHOLE}"
    if not found:
        raise UnreadableError(f"{problem}, and the rest of the model is not beside it", advice)
    listed = ", ".join(repr(name[:60]) for name in sorted(found)[:5])
    raise UnreadableError(f"{problem}, and several files beside it could be the rest: {listed}", _OWN_FOLDER)


def _stem(name: str) -> str:
    """Give what the names of the two files have in common: without ending, and without the part that each plays.

    ``cells.weights.h5``, ``cells_weights.h5``, ``cells.h5`` and ``cells_architecture.json`` are ``cells``;
    ``weights.h5`` and ``model.json`` are nothing.
    """
    stem, before = os.path.splitext(name.casefold())[0], ""
    while stem != before:
        before, stem = stem, _ROLE.sub("", stem)
    return stem
