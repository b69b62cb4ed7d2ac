"""Statistics of a frame of any size, with the same result however it is stored or cut into blocks.

A mean and a standard deviation are put together from lines of pixels, each summed in float64, by sums without rounding
error (``math.fsum``); two-pass accuracy in one pass after T. F. Chan, G. H. Golub, R. J. LeVeque, 1983. A percentile is
exact: float32 numbers are put in order as whole numbers, the upper half of whose bits is counted in a first pass and
the lower half, where the upper is that of the number looked for, in a second.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from napari_fcnseg.arrays.frame_source import FrameSource, Image, Region

_Counts: TypeAlias = npt.NDArray[np.int64]
#: Has others look at a frame (:func:`look`): of a look's name and argument, what each part gives.
Elsewhere: TypeAlias = "Callable[[str, Any], list[Any]]"

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
    elsewhere : callable, optional
        Has :func:`look` done by others: of a look's name and its argument, returns what it gives of each of the parts
        that together are the frame.
    """

    def __init__(self, source: FrameSource, joint: bool, elsewhere: Elsewhere | None = None) -> None:
        self._source, self._joint, self._elsewhere = source, joint, elsewhere
        self._groups = 1 if joint else source.shape[-1]
        self._moments: list[tuple[float, float]] | None = None
        self._sorted: dict[tuple[int, ...], list[list[np.float32]]] = {}

    def of(self, channel: int) -> ChannelStatistics:
        """Return the statistics that hold for a channel."""
        return ChannelStatistics(self, 0 if self._joint else channel)

    def moments(self) -> list[tuple[float, float]]:
        """Return mean and standard deviation of each channel."""
        if self._moments is None and self._elsewhere is not None:
            sums = zip(*self._elsewhere("sums", None), strict=True)
            means = [math.fsum(itertools.chain(*parts)) / self.count for parts in sums]
            squares = zip(*self._elsewhere("squares", means), strict=True)
            spread = [math.sqrt(math.fsum(itertools.chain(*parts)) / self.count) for parts in squares]
            self._moments = list(zip(means, spread, strict=True))
        elif self._moments is None:
            lines: list[list[_Line]] = [[] for _ in range(self._groups)]
            for group, pixels in self._pixels():
                lines[group] += _lines(pixels)
            self._moments = [_merged(each) for each in lines]
        return self._moments

    def numbers_at(self, ranks: Sequence[int]) -> list[list[np.float32]]:
        """Return, for each channel, the numbers that would stand at some places if all were sorted."""
        key = tuple(ranks)
        if key not in self._sorted:
            upper = self._counts("upper", None)
            places = [[_find(counts, rank) for rank in ranks] for counts in upper]
            highs = [sorted({high for high, _ in each}) for each in places]
            lower = iter(self._counts("lower", highs))
            found = [{high: next(lower) for high in each} for each in highs]
            self._sorted[key] = [
                [_number(high, _find(found[group][high], rest)[0]) for high, rest in each]
                for group, each in enumerate(places)
            ]
        return self._sorted[key]

    @property
    def count(self) -> int:
        """How many numbers a channel has."""
        return math.prod(self._source.shape) // self._groups

    def _counts(self, name: str, argument: Any) -> _Counts:
        parts = self._elsewhere(name, argument) if self._elsewhere is not None else None
        if parts is None:
            parts = [look(name, argument, self._pixels(), self._groups)]
        total: _Counts = np.sum(parts, axis=0, dtype=np.int64)
        return total

    def _pixels(self) -> Iterator[tuple[int, Image]]:
        return pixels_of(self._source, self._source.blocks(), self._joint)


def pixels_of(source: FrameSource, regions: Iterable[Region], joint: bool) -> Iterator[tuple[int, Image]]:
    """Yield the pixels of each channel in some regions of a frame, with the number of its statistics."""
    for region in regions:
        block = source.read(region)
        for channel in range(block.shape[-1]):
            yield 0 if joint else channel, block[..., channel]


def look(name: str, argument: Any, pixels: Iterable[tuple[int, Image]], groups: int) -> Any:
    """Take what a statistic needs of a part of a frame; parts add up exactly, whatever they are.

    Parameters
    ----------
    name : {"sums", "squares", "upper", "lower"}
        What to take: sums of lines, or of their squared differences from a mean, as numbers whose sum has no rounding
        error; or how often the upper half of a number's bits is what, or the lower half where the upper is given.
    argument : list of float, or of list of int
        The mean of each channel; or the upper halves that are looked for in each.
    pixels : iterable of (int, ndarray)
        As :func:`pixels_of` yields them, of whole blocks of the frame.
    groups : int
        How many channels are counted apart.
    """
    if name in ("upper", "lower"):
        wanted = [(group, high) for group in range(groups) for high in (argument[group] if argument else (0,))]
        counts = np.zeros((len(wanted), _VALUES), np.int64)
        for group, part in pixels:
            ordered = _ordered(part)
            upper = ordered >> _HALF
            for row, (owner, high) in enumerate(wanted):
                if owner == group:
                    counts[row] += _count(ordered[upper == high] & (_VALUES - 1) if argument else upper)
        return counts
    exact: list[list[float]] = [[] for _ in range(groups)]
    for group, part in pixels:
        lines = _lines(part)
        numbers = [total for total, _, _ in lines] if argument is None else _squares(lines, argument[group])
        exact[group] = _exact([*exact[group], *numbers])
    return exact


def _exact(numbers: Iterable[float]) -> list[float]:
    """Return a few numbers with the very same sum, without rounding error (J. R. Shewchuk, 1997)."""
    partials: list[float] = []
    for number in numbers:
        kept = []
        for partial in partials:
            large, small = (number, partial) if abs(number) >= abs(partial) else (partial, number)
            total = large + small
            if rest := small - (total - large):
                kept.append(rest)
            number = total
        partials = [*kept, number]
    return partials


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
    return mean, math.sqrt(math.fsum(_squares(lines, mean)) / count)


def _squares(lines: Iterable[_Line], mean: float) -> Iterator[float]:
    return (s + length * (total / length - mean) ** 2 for total, s, length in lines)


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
