"""Keras's own format: a zip of ``config.json`` and ``model.weights.h5`` (Keras 3, and tf.keras 2.12 to 2.15)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.archive import Archive
from napari_fcnseg.readers.guard.hdf5 import Hdf5
from napari_fcnseg.readers.keras.config import read_architecture
from napari_fcnseg.readers.keras.network import assemble
from napari_fcnseg.readers.keras.weights_by_group import stored_in_groups
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.system import safe_json

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network

_CONFIG: Final = "config.json"
_ARRAYS: Final = "model.weights.h5"


def read(file: BinaryIO, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read a ``.keras`` file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    output : str, optional
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
        The file is damaged, or no such file.
    """
    archive = Archive(file)
    if not {_CONFIG, _ARRAYS} <= archive.names():
        raise _foreign(archive.names())
    with inside("its description of the model"):
        model = safe_json.parse(archive.read(_CONFIG, safe_json.MAX_BYTES), _CONFIG)
        architecture = read_architecture(model)
    content = archive.read(_ARRAYS)
    with Hdf5(io.BytesIO(content), len(content)) as arrays:
        return assemble(architecture, stored_in_groups(arrays, architecture), output, options)


def _foreign(names: frozenset[str]) -> UnreadableError:
    parts = {part for name in names for part in name.split("/")}
    if "constants.pkl" in parts and "code" in parts:
        return UnreadableError(
            "it is a TorchScript file, which can only be opened by running code from it",
            "Write it as ONNX: torch.onnx.export(torch.jit.load('model.pt'), torch.zeros(1, channels, height, width), "
            "'my_model.onnx', dynamo=False), and open that file.",
        )
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
