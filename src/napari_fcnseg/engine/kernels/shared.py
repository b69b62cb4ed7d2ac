"""Dilated convolutions that have columns in common, computed together (:mod:`napari_fcnseg.conversion.shared_sums`).

A stretch of a row at a time: the columns that several of them have are computed into buffers that fit the processor's
second-level cache; each convolution begins with the sum of its own, shifted, and adds what it has alone.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from napari_fcnseg.conversion.shared_sums import MOST
from napari_fcnseg.engine.kernels.compiled import compiled
from napari_fcnseg.engine.kernels.pixelwise import PIXELS
from napari_fcnseg.engine.kernels.product import WIDEST, multiply, packed, panel, product, vectors
from napari_fcnseg.engine.kernels.threads import below, in_threads
from napari_fcnseg.engine.kernels.vectors import INT, LANES, Vectors, pointers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.shared_sums import Sharing

_Array = npt.NDArray[np.float32]

_N = types.int64
_intrinsic: Any = intrinsic  # its functions are called without their first argument

_CACHE = 2**19  # bytes of buffers per thread


class Shared:
    """Convolutions that are computed together.

    Parameters
    ----------
    sharing : Sharing
        What they have in common.
    biases : sequence of ndarray, shape (out,)
        Of each.
    relu : sequence of bool
        Whether negative results of each become zero.
    """

    def __init__(self, sharing: Sharing, biases: Sequence[npt.NDArray[Any]], relu: Sequence[bool]) -> None:
        outputs = len(biases[0])
        self._outputs = outputs
        self._terms = [term for terms in sharing.columns for term in terms]
        weights = [packed(term.weights.reshape(1, -1, outputs))[0] for term in self._terms]
        self._weights = np.concatenate(weights)
        self._begins = np.cumsum([0, *map(len, weights)])[:-1]
        ends = np.cumsum([len(terms) for terms in sharing.columns])
        self._spans = np.stack([ends - [len(terms) for terms in sharing.columns], ends], 1)
        self._bias = np.zeros((len(biases), vectors(outputs) * LANES), np.float32)
        self._bias[:, :outputs] = biases
        self._floors = np.array([0 if rectified else -np.inf for rectified in relu], np.float32)
        self._arrange(sharing)

    def _arrange(self, sharing: Sharing) -> None:
        """Write down what the compiled function needs to know of the columns."""
        self._uses, self._shared = sharing.uses, np.array(sharing.shared, np.int64)
        known = {column: number for number, column in enumerate(sharing.shared)}
        # A convolution's stretch is that of its first shared column, shifted; others may need more of a column.
        firsts = (next((use.shift for use in uses if use.column in known), uses[0].shift) for uses in sharing.uses)
        self._anchors = np.array(list(firsts))
        offsets = [
            [(known[use.column], use.shift - anchor) for use in uses if use.column in known]
            for uses, anchor in zip(sharing.uses, self._anchors.tolist(), strict=True)
        ]
        at = [[shift for own in offsets for number, shift in own if number == column] for column in known.values()]
        self._reach = np.array([(min(shifts), max(shifts)) for shifts in at])
        self._added = _flat(offsets)
        self._alone = _flat(
            [[(use.column, use.shift) for use in uses if use.column not in known] for uses in sharing.uses]
        )  # fmt: skip

    def __call__(
        self, maps: dict[int, tuple[_Array, int]], shapes: Sequence[tuple[int, int]], above: Sequence[_Array | None]
    ) -> list[_Array]:
        """Return the convolutions.

        Parameters
        ----------
        maps : dict of int to (ndarray, int)
            The maps ``(1, row, column, channel)`` by the steps that give them, whole, and how many rows lie above
            those that the plan speaks of.
        shapes : sequence of (int, int)
            Rows and columns of each result.
        above : sequence of ndarray or None
            Rows that are to come first in each.
        """
        made = [below(rows, (1, *shape, self._outputs)) for rows, shape in zip(above, shapes, strict=True)]
        arrays = {step: np.ascontiguousarray(array) for step, (array, _) in maps.items()}
        terms, taps = [], list[int]()
        for term, begin in zip(self._terms, self._begins, strict=True):
            array, lower = arrays[term.source], maps[term.source][1]
            _, _, columns, channels = array.shape
            terms.append((array.ctypes.data, columns * channels, channels, len(taps), len(term.rows), begin))
            taps += [(row + lower) * columns * channels for row in term.rows]
        widths = np.array([width for _, width in shapes])
        low, high = int(self._anchors.min()), int((self._anchors + widths).max())
        spread = int((self._reach[:, 1] - self._reach[:, 0]).max())
        most = max(4 * PIXELS, _CACHE // (4 * self._outputs * len(self._shared)) - spread)
        begins = np.linspace(low, high, -(-(high - low) // most) + 1).astype(np.int64)
        line = (int(np.diff(begins).max()) + spread) * self._outputs
        outs = [part.reshape(-1) for _, part in made]
        fixed = (
            product(), np.array(terms, np.int64), np.array(taps, np.int64), self._spans, self._shared, self._reach,
            self._limits(widths.tolist()), self._anchors, widths, self._added, self._alone, self._weights,
            self._bias, self._floors, self._outputs, line, (*outs, *[outs[0]] * (MOST - len(outs))), begins,
        )  # fmt: skip
        in_threads(functools.partial(_convolve, *fixed), np.arange(shapes[0][0] * (len(begins) - 1)))
        return [whole for whole, _ in made]

    def _limits(self, widths: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the first pixel of a row that convolutions need of each shared column, and the one after the last."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for uses, width in zip(self._uses, widths, strict=True):
            for use in uses:
                spans.setdefault(use.column, []).append((use.shift, use.shift + width))
        needed = [spans[column] for column in self._shared.tolist()]
        return np.array([(min(a for a, _ in own), max(b for _, b in own)) for own in needed])


def _flat(lists: Sequence[Sequence[tuple[int, int]]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return pairs of numbers one after the other, and where each list of them begins and the last ends."""
    return np.array([pair for own in lists for pair in own], np.int64).reshape(-1, 2), np.cumsum([0, *map(len, lists)])


@compiled
def _convolve(
    product: int, terms: Any, taps: Any, spans: Any, shared: Any, reach: Any, limits: Any, anchors: Any, widths: Any,
    added: Any, alone: Any, weights: Any, bias: Any, floors: Any, outputs: int, line: int, outs: Any, begins: Any,
    jobs: Any,
) -> None:  # fmt: skip
    """Convolve stretches of rows; a job is a row and a stretch of it.

    A term is the address of a map, the numbers in a row of it, its channels, where its taps begin, how many there are,
    and where its weights begin. There are ``line`` numbers in a buffer.
    """
    count, stretches = shared.size, begins.size - 1
    buffer = np.empty(count * line + WIDEST * LANES, np.float32)
    starts, froms = np.zeros(count, np.int64), np.zeros(max(1, added[0].shape[0]), np.int64)
    zeros = np.zeros(bias.shape[1], np.float32)
    for job in jobs:
        row, low, high = job // stretches, begins[job % stretches], begins[job % stretches + 1]
        for s in range(count):
            starts[s] = max(low + reach[s, 0], limits[s, 0])
            end = min(high + reach[s, 1], limits[s, 1])
            for pixel in range(starts[s], end, PIXELS):
                to = s * line + (pixel - starts[s]) * outputs
                _add(
                    product, terms, taps, spans[shared[s]], row, pixel, min(PIXELS, end - pixel), weights, outputs,
                    zeros, 0, 0, buffer, to, _NO_FLOOR,
                )  # fmt: skip
        for member in range(widths.size):
            out, anchor, floor = outs[member], anchors[member], floors[member]
            begin, end = max(low - anchor, 0), min(high - anchor, widths[member])
            first, last = alone[1][member], alone[1][member + 1]
            for pixel in range(begin, end, PIXELS):
                pixels = min(PIXELS, end - pixel)
                to = (row * widths[member] + pixel) * outputs
                some = added[1][member + 1] - added[1][member]
                for n in range(some):
                    s, offset = added[0][added[1][member] + n]
                    froms[n] = s * line + (pixel + anchor + offset - starts[s]) * outputs
                _begin(
                    bias, member * bias.shape[1], buffer, froms, some, outputs, pixels,
                    floor if first == last else _NO_FLOOR, out, to,
                )  # fmt: skip
                for n in range(first, last):
                    column, shift = alone[0][n]
                    _add(
                        product, terms, taps, spans[column], row, pixel + shift, pixels, weights, outputs,
                        out, to, outputs, out, to, floor if n == last - 1 else _NO_FLOOR,
                    )  # fmt: skip


@_intrinsic  # type: ignore[untyped-decorator]
def _begin(
    typing: Any, bias: Any, bias_first: Any, x: Any, froms: Any, count: Any, channels: Any, pixels: Any, floor: Any,
    out: Any, to: Any,
) -> Any:  # fmt: skip
    """Write ``max(bias + sum(x), floor)`` for some pixels of so many channels, one after the other.

    Parameters
    ----------
    bias : ndarray of float32
        One number per channel from ``bias_first`` on, in whole vectors.
    x : ndarray of float32
        The pixels that are added begin at each of ``count`` entries of ``froms``; it may be read a vector beyond them.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _write(Vectors(builder), *pointers(context, builder, signature.args, arguments))
        return context.get_dummy_value()

    return types.none(bias, _N, x, froms, _N, _N, _N, types.float32, out, _N), generate


def _write(
    v: Vectors, bias: Any, bias_first: Any, x: Any, froms: Any, count: Any, channels: Any, pixels: Any, floor: Any,
    out: Any, to: Any,
) -> None:  # fmt: skip
    builder, least, room = v.builder, v.spread(floor), v.room(1)
    begin, whole = v.at(bias, bias_first), builder.sdiv(channels, INT(LANES))
    left = builder.sub(channels, builder.mul(whole, INT(LANES)))

    def total(place: Any, channel: Any) -> Any:
        found = v.variable(v.load(v.at(begin, channel)))

        def add(number: Any) -> None:
            source = v.at(x, builder.load(v.at(froms, number)), place, channel)
            builder.store(builder.fadd(builder.load(found), v.load(source)), found)

        v.repeat(count, add)
        return v.larger(builder.load(found), least)

    def pixel(number: Any) -> None:
        place = builder.mul(number, channels)
        target = v.at(out, to, place)

        def vector(number: Any) -> None:
            channel = builder.mul(number, INT(LANES))
            v.store(total(place, channel), v.at(target, channel))

        v.repeat(whole, vector)
        with builder.if_then(builder.icmp_signed(">", left, INT(0))):
            channel = builder.mul(whole, INT(LANES))
            v.store(total(place, channel), room)
            v.some(room, v.at(target, channel), left)

    v.repeat(pixels, pixel)


@njit(nogil=True)
def _add(
    product: int, terms: Any, taps: Any, span: Any, row: int, pixel: int, pixels: int, weights: Any, outputs: int,
    bias: Any, bias_first: int, bias_step: int, out: Any, to: int, floor: Any,
) -> None:  # fmt: skip
    """Write the sum of a column's terms and of what is in ``bias`` for some pixels of a row."""
    for term in range(span[0], span[1]):
        x, line, inputs, tap, entries, right = terms[term]
        here, depth, least = taps[tap : tap + entries], entries * inputs, floor if term == span[1] - 1 else _NO_FLOOR
        channel = 0
        while channel < outputs:
            columns = panel(outputs - channel)
            some = min(columns, outputs - channel)
            if term == span[0]:
                multiply(
                    product, x, row * line + pixel * inputs, inputs, pixels, here, inputs, weights,
                    right + channel * depth, columns, out, to + channel, outputs, some,
                    bias, bias_first + channel, bias_step, least,
                )  # fmt: skip
            else:
                multiply(
                    product, x, row * line + pixel * inputs, inputs, pixels, here, inputs, weights,
                    right + channel * depth, columns, out, to + channel, outputs, some,
                    out, to + channel, outputs, least,
                )  # fmt: skip
            channel += columns


_NO_FLOOR = np.float32(-np.inf)
