"""Models with branches, models inside models, shared layers, operations and axes in any order, written by Keras itself.

For each model ``M`` the folder gets ``M.keras``, ``M.h5``, and ``M.npz`` with an input ``x`` as the reader sees it (the
channels last, those of several inputs one after the other) and Keras's own outputs ``y0``, ``y1`` ….
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _versions
import numpy as np
from _keras_side import applied

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Every model below; pytest needs the names before any model is made.
NAMES = (
    "residual multi_resolution merges average_of_three squeeze_excite squeeze_excite_reshape shared_layer "
    "nested_twice nested_frozen nested_deep nested_three_in nested_dict two_inputs two_outputs dead_branch "
    "shared_deep no_effect operations constants operation_pools operation_axes activations_of_operations "
    "zero_padding cropping up_sampling transpose2d transpose1d transpose3d causal group_norm reshape_vector "
    "reshape_joined permute_spatial permute_channels expand_vector image_without_channels layer_norm_permuted "
    "prelu_permuted rescaling_permuted softmax_axes concatenate_axes repeat_vector conv_on_vector square slices "
    "square_image nested_operations inner_of_any_size"
).split()

#: The first Keras that has what a model is made of.
SINCE = {
    "activations_of_operations": "3.7",
    "transpose1d": "3.15",  # earlier ones leave the output padding out of the file
}


def cannot(name: str) -> str:
    """Return why the installed Keras cannot write a model, or nothing."""
    return _versions.lacking("keras", SINCE.get(name, "3"))


def _models() -> dict[str, Callable[[], Any]]:
    import keras
    from keras import layers as kl
    from keras import ops

    Input = keras.Input  # noqa: N806 - as Keras calls it

    def head(x: Any, units: int = 3) -> Any:
        return kl.Dense(units, activation="softmax")(kl.Flatten()(x))

    def residual() -> Any:
        i = Input((9, 8, 2))
        x = kl.Conv2D(4, 3, activation="relu")(i)
        y = kl.Conv2D(4, 3, padding="same")(x)
        y = kl.BatchNormalization()(y)
        return keras.Model(i, head(kl.Activation("relu")(kl.Add()([x, y]))))

    def multi_resolution() -> Any:
        i = Input((12, 12, 1))
        a = kl.Conv2D(3, 3)(i)
        b = kl.Conv2D(2, 7)(i)
        c = kl.MaxPooling2D(2)(kl.Cropping2D(((1, 2), (2, 1)))(i))
        x = kl.Concatenate()([kl.Cropping2D(2)(a), b])
        return keras.Model(i, head(kl.Concatenate()([kl.Flatten()(x), kl.Flatten()(c)])))

    def merges() -> Any:
        i = Input((5, 6, 2))
        a, b = kl.Conv2D(3, 2)(i), kl.Conv2D(3, 2)(i)
        found = [layer()([a, b]) for layer in (kl.Add, kl.Subtract, kl.Multiply, kl.Maximum, kl.Minimum, kl.Average)]
        return keras.Model(i, head(kl.Concatenate(axis=3)([*found, a])))

    def average_of_three() -> Any:
        i = Input((5, 6, 2))
        parts = [kl.Conv2D(2, 2)(i) for _ in range(3)]
        x = kl.Add()(parts)
        return keras.Model(i, head(kl.Average()([*parts, x])))

    def squeeze_excite() -> Any:
        i = Input((5, 6, 2))
        x = kl.Conv2D(4, 2)(i)
        w = kl.Dense(4, activation="sigmoid")(kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))
        return keras.Model(i, head(kl.Multiply()([x, w])))

    def squeeze_excite_reshape() -> Any:
        i = Input((5, 6, 2))
        x = kl.Conv2D(4, 2)(i)
        w = kl.Conv2D(4, 1, activation="sigmoid")(kl.Reshape((1, 1, 4))(kl.GlobalMaxPooling2D()(x)))
        return keras.Model(i, head(kl.Multiply()([x, w])))

    def shared_layer() -> Any:
        i = Input((7, 7, 2))
        conv = kl.Conv2D(2, 3, padding="same", name="again")
        return keras.Model(i, head(kl.Concatenate()([conv(i), conv(conv(i)), conv(kl.ReLU()(conv(i)))])))

    def inner(name: str, channels: int = 2, frozen: bool = False) -> Any:
        j = Input((6, 6, channels))
        x = kl.Conv2D(channels, 3, padding="same")(j)
        x = kl.BatchNormalization()(x)
        y = kl.Conv2D(channels, 1, use_bias=False)(x)
        model = keras.Model(j, kl.Add()([y, j]), name=name)
        if frozen:
            model.layers[1].trainable = False
        return model

    def nested_twice() -> Any:
        i = Input((6, 6, 2))
        block = inner("block")
        return keras.Model(i, head(kl.Concatenate()([block(i), block(kl.ReLU()(block(i)))])))

    def nested_frozen() -> Any:
        i = Input((6, 6, 2))
        partly, wholly = inner("partly", frozen=True), inner("wholly")
        wholly.trainable = False
        mixed = keras.Sequential([Input((6, 6, 2)), inner("deeper", frozen=True), kl.BatchNormalization(), wholly])
        return keras.Model(i, head(mixed(partly(i))))

    def nested_deep() -> Any:
        deep: Any = kl.Conv2D(2, 1)
        for _ in range(5):
            deep = keras.Sequential([Input((6, 6, 2)), deep, kl.BatchNormalization()])
        return keras.Sequential([Input((6, 6, 2)), deep, kl.Flatten(), kl.Dense(2)])

    def nested_three_in() -> Any:
        a, b, c = Input((6, 6, 2)), Input((6, 6, 1)), Input((6, 6, 2))
        joined = kl.Concatenate()([a, b])
        block = keras.Model([a, b, c], [kl.Conv2D(2, 3)(joined), kl.Subtract()([a, c])], name="three")
        i = Input((6, 6, 2))
        x, y = block([kl.ReLU()(i), kl.Conv2D(1, 1)(i), i])
        return keras.Model(i, head(kl.Concatenate()([x, kl.Cropping2D(1)(y)])))

    def nested_dict() -> Any:
        a, b = Input((6, 6, 2), name="left"), Input((6, 6, 2), name="right")
        block = keras.Model({"r": b, "l": a}, kl.Subtract()([a, kl.Conv2D(2, 1)(b)]), name="by_name")
        i = Input((6, 6, 2))
        return keras.Model(i, head(block({"l": i, "r": kl.ReLU()(i)})))

    def two_inputs() -> Any:
        a, b = Input((6, 7, 1), name="phase"), Input((6, 7, 2), name="dapi")
        x = kl.Concatenate()([kl.Conv2D(2, 3)(a), kl.Conv2D(2, 3)(b)])
        return keras.Model([a, b], head(x))

    def two_outputs() -> Any:
        i = Input((6, 7, 1))
        x = kl.Conv2D(2, 3)(i)
        a, b = kl.Dense(2, name="cells")(kl.Flatten()(x)), kl.Dense(3, name="edges")(kl.Flatten()(x))
        return keras.Model(i, [a, b])

    def dead_branch() -> Any:
        i = Input((6, 7, 1))
        x = kl.Conv2D(2, 3)(i)
        y = kl.Lambda(lambda v: v * 2)(kl.Conv2D(3, 3)(i))
        return keras.Model(i, [kl.Dense(2, name="cells")(kl.Flatten()(x)), kl.Flatten(name="other")(y)])

    def shared_deep() -> Any:
        # The same layer in two models inside the model, and outside.
        conv = kl.Conv2D(2, 3, padding="same", name="everywhere")
        models = []
        for name in ("one", "two"):
            j = Input((6, 6, 2))
            models.append(keras.Model(j, kl.BatchNormalization()(conv(kl.Conv2D(2, 1)(j))), name=name))
        i = Input((6, 6, 2))
        x = models[1](models[0](i))
        return keras.Model(i, head(kl.Add()([conv(x), models[0](x)])))

    def no_effect() -> Any:
        i = Input((6, 6, 2))
        j = Input((6, 6, 2))
        block = keras.Model(j, kl.Dropout(0.5)(j), name="nothing")
        return keras.Model(i, head(block(kl.Identity()(i))))

    def operations() -> Any:
        i = Input((6, 6, 2))
        a, b = kl.Conv2D(3, 2)(i), kl.Conv2D(3, 2)(i)
        x = ops.maximum(a + b, a - b) * ops.minimum(a, b)
        x = ops.concatenate([x, ops.relu(a), kl.Add()([a, b])], axis=-1)
        return keras.Model(i, head(kl.BatchNormalization()(kl.Conv2D(2, 1)(x))))

    def constants() -> Any:
        i = Input((6, 6, 2))
        x = 0.5 - ((i + 1.0) * 2 - 0.25) / 3
        x = ops.maximum(ops.minimum(x, 0.75), -0.5) + ops.maximum(x, 0.0)
        x = x * np.array([1.0, 2.0], "float32")
        return keras.Model(i, head(-x))

    def slices() -> Any:
        i = Input((7, 6, 3))
        x = kl.Conv2D(4, 3, padding="same")(i)
        y = kl.Concatenate()([x[:, 1:-1, 1:-1, :], kl.Conv2D(2, 3)(i)[:, :, :, 1:]])
        z = kl.Permute((3, 2, 1))(x)[:, 2:, :3]
        return keras.Model(i, head(kl.Concatenate()([kl.Flatten()(y), kl.Flatten()(z)[:, 3:-1]])))

    def nested_operations() -> Any:
        j = Input((6, 6, 2))
        x = kl.BatchNormalization()(ops.relu(kl.Conv2D(2, 1)(j)) + j)
        block = keras.Model(j, kl.Conv2D(2, 1)(x * 2.0), name="with_operations")
        i = Input((6, 6, 2))
        return keras.Model(i, head(block(i)))

    def square() -> Any:
        i = Input((6, 6, 2))
        x = kl.Conv2D(3, 3)(i)
        return keras.Model(i, head(ops.square(x) + x * x))

    def operation_pools() -> Any:
        i = Input((6, 6, 2))
        x = kl.Conv2D(3, 3)(i)
        y = ops.mean(x, axis=(1, 2), keepdims=True) * x
        return keras.Model(i, kl.Dense(2)(ops.concatenate([ops.mean(x, axis=[1, 2]), ops.max(y, axis=(-3, -2))], 1)))

    def operation_axes() -> Any:
        i = Input((6, 5, 2))
        x = ops.transpose(kl.Conv2D(3, 3)(i), (0, 3, 1, 2))
        x = ops.squeeze(ops.expand_dims(x, 1), axis=1)
        return keras.Model(i, kl.Dense(2)(ops.reshape(x, (-1, 36))))

    def activations_of_operations() -> Any:
        i = Input((5, 5, 2))
        names = ("relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "silu", "elu", "selu", "celu", "gelu")
        found = [
            getattr(ops, name)(i) for name in (*names, "leaky_relu", "hard_sigmoid", "hard_silu", "abs", "negative")
        ]
        found += [ops.exp(i / 4), ops.softmax(i), ops.log_softmax(i), ops.cast(i, "float32")]
        found += [keras.activations.relu(i, max_value=1.5), keras.activations.elu(i, alpha=0.5)]
        return keras.Model(i, head(kl.Concatenate()(found)))

    def chain(shape: tuple[int, ...], *layers: Any) -> Any:
        return keras.Sequential([Input(shape), *layers])

    def concatenate_axes() -> Any:
        i = Input((4, 5, 2))
        x = kl.Concatenate(axis=1)([i, kl.ReLU()(i)])
        x = kl.Concatenate(axis=-2)([x, kl.ReLU()(x)])
        y = kl.Permute((3, 1, 2))(x)
        return keras.Model(i, head(kl.Concatenate(axis=1)([y, kl.Activation("tanh")(y)])))

    def image_without_channels() -> Any:
        i = Input((7, 8))
        return keras.Model(i, head(kl.Conv2D(3, 3)(kl.Reshape((7, 8, 1))(i))))

    return {
        **{f.__name__: f for f in (residual, multi_resolution, merges, average_of_three, squeeze_excite)},
        **{f.__name__: f for f in (squeeze_excite_reshape, shared_layer, nested_twice, nested_frozen, nested_deep)},
        **{f.__name__: f for f in (nested_three_in, nested_dict, two_inputs, two_outputs, dead_branch, shared_deep)},
        **{f.__name__: f for f in (no_effect, operations, constants, operation_pools, operation_axes)},
        **{f.__name__: f for f in (activations_of_operations, concatenate_axes, image_without_channels, square)},
        "slices": slices,
        "square_image": lambda: chain((6, 6), kl.Rescaling(0.5), kl.Flatten(), kl.Dense(2)),
        "nested_operations": nested_operations,
        "zero_padding": lambda: chain(
            (5, 6, 2),
            kl.ZeroPadding2D(((1, 2), (0, 3))),
            kl.Conv2D(2, 3),
            kl.ZeroPadding2D(1),
            kl.ZeroPadding2D((1, 2)),
        ),
        "cropping": lambda: chain((9, 9, 2), kl.Cropping2D(((1, 2), (0, 3))), kl.Conv2D(2, 3), kl.Cropping2D((1, 0))),
        "up_sampling": lambda: chain((4, 5, 2), kl.UpSampling2D((2, 3)), kl.Conv2D(2, 3), kl.UpSampling2D()),
        "transpose2d": lambda: chain(
            (5, 6, 2),
            kl.Conv2DTranspose(3, 3, strides=2, padding="same"),
            kl.Conv2DTranspose(2, (2, 3), strides=(3, 1), activation="relu"),
            kl.Conv2DTranspose(2, 2, strides=3, padding="same"),
            kl.Conv2DTranspose(2, 3, strides=(2, 3), output_padding=(1, 2), padding="same"),
        ),
        "transpose1d": lambda: chain(
            (6, 2),
            kl.Conv1DTranspose(3, 3, dilation_rate=2),
            kl.Conv1DTranspose(3, 4, strides=2, output_padding=1),
            kl.Conv1DTranspose(2, 2, strides=3, padding="valid"),
        ),
        "transpose3d": lambda: chain((3, 4, 3, 2), kl.Conv3DTranspose(2, 2, strides=(1, 2, 3), padding="same")),
        "causal": lambda: chain(
            (9, 2), kl.Conv1D(3, 3, dilation_rate=2, padding="causal"), kl.ZeroPadding1D((1, 2)), kl.Cropping1D(1)
        ),
        "group_norm": lambda: chain(
            (5, 6, 4),
            kl.GroupNormalization(2),
            kl.GroupNormalization(-1, scale=False),
            kl.GroupNormalization(1, center=False, epsilon=0.1),
        ),
        "reshape_vector": lambda: chain(
            (5, 6, 2), kl.GlobalAveragePooling2D(), kl.Reshape((1, -1)), kl.Dense(4), kl.Reshape((4,)), kl.Dense(2)
        ),
        "reshape_joined": lambda: chain(
            (5, 6, 2),
            kl.Conv2D(3, 2),
            kl.Reshape((20, 3)),
            kl.Dense(4, activation="relu"),
            kl.BatchNormalization(),
            kl.BatchNormalization(axis=1),
            kl.Reshape((4, 5, 1, 4)),
            kl.Reshape((20, 4)),
            kl.GlobalAveragePooling1D(),
        ),
        "permute_spatial": lambda: chain(
            (5, 7, 2),
            kl.Permute((2, 1, 3)),
            kl.Conv2D(3, (3, 2), strides=(2, 1)),
            kl.ZeroPadding2D(((0, 1), (2, 3))),
            kl.MaxPooling2D((1, 2)),
            kl.Flatten(),
            kl.Dense(2),
        ),
        "permute_channels": lambda: chain(
            (2, 5, 7), kl.Permute((2, 3, 1)), kl.Conv2D(3, 3), kl.Permute((3, 2, 1)), kl.Flatten(), kl.Dense(2)
        ),
        "expand_vector": lambda: chain(
            (5, 6, 2), kl.Flatten(), kl.Dense(4), kl.Reshape((1, 1, 4)), kl.Conv2D(3, 1), kl.Flatten(), kl.Dense(2)
        ),
        "conv_on_vector": lambda: chain(
            (5, 6, 2), kl.GlobalMaxPooling2D(), kl.Reshape((1, 4 // 2)), kl.Conv1D(3, 1), kl.UpSampling1D(2)
        ),
        "layer_norm_permuted": lambda: chain(
            (5, 6, 2),
            kl.Permute((3, 2, 1)),
            kl.LayerNormalization(axis=(1, 3)),
            kl.LayerNormalization(axis=-1),
            kl.Flatten(),
        ),
        "prelu_permuted": lambda: chain(
            (5, 6, 2),
            kl.Permute((3, 2, 1)),
            kl.PReLU(shared_axes=[2]),
            kl.PReLU(),
            kl.BatchNormalization(axis=2),
            kl.Flatten(),
        ),
        "rescaling_permuted": lambda: chain(
            (5, 6, 2),
            kl.Permute((3, 1, 2)),
            kl.Rescaling(np.arange(1.0, 7), offset=np.ones((2, 1, 1)).tolist()),
            kl.Flatten(),
        ),
        "softmax_axes": lambda: chain(
            (5, 6, 2),
            kl.Softmax(axis=2),
            kl.Permute((3, 1, 2)),
            kl.Softmax(axis=1),
            kl.Activation("log_softmax"),
            kl.Flatten(),
        ),
        "repeat_vector": lambda: chain((5, 6, 2), kl.Flatten(), kl.Dense(3), kl.RepeatVector(1), kl.Dense(2)),
        "inner_of_any_size": lambda: chain((5, 6, 2), inner_free(keras, kl), kl.Flatten(), kl.Dense(2)),
    }


def inner_free(keras: Any, kl: Any) -> Any:
    """Build a model of any input size that stands inside another."""
    j = keras.Input((None, None, 2))
    return keras.Model(j, kl.Conv2D(2, 3)(j), name="free")


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Give every array its own values: nothing may pass because it is still zero or one."""
    for variable in model.variables:
        if "seed_generator" in variable.path:
            continue
        fan = max(int(np.prod(variable.shape[:-1])), 1)
        low, high = (0.5, 1.5) if "variance" in variable.name else (-1.0, 1.0)
        values = rng.uniform(low, high, variable.shape) / (np.sqrt(fan) if "kernel" in variable.name else 1)
        variable.assign(values.astype("float32"))


def write(name: str, model: Any, folder: Path) -> None:
    """Save a model in both formats, with what Keras makes of a random input."""
    rng = np.random.default_rng(len(name))
    randomise(model, rng)
    inputs = [rng.normal(0, 1, (3, *i.shape[1:])).astype(np.float32) for i in model.inputs]
    results = applied(model, inputs if len(inputs) > 1 else inputs[0])
    results = results if isinstance(results, list | tuple) else [results]
    x = np.concatenate(inputs, -1)
    if name == "permute_channels":
        x = x.transpose(0, 2, 3, 1)
    if name in ("image_without_channels", "square_image"):
        x = x[..., None]
    np.savez(folder / f"{name}.npz", x=x, **{f"y{i}": np.asarray(y, np.float32) for i, y in enumerate(results)})
    model.save(folder / f"{name}.keras")
    model.save(folder / f"{name}.h5")


def write_one(name: str, folder: Path) -> None:
    """Write one of the models."""
    import keras

    keras.backend.clear_session()
    write(name, _models()[name](), folder)
