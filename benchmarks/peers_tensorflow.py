"""The ways of TensorFlow and Keras: the blog post's, a Keras model with dilated layers, and patch by patch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import dense_graph
import numpy as np
from contender import Tiled, patches_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from contender import Job
    from dense_graph import Ints

    from napari_fcnseg.conversion import DenseNetwork

_BATCHES = (64, 256, 1024)
_SECONDS = 2.0  # of each batch size in a turn, at least


class ByHand:
    """The operations of TensorFlow that a person would write, arrays channels last."""

    def __init__(self) -> None:
        self.weights: dict[Any, Any] = {}

    def conv(self, key: tuple[int, int], x: Any, kernel: np.ndarray, bias: np.ndarray | None, dilation: Ints) -> Any:
        """``tf.nn.convolution(dilations=…)``: batches of phases around every layer, in two and three dimensions."""
        import tensorflow as tf

        if key not in self.weights:
            with tf.init_scope():
                self.weights[key] = tf.Variable(kernel), None if bias is None else tf.Variable(bias)
        weights, offset = self.weights[key]
        x = tf.nn.convolution(x, weights, padding="VALID", dilations=list(dilation))
        return x if offset is None else tf.nn.bias_add(x, offset)

    def max_pool(self, x: Any, size: Ints, dilation: Ints) -> Any:
        """``tf.nn.pool(dilations=…)``."""
        import tensorflow as tf

        needed = [d if k > 1 else 1 for k, d in zip(size, dilation, strict=True)]
        return tf.nn.pool(x, list(size), "MAX", padding="VALID", dilations=needed)

    def cut(self, x: Any, before: Ints, after: Ints) -> Any:
        """Cut by slicing."""
        inner = (slice(b or None, -a if a else None) for b, a in zip(before, after, strict=True))
        return x[(slice(None), *inner)]

    def combine(self, a: Any, b: Any, kind: str) -> Any:
        """Two tensors as one."""
        import keras

        return getattr(keras.ops, kind)(a, b)

    def scale(self, x: Any, factor: float) -> Any:
        """Return a multiple."""
        return x * factor

    def join(self, xs: list[Any]) -> Any:
        """Side by side."""
        import keras

        return keras.ops.concatenate(xs, axis=-1)

    def take(self, x: Any, channels: list[int]) -> Any:
        """Return some channels."""
        import keras

        return keras.ops.take(x, channels, axis=-1)

    def activation(self, x: Any, name: str) -> Any:
        """``tf.nn.relu`` and the like."""
        import keras

        return getattr(keras.activations, name)(x)


class Layers(ByHand):
    """The same with the layers of Keras, on its symbolic tensors."""

    def conv(self, key: tuple[int, int], x: Any, kernel: np.ndarray, bias: np.ndarray | None, dilation: Ints) -> Any:
        """``Conv2D(dilation_rate=…)`` or ``Conv3D``."""
        import keras

        *size, _, filters = kernel.shape
        kind = getattr(keras.layers, f"Conv{len(size)}D")
        layer = kind(filters, tuple(size), dilation_rate=dilation, use_bias=bias is not None)
        x = layer(x)
        layer.set_weights([kernel] if bias is None else [kernel, bias])
        return x

    def activation(self, x: Any, name: str) -> Any:
        """``Activation(name)``."""
        import keras

        return keras.layers.Activation(name)(x)


class Blog(Tiled):
    """The way of the 2017 blog post: ``tf.nn.convolution`` over the image in four pieces."""

    name, package = "blog post: tf.nn.convolution, four pieces", "tensorflow"
    styles = ({"own_pool": False}, {"own_pool": True})
    pieces = (2,)

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return the network as a ``tf.function``."""
        import tensorflow as tf

        call = by_hand(self.network, own_pool=style["own_pool"])
        return lambda window: call(tf.constant(window)).numpy()


def by_hand(network: DenseNetwork, *, own_pool: bool = False) -> Any:
    """Return the dense network as a ``tf.function`` that somebody would write by hand."""
    import tensorflow as tf

    framework = ByHand()
    shape = (1, *(None,) * len(network.patch_shape), network.channels)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    def apply(x: Any) -> Any:
        return dense_graph.apply(network, framework, x, own_pool=own_pool)

    return apply


def keras_model(network: DenseNetwork) -> Any:
    """Return the dense network as a Keras model of ordinary layers."""
    import keras

    image = keras.Input((*(None,) * len(network.patch_shape), network.channels), batch_size=1)
    return keras.Model(image, dense_graph.apply(network, Layers(), image, own_pool=False))


class KerasDilated(Tiled):
    """A Keras model of ``Conv2D(dilation_rate=…)`` layers."""

    name, package = "Keras Conv(dilation_rate)", "keras"

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return the model, compiled once for all sizes."""
        import tensorflow as tf

        model = keras_model(self.network)
        shape = (1, *(None,) * len(self.network.patch_shape), self.network.channels)
        call = tf.function(
            lambda x: model(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False
        )
        return lambda window: call(tf.constant(window)).numpy()


class PatchByPatch:
    """The patch network itself, at a sample of pixels, extrapolated to all of them."""

    def __init__(self, job: Job) -> None:
        import keras
        import tensorflow as tf

        model = keras.models.load_model(job.path("model.keras"), compile=False)
        self._call = tf.function(lambda x: model(x, training=False))
        self._windows = patches_of(job.image, model.input_shape[1:-1])
        self._shape = job.image.shape[:-1]
        self._random = np.random.default_rng(0)
        self.batch = 1
        self.ways = ("patch by patch, best batches", "patch by patch, one at a time")

    def tune(self) -> str:
        """Find the best batch."""
        import psutil

        patch = self._windows.nbytes // np.prod(self._windows.shape[: len(self._shape)])
        batches = [b for b in _BATCHES if 100 * b * patch < psutil.virtual_memory().available]
        speeds = [self._sample(batch)[0] for batch in batches or [16]]
        self.batch = (batches or [16])[int(np.argmin(speeds))]
        self._sample(1)
        return f"batches of {self.batch}; extrapolated from a sample of pixels"

    def turn(self, way: str) -> tuple[float, np.ndarray]:
        """Return the seconds that all pixels would take, and the scores at a sample: coordinates, then numbers."""
        per_pixel, scores = self._sample(1 if way.endswith("time") else self.batch)
        return per_pixel * float(np.prod(self._shape)), scores

    def _sample(self, batch: int) -> tuple[float, np.ndarray]:
        """Return seconds per pixel, and ``(n, axes + class)``."""
        import tensorflow as tf

        def answer() -> np.ndarray:
            where = self._random.integers(0, self._shape, (batch, len(self._shape)))
            return np.hstack([where, self._call(tf.constant(self._windows[tuple(where.T)])).numpy()])

        answer()
        found: list[np.ndarray] = []
        start = time.perf_counter()
        while time.perf_counter() < start + _SECONDS:
            found.append(answer())
        return (time.perf_counter() - start) / (batch * len(found)), np.concatenate(found)
