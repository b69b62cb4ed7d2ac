"""Maps in world coordinates: SciPy's nearest neighbour is the reference."""

from __future__ import annotations

from contextlib import suppress

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from napari_fcnseg.comparison.alignment.placed import Placed, placed
from napari_fcnseg.comparison.alignment.world import align
from napari_fcnseg.errors import ImageError


def labels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, shape)


def nearest(first: Placed, other: Placed) -> tuple[np.ndarray, np.ndarray]:
    """Return the other map on the whole grid of the first by SciPy, and where it is."""
    n = first.data.ndim
    grid = np.indices(first.data.shape).reshape(n, -1)
    world = first.affine[:n, :n] @ grid + first.affine[:n, n:]
    own = np.linalg.solve(other.affine, np.vstack((world, np.ones(world.shape[1]))))[:n]
    which = np.floor(own + 0.5 + 1e-6)
    inside = np.all((which >= 0) & (which < np.array(other.data.shape)[:, None]), axis=0)
    found = map_coordinates(np.asarray(other.data), which, order=0, mode="nearest")
    return found.reshape(first.data.shape), inside.reshape(first.data.shape)


def matrix(scale, translate, angle=0.0) -> np.ndarray:
    affine = np.diag([*scale, 1.0])
    turn = np.eye(len(scale) + 1)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = turn @ affine
    affine[:-1, -1] = translate
    return affine


def check(first: Placed, other: Placed) -> None:
    expected, inside = nearest(first, other)
    found = None
    with suppress(ImageError):  # what it says is below
        found = align([first, other])
    if found is None:
        assert not inside.any()
        return
    # The box around a turned map may overlap alone.
    assert inside.any() or (found.inside is not None and not np.asarray(found.inside).any())
    box = tuple(slice(start, start + n) for start, n in zip(found.origin, found.maps[0].shape, strict=True))
    outside = inside.copy()
    outside[box] = False
    assert not outside.any(), "all of the overlap is compared"
    within = np.ones(found.maps[0].shape, bool) if found.inside is None else np.asarray(found.inside)
    np.testing.assert_array_equal(within, inside[box])
    np.testing.assert_array_equal(np.asarray(found.maps[0]), np.asarray(first.data)[box])
    np.testing.assert_array_equal(np.asarray(found.maps[1])[within], expected[box][within])
    start = found.affine @ np.array([*(0.0,) * len(found.origin), 1.0])
    np.testing.assert_allclose(start, first.affine @ np.array([*found.origin, 1.0]), atol=1e-9)


NUMBERS = st.floats(-6, 6).map(lambda x: round(x, 3))
SCALES = st.sampled_from((0.25, 0.3, 0.5, 1.0, 1.7, 3.0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SCALES, SCALES, NUMBERS, st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3))
def test_scaled_and_moved_maps_are_those_of_scipy(axes) -> None:
    one, two, move, n, m = zip(*axes, strict=True)
    first = Placed("a", labels(*n), matrix(one, (0.0,) * len(one)) if len(one) > 1 else np.diag([*one, 1.0]))
    affine = np.diag([*two, 1.0])
    affine[:-1, -1] = move
    check(first, Placed("b", labels(*m, seed=1), affine))


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), SCALES, NUMBERS, NUMBERS)
def test_turned_maps_are_those_of_scipy(angle, scale, y, x) -> None:
    first = Placed("a", labels(9, 13), matrix((0.5, 1.0), (1.0, 2.0), 0.2))
    check(first, Placed("b", labels(14, 8, seed=1), matrix((scale, scale), (y, x), angle)))


def test_pixels_on_pixels_are_taken_as_they_are_despite_rounding_in_files() -> None:
    a = labels(40, 50)
    first = placed("a", a, (0.1, 0.1))
    affine = np.diag([0.1 * (1 + 1e-9), 0.1, 1.0])
    affine[:2, 2] = 0.3 - 1e-9, -0.2
    found = align([first, Placed("b", a, affine)])
    assert found.notes[0].startswith("Compared is where all lie")
    assert found.origin == (3, 0)
    assert found.maps[0].shape == (37, 48)
    assert np.shares_memory(found.maps[1], a), "nothing is copied"
    np.testing.assert_array_equal(found.maps[1], a[:37, 2:])
    assert found.spacing == pytest.approx((0.1, 0.1))
    same = align([first, placed("b", a, (0.1, 0.1 + 1e-12))])
    assert same.maps[1] is a
    assert same.notes == ()


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_maps_that_are_not_in_memory_are_read_where_they_are_looked_at(kind) -> None:
    a, b = labels(32, 40), labels(64, 80, seed=1)
    reads = []
    if kind == "dask":
        lazy = da.from_array(b, chunks=(16, 16)).map_blocks(lambda block: reads.append(1) or block, dtype=b.dtype)
    else:
        lazy = zarr.array(b, chunks=(16, 16))
    found = align([placed("a", a, (1, 1)), placed("b", lazy, (0.5, 0.5))])
    reads.clear()
    # Pixel 3 of the grid is at 3, which is pixel 6 there.
    np.testing.assert_array_equal(found.maps[1][3:5, 7], b[6:9:2, 14])
    assert len(reads) <= 1
    np.testing.assert_array_equal(found.maps[1], b[::2, ::2])
    assert "pixels of 0.5 × 0.5" in found.notes[0]
    cut = align([placed("a", lazy), placed("b", a)])
    np.testing.assert_array_equal(cut.maps[0], b[:32, :40])


def test_a_map_without_the_leading_axis_is_the_same_at_every_place_along_it() -> None:
    stack, plane = labels(3, 6, 7), labels(6, 7, seed=1)
    for first, other in ((stack, plane), (plane, stack)):
        found = align([placed("a", first, (2.0,) * first.ndim), placed("b", other, (2.0,) * other.ndim)])
        assert found.maps[0].shape == found.maps[1].shape == (3, 6, 7)
        np.testing.assert_array_equal(found.maps[int(first.ndim == 3)], np.broadcast_to(plane, (3, 6, 7)))
        assert "the same along the first 1 axis" in found.notes[0]


def test_several_maps_are_cut_to_where_all_are() -> None:
    a = labels(20, 20)
    moved = [placed("a", a)]
    for name, y in (("b", 4.0), ("c", -3.0)):
        affine = np.eye(3)
        affine[0, 2] = y
        moved.append(Placed(name, a, affine))
    found = align(moved)
    assert found.origin == (4, 0)
    assert [array.shape for array in found.maps] == [(13, 20)] * 3
    np.testing.assert_array_equal(found.maps[2], a[7:])


def test_what_cannot_be_compared_is_said() -> None:
    far = np.eye(3)
    far[0, 2] = 100
    with pytest.raises(ImageError, match=r"'a' and 'b' do not overlap"):
        align([placed("a", labels(4, 4)), Placed("b", labels(4, 4), far)])
    with pytest.raises(ImageError, match="'b' has no pixels"):
        align([placed("a", labels(4, 4)), placed("b", labels(0, 4))])
    with pytest.raises(ImageError, match="'b' has no extent"):
        align([placed("a", labels(4, 4)), placed("b", labels(4, 4), (0.0, 1.0))])
