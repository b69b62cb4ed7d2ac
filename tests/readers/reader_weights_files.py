"""An architecture and its weights as two files, as the installed Keras writes them. Runs where Keras is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def main(folder: Path) -> None:
    """Write ``NAME.json``, ``NAME.weights.h5`` and ``NAME.npz`` for a plain model and for one with a shared model."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            layers.Conv2D(4, 3, activation="relu", name="own-name"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ],
        name="plain",
    )
    block = keras.Sequential(
        [keras.Input((9, 9, 2)), layers.Conv2D(2, 3, padding="same"), layers.PReLU()], name="block"
    )
    x = keras.Input((9, 9, 2))
    y = layers.Concatenate()([block(x), block(block(x))])
    y = layers.Dense(3, activation="softmax")(layers.Flatten()(layers.SeparableConv2D(4, 3)(y)))
    for model in (plain, keras.Model(x, y, name="shared")):
        model.set_weights(
            [np.random.default_rng(1).uniform(0.1, 0.9, w.shape).astype(w.dtype) for w in model.get_weights()]
        )
        patches = np.random.default_rng(2).normal(size=(2, 9, 9, 2)).astype(np.float32)
        (folder / f"{model.name}.json").write_text(model.to_json())
        model.save_weights(folder / f"{model.name}.weights.h5")
        np.savez(folder / f"{model.name}.npz", x=patches, y=model.predict(patches, verbose=0))
