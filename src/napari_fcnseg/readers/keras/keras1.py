"""Whole models of Keras 1 (1.0 to 1.2, 2016 and 2017): described in Keras 2's words, their arrays in its layout.

Keras 1 computed with Theano or with TensorFlow. Theano *convolves*: it turns every kernel round, so that the kernel in
the file is upside down for everybody else, and its ``same`` begins every window half its length before its position.
No file says which of the two wrote it. The order of the axes tells it as far as anything does: ``th`` was Theano's,
``tf`` TensorFlow's, and who did not choose had that of the backend. What was assumed stands in the notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.keras.keras1_layers import RENAMED, is_of_keras_1, renamed
from napari_fcnseg.readers.weights import StoredArray
from napari_fcnseg.system.safe_json import JsonFields

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_fcnseg.readers.keras.architecture import Architecture, LayerSpec, Stored

#: What computed for Keras 1.
Backend: TypeAlias = Literal["theano", "tensorflow"]
BACKENDS: Final = ("theano", "tensorflow")
#: In the settings of every layer that was translated.
MARK: Final = "keras_1"
_MODELS: Final = ("Sequential", "Model")
_FIRST_WITH_VARIANCES: Final = (1, 0, 7)
#: Name in the file, behind the layer's -> Keras 2's.
_ARRAYS: Final = {
    "W": "kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "alphas": "alpha",
}


@dataclass(frozen=True)
class Written:
    """How a model of Keras 1 was written.

    Attributes
    ----------
    backend : {"theano", "tensorflow"}
        What computed.
    chosen : bool
        Whether the user said so; it was told by the order of the axes otherwise.
    variances : bool
        Whether ``running_std`` are variances (from 1.0.7) and not standard deviations.
    version : str
        Of Keras; empty where the file does not say.
    """

    backend: Backend
    chosen: bool
    variances: bool
    version: str


def written_by_keras_1(model: JsonFields, version: str | None) -> bool:
    """Say whether a description is one of Keras 1: by its version, or by settings that only Keras 1 wrote."""
    if version is not None and re.match(r"[1-9]\d*\.", version):
        return version.startswith("1.")
    return any(is_of_keras_1(entry) for entry in _layers(model.raw("config")))


def upgraded(model: JsonFields, version: str | None, backend: Backend | None = None) -> tuple[JsonFields, Written]:
    """Say in Keras 2's words what Keras 1 wrote.

    Parameters
    ----------
    model : JsonFields
        The description.
    version : str or None
        Of Keras, where the file says so.
    backend : {"theano", "tensorflow"}, optional
        What computed, where the user says so.

    Raises
    ------
    UnreadableError
        The description is malformed.
    """
    orders = {entry["config"].get("dim_ordering") for entry in _layers(model.raw("config"))}
    told: Backend = "theano" if "th" in orders else "tensorflow"
    numbers = tuple(int(n) for n in re.findall(r"\d{1,4}", version or "")[:3])
    written = Written(backend or told, backend is not None, numbers >= _FIRST_WITH_VARIANCES, version or "")
    return JsonFields(_model(model, written)), written


def _layers(config: Any) -> list[dict[str, Any]]:
    """List all layers whose settings are an object, those of models and merges inside too."""
    layers = config.get("layers") if isinstance(config, dict) else config
    found = []
    for entry in layers if isinstance(layers, list) else ():
        if isinstance(entry, dict):
            inner = entry.get("config")
            if isinstance(inner, dict):
                found.append(entry)
            if entry.get("class_name") in (*_MODELS, "Merge"):
                found += _layers(inner)
    return found


def _model(model: JsonFields, written: Written) -> dict[str, Any]:
    stored, name = model.raw("config"), model.text("class_name")
    if name not in _MODELS:
        raise UnreadableError(
            f"its model is of the type {name[:60]!r} of Keras 1, whose structure cannot be followed",
            "Build the same network with keras.Sequential, load the weights into it, and save that.",
        )
    rest = {key: model.raw(key) for key in model.keys()}
    layers = stored.get("layers") if isinstance(stored, dict) else stored
    if not isinstance(layers, list):
        raise UnreadableError("its layers are not listed")
    if name == "Sequential" and layers and isinstance(layers[0], dict) and layers[0].get("class_name") == "Merge":
        return {**rest, "class_name": "Model", "config": _opened(layers, written)}
    entries = [_entry(entry, written) for entry in layers]
    config = {**stored, "layers": entries} if isinstance(stored, dict) else entries
    return {**rest, "config": config}


def _entry(entry: Any, written: Written) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        return entry
    if entry["class_name"] in _MODELS:
        return {**entry, **_model(JsonFields(entry), written)}
    config = entry.get("config")
    if not isinstance(config, dict):
        return entry
    class_name, settings = renamed(entry["class_name"], config, theano=written.backend == "theano")
    return {**entry, "class_name": class_name, "config": {**config, **settings, MARK: entry["class_name"]}}


def _opened(layers: Sequence[Any], written: Written) -> dict[str, Any]:
    """Make a graph of a Sequential model that begins with branches and their merging.

    The layers of the branches lie beside those of the trunk in the file, under their own names.
    """
    found: list[dict[str, Any]] = []
    inputs: list[list[Any]] = []
    here = _branch_end(layers, found, inputs, written)
    return {"name": "model", "layers": found, "input_layers": inputs, "output_layers": [here]}


def _branch_end(
    layers: Sequence[Any], found: list[dict[str, Any]], inputs: list[list[Any]], written: Written
) -> list[Any]:
    """Add a chain of layers to a graph; give where it ends, as a graph refers to it."""
    here: list[Any] = []
    for entry in layers:
        config = entry.get("config") if isinstance(entry, dict) else None
        if not isinstance(config, dict) or not isinstance(config.get("name"), str) or len(found) > 2_000:
            raise UnreadableError("a branch of its model is malformed, or it has too many layers")
        name = config["name"]
        if not here and entry.get("class_name") == "Merge":
            ends = []
            for branch in config.get("layers") or ():
                inner = branch.get("config") if isinstance(branch, dict) else None
                chain = inner if isinstance(inner, list) else [branch]
                ends.append([*_branch_end(chain, found, inputs, written), {}])
            nodes = [ends]
        elif not here:
            shape = config.get("batch_input_shape")
            source = f"{name}_input"
            found.append(
                {"name": source, "class_name": "InputLayer", "config": {"batch_input_shape": shape, "name": source},
                 "inbound_nodes": []}
            )  # fmt: skip
            inputs.append([source, 0, 0])
            nodes = [[[source, 0, 0, {}]]]
        else:
            nodes = [[[*here, {}]]]
        inner = {key: value for key, value in config.items() if key not in ("layers", "batch_input_shape")}
        translated = _entry({**entry, "config": inner}, written)
        found.append({**translated, "name": name, "inbound_nodes": nodes})
        here = [name, 0, 0]
    if not here:
        raise UnreadableError("a branch of its model has no layers")
    return here


def stored_as_keras_2(stored: Stored, written: Written) -> Stored:
    """Give the arrays of Keras 1 under the names and in the layout of Keras 2."""

    def found(leaf: LayerSpec) -> list[StoredArray]:
        return [_translated(leaf, array, written) for array in stored(leaf)]

    return found


def _translated(leaf: LayerSpec, array: StoredArray, written: Written) -> StoredArray:
    name = (array.name or "").removeprefix(f"{leaf.name}_")
    kind = str(leaf.config.raw(MARK))
    first = leaf.config.raw("dim_ordering") == "th"
    name = _ARRAYS.get(name, name)
    if name == "kernel" and "Convolution" in kind:
        return _kernel(kind, array, first, written.backend == "theano")
    if name in ("depthwise_kernel", "pointwise_kernel"):
        return _moved(name, array, (2, 3, 1, 0) if first else (0, 1, 2, 3), turned=0)
    if name == "moving_variance" and not written.variances:
        epsilon = leaf.config.number("epsilon", 1e-6)
        read = array.read

        def squared() -> npt.NDArray[Any]:
            # Keras added its epsilon to the standard deviation; the layer's own is taken off again.
            return np.square(read().astype(np.float64) + epsilon) - epsilon

        return StoredArray(name, array.shape, squared)
    return replace(array, name=name)


def _kernel(kind: str, array: StoredArray, first: bool, turned: bool) -> StoredArray:
    rank = len(array.shape) - 2
    axes = tuple(range(rank + 2))
    order = (*axes[2:], 1, 0) if first else axes
    if kind == "Convolution1D":  # a window of one column, in the order of either backend
        if len(array.shape) != 4:
            return replace(array, name="kernel")
        if array.shape[3] == 1 and array.shape[1] != 1:  # (out, in, row, 1), until 1.0.8
            order, rank = (2, 1, 0), 1
            narrow = replace(array, shape=array.shape[:3], read=lambda: array.read()[..., 0])
        else:
            order, rank = (0, 1, 2), 1
            narrow = replace(array, shape=(array.shape[0], *array.shape[2:]), read=lambda: array.read()[:, 0])
        return _moved("kernel", narrow, order, turned=rank if turned else 0)
    return _moved("kernel", array, order, turned=rank if turned else 0)


def _moved(name: str, array: StoredArray, order: tuple[int, ...], turned: int) -> StoredArray:
    """Give an array with its axes in another order, the first so many of them then turned round."""
    if len(array.shape) != len(order):
        return replace(array, name=name)
    read = array.read

    def moved() -> npt.NDArray[Any]:
        return np.flip(read().transpose(order), tuple(range(turned)))

    return StoredArray(name, tuple(array.shape[i] for i in order), moved)


def notes(architecture: Architecture, written: Written) -> tuple[str, ...]:
    """Say what the user should know of how the model was read."""
    said = []
    kinds = {str(leaf.config.raw(MARK)) for leaf in architecture.model.leaves()}
    if any("Convolution" in kind for kind in kinds):
        name = {"theano": "Theano", "tensorflow": "TensorFlow"}
        other = "tensorflow" if written.backend == "theano" else "theano"
        turned = "turned round" if written.backend == "theano" else "as they are in the file"
        why = "as you chose" if written.chosen else (
            f"because its axes are in {name[written.backend]}'s order, and nothing else in the file tells"
        )  # fmt: skip
        said.append(
            f"Written by Keras {written.version or '1'}. Its kernels are taken as {name[written.backend]}'s "
            f"({turned}), {why}. "
            f"If the result makes no sense, choose the other: "
            f'"keras_1_backend": "{other}" in the sidecar.'
        )
    if "BatchNormalization" in kinds and not written.version:
        said.append(
            "The file does not say which Keras 1 wrote it. Its running_std are taken for standard deviations, as Keras "
            "before 1.0.7 kept them; later ones kept variances."
        )
    return tuple(said)


__all__ = ["BACKENDS", "RENAMED", "Backend", "Written", "notes", "stored_as_keras_2", "upgraded", "written_by_keras_1"]
