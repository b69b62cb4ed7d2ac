"""The JSON that describes a Keras model -> its layers and how they are joined, each checked against the allow-list."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import ConversionError
from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.readers.jsonsafe import MAX_WHOLE, Fields, is_whole
from napari_fcnseg.readers.keras_layers import LAYERS
from napari_fcnseg.readers.keras_paths import functional_inputs
from napari_fcnseg.readers.keras_refused import is_builtin, refuse
from napari_fcnseg.readers.layer import INPUT_LAYER, Architecture, Entry, Generation, Layer
from napari_fcnseg.readers.problem import UnreadableError, naming, within
from napari_fcnseg.readers.shapes import MAX_ELEMENTS

if TYPE_CHECKING:
    from napari_fcnseg.readers.shapes import Shape

MAX_LAYERS: Final = 2_000
#: Settings that only Keras 1 wrote.
_KERAS_1: Final = frozenset({"nb_filter", "nb_row", "border_mode", "output_dim", "subsample", "dim_ordering"})


def read_architecture(model: Fields) -> Architecture:
    """Read the description of a model.

    Parameters
    ----------
    model : Fields
        The object with ``class_name`` and ``config``.

    Returns
    -------
    Architecture
        Its layers, each of a known class, joined in a single path.

    Raises
    ------
    UnsupportedLayerError
        A layer, or the way the layers are joined, cannot be used.
    ConversionError
        The patch size is not fixed.
    UnreadableError
        The description is malformed.
    """
    class_name = model.text("class_name")
    if class_name not in ("Sequential", "Functional", "Model"):
        raise UnreadableError(
            f"its model is of the type {class_name[:60]!r}, whose structure is Python code and not in the file",
            "Build the same network with keras.Sequential, load the weights into it, and save that.",
        )
    # Keras before 2.2.3 wrote a Sequential model as a bare list of layers.
    bare = isinstance(model.raw("config"), list)
    config = Fields({"layers": model.raw("config")}) if bare else model.fields("config")
    entries = _entries(config)
    source, batch_shape = _input(entries)
    generation = _generation(entries)
    for entry in entries:
        _check_class(entry)
    inputs = _chain(entries, source) if class_name == "Sequential" else functional_inputs(config, entries)
    name = config.text("name", "model")
    return Architecture(
        name=name,
        kind="Sequential" if class_name == "Sequential" else "Functional",
        input_shape=_patch_shape(name, batch_shape),
        entries=entries,
        layers=tuple(
            Layer(e.name, e.layer_type, e.config, generation, inputs[e.name]) for e in _ordered(entries, inputs)
        ),
        source=source,
    )


def _entries(config: Fields) -> tuple[Entry, ...]:
    stored = config.items("layers")
    if not 0 < len(stored) <= MAX_LAYERS:
        raise UnreadableError(f"its model has {len(stored)} layers")
    entries = tuple(_entry(item, number) for number, item in enumerate(stored, 1))
    if len({entry.name for entry in entries}) != len(entries):
        raise UnreadableError("two of its layers have the same name")
    return entries


def _entry(stored: Any, number: int) -> Entry:
    with within(f"layer number {number}"):
        if not isinstance(stored, dict):
            raise UnreadableError("its description is no object")
        outer = Fields(stored)
        layer_type = outer.text("class_name")
        # The settings of a model inside the model may be a bare list, and those of a bare operation have no name.
        config = Fields({}) if isinstance(outer.raw("config"), list) else outer.fields("config")
        name = config.text("name", None) if "name" in config else outer.text("name", f"{layer_type} number {number}")
    if _KERAS_1 & config.keys() and "units" not in config and "filters" not in config:
        raise UnreadableError(
            "it was written by Keras 1 (2017 or older)",
            "Load its weights into the same network in Keras 3 (the arrays of a convolution may have to be flipped and "
            "transposed), save that with model.save('my_model.keras'), and open that file.",
        )
    return Entry(name, layer_type, config, stored)


def _check_class(entry: Entry) -> None:
    if entry.layer_type == INPUT_LAYER and is_builtin(entry.stored):
        return
    with naming(entry.name, entry.layer_type):
        if entry.layer_type not in LAYERS or not is_builtin(entry.stored):
            raise refuse(entry.layer_type, entry.stored)


def _generation(entries: tuple[Entry, ...]) -> Generation:
    """Decide which Keras wrote the file by how it writes input shapes, not by a version text."""
    three = any(entry.layer_type == INPUT_LAYER and "batch_shape" in entry.config for entry in entries)
    two = any("batch_input_shape" in entry.config for entry in entries)
    if three and two:
        raise UnreadableError("its layers are written partly in the way of Keras 2 and partly in that of Keras 3")
    return 3 if three else 2


def _input(entries: tuple[Entry, ...]) -> tuple[str, list[Any] | None]:
    """Give the name of the input layer and the shape of what goes in; old Sequential models have no input layer."""
    first = next((entry for entry in entries if entry.layer_type == INPUT_LAYER), None)
    config = first.config if first else entries[0].config
    shape = config.raw("batch_shape") if first and "batch_shape" in config else config.raw("batch_input_shape")
    if shape is not None and not isinstance(shape, list):
        raise UnreadableError("the shape of its input is malformed")
    return first.name if first else INPUT, shape


def _chain(entries: tuple[Entry, ...], source: str) -> dict[str, tuple[str, ...]]:
    computing = entries[1:] if entries[0].layer_type == INPUT_LAYER else entries
    for entry in computing:
        if entry.layer_type == INPUT_LAYER:
            raise UnreadableError(f"its input layer {entry.name!r} does not come first")
    names = [source, *(entry.name for entry in computing)]
    return {name: (before,) for before, name in pairwise(names)}


def _ordered(entries: tuple[Entry, ...], inputs: dict[str, tuple[str, ...]]) -> list[Entry]:
    """Sort layers so that each follows what it reads; the file's order is not always that of the data."""
    waiting = {entry.name: entry for entry in entries if entry.name in inputs}
    ordered: list[Entry] = []
    while waiting:
        ready = [entry for entry in waiting.values() if not any(name in waiting for name in inputs[entry.name])]
        if not ready:
            raise UnreadableError("its layers read each other in a circle")
        for entry in ready:
            del waiting[entry.name]
        ordered += ready
    if not ordered:
        raise UnreadableError("its model has no layer that computes anything")
    return ordered


def _patch_shape(name: str, batch_shape: list[Any] | None) -> Shape:
    if batch_shape is None:
        raise ConversionError(
            f"The model {name!r} has no fixed patch size: it was saved before it knew its input. Add "
            "keras.Input((height, width, channels)) with the size of your training patches, load the weights, save it."
        )
    sizes = batch_shape[1:]
    if any(size is None for size in sizes):
        raise ConversionError(
            f"The model {name!r} has no fixed patch size: its input is {_shown(sizes)}. Build it again with "
            "keras.Input((height, width, channels)), with the size of your training patches in place of None, load the "
            "weights and save it."
        )
    if not all(is_whole(size) and 0 < size <= MAX_WHOLE for size in sizes) or math.prod(sizes) > MAX_ELEMENTS:
        raise UnreadableError(f"the shape of its input, {_shown(sizes)}, is malformed or too large to be true")
    if len(sizes) < 2:
        raise UnreadableError(
            f"the shape of its input, {_shown(sizes)}, is not that of an image patch (positions, then channels)",
            "Open a model that classifies patches of an image; with one channel its input is (height, width, 1).",
        )
    return tuple(sizes)


def _shown(sizes: list[Any]) -> str:
    return "(" + ", ".join(str(size)[:20] for size in sizes[:8]) + ")"
