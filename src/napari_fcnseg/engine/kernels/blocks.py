"""Blocks of an image on their way into the domain where a convolution is a product, and back.

Imported in the engine's child process alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba.core import types
from numba.extending import intrinsic

from napari_fcnseg.conversion.ways import WINOGRAD_LENGTH as LENGTH
from napari_fcnseg.engine.kernels.toom_cook import matrices
from napari_fcnseg.engine.kernels.vectors import INT, LANES, Vectors, pointers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

_WINDOWS = range(2, LENGTH)
_N = types.int64
_intrinsic: Any = intrinsic  # its functions are called without their first argument


@_intrinsic  # type: ignore[untyped-decorator]
def forward(
    typing: Any, x: Any, size: Any, rows: Any, columns: Any, channels: Any, out: Any, first: Any, step: Any
) -> Any:  # fmt: skip
    """Transform a block of pixels, all channels.

    Parameters
    ----------
    x : ndarray of float32
        The image, of ``size`` numbers.
    rows, columns : ndarray of int64, shape (LENGTH,)
        A pixel's numbers begin at the sum of its row's and its column's entry.
    channels : int
        Of each pixel.
    out : ndarray of float32
        Takes the transform: entry ``i`` of ``LENGTH ** 2`` from ``first + i * step`` on, in whole vectors.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _forward(Vectors(builder), *pointers(context, builder, signature.args, arguments))
        return context.get_dummy_value()

    return types.none(x, _N, rows, columns, _N, out, _N, _N), generate


def _forward(
    v: Vectors, x: Any, size: Any, rows: Any, columns: Any, channels: Any, out: Any, first: Any, step: Any
) -> None:  # fmt: skip
    builder, scratch, room = v.builder, v.room(LENGTH**2), v.room(LENGTH**2)
    data = matrices(LENGTH // 2).data  # the same for every window
    lines = [builder.load(v.at(rows, k)) for k in range(LENGTH)]
    pixels = [builder.load(v.at(columns, k)) for k in range(LENGTH)]

    def vector(number: Any) -> None:
        channel = builder.mul(number, INT(LANES))
        image = v.at(x, channel)

        def pixel(i: int, j: int) -> Any:
            return v.load(v.at(image, builder.add(lines[i], pixels[j])))

        def copied(i: int, j: int) -> Any:
            return v.load(v.at(room, (i * LENGTH + j) * LANES))

        beyond = builder.add(builder.add(builder.add(lines[-1], pixels[-1]), channel), INT(LANES))
        with builder.if_else(builder.icmp_signed("<=", beyond, size)) as (inside, edge):
            with inside:
                _down(v, data, pixel, scratch)
            with edge:  # a vector would reach beyond the image
                _copy(v, image, rows, columns, builder.sub(channels, channel), room)
                _down(v, data, copied, scratch)
        target = v.at(out, first, channel)
        for i in range(LENGTH):
            line = [v.load(v.at(scratch, (i * LENGTH + j) * LANES)) for j in range(LENGTH)]
            for j, value in enumerate(_applied(v, data, line)):
                v.store(value, v.at(target, builder.mul(step, INT(i * LENGTH + j))))

    v.repeat(builder.sdiv(builder.add(channels, INT(LANES - 1)), INT(LANES)), vector)


def _down(v: Vectors, matrix: np.ndarray, pixel: Callable[[int, int], Any], out: Any) -> None:
    """Apply a matrix to every column of a block, which comes by row and column; write the vectors row by row."""
    for j in range(LENGTH):
        for i, value in enumerate(_applied(v, matrix, [pixel(i, j) for i in range(LENGTH)])):
            v.store(value, v.at(out, (i * LENGTH + j) * LANES))


def _copy(v: Vectors, image: Any, rows: Any, columns: Any, count: Any, room: Any) -> None:
    """Copy the last channels of every pixel of a block."""
    builder = v.builder

    def row(i: Any) -> None:
        def column(j: Any) -> None:
            place = builder.add(builder.load(v.at(rows, i)), builder.load(v.at(columns, j)))
            number = builder.add(builder.mul(i, INT(LENGTH)), j)
            v.copy(v.at(image, place), v.at(room, builder.mul(number, INT(LANES))), count)

        v.repeat(INT(LENGTH), column)

    v.repeat(INT(LENGTH), row)


@_intrinsic  # type: ignore[untyped-decorator]
def backward(
    typing: Any, products: Any, first: Any, step: Any, high: Any, wide: Any, bias: Any, bias_first: Any, floor: Any,
    out: Any, rows: Any, row_count: Any, columns: Any, column_count: Any, channel: Any, channels: Any,
) -> Any:  # fmt: skip
    """Bring a block of products back to pixels, add the bias, and write what lies in the image.

    Parameters
    ----------
    products : ndarray of float32
        Entry ``i`` of ``LENGTH ** 2`` from ``first + i * step`` on, in whole vectors.
    high, wide : int
        Results along the axes.
    bias : ndarray of float32
        One number per channel from ``bias_first`` on, in whole vectors.
    floor : float32
        The least result.
    out : ndarray of float32
        Takes ``channels`` channels from ``channel`` on of each pixel, which begins at the sum of its row's entry in
        ``rows`` and its column's in ``columns``; there are ``row_count`` and ``column_count`` of them.
    """
    kinds = (products, _N, _N, _N, _N, bias, _N, types.float32, out, rows, _N, columns, _N, _N, _N)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _backward(Vectors(builder), *pointers(context, builder, signature.args, arguments))
        return context.get_dummy_value()

    return types.none(*kinds), generate


def _backward(
    v: Vectors, products: Any, first: Any, step: Any, high: Any, wide: Any, bias: Any, bias_first: Any, floor: Any,
    out: Any, rows: Any, row_count: Any, columns: Any, column_count: Any, channel: Any, channels: Any,
) -> None:  # fmt: skip
    builder, scratch, room = v.builder, v.room(LENGTH**2), v.room(LENGTH)
    least = v.spread(floor)
    cases = [LENGTH + 1 - window for window in _WINDOWS]

    def vector(number: Any) -> None:
        at = builder.mul(number, INT(LANES))
        source = v.at(products, first, at)
        added, left = v.load(v.at(bias, bias_first, at)), builder.sub(channels, at)
        whole = builder.icmp_signed(">=", left, INT(LANES))

        def product(i: int, j: int) -> Any:
            return v.load(v.at(source, builder.mul(step, INT(i * LENGTH + j))))

        for results in v.switch(high, cases):
            _down(v, matrices(LENGTH + 1 - results).output, product, scratch)

        def row(i: Any) -> None:
            place = v.at(scratch, builder.mul(i, INT(LENGTH * LANES)))
            line = [v.load(v.at(place, j * LANES)) for j in range(LENGTH)]
            for results in v.switch(wide, cases):
                for j, value in enumerate(_applied(v, matrices(LENGTH + 1 - results).output, line)):
                    v.store(v.larger(builder.fadd(value, added), least), v.at(room, j * LANES))
            target = v.at(out, builder.load(v.at(rows, i)), channel, at)

            def column(j: Any) -> None:
                pixel, to = v.at(room, builder.mul(j, INT(LANES))), v.at(target, builder.load(v.at(columns, j)))
                with builder.if_else(whole) as (all_lanes, some_lanes):
                    with all_lanes:
                        v.store(v.load(pixel), to)
                    with some_lanes:
                        v.some(pixel, to, left)

            v.repeat(column_count, column)

        v.repeat(row_count, row)

    v.repeat(builder.sdiv(builder.add(channels, INT(LANES - 1)), INT(LANES)), vector)


def _applied(v: Vectors, matrix: np.ndarray, entries: Sequence[Any]) -> list[Any]:
    """Return a matrix times a column of vectors.

    Rows, or columns, of two points that differ in sign alone share their even and their odd part.
    """
    if len(matrix) == LENGTH:
        return _by_rows(v, matrix, entries)
    sums = [entries[0]]
    factors = [matrix[:, 0]]
    for k in range(1, LENGTH - 1, 2):
        sums += [v.builder.fadd(entries[k], entries[k + 1]), v.builder.fsub(entries[k], entries[k + 1])]
        factors += [(matrix[:, k] + matrix[:, k + 1]) / 2, (matrix[:, k] - matrix[:, k + 1]) / 2]
    sums.append(entries[-1])
    factors.append(matrix[:, -1])
    return [v.combine([f[row] for f in factors], sums) for row in range(len(matrix))]


def _by_rows(v: Vectors, matrix: np.ndarray, entries: Sequence[Any]) -> list[Any]:
    tiny = abs(matrix).max() * 1e-12  # what inverting a matrix leaves of a zero
    clean = [[0.0 if abs(f) < tiny else float(f) for f in row] for row in matrix]
    result = [v.combine(clean[0], entries)]
    for k in range(1, LENGTH - 1, 2):
        same = [(a + b) / 2 for a, b in zip(clean[k], clean[k + 1], strict=True)]
        other = [(a - b) / 2 for a, b in zip(clean[k], clean[k + 1], strict=True)]
        same, other = ([0.0 if abs(f) < tiny else f for f in part] for part in (same, other))
        even, odd = v.combine(same, entries), v.combine(other, entries)
        result += [v.builder.fadd(even, odd), v.builder.fsub(even, odd)]
    return [*result, v.combine(clean[-1], entries)]
