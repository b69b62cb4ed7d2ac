"""The operations a patch network is made of, as frozen data.

Arrays are channels-last. Spatial tuples (``strides``, ``size`` …) have one entry per spatial axis. An operation
says what the *patch* network computes; what becomes of it in the dense network is decided in
:mod:`napari_fcnseg.conversion`.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]
Padding: TypeAlias = Literal["valid", "same"]
PoolKind: TypeAlias = Literal["max", "average"]

#: Activations that act on each number alone. The names and the parameters are those of ``keras.activations``;
#: ``hard_sigmoid_keras2`` is ``clip(0.2 x + 0.5, 0, 1)``, which Keras 2 called ``hard_sigmoid``.
ELEMENTWISE_ACTIVATIONS = frozenset(
    {
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_sigmoid_keras2",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "tanh",
        "tanh_shrink",
        "threshold",
    }
)
#: Activations that mix the numbers along ``axis``.
AXIS_ACTIVATIONS = frozenset({"glu", "log_softmax", "softmax", "sparsemax"})


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation. ``kernel`` is ``(*window, in // groups, out)``, ``bias`` is ``(out,)`` or None."""

    kernel: Array
    bias: Array | None
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    padding: Padding = "valid"


@dataclass(frozen=True, eq=False)
class DepthwiseConv:
    """One cross-correlation per channel.

    ``kernel`` is ``(*window, in, multiplier)``; output channel ``c * multiplier + m`` comes from channel ``c``.
    """

    kernel: Array
    bias: Array | None
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding = "valid"


@dataclass(frozen=True, eq=False)
class Dense:
    """Product with ``kernel`` ``(in, out)`` along the last axis, plus ``bias`` ``(out,)`` or None."""

    kernel: Array
    bias: Array | None


@dataclass(frozen=True)
class Pool:
    """Maximum or mean over a window. Under ``padding="same"`` padded places are left out of both."""

    kind: PoolKind
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding = "valid"


@dataclass(frozen=True)
class GlobalPool:
    """Maximum or mean over all positions; ``keepdims`` keeps the spatial axes with length 1."""

    kind: PoolKind
    keepdims: bool = False


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` along ``axis`` of the patch tensor.

    ``axis`` is counted as Keras does, the batch axis being 0; ``gamma`` and ``beta`` are arrays of ones and zeros
    where the layer has none.
    """

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float
    axis: int = -1


@dataclass(frozen=True, eq=False)
class Affine:
    """``(x - center) * scale + offset`` (Rescaling, Normalization).

    The centre is subtracted first, as Keras does: 16-bit data far from zero would lose digits otherwise. Each of the
    three broadcasts against the patch tensor without its batch axis: shape ``()``, ``(channel,)``, or the full
    ``(*spatial, channel)`` with ones where it does not vary.
    """

    center: Array
    scale: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, statistics of one patch over ``axes``.

    ``axes`` are counted as Keras does, the batch axis being 0. ``gamma`` and ``beta`` have the shape of ``axes``.
    """

    gamma: Array
    beta: Array
    epsilon: float
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Activation:
    """A stateless activation: ``name`` is in one of the two sets above, ``params`` are its keyword arguments.

    ``sparsemax`` is what Keras computes under that name.
    For the axis activations ``params["axis"]`` is counted as Keras does, the batch axis being 0.
    """

    name: str
    params: Mapping[str, float | int | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PReLU:
    """``max(x, 0) + alpha * min(x, 0)``; ``alpha`` as stored, its shared spatial axes having length 1."""

    alpha: Array


@dataclass(frozen=True)
class Flatten:
    """Row-major flattening of all positions and channels into one vector."""


@dataclass(frozen=True)
class Identity:
    """Nothing happens when a trained network is applied (dropout, noise …); ``reason`` says why."""

    reason: str


Op: TypeAlias = (
    Conv
    | DepthwiseConv
    | Dense
    | Pool
    | GlobalPool
    | BatchNorm
    | Affine
    | LayerNorm
    | Activation
    | PReLU
    | Flatten
    | Identity
)
