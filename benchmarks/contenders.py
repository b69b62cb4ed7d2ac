"""The ways to segment an image with a patch network that are measured side by side.

Each contender takes a prepared image ``(row, col, channel)`` and returns scores ``(row, col, class)``. Those that use
TensorFlow by hand get the dense network's own numbers (batch normalisation folded), so that only the way of computing
differs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.conversion.fcn import DenseConv, DensePool
from napari_fcnseg.tiling import WindowReader, cut, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_fcnseg.conversion import DenseNetwork
    from napari_fcnseg.tiling import Region


def deepcell(size: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the layers of the DeepCell 2016 patch networks for 31 or 61 pixels, as Keras classes and arguments."""
    widths: dict[int, list[tuple[int, int] | str]] = {
        31: [(4, 32), "pool", (3, 64), (3, 64), "pool", (3, 128), (3, 200)],
        61: [(3, 64), (4, 64), "pool", (3, 64), (3, 64), "pool", (3, 64), (3, 64), "pool", (4, 200)],
    }
    layers: list[tuple[str, dict[str, Any]]] = []
    for part in widths[size]:
        if isinstance(part, str):
            layers.append(("MaxPooling2D", {}))
        else:
            kernel, filters = part
            layers += [
                ("Conv2D", {"filters": filters, "kernel_size": kernel}),
                ("BatchNormalization", {}),
                ("ReLU", {}),
            ]
    layers += [("Flatten", {}), ("Dense", {"units": 200}), ("BatchNormalization", {}), ("ReLU", {})]
    return [*layers, ("Dense", {"units": 3, "activation": "softmax"})]


def same_padded() -> list[tuple[str, dict[str, Any]]]:
    """Return the layers of a Keras tutorial's network, its convolutions padded with zeros (``padding="same"``)."""
    layers: list[tuple[str, dict[str, Any]]] = []
    for filters in (32, 64, 128):
        conv = {"filters": filters, "kernel_size": 3, "padding": "same", "activation": "relu"}
        layers += [("Conv2D", conv), ("MaxPooling2D", {})]
    layers += [("Flatten", {}), ("Dense", {"units": 128, "activation": "relu"})]
    return [*layers, ("Dense", {"units": 3, "activation": "softmax"})]


@dataclass(frozen=True)
class Case:
    """A network to measure: its layers, one patch ``(row, col, channel)``, and the image.

    ``chain`` says whether it is a chain without padding, which can be written down by hand.
    """

    layers: list[tuple[str, dict[str, Any]]]
    patch: tuple[int, int, int]
    image: tuple[int, int]
    chain: bool = True


CASES = {
    "DeepCell-61": Case(deepcell(61), (61, 61, 2), (1040, 1392)),
    "DeepCell-31": Case(deepcell(31), (31, 31, 2), (1040, 1392)),
    "same-padded-64": Case(same_padded(), (64, 64, 3), (512, 512), chain=False),
}


def save_random(layers: list[tuple[str, dict[str, Any]]], input_shape: tuple[int, ...], path: str) -> None:
    """Write a Keras model with random weights; speed does not depend on them."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(input_shape)])
    for name, arguments in layers:
        model.add(getattr(keras.layers, name)(**arguments))
    model.save(path)


def by_hand(network: DenseNetwork, convolve: Callable[[Any, Any, int], Any]) -> Callable[[Any], Any]:
    """Return the dense network as a ``tf.function`` written by hand with the given dilated convolution."""
    import tensorflow as tf

    constants = [
        (tf.Variable(s.op.kernels[0]), tf.Variable(s.op.bias)) if isinstance(s.op, DenseConv) else None
        for s in network.steps
    ]

    def apply(x: Any) -> Any:
        for step, weights in zip(network.steps, constants, strict=True):
            if weights is not None:
                x = tf.nn.bias_add(convolve(x, weights[0], step.op.dilations[0][0]), weights[1])
            elif isinstance(step.op, DensePool):
                d = max(step.op.dilation)
                rows = step.op.sizes[0] == (2, 1)
                x = tf.maximum(x[:, d:], x[:, :-d]) if rows else tf.maximum(x[:, :, d:], x[:, :, :-d])
            else:
                x = getattr(tf.nn, step.op.name)(x)
        return x

    return tf.function(apply, input_signature=[tf.TensorSpec((1, None, None, network.channels))])


def native(x: Any, kernel: Any, dilation: int) -> Any:
    """``tf.nn.conv2d(dilations=…)``."""
    import tensorflow as tf

    return tf.nn.conv2d(x, kernel, 1, "VALID", dilations=dilation)


def blog(x: Any, kernel: Any, dilation: int) -> Any:
    """``tf.nn.convolution(dilations=…)``, as in the 2017 blog post: batches of phases around every layer."""
    import tensorflow as tf

    return tf.nn.convolution(x, kernel, padding="VALID", dilations=[dilation, dilation])


def over_tiles(
    function: Callable[[Any], Any], network: DenseNetwork, image: np.ndarray, tiles: Iterable[Region]
) -> np.ndarray:
    """Apply a hand-written network tile by tile."""
    import tensorflow as tf

    reader = WindowReader(image, network.patch_shape, "reflect")
    result = np.empty((*image.shape[:2], network.outputs), np.float32)
    for tile in tiles:
        result[slices(tile)] = function(tf.constant(reader.read(tile, network.reach)[None])).numpy()[0]
    return result


def four_pieces(shape: tuple[int, int]) -> list[Region]:
    """Cut an image in four, as the blog post did."""
    return cut(((0, shape[0]), (0, shape[1])), (-(-shape[0] // 2), -(-shape[1] // 2)))


def patch_by_patch(path: str, image: np.ndarray, patch: tuple[int, ...], batch: int, count: int) -> float:
    """Return pixels per second of Keras on a sample of ``count`` patches in batches."""
    import keras
    import tensorflow as tf

    model = keras.models.load_model(path, compile=False)
    function = tf.function(lambda x: model(x, training=False))
    padded = np.pad(image, [(p // 2, p - 1 - p // 2) for p in patch] + [(0, 0)], mode="reflect")
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(padded, patch, (0, 1)), 2, -1)
    rows, columns = np.random.default_rng(0).integers(0, image.shape[:2], (count, 2)).T
    function(tf.constant(windows[rows[:batch], columns[:batch]]))
    start = time.perf_counter()
    for first in range(0, count, batch):
        some = slice(first, first + batch)
        function(tf.constant(windows[rows[some], columns[some]])).numpy()
    return count / (time.perf_counter() - start)
