"""Which way of computing a convolution is the quickest on this machine: measured, once.

A way may do less arithmetic and still lose, by the memory it moves; no formula knows a machine's caches. So each
convolution that is worth it is timed on a small map, every way in turn, and the winner is remembered for as long as the
machine and the libraries are the same.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
import os
import platform
import time
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.engine.kernels.threads import cores
from napari_fcnseg.engine.kernels.toom_cook import LENGTH
from napari_fcnseg.system.cache import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.conversion.dense_network import DenseConv, DensePool

    Function = Callable[[np.ndarray], np.ndarray]

#: The plain sum, as the framework computes it.
PLAIN = "plain"
#: Environment variable that names the way for every convolution that it can compute, for tests and for those who want
#: the plain sum: ``plain``, ``winograd``, ``fourier``.
WAY = "NAPARI_FCNSEG_CONVOLUTION"

_VERSION = 1  # of the ways: what was measured of others counts no more
_WORTH = 4000  # FLOP per pixel; below it the plain way is as good
_MAP = {2: (96, 256), 3: (8, 48, 64)}  # pixels of a result that is timed
_MOST = 4e10  # FLOP of such a map
_ROUNDS = 3
_LARGE = 5  # entries per axis from which on the Fourier transform is tried
_WEIGHTS = 2**30  # bytes of transformed weights, at most


def convolution(op: DenseConv, relu: bool, plain: Callable[[], Function], library: str) -> Function | None:
    """Return the quickest way to compute a convolution, None for the plain one.

    Parameters
    ----------
    op : DenseConv
        The convolution.
    relu : bool
        Whether negative results become zero.
    plain : callable
        Makes the plain way: a function of an array ``(1, *spatial, in)``.
    library : str
        What computes the plain way, and its version.
    """
    wanted = os.environ.get(WAY, "auto")
    possible = _possible(op)
    if wanted != "auto":
        return _made(wanted, op, relu) if wanted in possible else None
    if not possible or 2 * op.kernels[0].size < _WORTH:
        return None
    key = f"{_machine(library)} {op.kernels[0].shape} {op.dilations[0]} {relu}"
    name = recall("convolutions", key)
    made = {}
    if name not in (PLAIN, *possible):
        made = {way: _made(way, op, relu) for way in possible}
        example = _example(op)
        seconds = {way: _seconds(function, example) for way, function in {PLAIN: plain(), **made}.items()}
        name = min(seconds, key=seconds.__getitem__)
        remember("convolutions", key, name)
    return None if name == PLAIN else made.get(name) or _made(name, op, relu)


def pooling(op: DensePool) -> Function | None:
    """Return the quicker way to pool one map, if there is one: it won every comparison, so none is made."""
    if os.environ.get(WAY) == PLAIN or len(op.sizes) != 1 or len(op.dilation) not in (2, 3):
        return None
    from napari_fcnseg.engine.kernels.pooling import Pooling

    return Pooling(op.kind == "max", op.sizes[0], op.dilation, op.count)


def _possible(op: DenseConv) -> list[str]:
    """Return the names of the ways that can compute a convolution."""
    if len(op.kernels) != 1 or op.groups != 1 or op.side_by_side != (1,):
        return []
    *window, inputs, outputs = op.kernels[0].shape
    ways = []
    if len(window) in (2, 3) and all(2 <= k < LENGTH for k in window[-2:]):
        ways.append("winograd")
    if len(window) == 2 and min(window) >= _LARGE:
        from napari_fcnseg.engine.kernels.fourier import weight_bytes

        if weight_bytes(window, inputs, outputs) <= _WEIGHTS:
            ways.append("fourier")
    return ways


def _made(way: str, op: DenseConv, relu: bool) -> Function:
    """Return a way as a function of an array."""
    from napari_fcnseg.engine.kernels.fourier import Fourier
    from napari_fcnseg.engine.kernels.winograd import Winograd

    make: type[Winograd | Fourier] = Winograd if way == "winograd" else Fourier
    return make(op.kernels[0], op.bias, op.dilations[0], relu)


@functools.cache
def _machine(library: str) -> str:
    """Return all that a time depends on but the convolution."""
    versions = (importlib.metadata.version(name) for name in ("numba", "numpy", "scipy"))
    return " ".join([str(_VERSION), platform.node(), platform.machine(), str(cores()), library, *versions])


def _example(op: DenseConv) -> np.ndarray:
    """Return a map to time a convolution on; a smaller one where that would take seconds."""
    kernel, dilation = op.kernels[0], op.dilations[0]
    sizes = _MAP[len(dilation)]
    share = min(1.0, _MOST / (2 * kernel.size * math.prod(sizes))) ** (1 / len(sizes))
    reach = [(k - 1) * d for k, d in zip(kernel.shape, dilation, strict=False)]
    spatial = [max(round(n * share), 2 * d) + r for n, d, r in zip(sizes, dilation, reach, strict=True)]
    size = math.prod(spatial) * kernel.shape[-2]
    return np.linspace(-1, 1, size, dtype=np.float32).reshape(1, *spatial, -1)


def _seconds(way: Function, example: np.ndarray) -> float:
    """Return the best time of some rounds; the first, which is slower, is not counted."""
    times = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        way(example)
        times.append(time.perf_counter() - start)
    return min(times[1:])
