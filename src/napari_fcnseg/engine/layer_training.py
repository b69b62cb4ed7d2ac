"""Train all layers of a patch network, by its dense form or patch by patch: the same gradient either way.

Li, Zhao and Wang (2014, arXiv 1412.4526) pass the gradient back through the dense network: with a loss at some pixels
alone it is the sum of the gradients of their patches. Patch by patch is the dense form with the model's own strides,
one patch an entry of the batch. Runs in the child alone: it imports TensorFlow, inside functions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.conversion.trained_numbers import arrays_of
from napari_fcnseg.engine.dense_function import DenseFunction
from napari_fcnseg.graph.ops import Activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.conversion.dense_network import DenseNetwork


class LayerTrainer:
    """A dense network whose arrays can be changed, and the gradient of a loss by them.

    Parameters
    ----------
    network : DenseNetwork
        Ends with a softmax. One that answers at every pixel, or thinned.
    """

    def __init__(self, network: DenseNetwork) -> None:
        import tensorflow as tf

        from napari_fcnseg.engine.keras_operations import KerasOperations
        from napari_fcnseg.engine.variables import Variables

        self._order = [array for step in network.steps for array in arrays_of(step.op)]
        self._variables = Variables()
        function = DenseFunction(without_softmax(network), KerasOperations(arrays=self._variables))
        axes = len(network.patch_shape)
        shape = (None,) * (axes + 1)
        self._gradient = tf.function(self._graph(tf, function), autograph=False, input_signature=[
            tf.TensorSpec((*shape, network.channels)), tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape),
        ])  # fmt: skip

    def _graph(self, tf: Any, function: DenseFunction) -> Callable[..., Any]:
        from napari_fcnseg.engine import functions

        def gradient(x: Any, labels: Any, weights: Any) -> Any:
            with functions.gradients(), tf.GradientTape() as tape:
                z = function(x)
                each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, z)
                loss = tf.reduce_sum(each * weights)
            found = tape.gradient(loss, self._variables.tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            right = tf.cast(tf.equal(tf.argmax(z, -1, tf.int32), labels), tf.float32)
            return loss, tf.reduce_sum(right * tf.cast(weights > 0, tf.float32)), found

        return gradient

    def gradient(self, x: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[float, float, list[np.ndarray]]:
        """Return the loss, how many pixels are right, and the gradient by each array of the network's operations.

        Parameters
        ----------
        x : ndarray of float32, shape (n, *window, channel)
            Windows.
        labels : ndarray of int32, shape (n, *tile)
            Class index of each pixel.
        weights : ndarray of float32, shape (n, *tile)
            What its loss counts; 0 where nothing is known.
        """
        loss, right, found = self._gradient(x, labels, weights)
        given = {key: np.asarray(value) for key, value in zip(self._variables.keys, found, strict=True)}
        none = np.zeros(0, np.float32)
        arrays = (given.get(id(array), none) for array in self._order)
        full = [a.reshape(b.shape) if a.size else np.zeros_like(b) for a, b in zip(arrays, self._order, strict=True)]
        return float(loss), float(right), full

    def assign(self, arrays: list[np.ndarray]) -> None:
        """Give the operations other arrays, in the order of the network."""
        given = {id(old): new for old, new in zip(self._order, arrays, strict=True)}
        for key, variable in zip(self._variables.keys, self._variables.tensors, strict=True):
            variable.assign(given[key].reshape(variable.shape))


def without_softmax(network: DenseNetwork) -> DenseNetwork:
    """Return the network that answers what goes into its softmax."""
    last = network.steps[-1].op
    assert isinstance(last, Activation), "the head of what is taught"
    assert last.name == "softmax", "the head of what is taught"
    return replace(network, steps=network.steps[:-1])
