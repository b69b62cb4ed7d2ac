"""What the file says of the layers and of the whole network, before any array is read."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from napari_fcnseg.readers.jsonsafe import Fields

#: Which Keras wrote the file: 2 (also tf.keras up to TensorFlow 2.15) or 3.
Generation: TypeAlias = Literal[2, 3]
#: The class that stands for a network's input and computes nothing.
INPUT_LAYER: Final = "InputLayer"


@dataclass(frozen=True)
class Entry:
    """One entry of the file's list of layers, as yet unchecked.

    Attributes
    ----------
    name : str
        The user's name for it.
    layer_type : str
        Its Keras class.
    config : Fields
        Its settings.
    stored : mapping
        The whole entry.
    """

    name: str
    layer_type: str
    config: Fields
    stored: Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """One layer that computes something.

    Attributes
    ----------
    name : str
        The user's name for it.
    layer_type : str
        Its Keras class; one that this program knows.
    config : Fields
        Its settings.
    generation : {2, 3}
        Which Keras wrote it: some names changed their meaning.
    inputs : tuple of str
        Names of the layers it reads, or the network's source.
    """

    name: str
    layer_type: str
    config: Fields
    generation: Generation
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """A network as the file describes it.

    Attributes
    ----------
    name : str
        The model's own name.
    kind : {"Sequential", "Functional"}
        How it was built, which decides how the file names its arrays.
    input_shape : tuple of int
        Shape of one patch, ``(*spatial, channel)``.
    entries : tuple of Entry
        All layers in the order of the file, which decides how it names their arrays.
    layers : tuple of Layer
        Those that compute something, each after what it reads.
    source : str
        The name under which layers read the network's input.
    """

    name: str
    kind: Literal["Sequential", "Functional"]
    input_shape: tuple[int, ...]
    entries: tuple[Entry, ...]
    layers: tuple[Layer, ...]
    source: str
