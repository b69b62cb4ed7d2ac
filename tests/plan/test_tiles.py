"""Tiles cover what they should, once."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.plan.tiles import as_slices, cut_tiles, group_columns, sort_nearest_first, tile_around

AXIS = st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(1, 50))


@given(axes=st.lists(AXIS, min_size=1, max_size=3))
def test_tiles_cover_every_pixel_once_and_none_is_larger_than_asked(axes) -> None:
    extent = tuple((start, start + length) for start, length, _ in axes)
    tile = tuple(size for _, _, size in axes)
    count = np.zeros([stop + 2 for _, stop in extent], int)
    for region in cut_tiles(extent, tile):
        assert all(0 < stop - start <= size for (start, stop), size in zip(region, tile, strict=True))
        count[as_slices(region)] += 1
    expected = np.zeros_like(count)
    expected[as_slices(extent)] = 1
    np.testing.assert_array_equal(count, expected)


def test_tiles_are_of_nearly_the_same_size() -> None:
    assert cut_tiles(((0, 10),), (6,)) == [((0, 5),), ((5, 10),)]


def test_an_empty_region_has_no_tiles() -> None:
    assert cut_tiles(((3, 3), (0, 5)), (4, 4)) == []


def test_the_nearest_tile_comes_first_and_none_is_lost() -> None:
    tiles = cut_tiles(((0, 100), (0, 90)), (30, 30))
    ordered = [tile for (tile,) in sort_nearest_first(group_columns(tiles, 1), (80.0, 5.0))]
    assert sorted(ordered) == sorted(tiles)
    assert ordered[0] == ((75, 100), (0, 30))
    middles = [np.hypot(*(np.mean(tile, axis=1) - (80, 5))) for tile in ordered]
    assert middles[-1] == max(middles)
    outside = sort_nearest_first(group_columns(tiles, 1), (-50.0, 300.0))
    assert outside[0] == [((0, 25), (60, 90))], "a focus outside the image is no error"


@given(
    axes=st.lists(AXIS, min_size=1, max_size=3), together=st.integers(1, 5), focus=st.tuples(*[st.floats(-9, 60)] * 3)
)
def test_a_group_is_tiles_right_below_each_other_and_the_same_wherever_the_focus_is(axes, together, focus) -> None:
    tiles = cut_tiles(tuple((start, start + length) for start, length, _ in axes), tuple(size for _, _, size in axes))
    groups = group_columns(tiles, together)
    assert [tile for group in groups for tile in group] == tiles
    for group in groups:
        assert 1 <= len(group) <= together
        assert len({tile[1:] for tile in group}) == 1
        assert all(above[0][1] == below[0][0] for above, below in itertools.pairwise(group))
    assert sorted(sort_nearest_first(groups, focus[: len(axes)])) == sorted(groups)


@given(data=st.data(), axes=st.integers(1, 3))
def test_a_tile_around_a_place_has_its_size_and_holds_the_place_where_the_extent_does(data, axes) -> None:
    extent = tuple((a, a + n) for a, n in data.draw(st.lists(st.tuples(*[st.integers(0, 9), st.integers(1, 30)]),
                                                             min_size=axes, max_size=axes)))  # fmt: skip
    size = tuple(data.draw(st.integers(1, 40)) for _ in extent)
    focus = tuple(data.draw(st.floats(-9, 50)) for _ in extent)
    tile = tile_around(extent, size, focus)
    for (a, b), (start, stop), n, f in zip(tile, extent, size, focus, strict=True):
        assert start <= a < b <= stop
        assert b - a == min(n, stop - start)
        assert a <= min(max(f, start), stop) <= b
