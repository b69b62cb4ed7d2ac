"""A result that was stopped looks stopped, and can be resumed from any dock of the session."""

from __future__ import annotations

import numpy as np
from napari.utils.progress import progress
from napari_helpers import ONNX, SlowImage, choose, finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.metadata import METADATA

DATA = image(4, 40, 40)  # napari begins with the second frame, which nothing holds up


def begin(qtbot, viewer, dock) -> SlowImage:
    """Begin a run that lasts until it is stopped, wait for its first frame, and return what holds it up."""
    data = SlowImage(DATA)
    viewer.add_image(data, name="noise", contrast_limits=(0, 1))
    give(dock, small_model())
    settle(qtbot)
    data.go.clear()
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    return data


def check_looks_stopped(layer) -> None:
    done, total = layer.metadata[METADATA]["tiles"]
    assert 0 < done < total
    assert layer.name == f"noise · small0 ({done:,} of {total:,} tiles)"
    assert layer.colormap.map(0)[3] > 0, "what is not computed is veiled"
    assert layer.features["class"][0] == "not computed"


def check_looks_whole(layer) -> None:
    assert layer.name == "noise · small0"
    assert layer.colormap.map(0)[3] == 0
    assert layer.features["class"][0] == "not labelled"
    for frame, labels in zip(DATA, layer.data, strict=True):
        np.testing.assert_array_equal(labels, segment(frame, small_model()).labels)


def test_a_stopped_result_looks_so_and_is_resumed_when_it_is_selected(qtbot, viewer, dock) -> None:
    slow = begin(qtbot, viewer, dock)
    dock.run.cancel.click()
    slow.go.set()
    finish(qtbot, dock)
    stopped = viewer.layers[-1]
    check_looks_stopped(stopped)
    assert "Stopped: " in dock.result.about.text()
    give(dock, small_model(seed=1))
    run(qtbot, dock)
    assert not dock.run.resume.isVisibleTo(dock), "the selected result is whole"
    viewer.layers.selection.active = stopped
    settle(qtbot)
    assert dock.run.resume.isVisibleTo(dock)
    dock.run.resume.click()
    assert finish(qtbot, dock).startswith("Done")
    check_looks_whole(stopped)
    assert len(viewer.layers) == 3


def test_closing_the_dock_leaves_no_bar_and_a_new_dock_resumes(qtbot, viewer, dock) -> None:
    slow = begin(qtbot, viewer, dock)
    qtbot.waitUntil(lambda: bool(progress._all_instances), timeout=60_000)
    stops = dock.controller._stops
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(stops[-1].is_set)
    slow.go.set()
    qtbot.waitUntil(lambda: not progress._all_instances, timeout=20_000)
    stopped = viewer.layers[-1]
    check_looks_stopped(stopped)
    again = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
    qtbot.waitUntil(lambda: again.run.resume.isVisibleTo(again), timeout=20_000)
    again.run.resume.click()
    assert finish(qtbot, again).startswith("Done")
    check_looks_whole(stopped)


def test_a_stopped_result_is_saved_and_resumed_from_its_file(qtbot, viewer, dock, tmp_path, told) -> None:
    layer = viewer.add_image(image(2, 300, 310), name="noise")
    choose(qtbot, dock, ONNX / "residual.ts.onnx")
    dock.settings.tile.setValue(20)
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    dock.run.cancel.click()
    finish(qtbot, dock)
    stopped = viewer.layers[-1]
    done, total = stopped.metadata[METADATA]["tiles"]
    before = stopped.data.copy()
    path = tmp_path / "part.tif"
    dock.result.save_as(str(path))
    qtbot.waitUntil(lambda: "Saved" in dock.result.message.text(), timeout=30_000)
    viewer.layers.remove(stopped)
    settle(qtbot)
    computed = []
    dock.controller.begun.connect(lambda: computed.append(1))
    dock.resume_file(str(path))
    qtbot.waitUntil(lambda: bool(computed), timeout=60_000)
    assert finish(qtbot, dock).startswith("Done")
    whole = viewer.layers[-1]
    np.testing.assert_array_equal(whole.data, segment(layer.data, ONNX / "residual.ts.onnx").labels)
    np.testing.assert_array_equal(whole.data[before > 0], before[before > 0])
    assert whole.metadata[METADATA]["tiles"] == [total, total]
    assert 0 < done < total

    layer.data = image(2, 300, 310, seed=9)
    settle(qtbot)
    dock.resume_file(str(path))
    qtbot.waitUntil(lambda: any("is of another image" in text for text in told()), timeout=60_000)
    dock.resume_file(str(tmp_path / "nothing.tif"))
    qtbot.waitUntil(lambda: any("is no result that was stopped" in text for text in told()), timeout=60_000)
