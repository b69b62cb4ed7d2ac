"""Architecture and arrays -> the inert network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Channels, Op
from napari_fcnseg.readers.bands import with_bands
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER, CallResult, LayerCall, call_results_in
from napari_fcnseg.readers.keras.calls import check_arguments
from napari_fcnseg.readers.keras.compounds import COMPOUNDS
from napari_fcnseg.readers.keras.compounds import INPUT as INPUT_STEP
from napari_fcnseg.readers.keras.grid import settled
from napari_fcnseg.readers.keras.inputs import ModelInput, model_inputs
from napari_fcnseg.readers.keras.layers import IMAGE_LAYERS, build, is_known
from napari_fcnseg.readers.keras.merges import MERGE_LAYERS, merged, scaled_second
from napari_fcnseg.readers.keras.operations import KNOW_PIECES, is_operation, operate, operation_name
from napari_fcnseg.readers.keras.unsupported import refuse
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import RefusedError, about_layer, with_overview
from napari_fcnseg.readers.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.readers.keras.architecture import Architecture, LayerSpec, Stored
    from napari_fcnseg.readers.keras.merges import Merged
    from napari_fcnseg.readers.keras.tensor_axes import Tensor

#: Precision policies and what the user should know of them.
_POLICIES: Final = {
    "float32": None,
    "float16": "half precision (float16)",
    "bfloat16": "half precision (bfloat16)",
    "float64": "double precision (float64)",
    "mixed_float16": "mixed half precision (mixed_float16)",
    "mixed_bfloat16": "mixed half precision (mixed_bfloat16)",
}
#: Layers that may read channels cut into pieces.
_KNOW_PIECES: Final = ("Flatten", "Permute", "Reshape")
_POLICY_CLASSES: Final = ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1")


def assemble(
    architecture: Architecture, stored: Stored, output: str | None = None, options: ReadOptions = PLAIN
) -> Network:
    """Join what the file says of the layers with its arrays.

    Parameters
    ----------
    architecture : Architecture
        The layers.
    stored : callable
        Gives a leaf's arrays in the order in which Keras made them; see
        :data:`napari_fcnseg.readers.keras.architecture.Stored`.
    output : str, optional
        Which of several outputs; the first where none is named. Layers that it does not need are left out unseen.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network, every array checked against the layer's settings and the shape of what it reads.

    Raises
    ------
    UnsupportedLayerError
        A layer, or a setting of one, cannot be used.
    ConversionError
        The patch size is not fixed.
    UnreadableError
        Settings, arrays and topology do not fit together, or there is no such output.
    """
    chosen, end = _choose(architecture, output)
    uses = _needed(architecture, end)
    layers = [(use.name, use.leaf.layer_type) for use in uses if use.leaf.layer_type != INPUT_LAYER]
    with with_overview(layers, [name for name, _ in architecture.outputs]):
        return _assembled(architecture, stored, chosen, end, uses, options)


def _assembled(
    architecture: Architecture,
    stored: Stored,
    chosen: str,
    end: str,
    uses: Sequence[LayerCall],
    options: ReadOptions,
) -> Network:
    """Join the layers that an answer needs."""
    for use in uses:
        _check(use)
    inputs = [use for use in uses if use.name in architecture.inputs]
    shape, ways_in = model_inputs(architecture.name, inputs, uses, options.patch_shape)
    assembly = _Assembly(stored, ways_in)
    for use in uses:
        if use.leaf.layer_type != INPUT_LAYER:
            with about_layer(use.name, use.leaf.layer_type):
                assembly.add(use)
    if end not in assembly.ends or len(assembly.nodes) == len(inputs) > 1 or not assembly.nodes:
        raise UnreadableError("its model has no layer that computes anything")
    assembly.check_result(uses[-1])
    outputs = tuple(name for name, _ in architecture.outputs)
    network = Network(
        name=architecture.name,
        input_shape=shape,
        nodes=_alive(assembly.nodes, assembly.ends[end]),
        output=assembly.ends[end],
        notes=(*_on_outputs(chosen, outputs), *assembly.notes()),
        outputs=outputs if len(outputs) > 1 else (),
        input_names=tuple(w.use.name for w in ways_in for _ in range(w.stop - w.start)) if len(ways_in) > 1 else (),
    )
    return with_bands(network, options)


def _alive(nodes: Sequence[Node], output: str) -> tuple[Node, ...]:
    """Leave out pieces of what was split that nothing reads."""
    wanted = {output}
    for node in reversed(nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
    return tuple(node for node in nodes if node.name in wanted)


def _choose(architecture: Architecture, output: str | None) -> tuple[str, str]:
    """Give an output's name and the use whose result it is."""
    if output is None:
        return architecture.outputs[0]
    for name, use in architecture.outputs:
        if name == output:
            return name, use
    listed = ", ".join(repr(name) for name, _ in architecture.outputs[:50])
    raise UnreadableError(f"its model has no output {output[:60]!r}", f"It has these: {listed}.")


def _on_outputs(chosen: str, outputs: tuple[str, ...]) -> tuple[str, ...]:
    """Say which of several outputs this is."""
    listed = ", ".join(repr(name) for name in outputs[:20])
    return (f"The model has {len(outputs)} outputs ({listed}); this is {chosen!r}.",) if len(outputs) > 1 else ()


def _needed(architecture: Architecture, end: str) -> list[LayerCall]:
    """List what an output depends on, in order."""
    wanted = {end}
    for use in reversed(architecture.uses):
        if use.name in wanted:
            wanted.update(use.sources)
    return [use for use in architecture.uses if use.name in wanted]


def _check(use: LayerCall) -> None:
    """Check that a layer can be read and is called as when a trained model is applied, before any array is read."""
    leaf = use.leaf
    with about_layer(use.name, leaf.layer_type):
        if is_operation(use):
            if operation_name(use) is None:
                raise refuse(leaf.layer_type, leaf.stored)
            return
        if not is_known(leaf):
            raise refuse(leaf.layer_type, leaf.stored)
        # Keras 3 writes it by itself, and overrules it when a model is applied; Keras 2 did neither.
        ignored = ("training",) if leaf.generation == 3 and leaf.layer_type in IMAGE_LAYERS else ()
        given = {key: value for key, value in use.kwargs.items() if key not in ignored}
        check_arguments({key: value for key, value in given.items() if not any(call_results_in(value))})
        if any(not any(call_results_in(value)) for value in use.args):
            raise UnreadableError("it is called with something that is no result of another layer")
        if leaf.layer_type not in MERGE_LAYERS and len(use.sources) > 1:
            raise RefusedError(
                f"it is called with {len(use.sources)} inputs", "Call it with its input alone and save the model again."
            )


class _Assembly:
    """The nodes made so far, and what each returns."""

    def __init__(self, stored: Stored, ways_in: Sequence[ModelInput]) -> None:
        self._stored = stored
        self._arrays: dict[LayerSpec, Weights] = {}
        self._tensors: dict[str, Tensor] = {}
        self._precisions: dict[str, None] = {}
        self._names: set[str] = set()
        #: For every use the node that returns its result.
        self.ends: dict[str, str] = {}
        self.nodes: list[Node] = []
        for way in ways_in:
            self._tensors[way.use.name] = way.tensor
            self.ends[way.use.name] = INPUT
            if len(ways_in) > 1:
                self._node(way.use, way.use.name, (Channels(way.start, way.stop),), (INPUT,))

    def add(self, use: LayerCall) -> None:
        """Make the nodes of one use."""
        leaf = use.leaf
        for key in use.source_keys:
            if key not in self._tensors:
                raise UnreadableError("it reads a result that there is not")
        knows = operation_name(use) in KNOW_PIECES if is_operation(use) else leaf.layer_type in _KNOW_PIECES
        if not knows:
            self._settle(use)
        if not is_operation(use):
            self._precisions[_policy(leaf.config.raw("dtype"))] = None
        before: tuple[tuple[Op, ...], ...] = ((),)
        if leaf.layer_type in COMPOUNDS and not is_operation(use):
            self._compound(use)
            return
        if is_operation(use):
            found = operate(use, self._tensors)
        elif leaf.layer_type in MERGE_LAYERS:
            found = [self._merge(use)]
        else:
            found = [(before, *build(leaf, self._tensors[use.source_keys[0]], self._weights(leaf)))]
        sources = [self.ends[key] for key in use.source_keys]
        ends: dict[str, str] = {}
        for number, (before, ops, result) in enumerate(found):
            inputs = []
            for source, first in zip(sources, before, strict=True):
                inputs.append(self._node(use, f"{use.name}/expand", first, (source,)) if first else source)
            key = CallResult(use.name, number).key
            name = f"{use.name}/{number + 1}" if len(found) > 1 else use.name
            ends[key] = self._node(use, name, ops, tuple(inputs))
            self._tensors[key] = result
        self.ends |= ends

    def _settle(self, use: LayerCall) -> None:
        """Bring pieces of channels together before a layer that knows of none."""
        for key in use.source_keys:
            ops, tensor = settled(self._tensors[key])
            if ops:
                self.ends[key] = self._node(use, f"{use.name}/order", ops, (self.ends[key],))
            self._tensors[key] = tensor

    def _compound(self, use: LayerCall) -> None:
        """Make the nodes of a layer that is several steps."""
        weights = self._weights(use.leaf)
        before, steps, result = COMPOUNDS[use.leaf.layer_type](use.leaf, self._tensors[use.source_keys[0]], weights)
        weights.finish()
        source = self.ends[use.source_keys[0]]
        if before:
            source = self._node(use, f"{use.name}/expand", before, (source,))
        made: list[str] = []
        for number, (ops, reads) in enumerate(steps):
            name = use.name if number == len(steps) - 1 else f"{use.name}/{number + 1}"
            made.append(self._node(use, name, ops, tuple(source if n == INPUT_STEP else made[n] for n in reads)))
        self._tensors[use.name] = result

    def _merge(self, use: LayerCall) -> Merged:
        kind = MERGE_LAYERS[use.leaf.layer_type]
        tensors = [self._tensors[key] for key in use.source_keys]
        if len(tensors) < 2:
            raise UnreadableError("it joins fewer than two inputs")
        axes = use.leaf.config.axes("axis", -1) if kind == "concatenate" else (-1,)
        if len(axes) != 1:
            raise UnreadableError("it joins along several axes")
        found = merged(kind, tensors, axes[0])
        if use.leaf.layer_type == "CustomScaleLayer":
            return scaled_second(found, use.leaf.config.number("scale"))
        return found

    def _weights(self, leaf: LayerSpec) -> Weights:
        if leaf not in self._arrays:
            self._arrays[leaf] = Weights(self._stored(leaf))
        return self._arrays[leaf].again()

    def _node(self, use: LayerCall, name: str, ops: tuple[Op, ...], inputs: tuple[str, ...]) -> str:
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name} ({number})"
        self._names.add(unique)
        self.nodes.append(Node(unique, use.leaf.layer_type, ops, inputs))
        self.ends[use.name] = unique
        return unique

    def check_result(self, use: LayerCall) -> None:
        """Check that the network's answer is what the model's is, and not the same numbers in another order."""
        if self._tensors[use.name].cut or self._tensors[use.name].order() is not None:
            with about_layer(use.name, use.leaf.layer_type):
                raise RefusedError(
                    "it is the model's result and has its channels before its positions, or these in another order",
                    "End the model with one vector for each patch (Flatten or global pooling, then Dense).",
                )

    def notes(self) -> tuple[str, ...]:
        """Say what the user should know of the precision."""
        return tuple(
            f"The model was saved for {_POLICIES[name]}; this program computes it in single precision (float32), so "
            "that its numbers may differ slightly from those seen in training."
            for name in self._precisions
            if _POLICIES[name]
        )


def _policy(stored: Any) -> str:
    """Read a layer's ``dtype``: a name, or an object around one."""
    name = "float32" if stored is None else stored
    if isinstance(stored, dict):
        config = stored.get("config")
        if stored.get("class_name") in _POLICY_CLASSES and isinstance(config, dict):
            name = config.get("name")
        else:
            name = stored.get("class_name")
    if not isinstance(name, str):
        raise UnreadableError("its dtype is malformed")
    if name not in _POLICIES:
        raise RefusedError(
            f"its numbers are kept in an unusual way ({name[:60]})",
            "Save the model as it was before it was quantised, with the dtype float32.",
        )
    return name
