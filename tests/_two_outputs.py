"""A model with two answers, written where TensorFlow is: see ``_keras_side.py``."""

from __future__ import annotations


def save_two_outputs(path: str) -> None:
    """Save a network of 9 × 9 patches, two channels: ``kind`` has three classes, ``edge`` one number."""
    import keras

    keras.utils.set_random_seed(0)
    patch = keras.Input((9, 9, 2))
    features = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(patch))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(features)
    edge = keras.layers.Dense(1, activation="sigmoid", name="edge")(features)
    keras.Model(patch, [kind, edge]).save(path)
