"""The steps: what each does to a channel, once its numbers are known.

Each takes the statistics of the channel and its arguments, and returns what is done to pixels of the channel. That is
the same for every pixel wherever it is read, so a frame may be computed piece by piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.preprocess.statistics import ChannelStatistics

_Channel: TypeAlias = npt.NDArray[np.float32]
_Act: TypeAlias = "Callable[[_Channel], _Channel]"

_EPSILON = 1e-6  # default of the bioimage.io specification
_ROWS = 64  # rows of a local mean that are computed together; they fit into a processor's cache


def binarize(channel: ChannelStatistics, threshold: float) -> _Act:
    """1 above the threshold, 0 elsewhere (bioimage.io)."""
    return lambda x: (x > np.float32(threshold)).astype(np.float32)


def scale_linear(channel: ChannelStatistics, gain: float = 1.0, offset: float = 0.0) -> _Act:
    """``gain * x + offset`` (bioimage.io)."""
    return lambda x: x * np.float32(gain) + np.float32(offset)


def sigmoid(channel: ChannelStatistics) -> _Act:
    """``1 / (1 + exp(-x))`` (bioimage.io)."""
    from scipy import special  # imported late, to open the window sooner

    act: _Act = special.expit
    return act


def fixed_zero_mean_unit_variance(channel: ChannelStatistics, mean: float, std: float) -> _Act:
    """``(x - mean) / (std + 1e-6)`` with the training set's numbers, as ``103.5,13.7`` or per channel (bioimage.io)."""
    if not std >= _EPSILON:
        raise SettingsError(f"fixed_zero_mean_unit_variance needs a standard deviation of at least 1e-6, not {std:g}.")
    return _standardised(mean, std + _EPSILON)


def zero_mean_unit_variance(channel: ChannelStatistics, eps: float = _EPSILON) -> _Act:
    """``(x - mean) / (std + eps)``; with ``@all`` those of all channels together (bioimage.io)."""
    mean, std = channel.moments()
    return _standardised(mean, std + eps)


def scale_range(
    channel: ChannelStatistics, min_percentile: float = 0.0, max_percentile: float = 100.0, eps: float = _EPSILON
) -> _Act:
    """``(x - low) / (high - low + eps)`` of two percentiles; with ``@all`` of all channels together (bioimage.io)."""
    if not 0 <= min_percentile < max_percentile <= 100:
        raise SettingsError(
            f"scale_range needs two percentiles 0 ≤ low < high ≤ 100, not {min_percentile:g} and {max_percentile:g}, "
            "for example scale_range:1,99.8."
        )
    low, high = channel.percentiles((min_percentile, max_percentile))
    return _standardised(low, high - low + eps)


def clip(channel: ChannelStatistics, min: float, max: float) -> _Act:
    """Limit the values to a range; ``-inf`` or ``inf`` leaves a side open (bioimage.io)."""
    return lambda x: np.clip(x, np.float32(min), np.float32(max))


def divide_by_median(channel: ChannelStatistics) -> _Act:
    """Divide by the channel's median.

    Raises
    ------
    SettingsError
        If the median is zero.
    """
    median = channel.median()
    if median == 0:
        raise SettingsError(
            "divide_by_median cannot be used: a channel's median is 0 (more than half of it is empty). Take the step "
            "out, or choose another one such as zero_mean_unit_variance."
        )
    return lambda x: x / median


def subtract_local_mean(channel: ChannelStatistics, size: float) -> _Act:
    """Subtract the mean over a box of ``size`` pixels per axis; the border is reflected (``d c b a | a b c d``)."""
    halo_of_local_mean(size)
    return lambda x: x - _local_mean(x, int(size))


def halo_of_local_mean(size: float) -> int:
    """Return how many pixels to each side a box of ``size`` pixels reaches.

    Raises
    ------
    SettingsError
        If the size is no whole number of pixels.
    """
    if size < 1 or size != int(size):
        raise SettingsError(
            f"subtract_local_mean needs a whole number of pixels, not {size:g}: subtract_local_mean:61."
        )
    return int(size) // 2


def _standardised(offset: float, scale: float) -> _Act:
    return lambda x: (x - np.float32(offset)) / np.float32(scale)


def _local_mean(x: _Channel, size: int) -> _Channel:
    """Return the mean over a box.

    Not by a running sum, as SciPy's ``uniform_filter``: its rounding depends on where a line begins, and so on how a
    frame is cut into pieces.
    """
    before = size // 2
    padded = np.pad(x, [(before, size - 1 - before)] * x.ndim, mode="symmetric")
    mean = np.empty_like(x)
    for start in range(0, len(x), _ROWS):
        box = padded[start : start + _ROWS + size - 1].astype(np.float64)
        for axis in range(x.ndim):
            box = _box_sums(box, size, axis)
        mean[start : start + _ROWS] = box / float(size) ** x.ndim
    return mean


def _box_sums(x: npt.NDArray[np.float64], size: int, axis: int) -> npt.NDArray[np.float64]:
    """Return the sums of ``size`` neighbours along an axis, each added up in the same order: by doubling."""
    x = np.moveaxis(x, axis, 0)
    count = len(x) - size + 1
    total, taken, length = None, 0, 1
    while True:  # x[i] is the sum of ``length`` neighbours from i on
        if size & length:
            part = x[taken : taken + count]
            total = part if total is None else total + part
            taken += length
        if 2 * length > size:
            assert total is not None, "the highest bit of size is set"
            return np.moveaxis(total, 0, axis)
        x = x[:-length] + x[length:]
        length *= 2
