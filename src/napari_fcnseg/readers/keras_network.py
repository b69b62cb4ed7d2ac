"""Architecture and arrays -> the inert network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.readers.keras_layers import build
from napari_fcnseg.readers.problem import RefusedError, UnreadableError, naming
from napari_fcnseg.readers.weights import StoredArray, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.readers.layer import Architecture, Layer
    from napari_fcnseg.readers.shapes import Shape

#: Precision policies and what the user should know of them.
_POLICIES: Final = {
    "float32": None,
    "float16": "half precision (float16)",
    "bfloat16": "half precision (bfloat16)",
    "float64": "double precision (float64)",
    "mixed_float16": "mixed half precision (mixed_float16)",
    "mixed_bfloat16": "mixed half precision (mixed_bfloat16)",
}
_POLICY_CLASSES: Final = ("DTypePolicy", "FloatDTypePolicy", "Policy", "PolicyV1")


def assemble(architecture: Architecture, stored: Callable[[Layer], Sequence[StoredArray]]) -> Network:
    """Join what the file says of the layers with its arrays.

    Parameters
    ----------
    architecture : Architecture
        The layers.
    stored : callable
        Gives a layer's arrays in the order in which Keras made them.

    Returns
    -------
    Network
        The network, every array checked against the layer's settings and the shape of what it reads.

    Raises
    ------
    UnsupportedLayerError
        A setting of a layer cannot be used.
    UnreadableError
        Settings, arrays and topology do not fit together.
    """
    shapes: dict[str, Shape] = {architecture.source: architecture.input_shape}
    nodes: list[Node] = []
    precisions: dict[str, None] = {}
    for layer in architecture.layers:
        with naming(layer.name, layer.layer_type):
            precisions[_policy(layer.config.raw("dtype"))] = None
            ops, shapes[layer.name] = build(layer, shapes[layer.inputs[0]], Weights(stored(layer)))
        inputs = tuple(INPUT if name == architecture.source else name for name in layer.inputs)
        nodes.append(Node(layer.name, layer.layer_type, ops, inputs))
    notes = tuple(
        f"The model was saved for {_POLICIES[name]}; this program computes it in single precision (float32), so that "
        "its numbers may differ slightly from those seen in training."
        for name in precisions
        if _POLICIES[name]
    )
    return Network(architecture.name, architecture.input_shape, tuple(nodes), nodes[-1].name, notes)


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
