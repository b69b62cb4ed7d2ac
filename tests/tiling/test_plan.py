"""Tiles cover what they should, once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.tiling import cut, nearest_first, slices, with_first

AXIS = st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(1, 50))


@given(axes=st.lists(AXIS, min_size=1, max_size=3))
def test_tiles_cover_every_pixel_once_and_none_is_larger_than_asked(axes) -> None:
    extent = tuple((start, start + length) for start, length, _ in axes)
    tile = tuple(size for _, _, size in axes)
    count = np.zeros([stop + 2 for _, stop in extent], int)
    for region in cut(extent, tile):
        assert all(0 < stop - start <= size for (start, stop), size in zip(region, tile, strict=True))
        count[slices(region)] += 1
    expected = np.zeros_like(count)
    expected[slices(extent)] = 1
    np.testing.assert_array_equal(count, expected)


def test_tiles_are_of_nearly_the_same_size() -> None:
    assert cut(((0, 10),), (6,)) == [((0, 5),), ((5, 10),)]


def test_an_empty_region_has_no_tiles() -> None:
    assert cut(((3, 3), (0, 5)), (4, 4)) == []


def test_the_nearest_tile_comes_first_and_none_is_lost() -> None:
    tiles = cut(((0, 100), (0, 90)), (30, 30))
    ordered = nearest_first(tiles, (80.0, 5.0))
    assert sorted(ordered) == sorted(tiles)
    assert ordered[0] == ((75, 100), (0, 30))
    middles = [np.hypot(*(np.mean(tile, axis=1) - (80, 5))) for tile in ordered]
    assert middles[-1] == max(middles)
    assert nearest_first(tiles, (-50.0, 300.0))[0] == ((0, 25), (60, 90)), "a focus outside the image is no error"


@given(data=st.data(), axes=st.integers(1, 3))
def test_a_first_tile_is_cut_out_around_the_focus_and_the_rest_is_covered_once(data, axes) -> None:
    tile = tuple((a, a + n) for a, n in data.draw(st.lists(st.tuples(*[st.integers(0, 9), st.integers(1, 30)]),
                                                           min_size=axes, max_size=axes)))  # fmt: skip
    first = tuple(data.draw(st.integers(1, 40)) for _ in tile)
    focus = tuple(data.draw(st.floats(-9, 50)) for _ in tile)
    parts = with_first(tile, first, focus)
    count = np.zeros([stop + 1 for _, stop in tile], int)
    for region in parts:
        count[slices(region)] += 1
    expected = np.zeros_like(count)
    expected[slices(tile)] = 1
    np.testing.assert_array_equal(count, expected)
    assert len(parts) <= 1 + 2 * axes
    for (a, b), (start, stop), size, f in zip(parts[0], tile, first, focus, strict=True):
        assert b - a == min(size, stop - start)
        assert a <= min(max(f, start), stop) <= b


def test_a_first_tile_near_a_corner_goes_into_it() -> None:
    assert with_first(((0, 100), (0, 100)), (40, 40), (25.0, 90.0)) == [
        ((0, 40), (60, 100)),
        ((40, 100), (0, 100)),
        ((0, 40), (0, 60)),
    ]
