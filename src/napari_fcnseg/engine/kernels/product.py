"""Products of matrices in registers: the innermost loop of every convolution here.

A few rows by a few vectors of columns are summed in registers, so that every number that is read takes part in several
multiplications. The right-hand matrix is packed beforehand in the order in which it is read.

Imported in the engine's child process alone.

References
----------
K. Goto, R. A. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34(3), 2008.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from napari_fcnseg.engine.kernels.compiled import compiled_at
from napari_fcnseg.engine.kernels.vectors import INT, LANES, REGISTERS, Vectors, call_at, place

if TYPE_CHECKING:
    from collections.abc import Callable

_Array = npt.NDArray[np.float32]

_N = types.int64
_intrinsic: Any = intrinsic  # its functions are called without their first argument

#: Vectors of columns that are summed at once, at most.
WIDEST = 4 if REGISTERS == 32 else 2
#: Rows that are summed at once, by the number of vectors.
ROWS = {4: 6, 3: 8, 2: 12, 1: 12} if REGISTERS == 32 else {2: 6, 1: 12}


def packed(matrices: npt.NDArray[Any]) -> _Array:
    """Return matrices ``(number, in, out)`` as products read them: ``(number, in * columns)``.

    The columns, with zeros beyond the last to fill a vector, are in panels, each with its rows one after the other.
    """
    count, inputs, outputs = matrices.shape
    columns = vectors(outputs) * LANES
    whole = np.zeros((count, inputs, columns), np.float32)
    whole[:, :, :outputs] = matrices
    result = np.empty((count, inputs * columns), np.float32)
    first = 0
    while first < columns:
        last = first + _panel(columns - first)
        result[:, first * inputs : last * inputs] = whole[:, :, first:last].reshape(count, -1)
        first = last
    return result


def vectors(columns: int) -> int:
    """Return how many vectors hold so many columns."""
    return -(-columns // LANES)


def _panel(columns: Any) -> Any:
    """Return how many columns the next panel has, of so many that are left: panels are about as wide as each other."""
    left = -(-columns // LANES)
    panels = -(-left // WIDEST)
    return -(-left // panels) * LANES


panel: Any = njit(nogil=True)(_panel)


def _product_of(across: int) -> Callable[..., Any]:
    """Return the intrinsic of :func:`_multiply` for so many vectors of columns."""

    @intrinsic
    def product(
        typing: Any, a: Any, a_step: Any, rows: Any, taps: Any, count: Any, depth: Any, b: Any, b_step: Any, c: Any,
        c_step: Any, columns: Any, bias: Any, bias_step: Any, floor: Any,
    ) -> Any:  # fmt: skip
        """Write the sum of some rows and columns."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _sum(Vectors(builder), across, *arguments)
            return context.get_dummy_value()

        return types.none(*[_N] * 13, types.float32), generate

    return product


def _sum(
    v: Vectors, across: int, a: Any, a_step: Any, rows: Any, taps: Any, count: Any, depth: Any, b: Any, b_step: Any,
    c: Any, c_step: Any, columns: Any, bias: Any, bias_step: Any, floor: Any,
) -> None:  # fmt: skip
    """Write the loop over taps and depth, and what is done with the sums."""
    builder = v.builder
    a, right, target, start = (v.pointer(address) for address in (a, b, c, bias))
    offsets = builder.inttoptr(taps, INT.as_pointer())
    last = builder.sub(rows, INT(1))
    numbers = [INT(0)]
    for row in range(1, ROWS[across]):  # beyond the last row that one is computed again
        inside = builder.icmp_signed("<", INT(row), last)
        numbers.append(builder.select(inside, INT(row), last))
    begins = [v.at(a, builder.mul(number, a_step)) for number in numbers]
    added = [v.at(start, builder.mul(number, bias_step)) for number in numbers]
    sums = [[v.variable(v.load(v.at(line, n * LANES))) for n in range(across)] for line in added]

    def tap(number: Any) -> None:
        lines = [v.at(begin, builder.load(v.at(offsets, number))) for begin in begins]
        panel = v.at(right, builder.mul(number, builder.mul(depth, b_step)))

        def entry(k: Any) -> None:
            place = v.at(panel, builder.mul(k, b_step))
            factors = [v.load(v.at(place, n * LANES)) for n in range(across)]
            for line, totals in zip(lines, sums, strict=True):
                by = v.spread(builder.load(v.at(line, k)))
                for total, factor in zip(totals, factors, strict=True):
                    builder.store(v.multiply_add(by, factor, builder.load(total)), total)

        v.repeat(depth, entry)

    v.repeat(count, tap)
    _write(v, sums, target, c_step, numbers, columns, v.spread(floor))


def _write(
    v: Vectors, sums: list[list[Any]], target: Any, step: Any, numbers: list[Any], columns: Any, least: Any
) -> None:  # fmt: skip
    """Write the sums of some rows, as many columns as there are."""
    builder, across = v.builder, len(sums[0])
    totals = [[v.larger(builder.load(total), least) for total in row] for row in sums]
    with builder.if_else(builder.icmp_signed(">=", columns, INT(across * LANES))) as (whole, part):
        with whole:
            for number, row in zip(numbers, totals, strict=True):
                for n, total in enumerate(row):
                    v.store(total, v.at(target, builder.mul(number, step), n * LANES))
        with part:
            room = v.room(len(sums) * across)
            for n, total in enumerate(total for row in totals for total in row):
                v.store(total, v.at(room, n * LANES))
            last = builder.add(numbers[-1], INT(1))  # of the rows that there are

            def copy(row: Any) -> None:
                source, to = v.at(room, builder.mul(row, INT(across * LANES))), v.at(target, builder.mul(row, step))
                v.copy(source, to, columns)

            v.repeat(last, copy)


#: Bytes of the right-hand matrix that stay in the nearest cache, beside what else is read.
_NEAR: Any = 2**15
_NO_FLOOR: Any = np.float32(-np.inf)
_one, _two = _product_of(1), _product_of(2)
_three, _four = (_product_of(3), _product_of(4)) if WIDEST == 4 else (_one, _two)
_HIGH_ONE, _HIGH_TWO, _HIGH_THREE, _HIGH_FOUR = (ROWS.get(across, 1) for across in range(1, 5))


def _multiply(
    a: int, a_step: int, rows: int, taps: int, count: int, depth: int, b: int, b_step: int, c: int, c_step: int,
    columns: int, bias: int, bias_step: int, floor: float,
) -> None:  # fmt: skip
    """Do :func:`multiply` with addresses, piece by piece of the depth: all rows read one from the nearest cache."""
    across = -(-columns // LANES)
    most = _NEAR // (4 * LANES * across)  # numbers of a row at once
    if rows <= _HIGH_ONE or count * depth <= most + most // 2:
        _rows(a, a_step, rows, taps, count, depth, b, b_step, c, c_step, columns, bias, bias_step, floor)
        return
    together, pieces = max(1, most // depth), max(1, -(-depth // (most + most // 2)))
    size = -(-depth // pieces)
    for tap in range(0, count, together):
        for start in range(0, depth, size):
            least = floor if tap + together >= count and start + size >= depth else _NO_FLOOR
            _rows(
                a + 4 * start, a_step, rows, taps + 8 * tap, min(together, count - tap), min(size, depth - start),
                b + 4 * (tap * depth + start) * b_step, b_step, c, c_step, columns, bias, bias_step, least,
            )  # fmt: skip
            bias, bias_step = c, c_step


@njit(nogil=True)
def _rows(
    a: int, a_step: int, rows: int, taps: int, count: int, depth: int, b: int, b_step: int, c: int, c_step: int,
    columns: int, bias: int, bias_step: int, floor: float,
) -> None:  # fmt: skip
    """Do :func:`_multiply` in one piece."""
    across, row = -(-columns // LANES), 0
    while row < rows:
        left, at, to, start = rows - row, a + 4 * row * a_step, c + 4 * row * c_step, bias + 4 * row * bias_step
        if WIDEST == 4 and across == 4:
            _four(at, a_step, left, taps, count, depth, b, b_step, to, c_step, columns, start, bias_step, floor)
            row += _HIGH_FOUR
        elif WIDEST == 4 and across == 3:
            _three(at, a_step, left, taps, count, depth, b, b_step, to, c_step, columns, start, bias_step, floor)
            row += _HIGH_THREE
        elif across == 2:
            _two(at, a_step, left, taps, count, depth, b, b_step, to, c_step, columns, start, bias_step, floor)
            row += _HIGH_TWO
        else:
            _one(at, a_step, left, taps, count, depth, b, b_step, to, c_step, columns, start, bias_step, floor)
            row += _HIGH_ONE


@functools.cache
def product() -> int:
    """Return the address of the compiled product, which other compiled functions call: it is compiled once for all."""
    address: int = compiled_at(_multiply, types.void(*[_N] * 13, types.float32))
    return address


@njit(nogil=True)
def multiply(
    product: int, a: Any, a_first: Any, a_step: int, rows: int, taps: Any, depth: int, b: Any, b_first: int,
    b_step: int, c: Any, c_first: int, c_step: int, columns: int, bias: Any, bias_first: int, bias_step: int,
    floor: Any,
) -> None:  # fmt: skip
    """Write ``max(bias + sum(a * b), floor)`` for one panel of columns.

    Parameters
    ----------
    product : int
        What :func:`product` returns.
    a : ndarray of float32, or int
        An array or its address. Rows ``a_step`` numbers apart from ``a_first`` on; of each ``depth`` numbers from every
        tap on.
    taps : ndarray of int64
        Where the numbers of each tap begin in a row.
    b : ndarray of float32
        A row of whole vectors for each of a row's numbers, ``b_step`` apart from ``b_first`` on.
    c : ndarray of float32
        Takes ``columns`` numbers for each of ``rows``, ``c_step`` apart, from ``c_first`` on.
    bias : ndarray of float32
        Whole vectors for the columns of each row, ``bias_step`` apart from ``bias_first`` on: ``c`` itself to add to
        it.
    floor : float32
        The least result: 0 for a rectifier, less than all for none.
    """
    _call(
        product, place(a, a_first), a_step, rows, place(taps, 0), taps.size, depth, place(b, b_first), b_step,
        place(c, c_first), c_step, columns, place(bias, bias_first), bias_step, floor,
    )  # fmt: skip


@_intrinsic  # type: ignore[untyped-decorator]
def _call(
    typing: Any, function: Any, a: Any, a_step: Any, rows: Any, taps: Any, count: Any, depth: Any, b: Any, b_step: Any,
    c: Any, c_step: Any, columns: Any, bias: Any, bias_step: Any, floor: Any,
) -> Any:  # fmt: skip
    """Call the compiled product at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call_at(builder, arguments[0], arguments[1:])
        return context.get_dummy_value()

    return types.none(*[_N] * 14, types.float32), generate


@njit(nogil=True)
def multiply_all(
    product: int, a: Any, a_first: int, a_step: int, rows: int, here: Any, depth: int, b: Any, b_first: int,
    b_step: int, c: Any, c_first: int, c_step: int, columns: int, bias: Any, bias_first: int, bias_step: int,
    floor: Any,
) -> None:  # fmt: skip
    """Do :func:`multiply` for any number of columns, where ``b`` is not in panels; it may be read beyond the last."""
    column = 0
    while column < columns:
        some = panel(columns - column)
        multiply(
            product, a, a_first, a_step, rows, here, depth, b, b_first + column, b_step, c, c_first + column, c_step,
            min(some, columns - column), bias, bias_first + column, bias_step, floor,
        )  # fmt: skip
        column += some
