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
    "unit_norm rms_norm center_crop spectral_norm spectral_nested bilinear bilinear_odd conv_next inception_resnet "
    "repeat_to_map slices_of_channels centre_pixel every_second split_channels split_places unstack_channels "
    "stack_channels maxout shuffle shuffle_at_one_place reduce_channels reduce_some reduce_all pad_modes "
    "repeat_channels tiles gray colours caffe torch clip_power divided depth_to_channels hybrid squeezed"
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
        y = StochasticDepth(0.2)(LayerScale(1e-6, 4)(LayerScale(0.5, 4)(y)))  # Keras numbers their arrays
        return keras.Model(i, kl.Dense(3, activation="softmax")(kl.GlobalAveragePooling2D()(kl.Add()([x, y]))))

    def inception_resnet() -> Any:
        from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

        i = keras.Input((7, 6, 2))
        x = kl.Conv2D(4, 3, activation="relu")(i)
        x = CustomScaleLayer(0.17)([x, kl.Conv2D(4, 3, padding="same")(x)])
        return keras.Model(i, kl.Dense(3, activation="softmax")(kl.Flatten()(x)))

    return {
        **_operations(keras, kl, keras.ops),
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
        "inception_resnet": inception_resnet,
        "repeat_to_map": lambda: net((5, 6, 2), kl.GlobalAveragePooling2D(), kl.RepeatVector(4), kl.Conv1D(2, 2)),
    }


def _operations(keras: Any, kl: Any, ops: Any) -> dict[str, Callable[[], Any]]:
    def of(shape: tuple[int, ...], *functions: Callable[[Any], Any]) -> Callable[[], Any]:
        def make() -> Any:
            i = x = keras.Input(shape)
            for function in functions:
                x = function(x)
            x = x if len(x.shape) == 2 else kl.Flatten()(x)
            return keras.Model(i, kl.Dense(3, activation="softmax")(x))

        return make

    def conv(filters: int, size: Any = 3, **settings: Any) -> Callable[[Any], Any]:
        return lambda x: kl.Conv2D(filters, size, **settings)(x)

    def halves(x: Any) -> Any:
        a, b = ops.split(x, 2, axis=-1)
        return kl.Concatenate()([kl.Conv2D(2, 3)(b), kl.Conv2D(2, 3)(a)])

    def rows(x: Any) -> Any:
        a, b, c = ops.split(x, [2, 5], axis=1)
        return ops.concatenate([c, a, ops.maximum(b[:, :2], b[:, 1:])], axis=1)

    def colours(x: Any) -> Any:
        r, g, b = ops.unstack(x, axis=-1)
        return ops.stack([b, r, g - r, r * 0.5], axis=-1)

    mean, spread = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    apps = keras.applications.imagenet_utils
    return {
        "slices_of_channels": of((7, 6, 4), lambda x: kl.Concatenate()([x[..., :3], x[:, :, :, 3:]]), conv(3)),
        "centre_pixel": of((7, 7, 2), conv(3, padding="same"), lambda x: x[:, 3, 3]),
        "every_second": of((9, 8, 4), conv(4, 2), lambda x: x[:, ::2, 1:-1:3, ::-1], conv(2, (2, 1))),
        "split_channels": of((7, 6, 4), halves),
        "split_places": of((8, 6, 2), conv(2, 2), rows, conv(2, 2)),
        "unstack_channels": of((7, 6, 3), colours, conv(2)),
        "stack_channels": of((7, 6, 2), lambda x: ops.stack([x[..., 0], x[..., 1], x[..., 0]], axis=3), conv(2)),
        "maxout": of((7, 6, 2), conv(6), kl.Reshape((5, 4, 3, 2)), lambda x: ops.max(x, axis=-1), conv(2, 2)),
        "shuffle": of(
            (7, 6, 2),
            conv(6),
            kl.Reshape((5, 4, 2, 3)),
            kl.Permute((1, 2, 4, 3)),
            kl.Reshape((5, 4, 6)),
            conv(4, 2, groups=2),
        ),
        "shuffle_at_one_place": of(
            (3, 3, 2),
            conv(6, 3),
            kl.Reshape((1, 1, 3, 2)),
            kl.Permute((1, 2, 4, 3)),
            kl.Reshape((1, 1, 6)),
            conv(4, 1),
        ),
        "reduce_channels": of(
            (7, 6, 3),
            conv(4),
            lambda x: kl.Concatenate()([f(x, axis=-1, keepdims=True) for f in (ops.mean, ops.max, ops.min, ops.sum)]),
            conv(2, 2),
        ),
        "reduce_some": of(
            (7, 6, 3),
            conv(4),
            lambda x: ops.concatenate([ops.mean(x, axis=1), ops.max(x, axis=1), ops.sum(x, axis=1)], -1),
        ),
        "reduce_all": of(
            (7, 6, 3), conv(4), lambda x: ops.concatenate([ops.sum(x, axis=(1, 2)), ops.min(x, axis=[1, 2])], axis=1)
        ),
        "pad_modes": of(
            (6, 6, 2),
            lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], mode="reflect"),
            lambda x: ops.pad(x, [[0, 0], [1, 0], [2, 1], [0, 0]], mode="symmetric"),
            lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 1], [0, 0]], constant_values=0.7),
            conv(2),
        ),
        "repeat_channels": of((6, 5, 2), lambda x: ops.repeat(ops.repeat(x, 2, axis=-1), 2, axis=1), conv(2)),
        "tiles": of((6, 5, 2), lambda x: ops.tile(x, [1, 1, 2, 2]), conv(2)),
        "gray": of((6, 5, 3), lambda x: ops.image.rgb_to_grayscale(x), conv(2)),
        "colours": of((6, 5, 1), lambda x: ops.concatenate([x, x * 2.0, ops.square(x)], axis=-1), conv(2)),
        "caffe": of((6, 5, 3), lambda x: apps.preprocess_input(x, mode="caffe"), lambda x: x / 100.0, conv(2)),
        "torch": of(
            (6, 5, 3), lambda x: apps.preprocess_input(x, mode="torch"), lambda x: (x - mean) / spread, conv(2)
        ),
        "clip_power": of((6, 5, 2), conv(3), lambda x: ops.clip(x, -0.5, 0.8), lambda x: ops.power(x, 2), conv(2, 2)),
        "divided": of((6, 5, 2), conv(3), lambda x: x / (1.5 + ops.abs(x)), conv(2, 2)),
        "depth_to_channels": of((6, 5, 4, 2), kl.Conv3D(3, 2), kl.Reshape((5, 4, 9)), conv(2, 2)),
        "hybrid": of(
            (7, 7, 8, 1),
            kl.Conv3D(2, (2, 2, 3), activation="relu"),
            kl.Conv3D(3, (2, 2, 3)),
            kl.Reshape((5, 5, 12)),
            conv(4),
        ),
        "squeezed": of(
            (5, 5, 2), conv(4, 5), lambda x: ops.squeeze(x, axis=(1, 2)), lambda x: ops.expand_dims(x, 1), kl.Flatten()
        ),
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


def write_one(name: str, folder: Path) -> None:
    """Write one of the models."""
    import keras

    keras.backend.clear_session()
    write(name, _models()[name](), folder)
