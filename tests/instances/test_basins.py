"""A watershed in a window is sure of nothing that the whole frame may see otherwise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import watershed

from napari_fcnseg.instances.basins import flooded
from napari_fcnseg.instances.blocks import slices
from napari_fcnseg.instances.widening import open_sides


@st.composite
def floods(draw: st.DrawFn):
    """Draw heights of which many are the same, cores, a mask, and a window."""
    shape = tuple(draw(st.lists(st.integers(1, 14), min_size=1, max_size=3)))[: 3 if draw(st.booleans()) else 2]
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    heights = seed.integers(0, draw(st.integers(1, 9)), shape).astype(np.float32)
    cores = np.where(seed.random(shape) < draw(st.sampled_from([0.02, 0.1, 0.4])), seed.integers(1, 6, shape), 0)
    mask = seed.random(shape) < draw(st.sampled_from([0.6, 0.9, 1.0]))
    window = tuple(tuple(sorted((draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))))) for n in shape)
    exact = seed.random(shape) < draw(st.sampled_from([0.9, 1.0]))
    return heights, cores.astype(np.int32), mask, tuple((a, b + 1) for a, b in window), exact, draw(st.integers(1, 2))


def reference(heights, cores, mask, connectivity) -> np.ndarray:
    """Flood as scikit-image does, each start at a height of its own: of those at one height, in their order."""
    level = heights.astype(np.float64)
    starts = np.flatnonzero((cores > 0) & mask)
    level.ravel()[starts] -= 0.5 - 0.4 * np.arange(len(starts)) / max(len(starts), 1)
    return watershed(level, cores, min(connectivity, cores.ndim), mask=mask)


@settings(max_examples=300)
@given(floods())
def test_what_a_window_is_sure_of_is_so_in_the_whole_frame(flood) -> None:
    heights, cores, mask, window, exact, connectivity = flood
    connectivity = min(connectivity, cores.ndim)
    whole = reference(heights, cores, mask, connectivity)
    here = slices(window)
    guessed = np.where(exact, heights, 0)  # what is not exact may be anything
    found, unsure = flooded(
        guessed[here], exact[here], cores[here], mask[here], open_sides(window, cores.shape), connectivity
    )
    asked = mask[here] & (cores[here] == 0) & ~unsure
    np.testing.assert_array_equal(found[asked], whole[here][asked])


@settings(max_examples=50)
@given(floods())
def test_the_whole_frame_is_sure_of_everything(flood) -> None:
    heights, cores, mask, _, _, connectivity = flood
    connectivity = min(connectivity, cores.ndim)
    none, everything = np.zeros(mask.shape, bool), np.ones(mask.shape, bool)
    found, unsure = flooded(heights, everything, cores, mask, none, connectivity)
    assert not unsure.any()
    asked = mask & (cores == 0)
    np.testing.assert_array_equal(found[asked], reference(heights, cores, mask, connectivity)[asked])


def test_a_window_with_cores_all_around_is_sure_of_its_middle() -> None:
    cores = np.zeros((9, 9), np.int32)
    cores[1:4, 1:4], cores[1:4, 5:8], cores[5:8, 1:4], cores[5:8, 5:8] = 1, 2, 3, 4
    heights = (cores == 0).astype(np.float32)
    everything, sides = np.ones((9, 9), bool), open_sides(((1, 10), (1, 10)), (11, 11))
    assert sides.sum() == 32
    found, unsure = flooded(heights, everything, cores, everything, sides, 1)
    assert unsure[0].all()
    assert not unsure[1:-1, 1:-1][cores[1:-1, 1:-1] == 0].all()
    assert (found[4, 4], unsure[4, 4]) == (1, False)
