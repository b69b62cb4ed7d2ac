"""Facts about an image: its type, the range of its values, whether all are finite. Free of Qt."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Bytes up to which all of an image in memory is looked at.
MOST = 2**26
_BLOCK = 2**22  # numbers that are looked at at once
_SIDE = 512  # pixels of a sampled block along each of the model's axes
_PLACES = 3  # sampled blocks along each of the model's axes


@dataclass(frozen=True)
class ImageFacts:
    """What was seen of an image.

    Attributes
    ----------
    low, high : float
        The smallest and the largest number; NaN where there is none.
    bad : int
        How many values are no numbers.
    sampled : bool
        Whether only a part was looked at.
    """

    low: float
    high: float
    bad: int = 0
    sampled: bool = False


def look_at_values(arrays: Sequence[Any], axes: Sequence[int]) -> ImageFacts:
    """Look at images of one shape; it reads pixels, so call it in a worker.

    Parameters
    ----------
    arrays : sequence of array_like
        Of numbers.
    axes : sequence of int
        Those of the pixels; of a large image the middle along the others is looked at.
    """
    low, high, bad, sampled = math.inf, -math.inf, 0, False
    for array in arrays:
        whole = isinstance(array, np.ndarray) and not isinstance(array, np.memmap) and array.nbytes <= MOST
        sampled = sampled or not whole
        for place in _whole(array) if whole else _sample(array, axes):
            block = np.asarray(array[place])
            if not block.size:
                continue
            if block.dtype.kind == "f":
                finite = np.isfinite(block)
                bad += block.size - int(np.count_nonzero(finite))
                block = block if finite.all() else block[finite]
            if block.size:
                low, high = min(low, float(block.min())), max(high, float(block.max()))
    return ImageFacts(low if low <= high else math.nan, high if low <= high else math.nan, bad, sampled)


def _whole(array: Any) -> Iterator[tuple[slice, ...]]:
    """Yield all of an array in blocks along its first axis."""
    step = max(1, _BLOCK * array.shape[0] // max(array.size, 1))
    for start in range(0, array.shape[0], step):
        yield (slice(start, start + step),)


def _sample(array: Any, axes: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Yield blocks at the corners, the edges and in the middle; in whole chunks where it is stored in such."""
    chunks, places = chunk_shape_of(array), []
    for axis, n in enumerate(array.shape):
        if axis not in axes:
            few = 1 if n > 4 else n  # channels and colours are few
            places.append([slice((n - few) // 2, (n - few) // 2 + few)])
            continue
        side = min(n, _SIDE)
        chunk = min(chunks[axis], n) if chunks is not None else 1
        starts = {(n - side) * k // (_PLACES - 1) // chunk * chunk for k in range(_PLACES)}
        places.append([slice(start, min(start + side, n)) for start in sorted(starts)])
    yield from itertools.product(*places)


def values_in_words(dtype: np.dtype[Any], facts: ImageFacts | None) -> str:
    """Return a type, and once that was looked at the range of its values."""
    if facts is None or math.isnan(facts.low):
        return str(dtype)
    if facts.low == facts.high:
        text = f"all {_number(facts.low)}"
    else:
        text = f"{_number(facts.low)} to {_number(facts.high)}"
    return f"{dtype}, {text}{' in a sample of it' * facts.sampled}"


def bad_values(facts: ImageFacts | None) -> str:
    """Return what to do about values that are no numbers; empty if there are none."""
    if facts is None or not facts.bad:
        return ""
    some = "1 value is" if facts.bad == 1 else f"{facts.bad:,} values are"
    where = " in a sample of it" if facts.sampled else ""
    return (
        f"{some} NaN or infinite{where}, and a model takes numbers only. Replace them (for example by 0 or the local "
        "mean) before you run."
    )


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) and abs(value) < 10**9 else f"{value:.4g}"
