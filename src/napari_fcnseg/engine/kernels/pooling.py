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
    """A dilated pool of one map or several.

    Parameters
    ----------
    maximum : bool
        Whether the largest entry of all windows is taken; otherwise their sum divided by ``count``.
    sizes : sequence of sequence of int
        Of the window in each map, per axis.
    dilation : sequence of int
        Per axis.
    count : int
        What a sum is divided by.
    """

    def __init__(self, maximum: bool, sizes: Sequence[Sequence[int]], dilation: Sequence[int], count: int) -> None:
        self._maximum, self._sizes, self._dilation = maximum, tuple(map(tuple, sizes)), tuple(dilation)
        self._scale = np.float32(1.0 / count)

    def __call__(self, *maps: _Array, above: _Array | None = None) -> _Array:
        """Return the pool of maps ``(1, *spatial, channel)``: ``(1, *(spatial - (size - 1) * dilation), channel)``.

        Rows that are to be ``above`` come first.
        """
        maps = tuple(x if _in_rows(x) else np.ascontiguousarray(x) for x in maps)
        first = maps[0]
        shape = [n - (k - 1) * d for n, k, d in zip(first.shape[1:-1], self._sizes[0], self._dilation, strict=True)]
        result, part = below(above, (1, *shape, first.shape[-1]))
        found = [windows(x, size, self._dilation, shape) for x, size in zip(maps, self._sizes, strict=True)]
        apart = [(x.ctypes.data - first.ctypes.data) // first.itemsize for x in maps]
        taps = np.concatenate([own + far for (own, _), far in zip(found, apart, strict=True)])
        of = np.repeat(np.arange(len(maps)), [len(own) for own, _ in found])
        starts = np.stack([rows for _, rows in found])
        in_threads(
            functools.partial(
                _pool,
                first.ctypes.data,
                self._maximum,
                self._scale,
                taps,
                of,
                starts,
                part.reshape(starts.shape[1], -1),
            ),
            np.arange(starts.shape[1]),
        )
        return result


def _in_rows(x: _Array) -> bool:
    """Return whether the pixels of each row lie one after the other."""
    return x.strides[-1] == x.itemsize and x.strides[-2] == x.itemsize * x.shape[-1]


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
    typing: Any, x: Any, taps: Any, count: Any, maximum: Any, scale: Any, y: Any, to: Any, length: Any
) -> Any:  # fmt: skip
    """Write the largest number of each window, or their sum times a factor, of ``length`` windows one after the other.

    ``x`` is an address, and ``taps`` has how many numbers from there the first window's entries are.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _vectors(Vectors(builder), *pointers(context, builder, signature.args, arguments))
        return context.get_dummy_value()

    return types.none(_N, taps, _N, types.boolean, types.float32, y, _N, _N), generate


def _vectors(
    v: Vectors, x: Any, taps: Any, count: Any, maximum: Any, scale: Any, y: Any, to: Any, length: Any
) -> None:  # fmt: skip
    builder = v.builder
    source, target, by = v.pointer(x), v.at(y, to), v.spread(scale)

    def group(at: Any, vectors: int, total: Any, *, single: bool = False) -> None:
        place = v.at(source, at)
        load = builder.load if single else v.load
        entry = v.at(place, builder.load(taps))
        totals = [v.variable(load(v.at(entry, n * LANES))) for n in range(vectors)]

        def tap(number: Any) -> None:
            entry = v.at(place, builder.load(v.at(taps, builder.add(number, INT(1)))))
            for n, variable in enumerate(totals):
                builder.store(total(builder.load(variable), load(v.at(entry, n * LANES))), variable)

        v.repeat(builder.sub(count, INT(1)), tap)
        for n, variable in enumerate(totals):
            value = builder.load(variable)
            result = value if total == v.larger else builder.fmul(value, scale if single else by)
            to = v.at(target, at, n * LANES)
            if single:
                builder.store(result, to)
            else:
                v.store(result, to)

    def all_of(total: Any) -> None:
        many = builder.sdiv(length, INT(_AT_ONCE * LANES))
        v.repeat(many, lambda n: group(builder.mul(n, INT(_AT_ONCE * LANES)), _AT_ONCE, total))
        done = builder.mul(many, INT(_AT_ONCE))
        whole = builder.sdiv(length, INT(LANES))
        v.repeat(
            builder.sub(whole, done), lambda n: group(builder.mul(builder.add(done, n), INT(LANES)), 1, total)
        )  # fmt: skip
        rest = builder.mul(whole, INT(LANES))
        v.repeat(builder.sub(length, rest), lambda n: group(builder.add(rest, n), 1, total, single=True))

    with builder.if_else(maximum) as (largest, sums):
        with largest:
            all_of(v.larger)
        with sums:
            all_of(builder.fadd)


@compiled
def _pool(x: int, maximum: bool, scale: Any, taps: Any, of: Any, starts: Any, y: Any, lines: Any) -> None:
    """Pool into some lines of ``y``: an entry of a window is so many numbers from ``x``, an address, and its map's row.

    Maps lie anywhere in memory: an entry's tap says how far from the first one, too.
    """
    length = y.shape[1]
    out, here = y.reshape(-1), np.empty(taps.size, np.int64)
    for line in lines:
        for n in range(taps.size):
            here[n] = taps[n] + starts[of[n], line]
        _combine(x, here, taps.size, maximum, scale, out, line * length, length)
