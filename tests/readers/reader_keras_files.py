"""Small models written by Keras itself, in the child process that has TensorFlow.

For each model ``M`` the folder gets ``M.keras``, ``M.h5``, and ``M.npz``
with an input ``x``, Keras's own output ``y``, and every layer's ``get_weights()`` as ``<layer>|<number>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _versions
import numpy as np
from _keras_side import applied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Every activation that Keras 3 knows by name.
ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink"
).split()
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomContrast": {"factor": 0.3},
    "RandomBrightness": {"factor": 0.3},
    "RandomShear": {},
    "RandomPerspective": {},
    "RandomInvert": {},
    "RandomGrayscale": {},
    "RandomGaussianBlur": {},
    "RandomErasing": {},
    "RandomElasticTransform": {},
    "RandomColorDegeneration": {"factor": 0.5},
    "RandomColorJitter": {"brightness_factor": 0.3},
    "RandomHue": {"factor": 0.3},
    "RandomSaturation": {"factor": 0.5},
    "RandomSharpness": {"factor": 0.5},
    "RandomPosterization": {"factor": 4},
    "RandAugment": {},
    "AugMix": {},
    "CutMix": {},
    "MixUp": {},
}

#: Every model below; pytest needs the names before any model is made.
NAMES = (
    "conv1d conv2d conv3d depthwise1d depthwise2d pool1d pool2d pool3d globals globals1d globals3d batch_norm "
    "layer_norm normalization normalization_invert normalization_all normalization_row normalization_given "
    "normalization_given_axes rescaling activation_layers inert inert_1d_3d augmentation leaky_relu_keras_2_name "
    "functional frozen many_repeats uint8_input dtype_float16 dtype_bfloat16 dtype_mixed_float16 dtype_float64"
).split() + [f"activation_{name}" for name in ACTIVATIONS]
#: Keras 3.15 itself fails to write these as ``.h5``.
KERAS_ONLY = frozenset({"augmentation"})
#: The first Keras that has what a model below is made of, or has it right.
SINCE = {
    **dict.fromkeys(("normalization_given", "normalization_given_axes"), "3.8"),
    **{f"activation_{name}": first for name, first in _versions.ACTIVATIONS.items()},
    "augmentation": "3.11",
}


def cannot(name: str) -> str:
    """Return why the installed Keras cannot write a model, or nothing."""
    return _versions.lacking("keras", SINCE.get(name, "3"))


def _models() -> dict[str, Callable[[], Any]]:
    import keras
    from keras import layers as kl

    def chain(shape: tuple[int, ...], *layers: Any) -> Any:
        return keras.Sequential([keras.Input(shape), *layers])

    def functional() -> Any:
        x = i = keras.Input((9, 9, 2), name="the image")
        for layer in (kl.Conv2D(3, 3, name="first conv", activation="relu"), kl.MaxPooling2D(), kl.Conv2D(2, 2)):
            x = layer(x)
        x = kl.Dropout(0.5)(x, training=False)
        return keras.Model(
            i, kl.Dense(2, activation="softmax", name="probs")(kl.Flatten()(inputs=x)), name="functional"
        )

    def frozen() -> Any:
        model = chain((7, 7, 1), kl.Conv2D(2, 3), kl.BatchNormalization(), kl.Flatten(), kl.Dense(2))
        model.layers[0].trainable = model.layers[1].trainable = False
        return model

    def adapted(**settings: Any) -> Any:
        norm = kl.Normalization(**settings)
        norm.adapt(np.random.default_rng(1).normal(3, 5, (20, 5, 6, 2)).astype(np.float32))
        return chain((5, 6, 2), norm, kl.Conv2D(2, 3))

    def half(policy: str) -> Any:
        return chain((7, 7, 1), kl.Conv2D(2, 3, dtype=policy), kl.Flatten(), kl.Dense(2, dtype=policy))

    return {
        "conv1d": lambda: chain((12, 2), kl.Conv1D(4, 3, strides=2), kl.Conv1D(2, 3, padding="same", use_bias=False)),
        "conv2d": lambda: chain(
            (12, 11, 4),
            kl.Conv2D(6, (3, 2), strides=(2, 1), padding="same", groups=2),
            kl.Conv2D(2, 3, dilation_rate=2, activation=kl.LeakyReLU(negative_slope=0.1)),
            kl.Flatten(),
            kl.Dense(3, use_bias=False, activation="softmax"),
        ),
        "conv3d": lambda: chain(
            (6, 7, 8, 1), kl.Conv3D(2, (1, 2, 3)), kl.MaxPooling3D((1, 2, 2)), kl.AveragePooling3D(2)
        ),
        "depthwise1d": lambda: chain((9, 2), kl.DepthwiseConv1D(3, depth_multiplier=2), kl.SeparableConv1D(3, 2)),
        "depthwise2d": lambda: chain(
            (9, 9, 2), kl.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), kl.SeparableConv2D(3, 3, strides=2)
        ),
        "pool1d": lambda: chain(
            (12, 2), kl.MaxPooling1D(3, strides=1), kl.AveragePooling1D(2), kl.GlobalMaxPooling1D()
        ),
        "pool2d": lambda: chain(
            (11, 12, 2),
            kl.MaxPooling2D(2, padding="same"),
            kl.AveragePooling2D(3, 2, "same"),
            kl.GlobalAveragePooling2D(),
        ),
        "pool3d": lambda: chain((5, 6, 7, 2), kl.MaxPooling3D(2), kl.GlobalMaxPooling3D(keepdims=True)),
        "globals": lambda: chain((5, 6, 2), kl.GlobalMaxPooling2D(keepdims=True), kl.Flatten(), kl.Dense(2)),
        "globals1d": lambda: chain((5, 2), kl.GlobalAveragePooling1D()),
        "globals3d": lambda: chain((5, 4, 3, 2), kl.GlobalAveragePooling3D()),
        "batch_norm": lambda: chain(
            (5, 6, 3),
            kl.BatchNormalization(),
            kl.BatchNormalization(center=False),
            kl.BatchNormalization(scale=False, epsilon=0.1),
            kl.BatchNormalization(center=False, scale=False, axis=1),
        ),
        "layer_norm": lambda: chain(
            (5, 6, 3),
            kl.LayerNormalization(),
            kl.LayerNormalization(axis=[1, 2], center=False),
            kl.LayerNormalization(axis=(1, 2, 3), scale=False, epsilon=0.1),
        ),
        "normalization": adapted,
        "normalization_invert": lambda: adapted(invert=True),
        "normalization_all": lambda: adapted(axis=None),
        "normalization_row": lambda: adapted(axis=1),
        "normalization_given": lambda: chain(
            (5, 6, 2), kl.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.0]), kl.Normalization(mean=3.0, variance=2.0)
        ),
        "normalization_given_axes": lambda: chain(
            (5, 6, 2), kl.Normalization(axis=(1, 3), mean=[1.0, 2.0], variance=[4.0, 9.0])
        ),
        "rescaling": lambda: chain(
            (5, 6, 2),
            kl.Rescaling(1 / 255, offset=-0.5),
            kl.Rescaling([1.0, 2.0], offset=[0.5, 0.25]),
            kl.Rescaling(np.array([1.5, 2.5])),
        ),
        "activation_layers": lambda: chain(
            (5, 6, 2),
            kl.PReLU(alpha_initializer="glorot_uniform"),
            kl.PReLU(alpha_initializer="glorot_uniform", shared_axes=[1, 2]),
            kl.ReLU(max_value=6.0, negative_slope=0.1, threshold=0.2),
            kl.LeakyReLU(),
            kl.ELU(alpha=0.5),
            kl.Softmax(axis=1),
            kl.Identity(),
        ),
        "inert": lambda: chain(
            (5, 6, 2),
            kl.Dropout(0.5),
            kl.SpatialDropout2D(0.5),
            kl.AlphaDropout(0.5),
            kl.GaussianDropout(0.5),
            kl.GaussianNoise(1.0),
            kl.ActivityRegularization(0.1),
            kl.Conv2D(2, 2),
        ),
        "inert_1d_3d": lambda: chain((5, 6), kl.SpatialDropout1D(0.5), kl.Dense(2)),
        "augmentation": lambda: chain(
            (8, 8, 3), *(getattr(kl, name)(**settings) for name, settings in AUGMENTATIONS.items()), kl.Conv2D(2, 2)
        ),
        "leaky_relu_keras_2_name": lambda: chain((5, 2), kl.LeakyReLU(alpha=0.2)),
        "functional": functional,
        "frozen": frozen,
        "many_repeats": lambda: chain((7, 7, 1), *(kl.Conv2D(2, 1, name=f"n{9 - k}") for k in range(4)), kl.ReLU()),
        "uint8_input": lambda: keras.Sequential(
            [keras.Input((5, 5, 1), dtype="uint8"), kl.Rescaling(1 / 255), kl.Conv2D(2, 2)]
        ),
        **{
            f"dtype_{policy}": (lambda p=policy: half(p))
            for policy in ("float16", "bfloat16", "mixed_float16", "float64")
        },
        **{
            f"activation_{name}": (lambda n=name: chain((4, 3), kl.Dense(4, activation=n), kl.Activation(n)))
            for name in ACTIVATIONS
        },
        # Once only: on its own results the choice of the support hangs on the last bit.
        "activation_sparsemax": lambda: chain((4, 3), kl.Activation("sparsemax")),
    }


def _randomise(model: Any, rng: np.random.Generator) -> None:
    """Give every array its own values: nothing may pass because it is still zero or one."""
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            continue
        layer.set_weights([rng.uniform(0.2, 1.0, w.shape).astype(w.dtype) for w in layer.get_weights()])


def write(name: str, model: Any, folder: Path) -> None:
    """Save a model in both formats, with what Keras makes of a random input."""
    rng = np.random.default_rng(len(name))
    _randomise(model, rng)
    x = rng.normal(0, 2, (3, *model.input_shape[1:])).astype(np.float32)
    if name == "uint8_input":
        x = np.round(np.abs(x) * 60)
    if name == "activation_exponential":
        x /= 10
    arrays = {
        f"{layer.name}|{i}": np.asarray(w, np.float32)
        for layer in model.layers
        for i, w in enumerate(layer.get_weights())
    }
    y = np.asarray(applied(model, x), np.float32)
    np.savez(folder / f"{name}.npz", **{"x": x, "y": y, **arrays})
    model.save(folder / f"{name}.keras")
    if name not in KERAS_ONLY:
        model.save(folder / f"{name}.h5")


def write_one(name: str, folder: Path) -> None:
    """Write one of the models."""
    write(name, _models()[name](), folder)


def layer_classes() -> list[str]:
    """Give the names of all layer classes of the installed Keras."""
    from keras import layers

    found = {value.__name__ for value in vars(layers).values() if isinstance(value, type)}
    return sorted(found - {"InputSpec"})
