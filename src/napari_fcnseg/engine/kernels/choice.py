"""Which way of computing a convolution is the quickest: decided at once, by what each way costs.

A way may do less arithmetic and still lose, by the memory it moves and by what it does beside its products. What the
formulas below say was measured on one core with AVX-512; with shorter vectors all ways take longer alike. So nothing is
measured on a user's time, and every computer computes the same way.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from napari_fcnseg.engine.kernels.toom_cook import LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.conversion.dense_network import DenseConv, DensePool
    from napari_fcnseg.engine.kernels.direct import Direct
    from napari_fcnseg.engine.kernels.fourier import Fourier
    from napari_fcnseg.engine.kernels.pooling import Pooling
    from napari_fcnseg.engine.kernels.winograd import Winograd

    Function = Callable[..., np.ndarray]

#: The plain sum, as the framework computes it.
PLAIN: Final = "plain"
#: Environment variable that names the way for every convolution that it can compute, for tests and for those who want
#: the plain sum: ``plain`` (the framework's), ``direct`` (ours), ``winograd``, ``fourier``.
WAY: Final = "NAPARI_FCNSEG_CONVOLUTION"

_LARGE = 5  # entries per axis from which on the Fourier transform is tried
_WEIGHTS = 2**30  # bytes of transformed weights, at most
_VECTOR = 16  # outputs that are computed together, in vain where there are fewer


_importing = threading.Lock()


class _Kernels(NamedTuple):
    Direct: type[Direct]
    Winograd: type[Winograd]
    Fourier: type[Fourier]
    Pooling: type[Pooling]
    weight_bytes: Callable[[Sequence[int], int, int], int]


def convolution(
    op: DenseConv, relu: bool, then: Sequence[tuple[DenseConv, bool]], channels: Sequence[int]
) -> Function | None:  # fmt: skip
    """Return the quickest way to compute a convolution, None for the plain one.

    Parameters
    ----------
    op : DenseConv
        The convolution.
    relu : bool
        Whether negative results become zero.
    then : sequence of tuple
        Convolutions of one pixel that follow, each with whether it is rectified, to be computed with it: None if that
        cannot be done.
    channels : sequence of int
        Of each map that it reads.
    """
    wanted, possible = os.environ.get(WAY, "auto"), _possible(op)
    if wanted != "auto":
        possible = [wanted] if wanted in possible else []
    if not possible:
        return None
    way = min(possible, key=lambda name: nanoseconds(name, op.kernels[0].shape))
    if way == "fourier" and then:
        return None
    return _made(way, op, relu, [(more.kernels[0], more.bias, rectified) for more, rectified in then], channels)


def pooling(ops: Sequence[DensePool]) -> Function | None:
    """Return the quicker way to pool one map along some axes after others, if there is one."""
    if os.environ.get(WAY) == PLAIN or len(ops[0].sizes) != 1:
        return None
    axes = range(len(ops[0].dilation))
    along = [max(ops, key=lambda op: op.sizes[0][axis]) for axis in axes]  # which pools along each axis
    size = [op.sizes[0][axis] for op, axis in zip(along, axes, strict=True)]
    dilation = [op.dilation[axis] for op, axis in zip(along, axes, strict=True)]
    return _kernels().Pooling(ops[0].kind == "max", size, dilation, math.prod(op.count for op in ops))


def prepare() -> None:
    """Load the compiled functions that nearly every network needs, or compile them."""
    if os.environ.get(WAY) == PLAIN:
        return
    kernels = _kernels()
    x = np.zeros((1, 4, 4, 1), np.float32)
    kernels.Pooling(True, (2, 2), (1, 1), 1)(x)
    kernels.Winograd(np.zeros((3, 3, 1, 1), np.float32), np.zeros(1, np.float32), (1, 1), True)(x)
    kernels.Direct([np.zeros((1, 1, 1, 1), np.float32)], np.zeros(1, np.float32), [(1, 1)], True)(x)


def nanoseconds(way: str, shape: tuple[int, ...]) -> float:
    """Return about how long a way takes for a pixel on one core.

    Parameters
    ----------
    way : {"direct", "winograd", "fourier"}
        Which one.
    shape : tuple of int
        Of the kernel, ``(*window, in, out)``.
    """
    *window, inputs, outputs = shape
    wide = -(-outputs // _VECTOR) * _VECTOR
    if way == "direct":
        return 0.0145 * math.prod(window) * inputs * wide
    high, long = window[-2:]
    if way == "winograd":
        grown = LENGTH**2 / ((LENGTH + 1 - high) * (LENGTH + 1 - long))  # numbers in a block's transform per result
        deep, transformed = math.prod(window[:-2]), -(-inputs // _VECTOR) * _VECTOR
        return grown * (0.0135 * deep * inputs * wide + 0.32 * deep * transformed + 0.35 * wide + 3)
    turned = 16 * high * long / (long + 1)  # multiplications per result and channel of a transform
    return 0.019 * 6 * long / (long + 1) * inputs * wide + turned * (0.13 * inputs + 0.07 * outputs)


def _possible(op: DenseConv) -> list[str]:
    """Return the names of the ways that can compute a convolution."""
    if op.groups != 1:
        return []
    ways = ["direct"]
    if len(op.kernels) != 1 or op.side_by_side != (1,):
        return ways
    *window, inputs, outputs = op.kernels[0].shape
    if len(window) in (2, 3) and all(2 <= k < LENGTH for k in window[-2:]):
        ways.append("winograd")
    if len(window) == 2 and min(window) >= _LARGE:
        if _kernels().weight_bytes(window, inputs, outputs) <= _WEIGHTS:
            ways.append("fourier")
    return ways


def _made(
    way: str, op: DenseConv, relu: bool, then: list[tuple[np.ndarray, np.ndarray, bool]], channels: Sequence[int]
) -> Function:  # fmt: skip
    """Return a way as a function of arrays, with convolutions of one pixel that follow."""
    kernels = _kernels()
    if way == "direct":
        weights, dilations = _per_map(op, channels)
        return kernels.Direct(weights, op.bias, dilations, relu, then)
    given = op.kernels[0], op.bias, op.dilations[0], relu
    return kernels.Winograd(*given, then) if way == "winograd" else kernels.Fourier(*given)


def _kernels() -> _Kernels:
    """Return what computes, imported by one thread at a time: Numba cannot be imported by two at once."""
    with _importing:
        from napari_fcnseg.engine.kernels.direct import Direct
        from napari_fcnseg.engine.kernels.fourier import Fourier, weight_bytes
        from napari_fcnseg.engine.kernels.pooling import Pooling
        from napari_fcnseg.engine.kernels.winograd import Winograd
    return _Kernels(Direct, Winograd, Fourier, Pooling, weight_bytes)


def _per_map(op: DenseConv, channels: Sequence[int]) -> tuple[list[np.ndarray], list[tuple[int, ...]]]:
    """Return a kernel and a dilation for each map that a convolution reads."""
    kernels: list[np.ndarray] = []
    dilations: list[tuple[int, ...]] = []
    for kernel, dilation, count in zip(op.kernels, op.dilations, op.side_by_side, strict=True):
        ends = np.cumsum(channels[len(kernels) : len(kernels) + count])
        kernels += np.split(kernel, ends[:-1], axis=-2)
        dilations += [dilation] * count
    return kernels, dilations
