"""The patch networks that are measured, and images for them.

Weights are random: speed does not depend on them. They are drawn so that the answers differ from pixel to pixel, or a
contender that computes something else would not be found out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: FLOP of the dense network in a quick run, its halo not counted.
_QUICK = 1.2e11  # more than a run has that is too small for the quicker ways


@dataclass(frozen=True)
class Case:
    """A network to measure.

    Attributes
    ----------
    build : callable
        Returns the patch network as a Keras model; called where Keras is.
    patch : tuple of int
        One patch, ``(*spatial, channel)``.
    image : tuple of int
        Spatial shape of the image that is measured by default.
    what : str
        What it is, in a few words.
    """

    build: Callable[[tuple[int, ...]], Any]
    patch: tuple[int, ...]
    image: tuple[int, ...]
    what: str


def quick_shape(case: Case, flop_per_pixel: float) -> tuple[int, ...]:
    """Return a small image of about a second of work, of the default image's proportions."""
    smaller = min(1.0, (_QUICK / (flop_per_pixel * math.prod(case.image))) ** (1 / len(case.image)))
    return tuple(max(16, round(n * smaller)) for n in case.image)


def image_for(case: Case, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image ``(*shape, channel)`` in float32 that varies over some pixels, as pictures do."""
    from scipy import ndimage

    noise = np.random.default_rng(0).standard_normal((*shape, case.patch[-1]), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, (2.0,) * len(shape) + (0,))
    image: np.ndarray = (noise * 0.3 + smooth / smooth.std()).astype(np.float32)
    return image


def save_random(case: Case, path: str) -> None:
    """Write the Keras model with random weights. Runs where Keras is."""
    import keras

    model = case.build(case.patch)
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([_random(random, v.name, tuple(v.shape)) for v in layer.weights])
    assert isinstance(model, keras.Model)
    model.save(path)


def _random(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return weights that keep a layer's numbers as large as they are, with a batch normalisation that matters."""
    if "variance" in name or name == "gamma":
        return random.uniform(0.7, 1.4, shape).astype(np.float32)
    size = math.sqrt(2 / math.prod(shape[:-1])) if "kernel" in name else 0.1
    return (random.standard_normal(shape) * size).astype(np.float32)


def _chain(patch: tuple[int, ...], layers: list[tuple[str, dict[str, Any]]]) -> Any:
    import keras

    return keras.Sequential(
        [keras.Input(patch), *(getattr(keras.layers, name)(**arguments) for name, arguments in layers)]
    )


def _deepcell(patch: tuple[int, ...]) -> Any:
    """Build DeepCell's patch networks of 2016 for 31 or 61 pixels (Van Valen et al.)."""
    widths: dict[int, list[tuple[int, int] | str]] = {
        31: [(4, 32), "pool", (3, 64), (3, 64), "pool", (3, 128), (3, 200)],
        61: [(3, 64), (4, 64), "pool", (3, 64), (3, 64), "pool", (3, 64), (3, 64), "pool", (4, 200)],
    }
    norm_relu: list[tuple[str, dict[str, Any]]] = [("BatchNormalization", {}), ("ReLU", {})]
    layers: list[tuple[str, dict[str, Any]]] = []
    for part in widths[patch[0]]:
        if isinstance(part, str):
            layers.append(("MaxPooling2D", {}))
        else:
            layers += [("Conv2D", {"filters": part[1], "kernel_size": part[0]}), *norm_relu]
    layers += [("Flatten", {}), ("Dense", {"units": 200}), *norm_relu]
    return _chain(patch, [*layers, ("Dense", {"units": 3, "activation": "softmax"})])


def _sk_net(patch: tuple[int, ...]) -> Any:
    """Build Tschopp's SK-Net as a patch network: 10 × 10 × 192 numbers are flattened into 1024 units."""
    layers: list[tuple[str, dict[str, Any]]] = []
    for size, filters in ((7, 48), (5, 128), (3, 192)):
        conv = {"filters": filters, "kernel_size": size, "activation": "relu"}
        layers += [("Conv2D", conv), ("MaxPooling2D", {})]
    layers += [("Flatten", {})]
    layers += [("Dense", {"units": units, "activation": "relu"}) for units in (1024, 512)]
    return _chain(patch, [*layers, ("Dense", {"units": 2, "activation": "softmax"})])


def _same_padded(patch: tuple[int, ...]) -> Any:
    """Build a Keras tutorial's network, its convolutions padded with zeros (``padding="same"``)."""
    layers: list[tuple[str, dict[str, Any]]] = []
    for filters in (32, 64, 128):
        conv = {"filters": filters, "kernel_size": 3, "padding": "same", "activation": "relu"}
        layers += [("Conv2D", conv), ("MaxPooling2D", {})]
    layers += [("Flatten", {}), ("Dense", {"units": 128, "activation": "relu"})]
    return _chain(patch, [*layers, ("Dense", {"units": 3, "activation": "softmax"})])


def _multi_resolution(patch: tuple[int, ...]) -> Any:
    """Build two branches, the patch's middle as it is and the whole patch at half the resolution, that are joined."""
    import keras
    from keras import layers

    image = keras.Input(patch)
    middle = layers.Cropping2D(tuple((n // 4, n // 4) for n in patch[:-1]))(image)
    answers = []
    for x in (middle, layers.AveragePooling2D(2)(image)):
        for size, filters in ((5, 32), (3, 64)):
            x = layers.MaxPooling2D()(layers.Conv2D(filters, size, activation="relu")(x))
        answers.append(layers.Dense(128, activation="relu")(layers.Flatten()(x)))
    x = layers.Dense(128, activation="relu")(layers.Concatenate()(answers))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


def _volume(patch: tuple[int, ...]) -> Any:
    """Build a network for volumes."""
    layers: list[tuple[str, dict[str, Any]]] = []
    for filters in (16, 32):
        layers += [("Conv3D", {"filters": filters, "kernel_size": 3, "activation": "relu"}), ("MaxPooling3D", {})]
    layers += [("Flatten", {}), ("Dense", {"units": 64, "activation": "relu"})]
    return _chain(patch, [*layers, ("Dense", {"units": 2, "activation": "softmax"})])


CASES = {
    "DeepCell-61": Case(_deepcell, (61, 61, 2), (1040, 1392), "DeepCell 2016, patch 61 × 61"),
    "DeepCell-31": Case(_deepcell, (31, 31, 2), (520, 696), "DeepCell 2016, patch 31 × 31"),
    "SK-Net": Case(_sk_net, (102, 102, 3), (128, 128), "SK-Net-like, 10 × 10 × 192 flattened into 1024"),
    "multi-resolution": Case(_multi_resolution, (64, 64, 2), (448, 448), "two branches at two scales, joined"),
    "3D": Case(_volume, (22, 22, 22, 1), (40, 128, 128), "3D convolutions and pools"),
    "same-padded-64": Case(_same_padded, (64, 64, 3), (256, 256), 'convolutions with padding="same"'),
}
