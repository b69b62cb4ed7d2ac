"""The JSON that describes a Keras model -> the tree of its layers and the graph of their calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER, Architecture, Generation, LayerSpec, ModelSpec
from napari_fcnseg.readers.keras.foreign import known_as
from napari_fcnseg.readers.keras.graph import flatten
from napari_fcnseg.readers.keras.unsupported import is_builtin
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.system.safe_json import JsonFields, is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LAYERS: Final = 2_000
#: The same for all models inside the model together.
MAX_ALL_LAYERS: Final = 20_000
MODELS: Final = ("Sequential", "Functional", "Model")
#: Layers around a layer that act during training only: they change its kernel after each step, and keep it changed.
_WRAPPERS: Final = ("SpectralNormalization",)


def read_architecture(model: JsonFields) -> Architecture:
    """Read the description of a model.

    Parameters
    ----------
    model : JsonFields
        The object with ``class_name`` and ``config``.

    Returns
    -------
    Architecture
        Its layers as a tree, and their calls as a graph.

    Raises
    ------
    UnsupportedLayerError
        The way the layers are joined cannot be used.
    UnreadableError
        The description is malformed.
    """
    class_name = model.text("class_name")
    if class_name not in MODELS:
        raise UnreadableError(
            f"its model is of the type {class_name[:60]!r}, whose structure is Python code and not in the file",
            "Build the same network with keras.Sequential, load the weights into it, and save that.",
        )
    generation = _generation(model)
    config = _settings(model)
    root = ModelSpec(
        config.text("name", "model"), class_name, _kind(class_name), config, {}, _children(config, (), (), generation)
    )
    if root.kind == "Sequential" and root.children[0].layer_type != INPUT_LAYER:
        # Older Sequential models have no input layer: the shape stands in their first layer.
        source: LayerSpec | None = LayerSpec(
            INPUT, INPUT_LAYER, JsonFields({"batch_shape": _first_shape(root)}), {}, generation, (INPUT,), ()
        )
    else:
        source = None
    uses, inputs, outputs = flatten(root, generation, source)
    return Architecture(root, generation, uses, inputs, outputs)


def _kind(class_name: str) -> Any:
    return "Sequential" if class_name == "Sequential" else "Functional"


def _settings(model: JsonFields) -> JsonFields:
    # Keras before 2.2.3 wrote a Sequential model as a bare list of layers.
    stored = model.raw("config")
    return JsonFields({"layers": stored}) if isinstance(stored, list) else model.fields("config")


def _children(
    config: JsonFields, path: tuple[str, ...], index: tuple[int, ...], generation: Generation
) -> tuple[LayerSpec | ModelSpec, ...]:
    stored = config.items("layers")
    if not 0 < len(stored) <= MAX_LAYERS:
        raise UnreadableError(f"its model has {len(stored)} layers")
    children = tuple(_child(item, path, (*index, number), generation) for number, item in enumerate(stored))
    if len({child.name for child in children}) != len(children):
        raise UnreadableError("two of its layers have the same name")
    return children


def _child(stored: Any, path: tuple[str, ...], index: tuple[int, ...], generation: Generation) -> LayerSpec | ModelSpec:
    number = index[-1] + 1
    with inside(f"layer number {number}"):
        if not isinstance(stored, dict):
            raise UnreadableError("its description is no object")
        outer = JsonFields(stored)
        layer_type = outer.text("class_name")
        config = _settings(outer) if layer_type in MODELS else outer.fields("config")
        # The settings of a bare operation may have no name.
        name = config.text("name", None) if "name" in config else outer.text("name", f"{layer_type} number {number}")
    path = (*path, name)
    if layer_type in _WRAPPERS or (known_as(stored) or ("",))[0] in _WRAPPERS:
        return _unwrapped(stored, name, path, index, generation)
    if layer_type in MODELS and is_builtin(stored) and isinstance(config.raw("layers"), list):
        with inside(f"the model {name[:60]!r} inside it"):
            children = _children(config, path, index, generation)
        return ModelSpec(name, layer_type, _kind(layer_type), config, stored, children, path, index)
    known = known_as(stored)
    if known is not None:
        layer_type, config = known[0], JsonFields({**stored["config"], **known[1]})
    foreign = known is not None
    return LayerSpec(name, layer_type, config, stored, generation, path, index, _shared_id(stored), foreign)


def _unwrapped(
    stored: dict[str, Any], name: str, path: tuple[str, ...], index: tuple[int, ...], generation: Generation
) -> LayerSpec:
    """Give the layer in a wrapper that acts during training only, under the wrapper's name."""
    inner = stored["config"].get("layer")
    if not isinstance(inner, dict) or inner.get("class_name") in (*MODELS, *_WRAPPERS):
        raise UnreadableError("it wraps something that is no layer")
    own = is_builtin(stored) or known_as(stored) is not None
    layer = _child(inner, path[:-1], index, generation)
    assert isinstance(layer, LayerSpec)
    if not own or not is_builtin(inner):
        return LayerSpec(name, stored["class_name"], JsonFields(stored["config"]), stored, generation, path, index)
    shared = _shared_id(stored)
    return replace(layer, name=name, stored=stored, path=path, shared_id=shared, foreign=True, wrapped=True)


def _shared_id(stored: dict[str, Any]) -> int | None:
    config = stored.get("config")
    number = stored.get("shared_object_id", config.get("shared_object_id") if isinstance(config, dict) else None)
    return number if is_whole(number) else None


def _generation(model: JsonFields) -> Generation:
    """Decide which Keras wrote the file by how it writes input shapes, not by a version text."""
    two = three = False
    for number, entry in enumerate(_entries(model.raw("config"))):
        if number >= MAX_ALL_LAYERS:
            raise UnreadableError(
                f"its model has more than {MAX_ALL_LAYERS} layers, those of models inside it included"
            )
        config = entry["config"]
        three |= entry.get("class_name") == INPUT_LAYER and config.get("batch_shape") is not None
        two |= config.get("batch_input_shape") is not None
    if three and two:
        raise UnreadableError("its layers are written partly in the way of Keras 2 and partly in that of Keras 3")
    return 3 if three else 2


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Walk through all layers whose settings are an object, as yet unchecked."""
    layers = config.get("layers") if isinstance(config, dict) else config
    for entry in layers if isinstance(layers, list) else ():
        if isinstance(entry, dict):
            if isinstance(entry.get("config"), dict):
                yield entry
            if entry.get("class_name") in MODELS:
                yield from _entries(entry.get("config"))


def _first_shape(model: ModelSpec) -> Any:
    """Find the shape of what goes into a model that has no input layer of its own."""
    if "build_input_shape" in model.config:
        return model.config.raw("build_input_shape")
    first = model.children[0]
    shape = first.config.raw("batch_input_shape") or first.config.raw("batch_shape")
    return _first_shape(first) if shape is None and isinstance(first, ModelSpec) else shape
