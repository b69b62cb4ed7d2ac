"""An object that is split along a line: what is left of it, piece by piece, by the definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.draw import ellipse
from skimage.measure import label as components

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.splitting import split_object


def applied(labels: np.ndarray, line: object, **options: object) -> np.ndarray:
    """Return the labels after a split."""
    out = labels.copy()
    split = split_object(labels, line, **options)
    for new, where in split.pieces.items():
        assert (labels[where] == split.label).all(), "of no other object"
        out[where] = new
    return out


def cells() -> np.ndarray:
    """Return a large ellipse with label 3, and one with label 7."""
    labels = np.zeros((60, 90), np.uint16)
    labels[ellipse(30, 30, 20, 25)] = 3
    labels[ellipse(30, 75, 8, 9)] = 7
    return labels


@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_pieces_are_those_of_the_definition(seed, connectivity) -> None:
    random = np.random.default_rng(seed)
    labels = cells()
    angle, off = random.uniform(0, np.pi), random.uniform(-8, 8, 2)
    way = 60 * np.array([np.sin(angle), np.cos(angle)])
    line = np.array([30.0, 30.0]) + off + np.array([-way, way])
    out = applied(labels, line, label=3, connectivity=connectivity)
    mine = labels == 3
    np.testing.assert_array_equal(out[~mine], labels[~mine])
    new = [number for number in np.unique(out) if number not in (0, 3, 7)]
    assert new == [8]
    assert (out == 3).sum() >= (out == 8).sum()
    # The sides of the straight line, by its equation: only pixels beside it may be on the other one.
    rows, cols = np.nonzero(mine)
    side = (cols - line[0, 1]) * way[0] - (rows - line[0, 0]) * way[1]
    far = np.abs(side) / np.hypot(*way) > 1
    kept = out[rows, cols] == 3
    assert len(set(zip(kept[far].tolist(), (side[far] > 0).tolist(), strict=True))) == 2
    # Pixels on the line belong to what is nearest.
    for number in (3, 8):
        assert components(out == number, connectivity=connectivity).max() == 1


def test_pixels_of_the_line_go_to_the_nearest_piece() -> None:
    labels = np.zeros((9, 12), np.uint8)
    labels[2:7, 1:11] = 1
    line = [[-1, 6], [5, 6], [5, 20]]  # an L: cuts the upper right corner off
    out = applied(labels, line, label=1)
    drawn = np.zeros(labels.shape, bool)
    drawn[:6, 6] = drawn[5, 6:] = True
    rest = (labels == 1) & ~drawn
    numbers = components(rest, connectivity=1)
    places = {number: np.argwhere(numbers == number) for number in (1, 2)}
    sizes = {number: len(where) for number, where in places.items()}
    named = {max(sizes, key=sizes.get): 1, min(sizes, key=sizes.get): 2}
    for pixel in np.argwhere(rest):
        assert out[tuple(pixel)] == named[numbers[tuple(pixel)]]
    for pixel in np.argwhere(drawn & (labels == 1)):
        far = {named[number]: cdist([pixel], where).min() for number, where in places.items()}
        assert far[out[tuple(pixel)]] == min(far.values())


def test_several_pieces_and_new_numbers() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 2:28] = 4
    labels[0, 0] = 40
    out = applied(labels, [[0, 8], [19, 8], [19, 18], [0, 18]], label=4)
    found, sizes = np.unique(out[labels == 4], return_counts=True)
    assert sorted(found) == [4, 41, 42]
    assert sizes[0] == sizes.max()
    assert out[0, 0] == 40


def test_the_first_object_on_the_line_where_none_is_chosen() -> None:
    labels = cells()
    assert split_object(labels, [[30, 89], [30, 0]]).label == 7
    assert split_object(labels, [[30, 0], [30, 89]]).label == 3


@pytest.mark.parametrize(
    ("line", "label", "said"),
    [
        ([[0, 30], [30, 30]], 3, "does not cut the object through"),
        ([[0, 30], [59, 30]], 7, "does not touch"),
        ([[0, 0], [0, 89]], None, "no object on the line"),
        ([[-50, -9], [-50, 99]], None, "no object on the line"),
        ([[0, 30], [59, 30]], 5, "Object 5 is not in this frame"),
    ],
)
def test_what_is_no_cut_is_said(line, label, said) -> None:
    labels = cells()
    with pytest.raises(SettingsError, match=said):
        split_object(labels, line, label=label)


def test_a_line_that_covers_an_object_does_not_cut_it() -> None:
    labels = np.zeros((5, 9), np.uint8)
    labels[2, 2:7] = 1
    with pytest.raises(SettingsError, match="does not cut"):
        split_object(labels, [[2, 0], [2, 8]])


def test_in_a_stack_the_frame_of_the_line_is_split() -> None:
    labels = np.stack([cells(), cells(), cells()])
    out = applied(labels, [[1, 0, 30], [1, 59, 30]], label=3)
    np.testing.assert_array_equal(out[[0, 2]], labels[[0, 2]])
    np.testing.assert_array_equal(out[1], applied(cells(), [[0, 30], [59, 30]], label=3))
    with pytest.raises(SettingsError, match="another plane"):
        split_object(labels, [[0, 30, 30], [2, 30, 30]], label=3, plane=(0, 2))
    with pytest.raises(SettingsError, match="outside the objects' layer"):
        split_object(labels, [[3, 0, 30], [3, 59, 30]], label=3)


@pytest.mark.parametrize("connectivity", [1, 3])
@pytest.mark.parametrize("along", [0, 1, 2])
def test_a_volume_is_cut_all_along_the_third_axis(along, connectivity) -> None:
    labels = np.zeros((2, 20, 22, 24), np.uint16)
    labels[1, 3:17, 3:19, 3:21] = 5
    plane = [axis for axis in (1, 2, 3) if axis != along + 1]
    line = np.full((2, 4), 10.0)
    line[:, 0] = 1
    line[:, plane[0]], line[:, plane[1]] = (-2, 26), (8, 14)
    out = applied(labels, line, plane=plane, spatial=3, connectivity=connectivity)
    both = np.moveaxis(out[1], along, 0)[3:17]
    assert all((each == both[0]).all() for each in both), "the same in every plane"
    assert set(np.unique(out)) == {0, 5, 6}
    for number in (5, 6):
        assert components(out[1] == number, connectivity=connectivity).max() == 1
    np.testing.assert_array_equal(out[0], labels[0])


def test_numbers_that_the_layer_cannot_hold_are_said() -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[3:6, 1:8] = 255
    with pytest.raises(SettingsError, match="cannot number more objects"):
        split_object(labels, [[0, 4], [8, 4]])
