"""Opacity and outlines of the result: both ways with napari's own controls, and kept for the next result."""

from __future__ import annotations

import numpy as np
from napari_helpers import give, image, run, settle, small_model
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea, QSlider, QWidget

from napari_fcnseg._napari.layers.metadata import real


def test_the_look_goes_both_ways_and_on_to_the_next_result(qtbot, viewer, dock) -> None:
    viewer.add_image(image(40, 42), name="noise")
    assert dock.look.isHidden()
    give(dock, small_model())
    run(qtbot, dock)
    labels = viewer.layers[-1]
    assert not dock.look.isHidden()
    assert (dock.look.opacity.value(), dock.look.outlines.isChecked()) == (50, False)
    dock.look.opacity.setValue(80)
    dock.look.outlines.click()
    assert (labels.opacity, labels.contour) == (0.8, 1)
    labels.opacity, labels.contour = 0.3, 3  # as in napari's own controls
    assert (dock.look.opacity.value(), dock.look.outlines.isChecked()) == (30, True)
    controls = viewer.window._qt_viewer.controls.widgets[labels]
    sliders = [each for each in controls.findChildren(QSlider) if round(100 * labels.opacity) == each.value()]
    assert labels.contour == 3, "a width that napari was told stays"
    for slider in sliders:
        slider.setValue(40)
    assert dock.look.opacity.value() == round(100 * labels.opacity)

    other = viewer.add_labels(np.ones((40, 42), np.uint8), name="mine", opacity=0.9)
    settle(qtbot)
    viewer.layers.selection.active = viewer.layers["noise"]
    settle(qtbot)
    dock.normalisation.setFocus()
    look = (labels.opacity, labels.contour)
    give(dock, small_model(seed=3))
    run(qtbot, dock)
    newer = viewer.layers[-1]
    assert newer is not labels
    assert real(dock.look.layer) is real(newer)
    assert (newer.opacity, newer.contour) == look
    assert (other.opacity, other.contour) == (0.9, 0), "of nobody's but the dock's"
    dock.look.outlines.click()
    assert newer.contour == 0
    assert labels.contour == look[1], "the older one stays as it is"
    labels.opacity = 1.0
    assert dock.look.opacity.value() == round(100 * newer.opacity), "of the result that is shown"
    viewer.layers.clear()
    settle(qtbot)
    assert dock.look.isHidden()


def test_it_leaves_the_dock_narrow(qtbot, viewer, dock) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(image(40, 42), name="noise")
    give(dock, small_model())
    run(qtbot, dock)
    scroll = dock.findChild(QScrollArea)
    dock.setMinimumWidth(0)
    assert dock.look.isVisibleTo(dock)
    assert scroll.widget().minimumSizeHint().width() <= 300
    scroll.widget().resize(300, 2000)
    qtbot.wait(50)
    for part in dock.look.findChildren(QWidget):
        assert part.width() >= part.minimumSizeHint().width(), part
        assert part.toolTip() or not part.focusPolicy() & Qt.FocusPolicy.TabFocus
