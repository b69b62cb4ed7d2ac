"""Tiles cover what they should, once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.tiling import cut, slices

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
