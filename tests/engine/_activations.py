"""Our activations beside Keras's own, in the process that has Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Each with every kind of parameters that a file may hold.
CASES: dict[str, list[dict[str, Any]]] = {
    "celu": [{}, {"alpha": 0.4}],
    "glu": [{}, {"axis": 1}],
    "hard_shrink": [{}, {"threshold": 0.9}],
    "hard_tanh": [{}],
    "log_sigmoid": [{}],
    "soft_shrink": [{}, {"threshold": 0.9}],
    "sparse_plus": [{}],
    "sparse_sigmoid": [{}],
    "sparsemax": [{}, {"axis": 1}],
    "squareplus": [{}, {"b": 2}],
    "tanh_shrink": [{}],
    "threshold": [{"threshold": 0.3, "default_value": -7.0}],
}


def differences() -> dict[str, float | None]:
    """Return by how much each differs from Keras's own, over numbers from 1e-3 to 40; None where Keras has none."""
    import keras

    from napari_fcnseg.engine.activations import NOT_IN_OLD_KERAS

    assert NOT_IN_OLD_KERAS.keys() == CASES.keys()
    random = np.random.default_rng(7)
    numbers = random.normal(size=(3, 4, 6)) * random.choice([0.01, 1, 9], (3, 4, 1))
    x = keras.ops.convert_to_tensor(numbers.astype(np.float32))
    found: dict[str, float | None] = {}
    for name, cases in CASES.items():
        own = getattr(keras.activations, name, None)
        pairs = [(NOT_IN_OLD_KERAS[name](x, **params), own(x, **params)) for params in cases if own]
        found[name] = max((float(keras.ops.max(keras.ops.abs(ours - its))) for ours, its in pairs), default=None)
    return found
