"""What the tests of the compare dock share: driving it as a person does."""

from __future__ import annotations

from typing import Any

from napari_helpers import settle
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

LEFT = Qt.MouseButton.LeftButton


def open_dock(qtbot: Any, viewer: Any) -> Any:
    """Open the dock, as napari's menu does it, and wait until all of it is there."""
    viewer.window._qt_window.show()
    dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Compare masks")[1]
    qtbot.waitUntil(lambda: dock.isAncestorOf(dock.keep) and dock.isAncestorOf(dock.probability))
    settle(qtbot)
    return dock


def choose(dock: Any, truth: Any, *masks: Any) -> None:
    """Choose the truth, and check masks and no others."""
    combo = dock.masks.truth
    index = next(i for i, layer in enumerate(dock.masks._layers) if layer is truth)
    combo.setCurrentIndex(index)
    combo.activated.emit(index)
    for item, layer in dock.masks._items():
        on = any(layer is mask for mask in masks)
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def compared(qtbot: Any, dock: Any, timeout: int = 60_000) -> str:
    """Press Compare and wait until all is known; return the result in words."""
    dock.controller.view = None
    QTest.mouseClick(dock.masks.compare, LEFT)
    qtbot.waitUntil(lambda: dock.controller.view is not None or bool(dock.masks.message.styleSheet()), timeout=timeout)
    assert not dock.masks.message.styleSheet(), dock.masks.message.text()
    return dock.measure.headline.text()


def show_tab(qtbot: Any, dock: Any, name: str) -> None:
    """Bring a tab of the tables to the front."""
    tabs = dock.measure.tabs
    index = next(i for i in range(tabs.count()) if tabs.tabText(i) == name)
    assert tabs.isTabVisible(index)
    tabs.setCurrentIndex(index)
    settle(qtbot)


def click(qtbot: Any, table: Any, row: int, column: int) -> None:
    """Click on a cell of a table."""
    index = table.model().index(row, column)
    table.scrollTo(index)
    settle(qtbot)
    QTest.mouseClick(table.viewport(), LEFT, pos=table.visualRect(index).center())


def shot(qtbot: Any, viewer: Any) -> Any:
    """Return the canvas as a person sees it."""
    qtbot.wait(100)
    return viewer.screenshot(canvas_only=True, flash=False)


def untold(dock: QWidget) -> list[str]:
    """Return the controls that no tooltip explains, or that have no name for those who do not see them."""
    from qtpy.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QScrollBar

    kinds = (QAbstractButton, QAbstractSpinBox, QAbstractSlider, QComboBox, QLineEdit)
    own = [widget for widget in dock.findChildren(QWidget) if isinstance(widget, kinds)]
    own = [w for w in own if not isinstance(w, QScrollBar) and not w.objectName().startswith("qt_")]
    own = [w for w in own if not isinstance(w.parent(), (QAbstractSpinBox, QComboBox))]
    bare = [w for w in own if not w.toolTip() and type(w).__name__ not in ("QTableCornerButton", "QToolButton")]
    return [f"{type(w).__name__} {getattr(w, 'text', str)()!r}" for w in bare]
