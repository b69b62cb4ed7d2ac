"""What computes a convolution or a pool in the way that was chosen for it (:mod:`napari_fcnseg.conversion.ways`).

Imported in the engine's child process alone.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_fcnseg.conversion.ways import DIRECT, FOURIER, PLAIN, WINOGRAD, by_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.conversion.dense_network import DenseConv, DensePool
    from napari_fcnseg.conversion.shared_sums import Sharing
    from napari_fcnseg.engine.kernels.direct import Direct
    from napari_fcnseg.engine.kernels.fourier import Fourier, Mixed
    from napari_fcnseg.engine.kernels.pooling import Pooling
    from napari_fcnseg.engine.kernels.shared import Shared
    from napari_fcnseg.engine.kernels.winograd import Winograd

    Function = Callable[..., np.ndarray]

_importing = threading.Lock()


class _Kernels(NamedTuple):
    Direct: type[Direct]
    Winograd: type[Winograd]
    Fourier: type[Fourier]
    Mixed: type[Mixed]
    Pooling: type[Pooling]
    Shared: type[Shared]


def convolution(
    way: str, op: DenseConv, relu: bool, then: Sequence[tuple[DenseConv, bool]], channels: Sequence[int]
) -> Function | None:  # fmt: skip
    """Return what computes a convolution in a way; None for the plain one.

    Parameters
    ----------
    way : str
        Which one.
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
    several = len(op.kernels) > 1
    if way == PLAIN or (way == FOURIER and then and not several):
        return None
    kernels = _kernels()
    follow = [(more.kernels[0], more.bias, rectified) for more, rectified in then]
    if way == DIRECT or several:
        weights, dilations = _per_map(op, channels)
        if way == DIRECT:
            return kernels.Direct(weights, op.bias, dilations, relu, follow)
        large = [can for can, count in zip(by_transform(op), op.side_by_side, strict=True) for _ in range(count)]
        return kernels.Mixed(weights, op.bias, dilations, relu, follow, large)
    given = op.kernels[0], op.bias, op.dilations[0], relu
    return kernels.Winograd(*given, follow) if way == WINOGRAD else kernels.Fourier(*given)


def pooling(ops: Sequence[DensePool]) -> Function:
    """Return what pools maps, or one along some axes after others."""
    if len(ops) == 1:
        (op,) = ops
        return _kernels().Pooling(op.kind == "max", op.sizes, op.dilation, op.count)
    axes = range(len(ops[0].dilation))
    along = [max(ops, key=lambda op: op.sizes[0][axis]) for axis in axes]  # which pools along each axis
    size = [op.sizes[0][axis] for op, axis in zip(along, axes, strict=True)]
    dilation = [op.dilation[axis] for op, axis in zip(along, axes, strict=True)]
    return _kernels().Pooling(ops[0].kind == "max", [size], dilation, math.prod(op.count for op in ops))


def together(sharing: Sharing, biases: Sequence[np.ndarray], relu: Sequence[bool]) -> Shared:
    """Return what computes convolutions that have columns in common, given the bias of each and if it is rectified."""
    return _kernels().Shared(sharing, biases, relu)


def prepare() -> None:
    """Load the compiled functions that nearly every network needs, or compile them."""
    kernels = _kernels()
    x = np.zeros((1, 4, 4, 1), np.float32)
    kernels.Pooling(True, [(2, 2)], (1, 1), 1)(x)
    kernels.Winograd(np.zeros((3, 3, 1, 1), np.float32), np.zeros(1, np.float32), (1, 1), True)(x)
    kernels.Direct([np.zeros((1, 1, 1, 1), np.float32)], np.zeros(1, np.float32), [(1, 1)], True)(x)


def _kernels() -> _Kernels:
    """Return what computes, imported by one thread at a time: Numba cannot be imported by two at once."""
    with _importing:
        from napari_fcnseg.engine.kernels.direct import Direct
        from napari_fcnseg.engine.kernels.fourier import Fourier, Mixed
        from napari_fcnseg.engine.kernels.pooling import Pooling
        from napari_fcnseg.engine.kernels.shared import Shared
        from napari_fcnseg.engine.kernels.winograd import Winograd
    return _Kernels(Direct, Winograd, Fourier, Mixed, Pooling, Shared)


def _per_map(op: DenseConv, channels: Sequence[int]) -> tuple[list[np.ndarray], list[tuple[int, ...]]]:
    """Return a kernel and a dilation for each map that a convolution reads."""
    kernels: list[np.ndarray] = []
    dilations: list[tuple[int, ...]] = []
    for kernel, dilation, count in zip(op.kernels, op.dilations, op.side_by_side, strict=True):
        ends = np.cumsum(channels[len(kernels) : len(kernels) + count])
        kernels += np.split(kernel, ends[:-1], axis=-2)
        dilations += [dilation] * count
    return kernels, dilations
