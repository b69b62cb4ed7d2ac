"""Models that keep their channels first, written by Keras, each with a twin that keeps them last.

TensorFlow cannot run convolutions with the channels first on a CPU, so what such a model computes comes from the twin,
which has the same arrays. For each model ``M`` the folder gets ``M.keras``, ``M.h5``, and ``M.npz`` with an input ``x``
(channels last) and the twin's output ``y``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

#: Layers that take no ``data_format``.
_PLAIN = frozenset({"Activation", "Dense", "Dropout", "ReLU"})
#: Model -> shape of its input, channels last, and its layers: class, settings, and settings of the twin that differ.
MODELS: dict[str, tuple[tuple[int, ...], list[tuple[str, dict[str, Any], dict[str, Any]]]]] = {
    "network": (
        (11, 12, 2),
        [
            ("Conv2D", {"filters": 4, "kernel_size": (3, 2), "strides": (2, 1), "activation": "relu"}, {}),
            ("BatchNormalization", {"axis": 1}, {"axis": -1}),
            ("MaxPooling2D", {"pool_size": (1, 2)}, {}),
            ("Dropout", {"rate": 0.5}, {}),
            ("Conv2D", {"filters": 3, "kernel_size": (2, 3), "padding": "same", "groups": 1}, {}),
            ("Flatten", {}, {}),
            ("Dense", {"units": 3}, {}),
        ],
    ),
    "flatten_as_last": (
        (6, 7, 2),
        [
            ("DepthwiseConv2D", {"kernel_size": (3, 2), "depth_multiplier": 2}, {}),
            ("SeparableConv2D", {"filters": 3, "kernel_size": (2, 1)}, {}),
            ("Flatten", {"data_format": "channels_first"}, {"data_format": "channels_last"}),
            ("Dense", {"units": 3}, {}),
        ],
    ),
    "borders": (
        (6, 7, 2),
        [
            ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, {}),
            ("Conv2DTranspose", {"filters": 3, "kernel_size": (2, 3), "strides": (2, 1)}, {}),
            ("Cropping2D", {"cropping": ((1, 0), (2, 3))}, {}),
            ("UpSampling2D", {"size": (1, 2)}, {}),
            ("AveragePooling2D", {"pool_size": (3, 2), "padding": "same"}, {}),
            ("Softmax", {"axis": 1}, {"axis": -1}),
            ("GlobalAveragePooling2D", {}, {}),
        ],
    ),
    "norms": (
        (5, 6, 4),
        [
            ("PReLU", {"shared_axes": [2, 3]}, {"shared_axes": [1, 2]}),
            ("LayerNormalization", {"axis": 1}, {"axis": -1}),
            ("GroupNormalization", {"axis": 1, "groups": 2}, {"axis": -1}),
            ("PReLU", {"shared_axes": [1]}, {"shared_axes": [3]}),
            ("GlobalMaxPooling2D", {"keepdims": True}, {}),
            ("Conv2D", {"filters": 3, "kernel_size": 1}, {}),
            ("Flatten", {}, {}),
        ],
    ),
    "solid": (
        (5, 6, 7, 2),
        [
            ("Conv3D", {"filters": 3, "kernel_size": (1, 2, 3)}, {}),
            ("MaxPooling3D", {"pool_size": (2, 1, 1)}, {}),
            ("Flatten", {}, {}),
            ("Dense", {"units": 2}, {}),
        ],
    ),
    "line": (
        (9, 2),
        [("Conv1D", {"filters": 3, "kernel_size": 3}, {}), ("MaxPooling1D", {"pool_size": 2}, {}), ("Flatten", {}, {})],
    ),
}
NAMES = (*MODELS, "branches")


def _layer(name: str, settings: dict[str, Any], data_format: str) -> Any:
    import keras

    found = getattr(keras.layers, name)
    takes = name not in _PLAIN and not name.endswith(("Normalization", "Softmax", "PReLU")) and name != "Flatten"
    return found(**({"data_format": data_format} if takes else {}), **settings)


def _pair(shape: tuple[int, ...], layers: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> tuple[Any, Any]:
    import keras

    first = keras.Sequential([keras.Input((shape[-1], *shape[:-1]))])
    last = keras.Sequential([keras.Input(shape)])
    for name, settings, other in layers:
        first.add(_layer(name, settings, "channels_first"))
        if name == "Flatten" and not settings:
            # It flattens in the order in which the model has its axes.
            last.add(keras.layers.Permute((len(shape), *range(1, len(shape)))))
        last.add(_layer(name, settings | other, "channels_last"))
    return first, last


def _branches() -> tuple[Any, Any]:
    import keras

    kl = keras.layers
    models = []
    for kind, shape, axis in (("channels_first", (2, 8, 7), 1), ("channels_last", (8, 7, 2), -1)):
        i = keras.Input(shape)
        x = kl.Conv2D(3, 3, padding="same", data_format=kind)(i)
        y = kl.Add()([x, kl.Conv2D(3, 1, data_format=kind)(i)])
        z = kl.Concatenate(axis=axis)([x, kl.Conv2D(2, 3, padding="same", data_format=kind)(y)])
        models.append(keras.Model(i, kl.Dense(3)(kl.GlobalMaxPooling2D(data_format=kind)(z))))
    return models[0], models[1]


def write_one(name: str, seed: int, folder: Path) -> None:
    """Write one of the models, with what its twin with the channels last makes of a random input."""
    import keras

    rng = np.random.default_rng(seed)
    keras.backend.clear_session()
    first, last = _pair(*MODELS[name]) if name in MODELS else _branches()
    twins = [layer for layer in last.layers if not layer.name.startswith("permute")]
    for layer, twin in zip(first.layers, twins, strict=True):
        arrays = [rng.uniform(0.2, 1.0, w.shape).astype(np.float32) for w in layer.get_weights()]
        layer.set_weights(arrays)
        moved = type(layer).__name__ == "PReLU"
        twin.set_weights([np.moveaxis(w, 0, -1) if moved else w for w in arrays])
    x = rng.normal(0, 1, (3, *last.input_shape[1:])).astype(np.float32)
    np.savez(folder / f"{name}.npz", x=x, y=np.asarray(last(x, training=False)))
    first.save(folder / f"{name}.keras")
    first.save(folder / f"{name}.h5")
