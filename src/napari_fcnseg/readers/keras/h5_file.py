"""A whole model in one HDF5 file, as Keras 2 and Keras 3 write it to a name that ends in ``.h5``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.hdf5 import Hdf5
from napari_fcnseg.readers.keras import keras1
from napari_fcnseg.readers.keras.config import read_architecture
from napari_fcnseg.readers.keras.network import assemble
from napari_fcnseg.readers.keras.weights_by_list import stored_in_lists
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.system import safe_json

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network

_WEIGHTS: Final = "model_weights"


def read(file: BinaryIO, size: int, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read an HDF5 file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    size : int
        Its length in bytes.
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
        The file is damaged, or holds no whole model.
    """
    with Hdf5(file, size) as content:
        text = content.text("model_config")
        if text is None:
            raise UnreadableError(
                "it is an HDF5 file that holds no Keras model", "Open a file written by Keras with model.save."
            )
        with inside("its description of the model"):
            model = safe_json.parse(text.encode(), "model_config")
            version = content.text("keras_version")
            written = None
            if keras1.written_by_keras_1(model, version):
                model, written = keras1.upgraded(model, version, options.keras_1_backend)
            architecture = read_architecture(model)
        stored = stored_in_lists(content, architecture, _WEIGHTS)
        if written is None:
            return assemble(architecture, stored, output, options)
        network = assemble(architecture, keras1.stored_as_keras_2(stored, written), output, options)
        return replace(network, notes=(*keras1.notes(architecture, written), *network.notes))
