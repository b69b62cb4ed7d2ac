"""The result lies exactly where the image is."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari_helpers import give, image, run, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.geometry import geometry

PLACES = {
    "scale and translate": {"scale": (0.5, 2, 3), "translate": (1, -2, 5)},
    "rotate": {"scale": (1, 2, 3), "rotate": [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]},
    "shear": {"shear": (0, 0, 0.7), "scale": (1, 2, 0.5)},
    "affine": {"affine": [[1, 0, 0, 4], [0, 0.9, 0.3, -7], [0, 0.1, 1.2, 3], [0, 0, 0, 1]], "scale": (1, 2, 2)},
    "units and names": {"units": ("pixel", "um", "nm"), "axis_labels": ("c", "y", "x")},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("dropped", [None, 0])
def test_points_have_the_same_place_in_the_world(place, dropped) -> None:
    layer = Image(np.zeros((2, 5, 6)), **place)
    kept = [axis for axis in range(3) if axis != dropped]
    result = Labels(np.zeros([layer.data.shape[axis] for axis in kept], np.uint8), **geometry(layer, dropped))
    point = np.array([0, 3.5, 2.25])
    np.testing.assert_allclose(result.data_to_world(point[kept]), np.array(layer.data_to_world(point))[kept])
    assert result.units == tuple(layer.units[axis] for axis in kept)
    np.testing.assert_allclose(result.scale, layer.scale[kept])
    if "axis_labels" in place:
        assert result.axis_labels == tuple(layer.axis_labels[axis] for axis in kept)


def test_an_axis_that_is_mixed_with_others_still_leaves_the_place_of_the_rest() -> None:
    turn = [[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]]
    layer = Image(np.zeros((2, 5, 6)), rotate=turn, scale=(1, 2, 3), translate=(4, 5, 6))
    result = Labels(np.zeros((5, 6), np.uint8), **geometry(layer, 0))
    for point in ((0, 0), (3, 2)):
        np.testing.assert_allclose(result.data_to_world(point), np.array(layer.data_to_world((0, *point)))[1:])


def test_names_that_napari_made_up_are_made_up_again() -> None:
    layer = Image(np.zeros((5, 6, 2)))
    assert Labels(np.zeros((5, 6), np.uint8), **geometry(layer, 2)).axis_labels == ("-2", "-1")


def test_a_run_copies_the_place_of_a_channel_axis_layer(qtbot, viewer, dock) -> None:
    place = {"scale": (1, 0.5, 0.25), "translate": (0, 3, 4), "units": ("pixel", "um", "um")}
    layer = viewer.add_image(image(2, 20, 21), axis_labels=("c", "y", "x"), **place)
    give(dock, small_model(2))
    dock.settings.probabilities.value = True
    run(qtbot, dock)
    assert len(viewer.layers) == 5
    for result in list(viewer.layers)[1:]:
        assert result.data.shape == (20, 21)
        np.testing.assert_array_equal(result.scale, (0.5, 0.25))
        np.testing.assert_array_equal(result.translate, (3, 4))
        assert result.units == layer.units[1:]
        assert result.axis_labels == ("y", "x")


def test_a_run_copies_the_place_of_a_turned_rgb_layer(qtbot, viewer, dock) -> None:
    data = np.random.default_rng(1).integers(0, 255, (17, 19, 3), np.uint8)
    layer = viewer.add_image(data, rgb=True, rotate=30, shear=[0.2], scale=(2, 3), translate=(5, 6))
    give(dock, small_model(3))
    run(qtbot, dock)
    for point in ((0, 0), (5, 9)):
        np.testing.assert_allclose(viewer.layers[-1].data_to_world(point), layer.data_to_world(point))


@pytest.mark.parametrize("place", [{}, {"scale": (1, 2, 3, 4), "translate": (5, 6, 7, 8)}, PLACES["rotate"]])
def test_over_channels_in_the_middle_of_a_stack_the_result_moves_with_time_alone(qtbot, viewer, dock, place) -> None:
    if "rotate" in place:
        turn = np.eye(4)
        turn[1:, 1:] = place["rotate"]
        place = {"rotate": turn, "scale": (1, 1, 2, 3)}
    layer = viewer.add_image(image(3, 2, 20, 21), **place)  # time, channel, row, column
    give(dock, small_model(2))
    run(qtbot, dock)
    result = viewer.layers[-1]
    assert result.data.shape == (3, 1, 20, 21)
    np.testing.assert_array_equal(result.data[:, 0], segment(layer.data, dock.models, channel_axis=1).labels)
    for point in ((0, 0.5, 0, 0), (2, 0.5, 3, 7)):  # half way between the two channels
        np.testing.assert_allclose(
            result.data_to_world((point[0], 0, *point[2:])), layer.data_to_world(point), atol=1e-12
        )
    low, high = (np.array([-0.5, 1.5]) - 0.5) / 2  # both ends of the channels are both ends of the result
    for channel, own in ((-0.5, low), (1.5, high)):
        np.testing.assert_allclose(
            result.data_to_world((1, own, 4, 4)), layer.data_to_world((1, channel, 4, 4)), atol=1e-12
        )
