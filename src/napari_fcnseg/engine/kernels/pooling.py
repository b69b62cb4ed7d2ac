"""Dilated pooling in one pass.

As operations of a framework it takes a copy of the map for every shift and a pass for every combination; it is bound by
memory alone, so one pass that reads and writes each map once is several times as fast. The pixels of a row lie one
after the other with their channels, so an entry of the window is the same number of places further on for all of them.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.extending import intrinsic

from napari_fcnseg.engine.kernels.compiled import compiled
from napari_fcnseg.engine.kernels.threads import below, in_threads
from napari_fcnseg.engine.kernels.vectors import INT, LANES, Vectors, pointers

if TYPE_CHECKING:
    from collections.abc import Sequence

_Array = npt.NDArray[np.float32]

_N = types.int64
_AT_ONCE = 4  # vectors
_intrinsic: Any = intrinsic  # its functions are called without their first argument


class Pooling:
    """A dilated pool.

    Parameters
    ----------
    maximum : bool
        Whether the largest entry of a window is taken; otherwise their sum divided by ``count``.
    size, dilation : sequence of int
        Of the window, per axis.
    count : int
        What a sum is divided by.
    """

    def __init__(self, maximum: bool, size: Sequence[int], dilation: Sequence[int], count: int) -> None:
        self._maximum, self._size, self._dilation = maximum, tuple(size), tuple(dilation)
        self._scale = np.float32(1.0 / count)

    def __call__(self, x: _Array, *, above: _Array | None = None) -> _Array:
        """Return the pool of ``(1, *spatial, channel)``: ``(1, *(spatial - (size - 1) * dilation), channel)``.

        Rows that are to be ``above`` come first.
        """
        x = np.ascontiguousarray(x)
        shape = [n - (k - 1) * d for n, k, d in zip(x.shape[1:-1], self._size, self._dilation, strict=True)]
        result, part = below(above, (1, *shape, x.shape[-1]))
        taps, starts = windows(x, self._size, self._dilation, shape)
        lines = part.reshape(len(starts), -1)
        in_threads(
            functools.partial(_pool, x.reshape(-1), self._maximum, self._scale, taps, starts, lines),
            np.arange(len(starts)),
        )
        return result


def windows(
    x: _Array, size: Sequence[int], dilation: Sequence[int], shape: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where the entries of a window lie in an image, from its first on, and where each row's first one begins.

    Parameters
    ----------
    x : ndarray, shape (1, *spatial, channel)
        The image.
    size, dilation : sequence of int
        Of the window, per axis.
    shape : sequence of int
        How many windows there are along each axis.
    """
    strides = np.array(x.strides[1:-1]) // x.itemsize
    taps = np.array(list(itertools.product(*map(range, size)))) * dilation @ strides
    rows = np.array(list(itertools.product(*map(range, shape[:-1]))), np.int64).reshape(
        math.prod(shape[:-1]), len(shape) - 1
    )
    return taps, rows @ strides[:-1]


@_intrinsic  # type: ignore[untyped-decorator]
def _combine(
    typing: Any, x: Any, first: Any, taps: Any, count: Any, maximum: Any, scale: Any, y: Any, to: Any, length: Any
) -> Any:  # fmt: skip
    """Write the largest number of each window, or their sum times a factor, of ``length`` windows one after the other.

    There are windows for whole vectors.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _vectors(Vectors(builder), *pointers(context, builder, signature.args, arguments))
        return context.get_dummy_value()

    return types.none(x, _N, taps, _N, types.boolean, types.float32, y, _N, _N), generate


def _vectors(
    v: Vectors, x: Any, first: Any, taps: Any, count: Any, maximum: Any, scale: Any, y: Any, to: Any, length: Any
) -> None:  # fmt: skip
    builder = v.builder
    source, target, by = v.at(x, first), v.at(y, to), v.spread(scale)

    def group(at: Any, vectors: int, total: Any) -> None:
        place = v.at(source, at)
        entry = v.at(place, builder.load(taps))
        totals = [v.variable(v.load(v.at(entry, n * LANES))) for n in range(vectors)]

        def tap(number: Any) -> None:
            entry = v.at(place, builder.load(v.at(taps, builder.add(number, INT(1)))))
            for n, variable in enumerate(totals):
                builder.store(total(builder.load(variable), v.load(v.at(entry, n * LANES))), variable)

        v.repeat(builder.sub(count, INT(1)), tap)
        for n, variable in enumerate(totals):
            value = builder.load(variable)
            v.store(value if total == v.larger else builder.fmul(value, by), v.at(target, at, n * LANES))

    def all_of(total: Any) -> None:
        many = builder.sdiv(length, INT(_AT_ONCE * LANES))
        v.repeat(many, lambda n: group(builder.mul(n, INT(_AT_ONCE * LANES)), _AT_ONCE, total))
        done = builder.mul(many, INT(_AT_ONCE))
        rest = builder.sub(builder.sdiv(length, INT(LANES)), done)
        v.repeat(rest, lambda n: group(builder.mul(builder.add(done, n), INT(LANES)), 1, total))

    with builder.if_else(maximum) as (largest, sums):
        with largest:
            all_of(v.larger)
        with sums:
            all_of(builder.fadd)


@compiled
def _pool(x: Any, maximum: bool, scale: Any, taps: Any, starts: Any, y: Any, lines: Any) -> None:
    """Pool what begins at ``starts`` in ``x`` into some lines of ``y``."""
    length = y.shape[1]
    whole = length // LANES * LANES
    out = y.reshape(-1)
    for line in lines:
        first, to = starts[line], line * length
        _combine(x, first, taps, taps.size, maximum, scale, out, to, whole)
        for at in range(whole, length):
            total = x[first + taps[0] + at]
            for tap in taps[1:]:
                other = x[first + tap + at]
                total = (other if other > total else total) if maximum else total + other
            out[to + at] = total if maximum else total * scale
