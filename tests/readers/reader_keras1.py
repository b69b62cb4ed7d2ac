"""Weights-only files as Keras 1 wrote them for Theano, and what such networks compute, written down plainly.

The networks are spelled out here as Keras 1 programs would be, layer by layer, channels first: nothing of the reader's
own table is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray
    Program = Callable[["Keras1", Array], Array]


class Keras1:
    """Runs a program of layers on one patch ``(channel, row, column)``, making their weights on the way."""

    def __init__(self, seed: int = 0, *, normalized: bool, classes: int = 3, first: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self.normalized, self.classes, self._first = normalized, classes, first
        #: Layer -> array -> values, in the order of the layers' making.
        self.layers: dict[str, dict[str, Array]] = {}
        self._made: dict[str, int] = {}
        self._weights: dict[str, dict[str, Array]] = {}

    def run(self, program: Program, patch: Array) -> Array:
        """Apply a program; a second time with the same weights."""
        self._made.clear()
        return program(self, patch.astype(np.float64))

    def conv(self, x: Array, filters: int, size: int, stage: str = "act") -> Array:
        """Convolve as Theano does, that is with the kernel turned round; then normalise and rectify, up to a stage."""
        w = self._layer(
            "convolution2d",
            W=lambda: self._normal(filters, len(x), size, size, scale=1.4 / size / np.sqrt(len(x))),
            b=lambda: self._normal(filters, scale=0.1),
        )
        view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        y = np.einsum("cijuv,ocuv->oij", view, w["W"][:, :, ::-1, ::-1].astype(np.float64), optimize=True)
        y += w["b"][:, None, None]
        return self._finish(y, stage)

    def dense(self, x: Array, features: int, *, last: bool = False) -> Array:
        """Multiply; normalise and rectify, or turn into probabilities."""
        w = self._layer(
            "dense",
            W=lambda: self._normal(len(x), features, scale=1.4 / np.sqrt(len(x))),
            b=lambda: self._normal(features, scale=0.1),
        )
        y = x @ w["W"].astype(np.float64) + w["b"]
        if last:
            self._empty("activation")
            return np.exp(y - y.max()) / np.exp(y - y.max()).sum()
        return self._finish(y, "act")

    def pool(self, x: Array) -> Array:
        """Take the largest of 2 × 2; an odd row or column at the end is dropped."""
        self._empty("maxpooling2d")
        rows, columns = (n // 2 for n in x.shape[1:])
        return x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2).max((2, 4))

    def norm(self, x: Array) -> Array:
        """Normalise as Keras before 1.0.7 did: ``running_std`` is a standard deviation."""
        n = len(x)
        w = self._layer(
            "batchnormalization",
            gamma=lambda: self._normal(n, scale=0.2) + 1,
            beta=lambda: self._normal(n, scale=0.2),
            running_mean=lambda: self._normal(n, scale=0.2),
            running_std=lambda: np.abs(self._normal(n, scale=0.5)) + np.float32(0.8),
        )
        gamma, beta, mean, std = (v.astype(np.float64).reshape(n, *[1] * (x.ndim - 1)) for v in w.values())
        return gamma * (x - mean) / (std + 1e-6) + beta

    def head(self, x: Array, features: int) -> Array:
        """Flatten the one position that is left, and classify it."""
        assert x.shape[1:] == (1, 1)
        self._empty("flatten")
        return self.dense(self.dense(x.ravel(), features), self.classes, last=True)

    def join(self, *branches: Array) -> Array:
        """Concatenate along the channels."""
        self._empty("merge")
        return np.concatenate(branches)

    def _finish(self, y: Array, stage: str) -> Array:
        if stage == "conv":
            return y
        y = self.norm(y) if self.normalized else y
        return y if stage == "norm" else self.relu(y)

    def relu(self, y: Array) -> Array:
        """Rectify."""
        self._empty("activation")
        return np.maximum(y, 0)

    def _normal(self, *shape: int, scale: float) -> Array:
        return self._random.normal(0, scale, shape).astype(np.float32)

    def _layer(self, stem: str, **arrays: Callable[[], Array]) -> dict[str, Array]:
        name = self._empty(stem)
        if not self.layers[name]:
            self.layers[name] = {key: make() for key, make in arrays.items()}
        return self.layers[name]

    def _empty(self, stem: str) -> str:
        self._made[stem] = self._made.get(stem, self._first - 1) + 1
        name = f"{stem}_{self._made[stem]}"
        self.layers.setdefault(name, {})
        return name

    def save_weights(self, path: Path, order: Callable[[str], object] | None = None) -> Path:
        """Write what ``model.save_weights`` of Keras 1 wrote, the layers in another order if asked."""
        names = list(self.layers) if order is None else sorted(self.layers, key=order)
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = np.array(names, "S")
            for name in names:
                group = file.create_group(name)
                weights = [f"{name}_{key}" for key in self.layers[name]]
                group.attrs["weight_names"] = np.array(weights, "S") if weights else np.array([])  # as Keras 1 did
                for key, values in self.layers[name].items():
                    group[f"{name}_{key}"] = values
        return path


class Trained(Keras1):
    """Makes normalisations with the statistics of the picture that the program is first run on, larger than a patch."""

    def norm(self, x: Array) -> Array:
        """Normalise; the first time also keep the picture's statistics."""
        axes = tuple(range(1, x.ndim))
        name = f"batchnormalization_{self._made.get('batchnormalization', self._first - 1) + 1}"
        self.layers.setdefault(name, {}) or self.layers[name].update(
            gamma=self._normal(len(x), scale=0.2) + 1,
            beta=self._normal(len(x), scale=0.2),
            running_mean=x.mean(axes).astype(np.float32),
            running_std=x.std(axes).astype(np.float32),
        )
        return super().norm(x)

    def head(self, x: Array, features: int) -> Array:
        """Classify all positions."""
        self._empty("flatten")
        x = x.reshape(len(x), -1)
        for number, width in enumerate((features, self.classes)):
            w = self._layer(
                "dense",
                W=lambda x=x, n=width: self._normal(len(x), n, scale=1.4 / np.sqrt(len(x))),
                b=lambda n=width: self._normal(n, scale=0.1),
            )
            x = w["W"].T.astype(np.float64) @ x + w["b"][:, None]
            x = x if number else self._finish(x, "act")
        return x


def net_21(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(k.conv(x, 32, 4), 32, 3))
    return k.head(k.conv(k.conv(k.conv(x, 32, 3), 32, 3), 200, 4), 200)


def net_31(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(x, 32, 4))
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 3))
    return k.head(k.conv(k.conv(x, 128, 3), 200, 3), 200)


def net_61(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 4))
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 3))
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 3))
    return k.head(k.conv(x, 200, 4), 200)


def net_81(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 4))
    x = k.pool(k.conv(k.conv(k.conv(x, 64, 3), 64, 3), 64, 3))
    x = k.pool(k.conv(k.conv(x, 64, 3), 64, 3))
    return k.head(k.conv(k.conv(x, 64, 3), 200, 4), 200)


def net_101(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(x, 32, 4))
    x = k.pool(k.conv(k.conv(x, 64, 4), 64, 3))
    x = k.pool(k.conv(k.conv(k.conv(x, 128, 3), 128, 3), 128, 3))
    return k.head(k.conv(k.conv(k.conv(x, 256, 3), 256, 3), 512, 4), 512)


def multires_31(k: Keras1, x: Array) -> Array:
    pool_1 = k.pool(k.conv(x, 32, 4))
    pool_2 = k.pool(k.conv(k.conv(pool_1, 64, 3), 64, 3))
    norm_4 = k.conv(pool_2, 128, 3, stage="norm")
    k.relu(norm_4)  # made, but read by nobody
    return k.head(k.join(k.conv(pool_1, 200, 14), k.conv(norm_4, 200, 3)), 512)


def multires_61(k: Keras1, x: Array) -> Array:
    pool_1 = k.pool(k.conv(k.conv(x, 64, 3), 64, 4))
    pool_2 = k.pool(k.conv(k.conv(pool_1, 64, 3), 64, 3))
    pool_3 = k.pool(k.conv(k.conv(pool_2, 128, 3), 128, 3))
    return k.head(k.join(k.conv(pool_1, 256, 28), k.conv(pool_2, 256, 12), k.conv(pool_3, 256, 4)), 512)


def multires_81(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(k.conv(x, 32, 3), 32, 4))
    act_5 = k.conv(k.conv(k.conv(x, 64, 3), 64, 3), 64, 3)
    act_7 = k.conv(k.conv(k.pool(act_5), 128, 3), 128, 3)
    act_8 = k.conv(k.pool(act_7), 128, 3)
    return k.head(k.join(k.conv(act_5, 256, 32), k.conv(act_7, 256, 12), k.conv(act_8, 256, 4)), 512)


def multires_101(k: Keras1, x: Array) -> Array:
    x = k.pool(k.conv(x, 64, 4))
    x = k.pool(k.conv(k.conv(x, 64, 4), 64, 3))
    layer_6 = k.conv(k.conv(k.conv(x, 64, 3), 64, 3), 64, 3, stage="conv")
    pool_3 = k.pool(k.relu(k.norm(layer_6)))
    side = k.conv(layer_6, 200, 16)
    return k.head(k.join(side, k.conv(k.conv(k.conv(pool_3, 64, 3), 64, 3), 200, 4)), 200)


#: Name -> patch, program, and whether it normalises.
PROGRAMS: dict[str, tuple[int, Program, bool]] = {
    "feature_net_31x31": (31, net_31, False),
    "feature_net_61x61": (61, net_61, False),
    "feature_net_81x81": (81, net_81, False),
    "feature_net_101x101": (101, net_101, False),
    "feature_net_multires_61x61": (61, multires_61, False),
    "bn_feature_net_21x21": (21, net_21, True),
    "bn_feature_net_31x31": (31, net_31, True),
    "bn_feature_net_61x61": (61, net_61, True),
    "bn_feature_net_81x81": (81, net_81, True),
    "bn_feature_net_multires_31x31": (31, multires_31, True),
    "bn_feature_net_multires_61x61": (61, multires_61, True),
    "bn_feature_net_multires_81x81": (81, multires_81, True),
    "bn_feature_net_multires_101x101": (101, multires_101, True),
}
