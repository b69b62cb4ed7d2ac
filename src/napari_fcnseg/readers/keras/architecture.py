"""The architecture in a model file: its layers and how they are connected, before any array is read.

A file describes a tree: the outermost model lists its layers, and a layer may be a model that lists its own. Its
leaves are :class:`LayerSpec` and own the arrays; its inner nodes are :class:`ModelSpec` and decide under what names a
file keeps the arrays. The same tree, flattened, is a graph of :class:`LayerCall`: every call of a leaf, with models
inside models opened up and shared layers called several times.

Every format reads its arrays in its own way and hands them over as :data:`Stored`, a function of a leaf::

    architecture = read_architecture(fields)            # of keras_config; the tree and the graph
    stored = stored_in_groups(hdf5, architecture)       # of keras_groups: ``layers/conv2d/vars/0`` (.keras)
    stored = stored_in_lists(hdf5, architecture, root)  # of keras_lists: ``layer_names``, ``weight_names`` (.h5)
    network = assemble(architecture, stored, output)    # of keras_network
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.readers.weights import StoredArray
    from napari_fcnseg.system.safe_json import JsonFields

#: Which Keras wrote the file: 2 (also tf.keras up to TensorFlow 2.15) or 3.
Generation: TypeAlias = Literal[2, 3]
#: The class that stands for a network's input and computes nothing.
INPUT_LAYER: Final = "InputLayer"
#: The classes that tf.keras wrote for bare operations of TensorFlow.
TENSORFLOW_OPERATIONS: Final = ("TFOpLambda", "SlicingOpLambda")


@dataclass(frozen=True, eq=False)
class LayerSpec:
    """A layer that is no model: what computes something and may own arrays. Two leaves are equal if they are the same.

    Attributes
    ----------
    name : str
        The user's name for it.
    layer_type : str
        Its Keras class, as yet unchecked.
    config : JsonFields
        Its settings.
    stored : mapping
        The whole entry of the file's list of layers.
    generation : {2, 3}
        Which Keras wrote it: some names changed their meaning.
    path : tuple of str
        Names of the models it lies in, without the outermost, and its own name: ``("outer", "inner", "conv2d")``.
    index : tuple of int
        Its position in the ``layers`` of every model on that path, as listed in the file (input layers count).
    shared_id : int or None
        The file's ``shared_object_id``: leaves with the same one are the same layer, listed several times.
    foreign : bool
        Whether it is known by another name than the one in the file, which is none of Keras's own.
    wrapped : bool
        Whether it lies in a wrapper that changes nothing when a trained model is applied; ``stored`` is the wrapper's.
    """

    name: str
    layer_type: str
    config: JsonFields
    stored: Mapping[str, Any]
    generation: Generation
    path: tuple[str, ...]
    index: tuple[int, ...]
    shared_id: int | None = None
    foreign: bool = False
    wrapped: bool = False

    @property
    def written_type(self) -> str:
        """Its class as the file has it, that of the wrapper around it if there is one."""
        return str(self.stored.get("class_name", self.layer_type))

    @property
    def is_operation(self) -> bool:
        """Whether it is a bare operation of Keras 3 (``x + y``) rather than a layer: those own no group of arrays."""
        module = self.stored.get("module")
        if isinstance(module, str):
            return module.startswith(("keras.src.ops", "keras.src.activations"))
        # In ``.h5`` files nothing has a module, but every layer says whether it is trainable; only SpatialDropout does
        # not, and is known by its seed.
        called = self.generation == 3 and "inbound_nodes" in self.stored and self.layer_type != INPUT_LAYER
        return called and not {"trainable", "seed"} & self.config.keys()

    @property
    def trainable(self) -> bool:
        """Whether its arrays could be trained, which decides about their order in ``.h5`` files."""
        return self.config.raw("trainable") is not False


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """The outermost model or one inside another.

    Attributes
    ----------
    name : str
        The user's name for it.
    layer_type : str
        Its class as written: ``"Sequential"``, ``"Functional"`` or ``"Model"``.
    kind : {"Sequential", "Functional"}
        How it was built, which decides how the file names its arrays.
    config : JsonFields
        Its settings.
    stored : mapping
        The whole entry.
    children : tuple of LayerSpec or ModelSpec
        Its ``layers`` in the order of the file, input layers included.
    path, index : tuple
        As those of a :class:`LayerSpec`; empty for the outermost model.
    """

    name: str
    layer_type: str
    kind: Literal["Sequential", "Functional"]
    config: JsonFields
    stored: Mapping[str, Any]
    children: tuple[LayerSpec | ModelSpec, ...]
    path: tuple[str, ...] = ()
    index: tuple[int, ...] = ()

    @property
    def trainable(self) -> bool:
        """Whether its arrays could be trained; a frozen model says so itself."""
        return self.config.raw("trainable") is not False

    def leaves(self) -> Iterator[LayerSpec]:
        """Walk through all leaves, depth first in the order of the file; a shared one comes once for every listing."""
        for child in self.children:
            if isinstance(child, ModelSpec):
                yield from child.leaves()
            else:
                yield child


@dataclass(frozen=True)
class LayerCall:
    """One call of a leaf in the flattened network.

    Attributes
    ----------
    name : str
        Unique: the leaf's path joined by slashes, ``" (2)"`` after what is called a second time.
    leaf : LayerSpec
        What is called. Input layers of the outermost model are uses without sources.
    args : tuple
        What it is called with: :class:`CallResult` for tensors, other JSON values as they are, nested in lists and
        dicts.
    kwargs : mapping
        The same for arguments with a name.
    """

    name: str
    leaf: LayerSpec
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the uses whose results it reads, in the order of its arguments."""
        return tuple(source.name for source in self._results())

    @property
    def source_keys(self) -> tuple[str, ...]:
        """Keys of the results that it reads, in the same order."""
        return tuple(source.key for source in self._results())

    def _results(self) -> list[CallResult]:
        return [source for value in (*self.args, *self.kwargs.values()) for source in call_results_in(value)]


@dataclass(frozen=True)
class CallResult:
    """One of the results of another use, as an argument of a call."""

    name: str
    tensor: int = 0

    @property
    def key(self) -> str:
        """What it is known by: the use's name, with the number of the result behind it where that is not the first."""
        return f"{self.name}\0{self.tensor}" if self.tensor else self.name


def call_results_in(value: object) -> Iterator[CallResult]:
    """Walk through the tensors in an argument."""
    if isinstance(value, CallResult):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from call_results_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from call_results_in(item)


@dataclass(frozen=True)
class Architecture:
    """A network as the file describes it, nothing in it checked against the layers that can be read.

    Attributes
    ----------
    model : ModelSpec
        The outermost model, whose tree decides under what names a file keeps the arrays.
    generation : {2, 3}
        Which Keras wrote the file.
    uses : tuple of LayerCall
        The flattened network, each use after what it reads.
    inputs : tuple of str
        Names of the uses that are inputs, in the model's order.
    outputs : tuple of (str, str)
        For every output its name, unique, and the name of the use whose result it is.
    """

    model: ModelSpec
    generation: Generation
    uses: tuple[LayerCall, ...]
    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.model.name


#: Gives a leaf's arrays in the order in which Keras made them: trainable ones first, each group in order of creation
#: (kernel, bias; gamma, beta, moving_mean, moving_variance). Asked once for every leaf that the chosen output needs and
#: that can be read. A leaf that is listed several times (``shared_id``) is the format's to resolve, with
#: ``first_listing`` of :mod:`napari_fcnseg.readers.keras.shared_layers`. An empty answer where arrays are needed
#: becomes a sentence.
Stored: TypeAlias = "Callable[[LayerSpec], Sequence[StoredArray]]"
