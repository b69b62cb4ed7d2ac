"""Count the pixels of each value, in all and of one class; curves and calibration follow from the counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_fcnseg.comparison.metrics.classes import ratio

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Most different values that are counted exactly; with more, all are rounded.
_MOST = 2**22
#: Parts of 1, or of the largest value, that they are rounded to then.
_GRID = 2**16
_BINS = 10
_EDGES = np.linspace(0, 1, _BINS + 1)[1:-1]


@dataclass(frozen=True)
class Bin:
    """Pixels to which a class was said to be about equally probable.

    Attributes
    ----------
    pixels : int
        How many.
    said : float or None
        Their mean value; None if there are none.
    true : float or None
        Share of them that the truth has in the class.
    """

    pixels: int
    said: float | None
    true: float | None


class ValueCounts:
    """Counts pixels, block by block.

    Attributes
    ----------
    rounded : bool
        Whether there were so many values that they had to be rounded.
    """

    def __init__(self) -> None:
        self._values: Floats = np.zeros(0)
        self._pixels: Ints = np.zeros(0, np.int64)
        self._hits: Ints = np.zeros(0, np.int64)
        self._waiting: list[tuple[Floats, Ints, Ints]] = []
        self.rounded = False
        self._said = np.zeros(_BINS)  # sums of values
        self._binned: tuple[Ints, Ints] = (np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64))
        self._squares = 0.0
        self._range = (math.inf, -math.inf)

    def add(self, values: Floats, hit: npt.NDArray[np.bool_]) -> None:
        """Count the pixels of a block."""
        if not values.size:
            return
        self._range = min(self._range[0], float(values.min())), max(self._range[1], float(values.max()))
        if self._range[0] >= 0 and self._range[1] <= 1:
            at = np.searchsorted(_EDGES, values)  # each with its upper end, as Guo et al. and scikit-learn have them
            self._said += np.bincount(at, values, _BINS)
            pixels, hits = (np.bincount(part, minlength=_BINS) for part in (at, at[hit]))
            self._binned = self._binned[0] + pixels, self._binned[1] + hits
            self._squares += float(((values - hit) ** 2).sum())
        self._waiting.append(_on_grid(values, hit, self._step()) if self.rounded else _counted(values, hit))
        if sum(len(part[0]) for part in self._waiting) > _MOST // 4:
            self._join()

    def _join(self) -> None:
        parts = [(self._values, self._pixels, self._hits), *self._waiting]
        self._waiting = []
        self._values, self._pixels, self._hits = (np.concatenate(several) for several in zip(*parts, strict=True))
        del parts  # hundreds of megabytes
        self._values, self._pixels, self._hits = _merged(self._values, self._pixels, self._hits)
        self.rounded |= len(self._values) > _MOST
        if self.rounded:  # anew each time, for the largest value may have grown
            rounded = np.round(self._values / self._step()) * self._step()
            self._values, self._pixels, self._hits = _merged(rounded, self._pixels, self._hits)

    def _step(self) -> float:
        """Return the distance of the values that all are rounded to: a power of 2, so that no more is lost on it."""
        largest = max(abs(self._range[0]), abs(self._range[1]), 1e-300)
        return float(2.0 ** math.ceil(math.log2(largest)) / _GRID)

    def totals(self) -> tuple[Floats, Ints, Ints]:
        """Return the values, the largest first, and how many pixels of the class, and in all, have each or more."""
        self._join()
        return self._values[::-1], np.cumsum(self._hits[::-1]), np.cumsum(self._pixels[::-1])

    def calibration(self) -> tuple[tuple[Bin, ...], tuple[float | None, float | None], float | None]:
        """Return the bins, the expected and the largest calibration error, and the Brier score."""
        pixels = int(self._binned[0].sum())
        if not pixels or self._range[0] < 0 or self._range[1] > 1:
            return (), (None, None), None
        bins = tuple(
            Bin(count, ratio(said, count), ratio(hits, count))
            for said, count, hits in zip(
                self._said.tolist(), self._binned[0].tolist(), self._binned[1].tolist(), strict=True
            )
        )
        apart = [
            (one.pixels / pixels, abs(one.said - one.true))
            for one in bins if one.said is not None and one.true is not None
        ]  # fmt: skip
        expected = sum(weight * distance for weight, distance in apart)
        return bins, (expected, max(distance for _, distance in apart)), self._squares / pixels


def _counted(values: Floats, hit: npt.NDArray[np.bool_]) -> tuple[Floats, Ints, Ints]:
    """Return the different values, ascending, and how many pixels, and pixels of the class, have each."""
    known, pixels = np.unique(values, return_counts=True)
    own, hits = np.unique(values[hit], return_counts=True)
    of_known = np.zeros(len(known), np.int64)
    of_known[np.searchsorted(known, own)] = hits
    return known, pixels, of_known


def _on_grid(values: Floats, hit: npt.NDArray[np.bool_], step: float) -> tuple[Floats, Ints, Ints]:
    """Return what ``_counted`` does, of values that are rounded; none is more than ``_GRID`` steps from 0."""
    at = np.round(values / step).astype(np.int64) + _GRID
    pixels, hits = (np.bincount(part, minlength=2 * _GRID + 1) for part in (at, at[hit]))
    known = np.flatnonzero(pixels)
    found: Floats = (known - _GRID) * np.float64(step)
    return found, pixels[known].astype(np.int64), hits[known].astype(np.int64)


def _merged(values: Floats, pixels: Ints, hits: Ints) -> tuple[Floats, Ints, Ints]:
    """Add up the counts of equal values; quick where the values are sorted stretch by stretch."""
    order = np.argsort(values, kind="stable")
    values = values[order]
    starts = np.flatnonzero(np.diff(values, prepend=np.nan))
    return values[starts], np.add.reduceat(pixels[order], starts), np.add.reduceat(hits[order], starts)
