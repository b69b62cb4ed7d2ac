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
#: What surrounds a tensor under a window: nothing, as much as Keras's ``same`` adds (which depends on the size), or
#: so many positions before and after, per spatial axis.
Padding: TypeAlias = Literal["valid", "same"] | tuple[tuple[int, int], ...]
PoolKind: TypeAlias = Literal["max", "average"]
MergeKind: TypeAlias = Literal["add", "subtract", "multiply", "divide", "average", "maximum", "minimum", "concatenate"]

#: Activations that act on each number alone. The names and the parameters are those of ``keras.activations``;
#: ``hard_sigmoid_keras2`` is ``clip(0.2 x + 0.5, 0, 1)``, which Keras 2 called ``hard_sigmoid``; functions that are no
#: activations are those of ``keras.ops``.
ELEMENTWISE_ACTIVATIONS = frozenset({
    "abs", "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_sigmoid_keras2",
    "hard_silu", "hard_tanh", "leaky_relu", "linear", "log", "log_sigmoid", "mish", "relu", "relu6", "rsqrt",
    "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sqrt",
    "square", "squareplus", "tanh", "tanh_shrink", "threshold",
})  # fmt: skip
#: Activations that mix the numbers along ``axis``. ``unit_norm`` divides by the length of the vector, which counts as
#: ``epsilon`` at least; ``rms_norm`` by the root of the mean square plus ``epsilon``.
AXIS_ACTIVATIONS = frozenset({"glu", "log_softmax", "rms_norm", "softmax", "sparsemax", "unit_norm"})


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
class ConvTranspose:
    """The transpose of a :class:`Conv` (Keras's ``Conv2DTranspose``): each position spreads over a window.

    ``kernel`` is ``(*window, out, in)``, as Keras stores it, ``bias`` ``(out,)`` or None. Input position ``i`` adds to
    output position ``i * stride + tap * dilation``; of these ``(n - 1) * stride + (taps - 1) * dilation + 1``
    positions ``crop`` are dropped before and after, per axis (a negative number adds zeros instead).
    """

    kernel: Array
    bias: Array | None
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    crop: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Dense:
    """Product with ``kernel`` ``(in, out)`` along the last axis, plus ``bias`` ``(out,)`` or None."""

    kernel: Array
    bias: Array | None


@dataclass(frozen=True)
class Pool:
    """Maximum or mean over a window. Padding is left out of both.

    With ``count_padding`` a mean counts them as zeros instead (PyTorch's default). ``dilation`` are positions between
    the taps of a window; None is 1 along every axis.
    """

    kind: PoolKind
    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding = "valid"
    count_padding: bool = False
    dilation: tuple[int, ...] | None = None

    @property
    def taps_apart(self) -> tuple[int, ...]:
        """Positions between the taps of a window, per axis."""
        return (1,) * len(self.size) if self.dilation is None else self.dilation


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


@dataclass(frozen=True, eq=False)
class GroupNorm:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` over all positions of a patch and a group of channels.

    ``gamma`` and ``beta`` have one number per channel; the channels are cut into ``groups`` runs of equal length.
    """

    gamma: Array
    beta: Array
    epsilon: float
    groups: int


@dataclass(frozen=True)
class Activation:
    """A stateless activation: ``name`` is in one of the two sets above, ``params`` are its keyword arguments.

    ``sparsemax`` is what Keras computes under that name.
    For the axis activations ``params["axis"]`` is counted as Keras does, the batch axis being 0.
    """

    name: str
    params: Mapping[str, float | int | bool | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.name in ELEMENTWISE_ACTIVATIONS | AXIS_ACTIVATIONS, f"no activation is called {self.name!r}"


@dataclass(frozen=True, eq=False)
class PReLU:
    """``max(x, 0) + alpha * min(x, 0)``; ``alpha`` as stored, its shared spatial axes having length 1."""

    alpha: Array


@dataclass(frozen=True)
class Flatten:
    """Row-major flattening of all positions and channels into one vector.

    ``order`` are the axes of the patch tensor, its channels last, in the order in which they are flattened, the one
    that varies slowest first: None for ``(0, 1, …)``, ``(2, 0, 1)`` where the model keeps its channels first.
    Parameters of later operations on the vector are in the vector's own order.
    """

    order: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Expand:
    """A vector as the channels of a map of one position: ``(feature,)`` to ``(1, …, 1, feature)``."""


@dataclass(frozen=True)
class Merge:
    """Join several inputs, the first operation of a node that reads more than one.

    The inputs are of one shape, or have length 1 along axes where others do not and are repeated there.
    ``concatenate`` joins along ``axis`` instead, counted as Keras does, the batch axis being 0; ``subtract`` takes the
    second from the first, ``divide`` the first by the second.
    """

    kind: MergeKind
    axis: int = -1


@dataclass(frozen=True)
class Channels:
    """The channels ``start <= c < stop`` of a map or features of a vector."""

    start: int
    stop: int


@dataclass(frozen=True)
class Take:
    """The channels of a map or features of a vector in another order; some may be missing, or there several times."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Pick:
    """Positions of a map: along each spatial axis those of these numbers, in this order; None for all as they are."""

    places: tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True)
class AxisToChannels:
    """The positions along one spatial axis side by side as channels; the axis stays, with length 1.

    Channel ``p * channels + c`` of the result is channel ``c`` of position ``p``.
    """

    axis: int


@dataclass(frozen=True)
class ReduceGroups:
    """The channels cut into ``groups`` runs of equal length, joined number by number (the maximum is a maxout).

    ``kind`` is not ``concatenate``, ``subtract`` or ``divide``.
    """

    kind: MergeKind
    groups: int


@dataclass(frozen=True)
class ZeroPad:
    """Zeros around a map: positions before and after, per spatial axis."""

    width: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Crop:
    """Positions cut off before and after, per spatial axis."""

    width: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class UpSample:
    """Every position repeated ``size`` times per spatial axis (nearest neighbour)."""

    size: tuple[int, ...]


@dataclass(frozen=True)
class Identity:
    """Nothing happens when a trained network is applied (dropout, noise …); ``reason`` says why."""

    reason: str


Op: TypeAlias = (
    Conv
    | DepthwiseConv
    | ConvTranspose
    | Dense
    | Pool
    | GlobalPool
    | BatchNorm
    | Affine
    | LayerNorm
    | GroupNorm
    | Activation
    | PReLU
    | Flatten
    | Expand
    | Merge
    | Channels
    | Take
    | Pick
    | AxisToChannels
    | ReduceGroups
    | ZeroPad
    | Crop
    | UpSample
    | Identity
)
