"""A dock that is closed is gone at once, with all it did, and Python's garbage collector finds nothing half alive."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from compare_helpers import LEFT
from napari_helpers import settle
from qtpy.QtCore import QObject
from qtpy.QtTest import QTest

from napari_fcnseg._napari.widgets import panel
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg.errors import FcnSegError

DOCKS = ("Dense segmentation", "Compare masks")


@pytest.mark.parametrize("name", DOCKS)
def test_a_dock_that_is_closed_with_its_x_is_gone(qtbot, viewer, name) -> None:
    viewer.window._qt_window.show()
    for _ in range(2):
        dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", name)[1]
        settle(qtbot)
        with qtbot.waitSignal(dock.destroyed):
            QTest.mouseClick(dock.parent().title.close_button, LEFT)
        del dock
        gc.collect()
    viewer.add_labels(np.eye(5, dtype=int))  # nothing of the docks listens any more
    settle(qtbot)


@pytest.mark.parametrize("name", DOCKS)
@pytest.mark.parametrize(("version", "binding"), [("5.15.2", "PyQt5"), ("6.3.1", "PySide6")])
def test_a_qt_that_is_too_old_is_said(monkeypatch, viewer, name, version, binding) -> None:
    monkeypatch.setattr(panel, "QT_VERSION", version)
    monkeypatch.setattr(panel, "API_NAME", binding)
    with pytest.raises(FcnSegError, match=rf"needs Qt 6\.4 or newer.* Qt {version} \({binding}\).*pip install"):
        viewer.window.add_plugin_dock_widget("napari-fcnseg", name)


@pytest.mark.parametrize("name", DOCKS)
def test_the_garbage_collector_may_come_before_qt(qtbot, viewer, name) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", name)[1]
    settle(qtbot)
    ended = []
    at_end(dock, lambda: ended.append(name))
    viewer.window.remove_dock_widget(dock)
    del dock
    gc.collect()  # no turn of the event loop has come
    assert not ended
    qtbot.waitUntil(lambda: ended == [name])


def test_a_dock_that_is_docked_elsewhere_stays(qtbot, viewer) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", DOCKS[1])[1]
    settle(qtbot)
    viewer.window.remove_dock_widget(dock)
    viewer.window.add_dock_widget(dock, name="elsewhere", area="left")
    settle(qtbot)
    viewer.add_labels(np.eye(5, dtype=int), name="first")
    viewer.add_labels(np.eye(5, dtype=int), name="second")
    settle(qtbot)
    assert dock.masks.truth.count() == 2


def test_what_is_to_be_done_at_the_end_is_done_once_whoever_ends_it(qapp) -> None:
    class Owner(QObject):
        """Something that Python would find garbage together with its own functions."""

    done: list[str] = []
    for end in ("garbage", "qt"):
        owner = Owner()
        owner.itself, owner.function = owner, lambda owner=owner: owner
        at_end(owner, lambda end=end: done.append(end))
        if end == "qt":
            child, parent = owner, QObject()
            child.setParent(parent)
            del child, owner
            gc.collect()
            assert done == ["garbage"], "it has a parent that holds it"
            del parent
        else:
            del owner
        gc.collect()
    assert done == ["garbage", "qt"]
