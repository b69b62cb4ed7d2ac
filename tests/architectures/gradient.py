"""The proof of teaching: the dense network's gradient is the sum of the gradients that Keras finds of the patches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.conversion.trained_numbers import TrainedNumbers
from napari_fcnseg.engine import engine
from napari_fcnseg.graph.network import Network, Node
from napari_fcnseg.graph.ops import Activation

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 1e-5
#: Pixels of the region along an axis, by the number of axes.
_TILE = {1: 9, 2: 4, 3: 2}
_LEAST = 0.8  # of the trained arrays that have to be found again among Keras's
_MOST_STEPS = 150  # a network of more takes a minute to differentiate


def gradient_difference(network: Network, gradients: Callable[..., Any], seed: int) -> float | None:
    """Return how far the two gradients are from each other, relative to the largest number; None for no gradient.

    Parameters
    ----------
    network : Network
        The patch network.
    gradients : callable
        :func:`architectures.keras_model.gradients`, or what calls it in the process that has Keras.
    seed : int
        Of the image and of what is known of its pixels.
    """
    whole = with_softmax(network)
    numbers = TrainedNumbers.of(whole)
    if numbers is None or not numbers.trained.any() or numbers.dense.outputs < 2:
        return None
    dense = numbers.dense
    if len(dense.steps) > _MOST_STEPS:
        return None
    random = np.random.default_rng(seed)
    tile = (_TILE[len(dense.patch_shape)],) * len(dense.patch_shape)
    window = random.standard_normal((*dense.window(tile), dense.channels)).astype(np.float32)
    labels = random.integers(0, dense.outputs, tile).astype(np.int32)
    weights = np.where(random.random(tile) < 0.6, random.uniform(0.5, 2, tile), 0).astype(np.float32)
    trainer = engine().trainer(dense)
    _, _, found = trainer.gradient(numbers.dense_arrays(numbers.values), window[None], labels[None], weights[None])
    trainer.close()
    ours = numbers.back(found)
    points = np.argwhere(weights > 0)
    question = _patches(window, points, dense), labels[tuple(points.T)], weights[tuple(points.T)]
    difference = _difference(numbers, ours, gradients(*question, softmax=whole is network))
    if difference > TOLERANCE:  # whose rounding is it?
        difference = _difference(numbers, ours, gradients(*question, softmax=whole is network, exact=True))
    return difference


def with_softmax(network: Network) -> Network:
    """Return a network that ends with a softmax, as one does that is taught."""
    last = next(node for node in network.nodes if node.name == network.output).ops[-1]
    if isinstance(last, Activation) and last.name == "softmax":
        return network
    end = Node("the end", "Softmax", (Activation("softmax", {"axis": -1}),), (network.output,))
    return replace(network, nodes=(*network.nodes, end), output=end.name)


def _patches(window: np.ndarray, points: np.ndarray, dense: Any) -> np.ndarray:
    """Return the patches of pixels; what no patch's answer depends on is zero."""
    patches = np.zeros((len(points), *dense.patch_shape, dense.channels), np.float32)
    there = tuple(slice(o, o + r) for o, r in zip(dense.origin, dense.reach, strict=True))
    for patch, point in zip(patches, points, strict=True):
        patch[there] = window[tuple(slice(i, i + r) for i, r in zip(point, dense.reach, strict=True))]
    return patches


def _difference(numbers: TrainedNumbers, ours: np.ndarray, theirs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    known = {np.ravel(values).tobytes(): np.ravel(gradient) for values, gradient in theirs}
    scale = max(float(np.abs(gradient).max()) for gradient in known.values())
    worst, matched, count = 0.0, 0, 0
    for start, array in numbers.arrays():
        if not numbers.trained[start]:
            continue
        expected = known.get(np.ravel(array).astype(np.float32).tobytes())
        if expected is None and (not array.any() or (array == 1).all()):
            continue  # of a layer without a bias, a scale or an offset
        count += 1
        if expected is not None:
            matched += 1
            worst = max(worst, float(np.abs(ours[start : start + array.size] - expected).max()))
    assert matched >= _LEAST * count, f"only {matched} of {count} trained arrays were found again"
    return worst / scale
