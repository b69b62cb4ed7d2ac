"""Every end of a run leaves the dock ready and the session alive."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from napari_helpers import SlowImage, finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg.engine import engine


@pytest.fixture
def slow(qtbot, viewer, dock):
    """Return a layer with a slow stack of 4 frames whose run has just shown its first frame."""
    data = SlowImage(image(4, 20, 20))
    layer = viewer.add_image(data, name="slow", contrast_limits=(0, 1))
    give(dock, small_model())
    settle(qtbot)
    data.go.clear()
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    yield layer
    data.go.set()


def test_cancel_keeps_what_is_done(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(400, 400)
    viewer.add_image(data)
    give(dock, model)
    dock.settings.tile.setValue(10)
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    dock.run.cancel.click()
    assert dock.run.cancel.text() == "Stopping…"
    said = finish(qtbot, dock)
    assert said.startswith("Stopped: ")
    done = viewer.layers[-1].data > 0
    assert 0 < done.sum() < data.size
    np.testing.assert_array_equal(viewer.layers[-1].data[done], segment(data, model).labels[done])
    dock.settings.tile.setValue(0)
    assert run(qtbot, dock).startswith("Done")


def test_a_killed_engine_is_replaced_in_mid_run_and_the_user_is_told(qtbot, viewer, dock, slow) -> None:
    before = engine().pid
    os.kill(before, signal.SIGSTOP)  # or it may be between two frames when it dies: it is replaced then, unnoticed
    slow.data.go.set()
    qtbot.waitUntil(lambda: 3 in slow.data.read, timeout=20_000)  # as one is read ahead, the one before is under way
    os.kill(before, signal.SIGKILL)
    said = finish(qtbot, dock)
    assert said.startswith("Done: 4 × 20 × 20")
    assert "The computing process crashed" in said
    assert engine().pid != before
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(slow.data.data, small_model()).labels)
    qtbot.waitUntil(lambda: "ready on" in dock.engine.text(), timeout=5000)


def test_the_source_may_be_deleted_in_mid_run(qtbot, viewer, dock, slow) -> None:
    viewer.layers.remove(slow)
    slow.data.go.set()
    assert finish(qtbot, dock).startswith("Done")
    assert viewer.layers[-1].name == "slow · small0"
    assert viewer.layers[-1].data.min() > 0
    assert "No image was chosen" in run(qtbot, dock)


def test_a_new_name_does_not_lead_a_run_astray(qtbot, viewer, dock, slow) -> None:
    slow.name = "renamed"
    viewer.add_image(image(4, 20, 20, seed=9), name="slow")
    slow.data.go.set()
    assert finish(qtbot, dock).startswith("Done")
    np.testing.assert_array_equal(viewer.layers[1].data, segment(slow.data.data, dock.models).labels)


def test_deleting_the_result_stops_the_run(qtbot, viewer, dock, slow) -> None:
    viewer.layers.remove(viewer.layers[-1])
    assert not dock.run.cancel.isEnabled()
    slow.data.go.set()
    assert finish(qtbot, dock).startswith("Stopped")
    assert list(viewer.layers) == [slow]


def test_closing_the_dock_stops_the_run(qtbot, viewer, dock, slow) -> None:
    controller = dock.controller
    stop = controller._stops[-1]
    viewer.window.remove_dock_widget(dock)
    dock.deleteLater()
    qtbot.waitUntil(stop.is_set, timeout=5000)
    slow.data.go.set()
    qtbot.wait(200)
    viewer.add_image(image(5, 5))  # nothing of the dock listens any more


def test_closing_the_viewer_in_mid_run(qtbot, viewer, dock, slow) -> None:
    from napari.qt.threading import WorkerBase

    viewer.close()
    slow.data.go.set()
    qtbot.waitUntil(lambda: not WorkerBase._worker_set, timeout=10_000)


def test_the_engine_is_one_and_stays(qtbot, viewer, dock) -> None:
    viewer.add_image(image(20, 20))
    give(dock, small_model())
    run(qtbot, dock)
    pid = engine().pid
    run(qtbot, dock)
    assert engine().pid == pid
