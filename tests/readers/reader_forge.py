"""Model files written by hand: what Keras would write, and what an attacker would."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KERNEL = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2)
BIAS = np.array([1, 2], np.float32)
CONV = {"filters": 2, "kernel_size": [3, 3]}
Entry = dict[str, Any]


def entry(class_name: str, name: str | None = None, **config: Any) -> Entry:
    """Describe one layer."""
    return {"class_name": class_name, "config": {"name": name or class_name.lower(), "trainable": True, **config}}


def input_entry(*shape: int | None, keras: int = 3) -> Entry:
    """Describe an input layer."""
    key = "batch_shape" if keras == 3 else "batch_input_shape"
    return entry("InputLayer", "input", **{key: [None, *(shape or (7, 7, 1))]})


def sequential(*layers: Entry, keras: int = 3, shape: tuple[int | None, ...] = (7, 7, 1)) -> Entry:
    """Describe a Sequential model."""
    return {
        "class_name": "Sequential",
        "config": {"name": "forged", "layers": [input_entry(*shape, keras=keras), *layers]},
    }


def functional(
    *layers: tuple[Entry, Iterable[str]], outputs: Iterable[str], inputs: Iterable[str] = ("input",), keras: int = 2
) -> Entry:
    """Describe a Functional model; each layer comes with the names of those it reads."""

    def node(sources: Iterable[str]) -> Any:
        if keras == 2:
            return [[name, 0, 0, {}] for name in sources]
        tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in sources]
        return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}

    written = [{**input_entry(keras=keras), "name": "input", "inbound_nodes": []}]
    written += [{**e, "name": e["config"]["name"], "inbound_nodes": [node(sources)]} for e, sources in layers]
    ends = {"input_layers": [[n, 0, 0] for n in inputs], "output_layers": [[n, 0, 0] for n in outputs]}
    return {"class_name": "Functional", "config": {"name": "forged", "layers": written, **ends}}


def arrays_file(groups: dict[str, list[np.ndarray]], names: dict[str, str] | None = None) -> bytes:
    """Write a ``model.weights.h5``: group -> arrays."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_group("layers")
        for group, arrays in groups.items():
            variables = file.create_group(f"{group}/vars")
            for number, array in enumerate(arrays):
                variables[str(number)] = array
            if names and group in names:
                variables.attrs["name"] = names[group]
    return stream.getvalue()


def keras_file(
    path: Path, model: Entry | str | bytes, groups: dict[str, list[np.ndarray]] | bytes | None = None
) -> Path:
    """Write a ``.keras`` file; without ``groups`` with the arrays of one convolution."""
    if groups is None:
        groups = {"layers/conv2d": [KERNEL, BIAS]}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(model) if isinstance(model, dict) else model)
        archive.writestr("model.weights.h5", groups if isinstance(groups, bytes) else arrays_file(groups))
    return path


def h5_file(path: Path, model: Entry | str, arrays: dict[str, dict[str, np.ndarray]] | None = None) -> Path:
    """Write a whole ``.h5`` model: layer -> weight name -> array."""
    if arrays is None:
        arrays = {"conv2d": {"conv2d/kernel:0": KERNEL, "conv2d/bias:0": BIAS}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model) if isinstance(model, dict) else model
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = list(arrays)
        for layer, named in arrays.items():
            group = weights.create_group(layer)
            group.attrs["weight_names"] = list(named)
            for name, array in named.items():
                group[name] = array
    return path
