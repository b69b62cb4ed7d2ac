"""Instances among labels: against scikit-image and SciPy called directly, hand-made arrays, and the drawn cells."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction, remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.instances.labeling import StoppedError
from napari_fcnseg.samples.synthetic import cell_instances, fluorescence_cells

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=12)
CLASSES = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 3))
TWO_DISCS = [((20, 20), 12), ((20, 38), 12)]  # they overlap by 6 pixels


def discs(*places: tuple[tuple[int, int], int], shape: tuple[int, int] = (41, 66)) -> np.ndarray:
    """Return a mask of discs."""
    rows, columns = np.indices(shape)
    return np.any([np.hypot(rows - r, columns - c) <= radius for (r, c), radius in places], axis=0)


def up_to(function, mask: np.ndarray, size: int, old_name: str, **options: object) -> np.ndarray:
    """Call a function of scikit-image whose threshold was exclusive, under another name, before version 0.26."""
    new = "max_size" in inspect.signature(function).parameters
    return function(mask, **({"max_size": size} if new else {old_name: size + 1}), **options)


def same_up_to_numbers(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two partitions are the same but for what their parts are called."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return all(len(np.unique(numbers)) == pairs.shape[1] for numbers in pairs) and [0, 0] in pairs.T.tolist()


@given(CLASSES, st.integers(1, 2), st.integers(0, 12), st.integers(0, 12))
def test_components_are_those_of_scikit_image(labels, connectivity, hole, least) -> None:
    settings = InstanceSettings(2, minimum_size=least, fill_holes=hole, connectivity=connectivity)
    found = find_instances(labels, settings)
    mask = up_to(remove_small_holes, labels == 2, hole, "area_threshold", connectivity=connectivity)
    kept = up_to(remove_small_objects, mask, max(least - 1, 0), "min_size", connectivity=connectivity)
    expected = label(kept, connectivity=connectivity)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint16


@given(CLASSES, st.integers(1, 2), st.integers(0, 9))
def test_to_fill_holes_twice_changes_nothing(labels, connectivity, hole) -> None:
    settings = InstanceSettings((1, 3), fill_holes=hole, connectivity=connectivity)
    once = find_instances(labels, settings)
    again = find_instances((once > 0).astype(np.uint8), InstanceSettings(1, fill_holes=hole, connectivity=connectivity))
    np.testing.assert_array_equal(again, once)


@given(CLASSES, st.integers(0, 6), st.integers(0, 6), st.booleans())
@example(np.array([[0, 3, 0, 0]], np.uint8), 0, 1, True)
def test_a_watershed_covers_what_its_cores_reach_and_respects_the_smallest_size(labels, least, hole, by_necks) -> None:
    options = {"separation": 1.0} if by_necks else {}
    everything = find_instances(labels, InstanceSettings(3, 2, fill_holes=hole, **options))
    interior = up_to(remove_small_holes, labels == 3, hole, "area_threshold")
    region = up_to(remove_small_holes, interior | (labels == 2), hole, "area_threshold")
    parts = label(region, connectivity=1)
    reached = np.isin(parts, np.unique(parts[interior]))  # parts without interior are no instances
    np.testing.assert_array_equal(everything > 0, reached & region)
    for number in range(1, everything.max() + 1):
        assert label(everything == number, connectivity=1).max() == 1
    kept = find_instances(labels, InstanceSettings(3, 2, minimum_size=least, fill_holes=hole, **options))
    sizes = np.bincount(everything.ravel())
    np.testing.assert_array_equal(kept > 0, (everything > 0) & (sizes[everything] >= least))


def in_their_order(heights, cores):
    """Return heights at which no two starts are the same: of those at one height the first pixel is the lowest."""
    starts = np.flatnonzero(cores)
    level = heights.astype(np.float64)
    level.ravel()[starts] -= 1e-3 * (1 - np.arange(len(starts)) / len(starts))
    return level


@pytest.mark.parametrize("spacing", [None, (3.0, 1.0)])
def test_an_edge_watershed_is_scikit_image_s(spacing) -> None:
    """Cores are the components of the interior; the edge goes to the nearest, in lengths where they are given.

    Of pixels as near to one core as to another scikit-image decides by which core it took first, and it takes those of
    one height in no particular order: in their own order, if none has the height of another.
    """
    labels = fluorescence_cells(3, (128, 160))[1]
    interior, region = labels == 3, labels >= 2
    distance = ndimage.distance_transform_edt(~interior, spacing)
    cores = label(interior, connectivity=1)
    found = find_instances(labels, InstanceSettings(3, 2), spacing=spacing)
    assert found.max() > 5
    assert same_up_to_numbers(found, watershed(in_their_order(distance, cores), cores, mask=region))
    in_any_order = watershed(distance, cores, mask=region)
    _, first, numbers = np.unique(found, return_index=True, return_inverse=True)
    assert np.mean(in_any_order.ravel()[first][numbers.reshape(found.shape)][region] == in_any_order[region]) > 0.995


def test_touching_cells_grow_back_to_the_very_outlines_they_were_drawn_with() -> None:
    truth, classes = cell_instances(2014), fluorescence_cells(2014)[1]
    found = find_instances(classes, InstanceSettings(3, 2))
    cells = np.unique(truth[truth > 0])
    assert label(classes > 1).max() < len(cells) / 2  # most of them touch others
    assert abs(int(found.max()) - len(cells)) <= 2
    common = np.histogram2d(truth.ravel(), found.ravel(), bins=(range(truth.max() + 2), range(found.max() + 2)))[0]
    assert common[1:, 1:].max(0).sum() / (truth > 0).sum() > 0.99


def test_without_an_edge_class_necks_are_cut_by_extended_maxima() -> None:
    labels = discs(*TWO_DISCS, ((20, 56), 6)).astype(np.uint8)
    settings = InstanceSettings(1, method="watershed", separation=2)
    depth = ndimage.distance_transform_edt(labels)
    raised = reconstruction(depth - 2, depth, footprint=ndimage.generate_binary_structure(2, 1))
    cores = label((raised > 0) & local_maxima(raised, connectivity=1), connectivity=1)
    found = find_instances(labels, settings)
    assert find_instances(labels, InstanceSettings(1)).max() == 1
    assert found.max() == 3
    assert same_up_to_numbers(found, watershed(in_their_order(-depth, cores), cores, mask=labels > 0))
    assert found[20, 20] != found[20, 38]
    assert find_instances(labels, InstanceSettings(1, method="watershed", separation=8)).max() == 1


def test_two_maxima_of_the_same_depth_with_a_shallow_saddle_are_one_instance() -> None:
    """``skimage.morphology.h_maxima`` counts two here, and would cut a straight rod in two."""
    labels = np.zeros((9, 40), np.uint8)
    labels[2:7, 2:38] = 1
    labels[2, 20] = labels[6, 20] = 0
    assert find_instances(labels, InstanceSettings(1, method="watershed", separation=1.5)).max() == 1


def test_thin_objects_are_not_lost() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[3, 2:18] = labels[8:10, 4:12] = labels[15, 15] = 1
    assert find_instances(labels, InstanceSettings(1, method="watershed", separation=5)).max() == 3
    assert find_instances(np.ones((5, 5), int), InstanceSettings(1, method="watershed")).tolist() == [[1] * 5] * 5


def test_scores_lead_the_watershed() -> None:
    labels = np.full((1, 9), 2, np.uint8)
    labels[0, [0, 8]] = 3
    scores = np.zeros((1, 9, 3), np.float32)
    scores[0, :, 2] = [1, 0.1, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 1]
    assert find_instances(labels, InstanceSettings(3, 2)).tolist() == [[1] * 5 + [2] * 4]
    assert find_instances(labels, InstanceSettings(3, 2), scores=scores).tolist() == [[1, 1] + [2] * 7]


@pytest.mark.parametrize("kind", ["u1", "i1", "f2", "i8", ">f4"])
def test_scores_of_any_type_lead_as_their_numbers_do(kind) -> None:
    labels = fluorescence_cells(5, (64, 64))[1]
    scores = np.random.default_rng(0).integers(0, 120, (64, 64, 3)).astype(float)
    expected = find_instances(labels, InstanceSettings((1, 3), 2), scores=scores)
    np.testing.assert_array_equal(
        find_instances(labels, InstanceSettings((1, 3), 2), scores=scores.astype(kind)), expected
    )
    np.testing.assert_array_equal(find_instances(labels, InstanceSettings((1, 3), 2), scores=scores.tolist()), expected)


@pytest.mark.filterwarnings("error")
def test_scores_that_are_no_numbers_or_beyond_all_bounds_lead_alike_in_any_block() -> None:
    labels = fluorescence_cells(5, (64, 64))[1]
    most = np.finfo(np.float32).max
    scores = np.random.default_rng(0).choice([0, 1, np.nan, np.inf, -np.inf, most, -most, 1e-42], (64, 64, 3))
    whole = find_instances(labels, InstanceSettings((1, 3), 2), scores=scores.astype(np.float32))
    assert whole.max() > 1
    for block in (5, 17):
        found = find_instances(labels, InstanceSettings((1, 3), 2), scores=scores.astype(np.float32), block=block)
        np.testing.assert_array_equal(found, whole)


def test_frames_are_searched_alone_and_numbered_on() -> None:
    labels = np.zeros((2, 2, 6, 6), np.uint8)
    labels[:, :, 1:3, 1:3] = 1
    labels[1, 1, 4, 4] = 1
    slices = find_instances(labels, InstanceSettings(1), spatial=2)
    assert [np.unique(frame[frame > 0]).tolist() for stack in slices for frame in stack] == [[1], [2], [3], [4, 5]]
    volumes = find_instances(labels, InstanceSettings(1), spatial=3)
    assert [np.unique(volume[volume > 0]).tolist() for volume in volumes] == [[1], [2, 3]]
    np.testing.assert_array_equal(volumes[0], label(labels[0]))


def test_a_volume_is_cut_by_lengths_and_not_by_pixels() -> None:
    """Two balls above each other, in slices four times as far apart as pixels."""
    z, y, x = np.indices((17, 41, 41)) * np.array([4, 1, 1])[:, None, None, None]
    balls = [np.sqrt((z - m) ** 2 + (y - 20) ** 2 + (x - 20) ** 2) <= 18 for m in (18, 46)]
    labels = (balls[0] | balls[1]).astype(np.uint8)
    settings = InstanceSettings(1, method="watershed", separation=3)
    found = find_instances(labels, settings, spacing=(4, 1, 1))
    assert (found.max(), found[4, 20, 20], found[12, 20, 20]) == (2, 1, 2)
    assert find_instances(labels, settings).max() == 1


def test_numbers_are_consecutive_and_32_bits_where_16_do_not_suffice() -> None:
    labels = np.zeros((520, 520), np.uint8)
    labels[::2, ::2] = 1
    found = find_instances(labels, InstanceSettings(1))
    assert (found.dtype, found.max()) == (np.uint32, 260 * 260)
    np.testing.assert_array_equal(found[found > 0], np.arange(1, 260 * 260 + 1))


def test_pixels_without_a_prediction_are_background_and_no_interior_is_no_instance() -> None:
    labels = np.array([[3, 0, 3], [2, 0, 2]])
    assert find_instances(labels, InstanceSettings(3, 2)).tolist() == [[1, 0, 2], [1, 0, 2]]
    assert not find_instances(labels, InstanceSettings(1, 2)).any()
    assert not find_instances(labels, InstanceSettings(7)).any()


@pytest.mark.parametrize(
    ("labels", "options", "says"),
    [
        (np.zeros((3, 3), np.float32), {}, "whole numbers; these are float32"),
        (np.array([[1, -1]]), {}, "from 0; these hold -1"),
        (np.zeros((0, 3), np.uint8), {}, r"no pixels: their shape is \(0, 3\)"),
        (np.uint8(1), {}, "no pixels"),
        (np.ones((3, 3), np.uint8), {"spatial": 3}, "along 3 axes where labels have 2"),
        (np.ones((3, 3), np.uint8), {"spacing": (1.0,)}, "one length above 0 per axis, 2 in all"),
        (np.ones((3, 3), np.uint8), {"spacing": (1.0, 0)}, "above 0"),
        (np.ones((3, 3), np.uint8), {"scores": np.ones((3, 2, 2))}, "3 × 2 pixels, the labels of 3 × 3"),
        (np.ones((3, 3), np.uint8), {"scores": np.ones((3, 3, 1))}, "no scores of class 2: they are of 1"),
        (np.ones((3, 3), np.uint8), {"scores": "p.zarr"}, "Scores are numbers; these are <U6"),
        (np.ones((3, 3), np.uint8), {"spacing": 2}, "one length above 0 per axis, 2 in all, not 2"),
        (np.ones((3, 3), np.uint8), {"spacing": "ab"}, "above 0 per axis"),
        (np.ones((3, 3), bool), {}, "no class 2: the labels are bool"),
    ],
)
def test_what_does_not_fit_is_said(labels, options, says) -> None:
    with pytest.raises((ImageError, SettingsError), match=says):
        find_instances(labels, InstanceSettings(2), **options)


def test_settings_that_the_labels_cannot_have_are_said() -> None:
    labels = np.ones((4, 4), np.uint8)
    with pytest.raises(SettingsError, match="at most the number of axes, 2, not 3"):
        find_instances(labels, InstanceSettings(1, connectivity=3))
    with pytest.raises(SettingsError, match="no class 300: the labels are uint8"):
        find_instances(labels, InstanceSettings(1, 300))


def test_it_gives_up_when_asked_to() -> None:
    asked = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 2

    with pytest.raises(StoppedError):
        find_instances(np.ones((9, 4, 4), np.uint8), InstanceSettings(1), spatial=2, stop=stop)
    assert len(asked) == 3
