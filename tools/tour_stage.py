"""The real window with hands to use it, and what its dock says: what the tour is driven with."""

from __future__ import annotations

import re
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QGroupBox,
    QLabel,
    QLineEdit,
    QMenu,
    QScrollArea,
    QTableWidget,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TIMEOUT = 180
SIZE = (1200, 800)
DOCK_WIDTH = 360
_CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QMenu)


class Stage:
    """A viewer with the dock, and hands to use them.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    look : callable, optional
        Called again and again while something is waited for.
    """

    def __init__(self, viewer: Any, look: Callable[[], None] | None = None) -> None:
        self.viewer = viewer
        self.window: QWidget = viewer.window._qt_window
        self.dock: Any = None
        self.look = look or (lambda: None)
        self.pointer: QPoint | None = None  # where in the window is about to be clicked
        self.window.resize(*SIZE)
        screen = self.window.screen().availableGeometry()
        self.window.move(max(screen.right() + 1 - SIZE[0], 0), screen.top())  # Qt keeps menus on the screen
        self.window.show()

    def open_dock(self) -> None:
        """Open the dock, as napari's menu does it."""
        area, self.dock = self.viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")
        self.window.resizeDocks([area], [DOCK_WIDTH], Qt.Orientation.Horizontal)
        self.wait(lambda: self.dock.isAncestorOf(self.dock.shortcuts), "the dock")
        self.wait(lambda: "ready" in self.dock.engine.text(), "the engine")

    def open_compare_dock(self) -> None:
        """Open the sample with two masks, and the compare dock in the place of the other one."""
        window = self.viewer.window
        window.remove_dock_widget(self.dock)
        self.viewer.layers.clear()
        self.viewer.open_sample("napari-fcnseg", "cells_to_compare")
        area, self.dock = window.add_plugin_dock_widget("napari-fcnseg", "Compare masks")
        self.window.resizeDocks([area], [DOCK_WIDTH], Qt.Orientation.Horizontal)
        self.wait(lambda: self.dock.isAncestorOf(self.dock.probability), "the dock")

    def said(self) -> str:
        """Return what the dock said last."""
        part = self.dock.run if hasattr(self.dock, "run") else self.dock.masks
        text: str = part.message.text()
        return text

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Let the window live until something holds."""
        end = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"Waited {TIMEOUT} s for {what} in vain. It says: {self.said()!r}")
            self.look()
            settle(0.01)

    def show(self, widget: QWidget) -> None:
        """Scroll so that a part of the dock is seen."""
        settle(0.05)  # what was unfolded just now takes its place first
        if self.dock.isAncestorOf(widget) and widget.window() is self.window:
            self.dock.findChild(QScrollArea).ensureWidgetVisible(widget, 0, 20)
        settle(0.05)

    def top(self, widget: QWidget) -> None:
        """Scroll so that a part of the dock is at the top, if there is enough below it."""
        settle(0.05)
        scroll = self.dock.findChild(QScrollArea)
        scroll.verticalScrollBar().setValue(widget.mapTo(scroll.widget(), QPoint(0, 0)).y() - 6)
        settle(0.05)

    def point(self, x: float, y: float) -> None:
        """Move the mouse over the canvas; ``x`` and ``y`` are parts of its size."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        at = QPoint(round(canvas.width() * x), round(canvas.height() * y))
        QTest.mouseMove(canvas, at - QPoint(3, 3))
        QTest.mouseMove(canvas, at)
        settle(0.3)  # until the status bar says what is there

    def click(self, widget: QWidget) -> None:
        """Click on a part of the dock."""
        self.show(widget)
        at = widget.rect().center()
        if isinstance(widget, QCheckBox):
            at.setX(10)  # only its words and its box take a click
        self._press(widget, at)

    def open_menu(self, button: Any) -> None:
        """Open the menu that a button has.

        A click would have Qt wait in there until the menu is closed, and nobody would be left to close it.
        """
        self.show(button)
        self.pointer = self.window.mapFromGlobal(button.mapToGlobal(button.rect().center()))
        self.look()
        self.pointer = None
        button.menu().popup(button.mapToGlobal(button.rect().bottomLeft()))
        settle(0.05)

    def pick(self, text: str) -> None:
        """Click on an entry of the open menu."""
        menu = popup()
        assert isinstance(menu, QMenu), "opened before"
        entry = next(action for action in menu.actions() if action.text().startswith(text))
        self._press(menu, menu.actionGeometry(entry).center())

    def write(self, box: QWidget, text: str) -> None:
        """Write over what stands in a text line."""
        self.show(box)
        QTest.keySequence(box, "Ctrl+A")
        QTest.keyClicks(box, text)
        QTest.keyClick(box, Qt.Key.Key_Return)

    def _press(self, widget: QWidget, at: QPoint) -> None:
        self.pointer = self.window.mapFromGlobal(widget.mapToGlobal(at))
        self.look()
        self.pointer = None
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=at)
        settle(0.05)

    def says(self, *beginnings: str) -> None:
        """Wait for the end of what runs; the dock has to say one of these then."""
        self.wait(lambda: not self.dock.controller.running, "the end of the run")
        said = self.dock.run.message.text()
        if not said.startswith(beginnings):
            raise RuntimeError(f"The dock was to say {' or '.join(beginnings)!r}, and says {said!r}.")

    def rest(self) -> None:
        """Wait until nothing runs, and nothing begins to."""
        since = time.monotonic()

        def resting() -> bool:
            nonlocal since
            if self.dock.controller.running:
                since = time.monotonic()
            return time.monotonic() - since > 0.5

        self.wait(resting, "the end of the run")

    def dialog(self) -> QDialog:
        """Return the open dialog."""
        return next(w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible())


def settle(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while True:
        QApplication.processEvents()
        if time.monotonic() > end:
            return
        time.sleep(0.002)


def popup() -> QWidget | None:
    """Return the open menu."""
    return QApplication.activePopupWidget()


def shown(stage: Stage) -> dict[str, Any]:
    """Return what the dock and its dialogs say, without what another computer would say otherwise."""
    dock = stage.dock
    about_this_computer: tuple[QWidget, ...] = ()
    if hasattr(dock, "run"):
        about_this_computer = (dock.run.plan, dock.run.message, dock.engine, dock.result.about, dock.result.message)
    found: dict[str, set[str]] = {kind: set() for kind in ("titles", "buttons", "texts", "choices", "placeholders")}
    tips = set()
    for widget in (w for w in dock.findChildren(QWidget) if w.isVisibleTo(dock) and w not in about_this_computer):
        kind, texts = _texts(widget)
        found[kind] |= {plain for text in texts if (plain := masked(text))}
        if isinstance(widget, _CONTROLS):
            tips.add(masked(widget.toolTip()))
    digest = sha256("\n".join(sorted(tips)).encode()).hexdigest()[:16]
    return {kind: sorted(texts) for kind, texts in found.items()} | {"tooltips": digest}


def _texts(widget: QWidget) -> tuple[str, Iterable[str]]:
    """Return what kind of thing a widget is, and what it says."""
    if isinstance(widget, QGroupBox | QDialog):
        return "titles", [widget.title() if isinstance(widget, QGroupBox) else widget.windowTitle()]
    if isinstance(widget, QAbstractButton):
        return "buttons", [widget.text()]
    if isinstance(widget, QComboBox):
        return "choices", [widget.itemText(index) for index in range(widget.count())]
    if isinstance(widget, QMenu):
        return "choices", [action.text() for action in widget.actions()]
    if isinstance(widget, QTableWidget):
        items = [widget.horizontalHeaderItem(column) for column in range(widget.columnCount())]
        return "titles", [item.text() for item in items if item is not None]
    if isinstance(widget, QAbstractSpinBox):
        return "placeholders", [widget.specialValueText()]
    if isinstance(widget, QLineEdit):
        return "placeholders", [widget.placeholderText()]
    return "texts", [widget.text()] if isinstance(widget, QLabel) else []


def masked(text: str) -> str:
    """Return a text without markup, and with ``#`` for colours, numbers and the rest of a path."""
    text = re.sub(r"<[^>]*>", " ", text).replace("\u200b", "").replace("&nbsp;", " ")
    text = re.sub(r"#[0-9a-fA-F]{6}|(?:/|\b[A-Z]:\\)[\w.\\/-]{3,}|\d[\d,.]*\d|\d", "#", text)
    return " ".join(text.split())
