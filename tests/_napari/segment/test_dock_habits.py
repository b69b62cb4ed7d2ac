"""What a person expects of any dock: keys, undo, folding, memory of the last settings, room for its words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from napari_helpers import give, image, run, settle, small_model
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QShortcut,
    QWidget,
)

from napari_fcnseg._napari.segment.run.settings_box import SettingsBox

CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)


def controls(dock) -> list[QWidget]:
    """Return the controls that a person sees and may use, those inside of others left out."""
    found = [w for w in dock.findChildren(QWidget) if isinstance(w, CONTROLS) and w.isVisibleTo(dock) and w.isEnabled()]
    return [w for w in found if not isinstance(w.parent(), CONTROLS) and not w.objectName().startswith("qt_")]


@pytest.fixture
def opened(qtbot, viewer, dock):
    """Return the dock in a window on the screen, everything unfolded, with an image and an ensemble."""
    viewer.window._qt_window.show()
    viewer.add_image(image(40, 50))
    give(dock, small_model(), small_model(seed=1))
    qtbot.waitUntil(lambda: dock.isAncestorOf(dock.shortcuts), timeout=5000)  # its parts come one by one
    for heading in dock.findChildren(QAbstractButton):
        if heading.isCheckable() and heading.text() in ("Advanced", "Shortcuts", "Objects"):
            heading.setChecked(True)
    qtbot.wait(300)
    return dock


def test_the_latest_result_goes_with_one_key_and_comes_back_with_another(qtbot, viewer, dock) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(image(40, 50))
    give(dock, small_model())
    run(qtbot, dock)
    labels = viewer.layers[-1]
    window = viewer.window._qt_window
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    dock.run.run.setFocus()
    qtbot.keyClick(dock.run.run, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert labels not in viewer.layers
    qtbot.keyClick(dock.run.run, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert viewer.layers[-1] is labels
    dock.undo.undo()
    assert not dock.undo.undo()  # the image is no result


def test_undo_after_remove_brings_back_what_was_removed(qtbot, viewer, dock) -> None:
    viewer.add_image(image(40, 50))
    give(dock, small_model())
    run(qtbot, dock)
    give(dock, small_model(seed=1))
    run(qtbot, dock)
    _, first, second = viewer.layers
    viewer.layers.selection.active = first
    settle(qtbot)
    dock.result.delete.click()
    assert list(viewer.layers)[1:] == [second]
    assert dock.undo.undo()
    assert set(list(viewer.layers)[1:]) == {first, second}
    assert dock.undo.redo()
    assert list(viewer.layers)[1:] == [second]
    assert dock.undo.undo()
    viewer.layers.remove(second)  # with napari's own button
    assert dock.undo.undo()
    assert set(list(viewer.layers)[1:]) == {first, second}
    assert dock.undo.undo()
    assert list(viewer.layers)[1:] == [first], "the latest result"


def test_a_run_that_replaced_a_result_is_undone_in_one_step(qtbot, viewer, dock) -> None:
    viewer.add_image(image(40, 50))
    give(dock, small_model())
    run(qtbot, dock)
    first = viewer.layers[-1]
    dock.settings.border.value = "edge"
    settle(qtbot)
    run(qtbot, dock)
    (_, second) = viewer.layers
    assert second is not first
    assert dock.undo.undo()
    qtbot.waitUntil(lambda: not dock.undo.busy)
    assert list(viewer.layers)[1:] == [first]
    assert dock.undo.redo()
    qtbot.waitUntil(lambda: not dock.undo.busy)
    assert list(viewer.layers)[1:] == [second]


def test_each_key_is_listed_and_none_is_napari_s_own(qtbot, viewer, opened) -> None:
    keys = [
        shortcut.key().toString(QKeySequence.SequenceFormat.NativeText) for shortcut in opened.findChildren(QShortcut)
    ]
    listed = [label.text() for label in opened.shortcuts.findChildren(QLabel)]
    assert keys
    assert set(keys) <= set(listed)
    taken = {action.shortcut().toString() for action in viewer.window._qt_window.actions()}
    for menu in viewer.window._qt_window.menuBar().actions():
        taken |= {action.shortcut().toString() for action in menu.menu().actions()} if menu.menu() else set()
    portable = {shortcut.key().toString() for shortcut in opened.findChildren(QShortcut)}
    assert not portable & (taken - {""}) - {"Ctrl+Z", "Ctrl+Shift+Z"}


def test_every_control_is_reached_with_tab_from_top_to_bottom(qtbot, viewer, opened) -> None:
    wanted = controls(opened)
    assert len(wanted) > 20
    assert not [w for w in wanted if not w.focusPolicy() & Qt.FocusPolicy.TabFocus and not isinstance(w, QLabel)]
    chain, widget = [], opened
    for _ in range(2000):
        widget = widget.nextInFocusChain()
        if widget is opened:
            break
        if widget in wanted:
            chain.append(widget)
    assert set(chain) == set(wanted)
    below = 10**6  # the footer is under all that scrolls, however far that goes
    heights = [w.mapTo(opened, w.rect().center()).y() + below * opened.run.isAncestorOf(w) for w in chain]
    jumps = sum(b < a - 2 * chain[0].height() for a, b in itertools.pairwise(heights))
    assert jumps == 0, [w.toolTip()[:40] for w in chain]


def test_every_control_says_what_it_is_for(opened) -> None:
    assert not [(type(w), getattr(w, "text", str)()) for w in controls(opened) if not w.toolTip()]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_off_at_300_pixels(qtbot, viewer, opened, theme) -> None:
    viewer.theme = theme
    scroll = opened.findChild(QScrollArea)
    opened.setMinimumWidth(0)
    assert scroll.widget().minimumSizeHint().width() <= 300
    scroll.widget().resize(300, scroll.widget().heightForWidth(300) if scroll.widget().hasHeightForWidth() else 2000)
    qtbot.wait(50)
    for widget in opened.findChildren(QAbstractButton) + opened.findChildren(QLabel):
        if not widget.isVisibleTo(opened) or not widget.text() or (isinstance(widget, QLabel) and widget.wordWrap()):
            continue
        text = widget.text().replace("&", "")
        needed = widget.fontMetrics().horizontalAdvance(text) if "<" not in text else widget.sizeHint().width()
        assert widget.width() >= needed, f"{text!r} has {widget.width()} of {needed} pixels"


def test_the_last_settings_are_there_again_but_not_what_is_less_exact(qtbot, viewer, dock) -> None:
    viewer.add_image(image(40, 50))
    give(dock, small_model())
    dock.settings.border.value = "edge"
    dock.settings.confidence.value = True
    dock.settings.precision.value = "bfloat16"
    run(qtbot, dock)
    again = SettingsBox()
    qtbot.addWidget(again)
    assert again.border.value == "edge"
    assert again.confidence.value is True
    assert again.precision.value == "float32"
    again.border.value = "reflect"
    again.confidence.value = False
    again.keep()


def test_a_wrong_memory_of_the_last_settings_does_no_harm(qtbot, monkeypatch) -> None:
    monkeypatch.setattr(
        "napari_fcnseg._napari.segment.run.settings_box.recall",
        lambda *_: {"border": "nonsense", "method": 3, "preview": "x"},
    )
    box = SettingsBox()
    qtbot.addWidget(box)
    assert box.settings().border == "reflect"
    np.testing.assert_equal(box.preview.value, True)


def test_an_empty_window_says_what_to_do_next(qtbot, viewer, dock) -> None:
    settle(qtbot)
    assert "Open an image" in dock.image.mapping.text()
    assert "Choose a file" in dock.model.about.text()
    assert "Choose" in run(qtbot, dock)
