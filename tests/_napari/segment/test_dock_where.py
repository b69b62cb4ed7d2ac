"""Where a run labels pixels, going on with one that was stopped, and following the view, in the real window."""

from __future__ import annotations

import numpy as np
import pytest
from napari_helpers import finish, give, image, run, settle, small_model

from napari_fcnseg import segment


def look(viewer, center, zoom: float) -> None:
    camera = getattr(viewer, "scene", viewer).camera
    camera.center, camera.zoom = center, zoom


@pytest.fixture
def shown(viewer):
    """Return the viewer with its window on the screen, for only then there is a view."""
    viewer.window._qt_window.show()
    return viewer


def test_only_what_is_inside_shapes_is_labelled_and_exactly_as_in_a_whole_run(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(60, 70)
    viewer.add_image(data, name="noise")
    viewer.add_shapes([[[10, 10], [10, 30], [40, 30], [40, 10]]], shape_type="rectangle", name="roi")
    give(dock, model)
    dock.settings.tile.setValue(16)
    settle(qtbot)
    dock.where.area.setCurrentText("inside roi")
    assert run(qtbot, dock).startswith("Done")
    expected = np.zeros_like(viewer.layers[-1].data)
    whole = segment(data, model, tile=16).labels
    expected[10:41, 10:31] = whole[10:41, 10:31]
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    assert viewer.layers[-1].metadata["napari_fcnseg"]["mask"]["pixels"] == 31 * 21
    dock.run.verify.click()
    assert finish(qtbot, dock).startswith("Conversion check passed")
    viewer.layers.remove("roi")
    settle(qtbot)
    assert dock.where.area.currentText() == "whole image"


def test_this_frame_and_what_the_view_shows(qtbot, shown, dock) -> None:
    viewer, model, data = shown, small_model(), image(3, 300, 300)
    viewer.add_image(data)
    give(dock, model)
    settle(qtbot)
    viewer.dims.set_point(0, 1)
    dock.where.frames.setCurrentText("this frame")
    assert run(qtbot, dock).startswith("Done")
    labels = viewer.layers[-1].data
    np.testing.assert_array_equal(labels[1], segment(data[1], model).labels)
    assert not labels[[0, 2]].any()
    look(viewer, (150, 150), 8)
    qtbot.wait(200)
    viewer.layers.selection = [viewer.layers[0]]
    dock.where.area.setCurrentText("visible area")
    assert run(qtbot, dock).startswith("Done")
    labels = viewer.layers[-1].data
    rows, columns = (np.flatnonzero(labels[1].any(axis=axis)) for axis in (1, 0))
    assert labels[1, 150, 150]
    assert 0 < len(rows) < 300
    assert (labels[1] > 0).sum() == len(rows) * len(columns)
    (top, left), (bottom, right) = np.array(viewer.layers[0].corner_pixels)[:, 1:]
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (top, bottom, left, right)


def test_resume_goes_on_in_the_same_layer_and_gives_what_one_run_gives(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(400, 400)
    viewer.add_image(data)
    give(dock, model)
    dock.settings.tile.setValue(10)
    dock.settings.probabilities.value = True
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 5, timeout=60_000)
    assert dock.run.resume.isHidden()
    dock.run.cancel.click()
    finish(qtbot, dock)
    labels = viewer.layers[-1]
    before = (labels.data > 0).sum()
    assert 0 < before < data.size
    assert not dock.run.resume.isHidden()
    dock.run.resume.click()
    assert finish(qtbot, dock).startswith("Done")
    assert dock.run.resume.isHidden()
    assert len(viewer.layers) == 5
    expected = segment(data, model, tile=10, probabilities=True)
    np.testing.assert_array_equal(labels.data, expected.labels)
    np.testing.assert_array_equal(np.stack([layer.data for layer in viewer.layers[1:4]], -1), expected.probabilities)
    dock.run.verify.click()
    assert finish(qtbot, dock).startswith("Conversion check passed")


def test_a_stopped_run_cannot_go_on_without_its_layer(qtbot, viewer, dock) -> None:
    viewer.add_image(image(400, 400))
    give(dock, small_model())
    dock.settings.tile.setValue(10)
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    dock.run.cancel.click()
    finish(qtbot, dock)
    viewer.layers.remove(viewer.layers[-1])
    settle(qtbot)
    assert dock.run.resume.isHidden()


def test_the_view_is_followed_and_what_was_seen_stays(qtbot, shown, dock) -> None:
    viewer, model, data = shown, small_model(), image(1000, 1000)
    viewer.add_image(data)
    give(dock, model)
    dock.settings.tile.setValue(50)
    settle(qtbot)
    look(viewer, (100, 100), 8)
    qtbot.wait(100)
    dock.where.follow.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    finish(qtbot, dock)
    labels = viewer.layers[-1]
    seen = labels.data > 0
    assert seen[100, 100]
    assert not seen[900, 900]
    for center in ((500, 500), (700, 100), (900, 900)):  # two of them pass by
        look(viewer, center, 8)
    qtbot.waitUntil(lambda: labels.data[900, 900] > 0 and not dock.controller.running, timeout=60_000)
    assert seen[100, 100]
    assert len(viewer.layers) == 2
    assert dock.run.message.text().startswith("Following the view")
    done = labels.data > 0
    np.testing.assert_array_equal(labels.data[done], segment(data, model, tile=50).labels[done])
    dock.where.follow.click()
    look(viewer, (500, 100), 8)
    qtbot.wait(500)
    np.testing.assert_array_equal(labels.data > 0, done)


def test_a_whole_result_is_not_replaced_by_what_the_view_shows(qtbot, shown, dock) -> None:
    viewer = shown
    viewer.add_image(image(400, 400))
    give(dock, small_model())
    dock.settings.tile.setValue(50)
    run(qtbot, dock)
    whole = viewer.layers[-1]
    look(viewer, (50, 50), 8)
    qtbot.wait(100)
    dock.where.follow.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=60_000)
    finish(qtbot, dock)
    settle(qtbot)
    assert not dock.undo.busy
    part = viewer.layers[-1]
    assert whole in viewer.layers
    assert 0 < (part.data > 0).sum() < part.data.size
    assert dock.run.message.text().startswith("Following the view: ")


def test_the_plan_and_the_time_are_said_before_the_run(qtbot, viewer, dock) -> None:
    viewer.add_image(image(200, 200))
    give(dock, small_model())
    qtbot.waitUntil(lambda: "About" in dock.run.plan.text(), timeout=60_000)
    assert dock.run.plan.text().endswith("· 40,000 px · 1 tile")
    assert "tiles of 200 × 200 pixels" in dock.run.plan.toolTip()
    assert "CPU" in dock.run.plan.text()
    dock.settings.tile.setValue(50)
    qtbot.waitUntil(lambda: "· 16 tiles" in dock.run.plan.text(), timeout=60_000)
    assert "tiles of 50 × 50 pixels" in dock.run.plan.toolTip()
