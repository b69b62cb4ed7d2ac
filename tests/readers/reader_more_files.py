"""Models made of the less usual layers and operations, written by Keras itself with its own answers.

For each model ``M`` the folder gets ``M.keras``, ``M.h5`` where Keras can write that, and ``M.npz`` with patches ``x``
and Keras's answers ``y``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _versions
import numpy as np
from _keras_side import applied
from readers.reader_graph_files import randomise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = (
    "unit_norm rms_norm center_crop spectral_norm spectral_nested bilinear bilinear_odd conv_next repeat_to_map"
).split()
#: The first Keras that has what a model is made of.
SINCE = {"rms_norm": "3.9"}
#: What the other format cannot hold, or Keras cannot write in it.
KERAS_ONLY = ()


def cannot(name: str) -> str:
    """Return why the installed Keras cannot write a model, or nothing."""
    return _versions.lacking("keras", SINCE.get(name, "3"))


def _models() -> dict[str, Callable[[], Any]]:
    import keras
    from keras import layers as kl

    def net(shape: tuple[int, ...], *layers: Any, units: int = 3) -> Any:
        i = x = keras.Input(shape)
        for layer in layers:
            x = layer(x)
        return keras.Model(i, kl.Dense(units, activation="softmax")(kl.Flatten()(x)))

    def spectral_nested() -> Any:
        inner = keras.Sequential(
            [keras.Input((7, 7, 2)), kl.SpectralNormalization(kl.Conv2D(3, 3, use_bias=False)), kl.BatchNormalization()]
        )
        return net((7, 7, 2), inner, kl.SpectralNormalization(kl.Conv2D(2, 2)))

    def conv_next() -> Any:
        from keras.src.applications.convnext import LayerScale, StochasticDepth

        i = keras.Input((9, 9, 2))
        x = kl.LayerNormalization(epsilon=1e-6)(kl.Conv2D(4, 3, strides=2, padding="same")(i))
        y = kl.Conv2D(4, 3, padding="same", groups=4)(x)
        y = kl.Dense(4)(kl.Activation("gelu")(kl.Dense(8)(kl.LayerNormalization(epsilon=1e-6)(y))))
        y = StochasticDepth(0.2)(LayerScale(1e-6, 4)(y))
        return keras.Model(i, kl.Dense(3, activation="softmax")(kl.GlobalAveragePooling2D()(kl.Add()([x, y]))))

    return {
        "unit_norm": lambda: net((7, 6, 2), kl.Conv2D(4, 3), kl.UnitNormalization(), kl.UnitNormalization(axis=1)),
        "rms_norm": lambda: net((7, 6, 2), kl.Conv2D(4, 3), kl.RMSNormalization(), kl.RMSNormalization(axis=2)),
        "center_crop": lambda: net((8, 9, 2), kl.Conv2D(3, 2), kl.CenterCrop(4, 5)),
        "spectral_norm": lambda: net((7, 7, 2), kl.SpectralNormalization(kl.Conv2D(3, 3)), kl.ReLU()),
        "spectral_nested": spectral_nested,
        "bilinear": lambda: net(
            (7, 8, 2), kl.MaxPooling2D(2), kl.UpSampling2D((2, 4), interpolation="bilinear"), kl.Conv2D(2, 3)
        ),
        "bilinear_odd": lambda: net(
            (7, 6, 2), kl.AveragePooling2D(2), kl.UpSampling2D((3, 1), interpolation="bilinear"), kl.Conv2D(2, 3)
        ),
        "conv_next": conv_next,
        "repeat_to_map": lambda: net((5, 6, 2), kl.GlobalAveragePooling2D(), kl.RepeatVector(4), kl.Conv1D(2, 2)),
    }


def write(name: str, model: Any, folder: Path) -> None:
    """Save a model in both formats, with what Keras makes of random patches."""
    rng = np.random.default_rng(len(name))
    randomise(model, rng)
    x = rng.normal(0, 1, (4, *model.input_shape[1:])).astype(np.float32)
    y = applied(model, x)
    np.savez(folder / f"{name}.npz", x=x, y=np.asarray(y, np.float32))
    model.save(folder / f"{name}.keras")
    if name not in KERAS_ONLY:
        model.save(folder / f"{name}.h5")


def main(folder: Path) -> list[str]:
    """Write every model; give their names."""
    import keras

    models = _models()
    names = [name for name in models if not cannot(name)]
    for name in names:
        keras.backend.clear_session()
        write(name, models[name](), folder)
    return sorted(names)
