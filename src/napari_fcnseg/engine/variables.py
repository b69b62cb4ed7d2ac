"""Arrays of a network as variables, for training.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras and TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from napari_fcnseg.conversion.trained_numbers import arrays_of
from napari_fcnseg.engine.keras_operations import Constants

if TYPE_CHECKING:
    import numpy as np

    from napari_fcnseg.graph.ops import Op


class Variables(Constants):
    """Arrays as variables, each known by the array that it was made of.

    Attributes
    ----------
    keys : list of int
        ``id`` of each array.
    tensors : list of tf.Variable
        What was made of it.
    """

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.tensors: list[Any] = []

    def tensor(self, array: np.ndarray) -> Any:
        """Return an array as a variable."""
        variable = tf.Variable(array, dtype=tf.float32)
        self._note(array, variable)
        return variable

    def layer(self, op: Op, shape: tuple[int | None, ...]) -> Any:
        """Return Keras's layer for an operation; its weights are variables anyway."""
        layer = super().layer(op, shape)
        for array, weight in zip(arrays_of(op), layer.trainable_weights, strict=True):
            self._note(array, weight.value)
        return layer

    def _note(self, array: np.ndarray, variable: Any) -> None:
        self.keys.append(id(array))
        self.tensors.append(variable)
