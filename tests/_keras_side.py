"""Functions that tests run in the child process that has TensorFlow: ``keras_child(function, *arguments)``.

Frameworks are imported inside the functions only, since pytest's own process imports this module too.
"""

from __future__ import annotations

import os
from typing import Any


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
    return np.asarray(model(patches, training=False)).reshape(len(patches), -1)


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
