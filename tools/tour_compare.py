"""The steps of the tour that are about the compare dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tour_step import Step

if TYPE_CHECKING:
    from tour_stage import Stage


def _compare(stage: Stage) -> None:
    stage.open_compare_dock()
    dock = stage.dock
    stage.click(dock.masks.compare)
    stage.wait(lambda: dock.controller.view is not None, "where they differ")
    stage.viewer.reset_view()
    stage.top(dock.masks)


def _confuse(stage: Stage) -> None:
    dock = stage.dock
    tabs = dock.measure.tabs
    stage.show(dock.measure)
    tabs.setCurrentIndex(next(i for i in range(tabs.count()) if tabs.tabText(i) == "Confusion"))
    table, cell = dock.measure.confusion_table, dock.measure.confusion.index(2, 0)
    stage.show(table)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(cell).center())
    stage.wait(lambda: dock.controller.shown.light is not None, "the pixels")
    stage.top(dock.see)


def _swipe(stage: Stage) -> None:
    dock = stage.dock
    dock.controller.shown.hide(dock.controller.shown.light)
    stage.viewer.reset_view()
    stage.click(dock.see.agreement)
    stage.click(dock.see.swipe)
    stage.top(dock.see)


def _leave_swipe(stage: Stage) -> None:
    stage.click(stage.dock.see.swipe)


COMPARE_STEPS = (
    Step(
        "compare",
        "Compare two masks",
        "Open *Layers ▸ Measure ▸ Compare masks* and press **Compare**: here the truth of the sample *Fluorescent "
        "cells with two masks to compare* and a mask made without a network. The colours show where both agree and "
        "where only one has a cell; a sentence says how much, and tables say the rest. Rest the mouse on a score, and "
        "it is explained.",
        _compare,
        film=False,
    ),
    Step(
        "confusion",
        "What is taken for what",
        "Click a cell of the confusion matrix: its pixels light up, and the view goes to where most of them are. "
        "**Next worst place** goes from one difference to the next, missed cells before thin outlines.",
        _confuse,
        film=False,
    ),
    Step(
        "swipe",
        "A swipe line, flicker, side by side",
        "With **Swipe line**, A is on one side of a line that you drag, and B on the other. **Flicker** shows them in "
        "turns, **Side by side** in two views that go together.",
        _swipe,
        leave=_leave_swipe,
        film=False,
    ),
)
