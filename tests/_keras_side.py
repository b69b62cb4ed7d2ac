"""Functions that tests run in the child process that has TensorFlow: ``keras_child(function, *arguments)``.

Frameworks are imported inside the functions only, since pytest's own process imports this module too.
"""

from __future__ import annotations

import importlib
import os
import traceback
from typing import Any


def call(module: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    """Call a function by its name; return whether that went well, and its result or the text of what it raised."""
    try:
        return True, getattr(importlib.import_module(module), name)(*args, **kwargs)
    except BaseException:
        return False, traceback.format_exc()


def applied(model: Any, inputs: Any) -> Any:
    """Return what a Keras model says of inputs, also where TensorFlow's own operations cannot compute it.

    Without oneDNN the processor has no dilated transposed convolution and no channels first; its compiler has both.
    """
    import tensorflow as tf

    try:
        return model(inputs, training=False)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
        return tf.function(lambda x: model(x, training=False), jit_compile=True)(inputs)


def versions() -> dict[str, str]:
    """Versions of what the child runs on, and its process number."""
    import keras
    import tensorflow

    return {"keras": keras.__version__, "tensorflow": tensorflow.__version__, "pid": str(os.getpid())}


def save_model(spec: dict[str, Any], path: str) -> list[str]:
    """Build a Sequential model from plain data, give it random weights, save it; return its layers' names.

    ``spec`` is ``{"input": (*patch, channel), "layers": [(class name, arguments), …], "seed": n}``.
    """
    import keras
    import numpy as np

    keras.backend.clear_session()
    model = keras.Sequential([keras.Input(tuple(spec["input"]))])
    for class_name, arguments in spec["layers"]:
        model.add(getattr(keras.layers, class_name)(**arguments))
    random = np.random.default_rng(spec.get("seed", 0))
    for layer in model.layers:
        layer.set_weights([_random_weight(random, v) for v in layer.variables if "seed_generator" not in v.path])
    model.save(path)
    return [layer.name for layer in model.layers]


def _random_weight(random: Any, variable: Any) -> Any:
    """Numbers that keep activations near 1, and nothing at its initial value."""
    import numpy as np

    shape, name = tuple(variable.shape), variable.name
    if "variance" in name:
        return random.uniform(0.5, 2.0, shape).astype("float32")
    if name == "gamma":
        return random.uniform(-1.5, 1.5, shape).astype("float32")
    if name == "count":
        return np.zeros(shape, variable.dtype)
    fan = max(int(np.prod(shape[:-1])), 1) if "kernel" in name else 4
    return (random.standard_normal(shape) * np.sqrt(2.0 / fan)).astype("float32")


def predict(path: str, patches: Any) -> Any:
    """Load a model that a test wrote with Keras itself, and apply it to patches."""
    import keras
    import numpy as np

    model = keras.models.load_model(path, compile=False)
    return np.asarray(applied(model, patches)).reshape(len(patches), -1)


def predict_whole(path: str, image: Any) -> Any:
    """Load a dense network that we wrote, in Keras, and apply it to a whole image."""
    import keras
    import numpy as np

    import napari_fcnseg.engine.layers  # noqa: F401 - it registers its layers

    return np.asarray(keras.models.load_model(path)(image[None]))[0]


def portable_difference(path: str, image: Any) -> float:
    """Return how far the layers' portable form is from their native one, on a whole image."""
    import numpy as np

    from napari_fcnseg import convert
    from napari_fcnseg.engine import functions

    model = convert(path).to_keras()
    native = np.asarray(model(image[None]))
    kept, functions.native = functions.native, lambda: False
    try:
        portable = np.asarray(model(image[None]))
    finally:
        functions.native = kept
    return float(np.abs(native - portable).max())
