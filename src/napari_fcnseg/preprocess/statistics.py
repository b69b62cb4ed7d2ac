"""Statistics of a frame of any size, with the same result however it is stored or cut into blocks.

A mean and a standard deviation are put together from lines of pixels, each summed in float64, by sums without rounding
error (``math.fsum``); two-pass accuracy in one pass after T. F. Chan, G. H. Golub, R. J. LeVeque, 1983. A percentile is
exact: float32 numbers are put in order as whole numbers, the upper half of whose bits is counted in a first pass and
the lower half, where the upper is that of the number looked for, in a second.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.arrays.frame_source import FrameSource, Image

_Counts: TypeAlias = npt.NDArray[np.int64]

_HALF = 16
_VALUES = 2**_HALF


class Statistics:
    """Statistics of each channel of a frame, or of all channels together; each is taken once.

    Parameters
    ----------
    source : FrameSource
        The frame ``(*spatial, channel)``.
    joint : bool
        Whether all channels count as one.
    """

    def __init__(self, source: FrameSource, joint: bool) -> None:
        self._source, self._joint = source, joint
        self._groups = 1 if joint else source.shape[-1]
        self._moments: list[tuple[float, float]] | None = None
        self._sorted: dict[tuple[int, ...], list[list[np.float32]]] = {}

    def of(self, channel: int) -> ChannelStatistics:
        """Return the statistics that hold for a channel."""
        return ChannelStatistics(self, 0 if self._joint else channel)

    def moments(self) -> list[tuple[float, float]]:
        """Return mean and standard deviation of each channel."""
        if self._moments is None:
            lines: list[list[_Line]] = [[] for _ in range(self._groups)]
            for group, pixels in self._pixels():
                lines[group] += _lines(pixels)
            self._moments = [_merged(each) for each in lines]
        return self._moments

    def numbers_at(self, ranks: Sequence[int]) -> list[list[np.float32]]:
        """Return, for each channel, the numbers that would stand at some places if all were sorted."""
        key = tuple(ranks)
        if key not in self._sorted:
            upper = np.zeros((self._groups, _VALUES), np.int64)
            for group, pixels in self._pixels():
                upper[group] += _count(_ordered(pixels) >> _HALF)
            places = [[_find(counts, rank) for rank in ranks] for counts in upper]
            lower = [{high: np.zeros(_VALUES, np.int64) for high, _ in each} for each in places]
            for group, pixels in self._pixels():
                ordered = _ordered(pixels)
                high = ordered >> _HALF
                for value, counts in lower[group].items():
                    counts += _count(ordered[high == value] & (_VALUES - 1))
            self._sorted[key] = [
                [_number(high, _find(lower[group][high], rest)[0]) for high, rest in each]
                for group, each in enumerate(places)
            ]
        return self._sorted[key]

    @property
    def count(self) -> int:
        """How many numbers a channel has."""
        return math.prod(self._source.shape) // self._groups

    def _pixels(self) -> Iterator[tuple[int, Image]]:
        for region in self._source.blocks():
            block = self._source.read(region)
            for channel in range(block.shape[-1]):
                yield 0 if self._joint else channel, block[..., channel]


class ChannelStatistics:
    """Statistics of one channel, computed on demand.

    Parameters
    ----------
    statistics : Statistics
        Of the frame.
    group : int
        Which of its channels.
    """

    def __init__(self, statistics: Statistics, group: int) -> None:
        self._all, self._group = statistics, group

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation."""
        return self._all.moments()[self._group]

    def median(self) -> np.float32:
        """Return the median, as ``np.median`` does."""
        count = self._all.count
        middle = self._all.numbers_at(((count - 1) // 2, count // 2))[self._group]
        return np.float32(np.median(middle))

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles with linear interpolation, as ``np.percentile`` does."""
        places = [percent / 100 * (self._all.count - 1) for percent in percents]
        ranks = [rank for place in places for rank in (math.floor(place), math.ceil(place))]
        found = self._all.numbers_at(ranks)[self._group]
        pairs = zip(places, found[::2], found[1::2], strict=True)
        return [float(np.quantile([low, high], [place % 1])[0]) for place, low, high in pairs]


class NotedStatistics(ChannelStatistics):
    """Statistics of a channel that keep what they have answered: numbers, in the order of the questions.

    Parameters
    ----------
    statistics : ChannelStatistics
        The statistics.
    """

    def __init__(self, statistics: ChannelStatistics) -> None:
        self._statistics = statistics
        self.answers: list[list[float]] = []

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation."""
        mean, deviation = self._statistics.moments()
        self.answers.append([mean, deviation])
        return mean, deviation

    def median(self) -> np.float32:
        """Return the median."""
        median = self._statistics.median()
        self.answers.append([float(median)])
        return median

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles."""
        self.answers.append(self._statistics.percentiles(percents))
        return list(self.answers[-1])


class KnownStatistics(ChannelStatistics):
    """Statistics of a channel that somebody else has taken: the same numbers, to the last bit.

    Parameters
    ----------
    answers : sequence of sequence of float
        As :class:`NotedStatistics` keeps them; as many questions may be asked, in the same order.
    """

    def __init__(self, answers: Sequence[Sequence[float]]) -> None:
        self._answers = iter(answers)

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation."""
        mean, deviation = next(self._answers)
        return mean, deviation

    def median(self) -> np.float32:
        """Return the median."""
        (median,) = next(self._answers)
        return np.float32(median)

    def percentiles(self, percents: Sequence[float]) -> list[float]:
        """Return percentiles."""
        return list(next(self._answers))


_Line: TypeAlias = tuple[float, float, int]


def _lines(pixels: Image) -> list[_Line]:
    """Return sum, sum of squared differences from the mean, and length of every line of at most ``LINE`` pixels."""
    found: list[_Line] = []
    for start in range(0, pixels.shape[-1], LINE):
        part = pixels[..., start : start + LINE]
        length = part.shape[-1]
        # Contiguous float64, so that NumPy sums each line alone: its order of additions is then that of the line.
        lines = np.array(part, np.float64, order="C").reshape(-1, length)
        totals = lines.sum(axis=1)
        lines -= totals[:, None] / length
        squares = np.square(lines, out=lines).sum(axis=1)
        found += [(total, square, length) for total, square in zip(totals.tolist(), squares.tolist(), strict=True)]
    return found


def _merged(lines: Sequence[_Line]) -> tuple[float, float]:
    count = sum(length for _, _, length in lines)
    mean = math.fsum(total for total, _, _ in lines) / count
    squares = math.fsum(s + length * (total / length - mean) ** 2 for total, s, length in lines)
    return mean, math.sqrt(squares / count)


def _ordered(pixels: Image) -> npt.NDArray[np.uint32]:
    """Return whole numbers that are in the same order as the pixels."""
    bits = (pixels + np.float32(0)).view(np.uint32)  # -0 becomes 0
    negative = bits >> 31
    bits ^= negative * np.uint32(0x7FFFFFFF) + np.uint32(0x80000000)
    return bits


def _number(high: int, low: int) -> np.float32:
    """Return the pixel that a whole number of :func:`_ordered` stands for."""
    ordered = high << _HALF | low
    bits = ordered ^ 0x80000000 if ordered & 0x80000000 else ordered ^ 0xFFFFFFFF
    return np.uint32(bits).view(np.float32)


def _count(numbers: npt.NDArray[np.integer]) -> _Counts:
    return np.bincount(numbers.ravel(), minlength=_VALUES)


def _find(counts: _Counts, rank: int) -> tuple[int, int]:
    """Return the value at a place in the sorted numbers, and its place among those of that value."""
    ends = np.cumsum(counts)
    value = int(np.searchsorted(ends, rank, "right"))
    return value, rank - int(ends[value] - counts[value])
