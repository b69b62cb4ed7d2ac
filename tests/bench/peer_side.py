"""What runs where a framework is: a small model with Keras, and the benchmark's peers on its dense network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")
PATCH, SHAPE = (12, 12, 2), (15, 14)


def write(folder: str) -> None:
    """Write ``model.keras``, ``image.npy`` and ``truth.npy``: what Keras says of every pixel's patch.

    The network has what the measured ones have: two scales joined, both pools, padding inside the patch.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input(PATCH)
    middle = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Cropping2D(2)(image))
    fine = layers.Conv2D(5, 2, activation="relu")(layers.MaxPooling2D()(middle))
    coarse = layers.Conv2D(5, 3, activation="tanh")(layers.AveragePooling2D(2)(image))
    vectors = [layers.Dense(6, activation="sigmoid")(layers.Flatten()(x)) for x in (fine, coarse)]
    joined = layers.Concatenate()([layers.Maximum()(vectors), layers.Average()(vectors)])
    model = keras.Model(image, layers.Dense(3, activation="softmax")(joined))
    random = np.random.default_rng(0)
    model.set_weights([random.standard_normal(w.shape).astype(np.float32) for w in model.get_weights()])
    model.save(str(Path(folder) / "model.keras"))
    picture = random.standard_normal((*SHAPE, PATCH[-1])).astype(np.float32)
    np.save(Path(folder) / "image.npy", picture)
    padded = np.pad(picture, [*((p // 2, p - 1 - p // 2) for p in PATCH[:-1]), (0, 0)], mode="reflect")
    patches = [padded[i : i + PATCH[0], j : j + PATCH[1]] for i, j in np.ndindex(SHAPE)]
    np.save(Path(folder) / "truth.npy", np.asarray(model(np.stack(patches))).reshape(*SHAPE, -1))


def answer(peer: str, folder: str, own_pool: bool) -> np.ndarray:
    """Return what a peer says of every pixel, the image in tiles of its own choice."""
    sys.path.append(BENCHMARKS)
    try:
        import contender

        if peer == "onnx":
            return _by_reference(contender.Job(folder, 1), own_pool)
        contender.begin(peer, contender.Job(folder, 1))
        present: Any = contender._present
        present.styles = tuple(s for s in present.styles if s.get("own_pool", False) == own_pool)
        if not present.styles:
            raise ValueError(f"{peer} has no such style")
        present.tune()
        return np.asarray(present.turn(present.ways[0])[1])
    finally:
        sys.path.remove(BENCHMARKS)


def _by_reference(job: Any, own_pool: bool) -> np.ndarray:
    """Evaluate the ONNX file with the format's own slow reference in NumPy."""
    import contender
    import peers_onnx
    from onnx.reference import ReferenceEvaluator

    whole = contender.Windows(job.network, job.image)(tuple((0, n) for n in SHAPE))
    evaluator = ReferenceEvaluator(peers_onnx.onnx_model(job.network, own_pool=own_pool))
    (found,) = evaluator.run(None, {"image": np.moveaxis(whole, -1, 1)})
    return np.moveaxis(found, 1, -1)[0]
