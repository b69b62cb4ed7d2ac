"""A whole model in one HDF5 file, as Keras 2 and Keras 3 write it to a name that ends in ``.h5``."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.readers import jsonsafe
from napari_fcnseg.readers.hdf5 import Hdf5
from napari_fcnseg.readers.keras_config import read_architecture
from napari_fcnseg.readers.keras_network import assemble
from napari_fcnseg.readers.problem import UnreadableError, within

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.layer import Layer
    from napari_fcnseg.readers.weights import StoredArray

_WEIGHTS: Final = "model_weights"
_WHOLE: Final = (
    "Where the model was trained, load the weights into it and save it whole with model.save('my_model.keras'), then "
    "open that file."
)


def read(file: BinaryIO, size: int) -> Network:
    """Read an HDF5 file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    size : int
        Its length in bytes.

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
            raise _without_model(content)
        with within("its description of the model"):
            architecture = read_architecture(jsonsafe.parse(text.encode(), "model_config"))
        return assemble(architecture, lambda layer: _stored(content, layer))


def _without_model(content: Hdf5) -> UnreadableError:
    keys = content.keys()
    weights_only = {"layers", "_layer_checkpoint_dependencies"} & keys or content.names("layer_names") is not None
    if weights_only:
        return UnreadableError("it holds the weights of a model only, not its structure", _WHOLE)
    return UnreadableError(
        "it is an HDF5 file that holds no Keras model", "Open a file written by Keras with model.save."
    )


def _stored(content: Hdf5, layer: Layer) -> list[StoredArray]:
    """Find a layer's arrays: listed in its group, under names that may hold slashes."""
    group = (_WEIGHTS, *layer.name.split("/"))
    stored = []
    for name in content.names("weight_names", *group) or ():
        parts = name.split("/")
        # Keras 2 ends its names in ":0", as TensorFlow did.
        array = content.array(parts[-1].split(":")[0], *group, *parts)
        if array is None:
            raise UnreadableError(f"its array {name[:60]!r} is missing from the file")
        stored.append(array)
    return stored
