"""Whatever the window's size and theme: no word is cut, nothing scrolls sideways, Run is in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cut_text import cut_text
from napari_helpers import finish, give, image, settle, small_model
from qtpy.QtCore import QPoint, QRect
from qtpy.QtWidgets import QAbstractButton, QLabel, QScrollArea

from napari_fcnseg._napari.compare.dock import CompareMasks
from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.widgets.form import QuietCombo
from napari_fcnseg._napari.widgets.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

#: napari's own first window, and a small laptop's screen.
SIZES = ((1089, 630), (1280, 800))


def looks(qtbot: Any, viewer: Any) -> Iterator[str]:
    """Give the window each size and theme, but leave it at first as it came to be; yield which."""
    window = viewer.window._qt_window
    qtbot.wait(300)
    yield "as it is"
    for size in SIZES:
        window.resize(*size)
        for theme in ("dark", "light"):
            viewer.theme = theme
            qtbot.wait(50)
            yield f"{size} {theme}"


def check(qtbot: Any, viewer: Any, dock: Any) -> None:
    """Look at the dock in every size and theme."""
    window = viewer.window._qt_window
    for look in looks(qtbot, viewer):
        assert cut_text(dock, (QuietCombo,)) == [], look
        assert dock.findChild(QScrollArea).horizontalScrollBar().maximum() == 0, look
        for button in (dock.run.run, dock.run.verify):
            place = QRect(button.mapTo(window, QPoint(0, 0)), button.size())
            assert window.rect().contains(place), (look, button.text(), place)
            assert not button.visibleRegion().isEmpty(), (look, button.text())


@pytest.fixture
def shown(make_napari_viewer: Any) -> Any:
    """Return a viewer whose window is shown."""
    return make_napari_viewer(show=True)


def test_no_word_is_cut_and_run_is_in_sight(qtbot: Any, shown: Any) -> None:
    viewer = shown
    dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
    qtbot.waitUntil(lambda: dock.isAncestorOf(dock.shortcuts))
    assert dock.width() == pytest.approx(340, abs=4)
    check(qtbot, viewer, dock)

    for name in ("a nucleus that was stained and photographed in March", "cytoplasm"):
        viewer.add_image(1000 + 50 * image(200, 200), name=name, scale=(0.65, 0.65), units=("um", "um"))
    hints = ModelHints(channel_names=("nucleus", "cytoplasm"), class_names=("background", "edge of cells", "interior"))
    give(dock, small_model(channels=2), hints=hints)
    settle(qtbot)
    qtbot.waitUntil(lambda: "About" in dock.run.plan.text(), timeout=60_000)
    qtbot.waitUntil(lambda: dock.normalisation.doubtful, timeout=20_000)  # it is not prepared: the warning is there
    check(qtbot, viewer, dock)

    dock.run.verify.click()
    finish(qtbot, dock)
    assert dock.run.message.text().startswith("Conversion check passed")
    for section in dock.findChildren(Section):
        section.unfold()
    qtbot.wait(100)
    check(qtbot, viewer, dock)
    assert not dock.result.save.visibleRegion().isEmpty()  # beside Run, whatever is scrolled

    dock.run.complain("The image cannot be read: " + "/a/very/long/name/of/a/folder" * 6 + "/image.tif is damaged.")
    check(qtbot, viewer, dock)


def test_the_first_sample_covers_nothing(qtbot: Any, shown: Any) -> None:
    """Rows came one by one while the first image was understood, and the last one lay on the strip of axes."""
    dock = shown.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
    qtbot.waitUntil(lambda: dock.isAncestorOf(dock.shortcuts))
    next(button for button in dock.model.tries.findChildren(QAbstractButton) if button.text() == "cells").click()
    qtbot.waitUntil(lambda: "About" in dock.run.plan.text(), timeout=60_000)
    check(qtbot, shown, dock)


def test_our_docks_are_tabs_of_one_place(qtbot: Any, shown: Any) -> None:
    """One above the other, both would be too low; a person may still drag them apart."""
    viewer = shown
    names = ("Dense segmentation", "Compare masks")
    docks = [viewer.window.add_plugin_dock_widget("napari-fcnseg", name)[1] for name in names]
    qtbot.waitUntil(lambda: docks[0].visibleRegion().isEmpty() and not docks[1].visibleRegion().isEmpty())
    assert isinstance(docks[1], CompareMasks)
    qtbot.waitUntil(lambda: docks[1].isAncestorOf(docks[1].probability))
    for look in looks(qtbot, viewer):
        assert cut_text(docks[1]) == [], look


def test_what_is_cut_is_found(qtbot: Any) -> None:
    label = QLabel("Labels appear tile by tile")
    qtbot.addWidget(label)
    holder = QLabel()
    qtbot.addWidget(holder)
    label.setParent(holder)
    holder.show()
    label.resize(200, 30)
    assert cut_text(holder) == []
    label.resize(20, 30)
    assert len(cut_text(holder)) == 1
