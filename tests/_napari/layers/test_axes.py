"""What each axis of a layer is for a model: found, named, and as the user chose."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from napari_helpers import give, image, run, settle, small_model
from qtpy.QtCore import Qt

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.axes import AxisChoice, Role, find_axes, possible_roles, roles, with_role
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg.errors import ImageError


@pytest.mark.parametrize(
    ("shape", "channels", "spatial", "expected"),
    [
        ((40, 50), 1, 2, (None, (0, 1), ())),
        ((7, 40, 50), 1, 2, (None, (1, 2), (0,))),
        ((7, 40, 50), 1, 3, (None, (0, 1, 2), ())),
        ((2, 40, 50), 2, 2, (0, (1, 2), ())),
        ((40, 50, 2), 2, 2, (2, (0, 1), ())),
        ((5, 6, 2, 40, 50), 2, 2, (2, (3, 4), (0, 1))),
        ((40, 50, 1), 1, 2, (2, (0, 1), ())),
    ],
)
def test_axes_are_found_by_length_and_place(shape, channels, spatial, expected) -> None:
    axes = find_axes(shape, channels, spatial)
    assert (axes.channel, axes.model, axes.stack) == expected
    axes.check()


def test_names_count_more_than_places() -> None:
    axes = find_axes((40, 50, 7), 1, 2, letters=("Y", "X", "T"))
    assert (axes.model, axes.stack, axes.order) == ((0, 1), (2,), (2, 0, 1))


def test_colours_are_the_channels() -> None:
    axes = find_axes((40, 50, 4), 3, 2, rgb=True)
    assert roles(axes, rgb=True) == (Role.ROWS, Role.COLUMNS, Role.COLOURS)
    axes.check()


@pytest.mark.parametrize(
    ("shape", "channels", "spatial", "says"),
    [
        ((2, 2, 40, 50), 2, 2, "2 axes as long as the model has channels"),
        ((40, 50), 2, 2, "takes 2 channels"),
        ((40, 50), 1, 3, "looks along 3"),
        ((40,), 1, 2, "one axis of pixels"),
        ((0, 50), 1, 2, "empty"),
    ],
)
def test_what_does_not_fit_is_said(shape, channels, spatial, says) -> None:
    with pytest.raises(ImageError, match=says):
        find_axes(shape, channels, spatial).check()


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 3), st.integers(1, 3), st.data()
)  # fmt: skip
def test_each_axis_has_one_role_and_a_role_that_is_offered_is_had(shape, channels, spatial, data) -> None:
    axes = find_axes(shape, channels, min(spatial, len(shape)))
    every = [*axes.stack, *axes.model, *([] if axes.channel is None else [axes.channel])]
    assert sorted(every) == list(range(len(shape)))
    assert sorted(axes.order) == list(range(len(shape)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    for role in possible_roles(axes, axis, channels):
        chosen = find_axes(shape, channels, len(axes.model), with_role(axes, axis, role, channels))
        assert roles(chosen)[axis] in (role, Role.PERHAPS)


def test_a_source_in_another_order_gives_labels_in_the_layer_s_own(viewer_model) -> None:
    data = image(6, 7, 3)
    source = ImageLayers.of([viewer_model.add_image(data)], InputSpec(1, 2), AxisChoice(model=(0, 1)))
    np.testing.assert_array_equal(np.asarray(source.image), np.moveaxis(data, 2, 0))
    np.testing.assert_array_equal(source.to_layer_axes(np.asarray(source.image)), data)
    assert source.from_layer_axes((5, 6, 2)) == (2, 5, 6)


@pytest.fixture
def viewer_model():
    """Return a viewer without a window."""
    from napari.components import ViewerModel

    return ViewerModel()


def test_a_segment_is_clicked_and_the_result_lies_over_the_layer(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(20, 21, 3)
    viewer.add_image(data, name="time last")
    give(dock, model)
    settle(qtbot)
    strip = dock.image.strip
    viewer.window._qt_window.show()
    for place, role in ((0, "rows"), (1, "columns")):
        qtbot.mouseClick(strip.buttons[place], Qt.MouseButton.LeftButton)
        (action,) = [action for action in strip.menu.actions() if role in action.text()]
        action.trigger()
        strip.menu.close()
    assert [segment.role.value for segment in strip.segments] == ["rows", "columns", "frames"]
    assert "3 frames of 20 × 21" in dock.image.mapping.text()
    assert run(qtbot, dock).startswith("Done")
    expected = np.moveaxis(segment(np.moveaxis(data, 2, 0), model).labels, 0, 2)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    assert viewer.layers[-1].data.shape == data.shape
