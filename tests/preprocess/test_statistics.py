"""Statistics are NumPy's, and the same to the last bit however a frame is stored or cut."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_fcnseg.arrays import frame_source as source_module
from napari_fcnseg.arrays.frame_source import FrameSource, MemorySource
from napari_fcnseg.preprocess import parse, prepare
from napari_fcnseg.preprocess.statistics import Statistics, look, pixels_of

SUBNORMAL = float(np.float32(1e-40))  # a number that float32 has: before NumPy 2, hypothesis refuses any other
FLOATS = (
    st.floats(-(2.0**90), 2.0**90, width=32) | st.sampled_from([0.0, -0.0, 1.0, SUBNORMAL, -3.5]) | st.integers(0, 9)
)
FRAMES = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9), elements=FLOATS.map(np.float32)
)


class Pieces(FrameSource):
    """A frame that comes in blocks of a given size."""

    def __init__(self, image: np.ndarray, sizes: tuple[int, ...]) -> None:
        self._image, self.shape, self.chunks = image, image.shape, sizes

    def read(self, region):
        """Return a region."""
        return self._image[tuple(slice(a, b) for a, b in region)]

    def blocks(self):
        """Yield blocks."""
        return source_module._grid(self.shape[:-1], (*self.chunks[:-1], self.shape[-2]))


@given(image=FRAMES, joint=st.booleans(), rows=st.integers(1, 4), percents=st.tuples(*[st.floats(0, 100)] * 2))
def test_median_and_percentiles_are_numpy_s_to_the_last_bit(image, joint, rows, percents) -> None:
    statistics = Statistics(Pieces(image, (rows, 1)), joint)
    for channel in range(image.shape[-1]):
        numbers = image if joint else image[..., channel]
        assert statistics.of(channel).median() == np.median(numbers)
        np.testing.assert_array_equal(statistics.of(channel).percentiles(percents), np.percentile(numbers, percents))


@given(image=FRAMES, joint=st.booleans())
def test_mean_and_standard_deviation_are_those_of_exact_arithmetic(image, joint) -> None:
    statistics = Statistics(MemorySource(image), joint)
    for channel in range(image.shape[-1]):
        numbers = [Fraction(float(n)) for n in (image if joint else image[..., channel]).ravel()]
        mean = sum(numbers) / len(numbers)
        variance = sum((n - mean) ** 2 for n in numbers) / len(numbers)
        scale = max(map(abs, numbers))
        found = statistics.of(channel).moments()
        assert abs(found[0] - float(mean)) <= 1e-15 * float(scale)
        assert found[1] == pytest.approx(math.sqrt(float(variance)), rel=1e-12, abs=1e-14 * float(scale))


@given(rows=st.integers(1, 12), width=st.integers(1, 9000), seed=st.integers(0, 99), cut=st.integers(1, 12))
def test_moments_do_not_depend_on_how_a_frame_is_cut(rows, width, seed, cut) -> None:
    image = np.random.default_rng(seed).lognormal(0, 3, (rows, width, 2)).astype(np.float32)
    whole = Statistics(Pieces(image, (rows, width)), joint=False).moments()
    assert Statistics(Pieces(image, (cut, width)), joint=False).moments() == whole


@settings(max_examples=25)
@given(image=FRAMES, joint=st.booleans(), rows=st.integers(1, 3), parts=st.integers(1, 5))
def test_several_who_look_at_a_part_each_find_the_same_bits(image, joint, rows, parts) -> None:
    frame = Pieces(np.tile(image, (5, 1, 1)), (rows, 1))
    regions = list(frame.blocks())

    def elsewhere(name: str, argument: object) -> list[object]:
        plain = json.loads(json.dumps(argument))
        shares = [regions[part::parts] for part in range(parts)]
        groups = 1 if joint else image.shape[-1]
        return [look(name, plain, pixels_of(frame, share, joint), groups) for share in shares]

    alone, together = Statistics(frame, joint), Statistics(frame, joint, elsewhere)
    assert together.moments() == alone.moments()
    ranks = (0, alone.count // 3, alone.count - 1)
    assert together.numbers_at(ranks) == alone.numbers_at(ranks)


@pytest.mark.parametrize("chunks", [(7, 13), (300, 64), (1, 5000)])
def test_statistics_of_a_frame_too_large_to_hold_are_those_of_a_held_one(monkeypatch, chunks) -> None:
    """Steps that follow each other, over a frame that is never held, with blocks of other shapes: the same bits."""
    image = np.random.default_rng(0).gamma(2.0, 50.0, (300, 5000, 2)).astype(np.float32)
    steps = parse("subtract_local_mean:9, scale_range:1,99.8, zero_mean_unit_variance@all, sigmoid")
    held = prepare(MemorySource(image), steps)
    monkeypatch.setattr(source_module, "_HELD", 0)
    monkeypatch.setattr(source_module, "_BLOCK", 2**18)
    small = MemorySource(image)
    small.chunks = chunks
    lazy = prepare(small, steps)
    assert not isinstance(lazy, MemorySource)
    for region in (((0, 300), (0, 5000)), ((250, 300), (4990, 5000)), ((3, 4), (7, 8))):
        np.testing.assert_array_equal(lazy.read(region), held.read(region))


def test_a_local_mean_is_the_same_to_the_last_bit_wherever_reading_begins(monkeypatch) -> None:
    """Beside a very bright part, where a running sum would carry the rounding of what it has passed."""
    image = np.random.default_rng(0).standard_normal((150, 170, 1)).astype(np.float32) * 1e-6
    image[:, :60] *= 1e16
    steps = parse("subtract_local_mean:12")
    held = prepare(MemorySource(image), steps)
    monkeypatch.setattr(source_module, "_HELD", 0)
    lazy = prepare(MemorySource(image), steps)
    for region in (((0, 1), (0, 170)), ((77, 150), (13, 14)), ((31, 140), (90, 166))):
        np.testing.assert_array_equal(lazy.read(region), held.read(region))
