"""Flicker, swipe line and linked views, by the pixels that are seen; and all is as it was when they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from compare_helpers import shot
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_fcnseg._napari.compare.see.camera import camera_of, go_to, grid_of
from napari_fcnseg._napari.compare.see.flicker import FASTEST, SLOWEST
from napari_fcnseg._napari.compare.see.see_box import SeeBox

if TYPE_CHECKING:
    from napari.layers import Labels

RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(viewer, color: str, name: str, shape=(40, 60)) -> Labels:
    """Add a layer that is of one colour everywhere."""
    look = DirectLabelColormap(color_dict={None: "black", 0: "black", 1: color})
    return viewer.add_labels(np.ones(shape, np.uint8), name=name, colormap=look, opacity=1.0)


@pytest.fixture
def box(qtbot, viewer):
    made = SeeBox(viewer)
    viewer.window.add_dock_widget(made, name="see")
    viewer.window._qt_window.resize(900, 600)
    viewer.window._qt_window.show()
    qtbot.wait(50)
    return made


def at(picture: np.ndarray, y: float, x: float) -> tuple[int, ...]:
    """Return the colour at a part of the canvas."""
    height, width = picture.shape[:2]
    return tuple(int(n) for n in picture[int(y * (height - 1)), int(x * (width - 1)), :3])


def test_what_is_seen_is_a_on_one_side_and_b_on_the_other(qtbot, viewer, box) -> None:
    assert not box.swipe.isEnabled()
    assert "Press Compare first" in box.swipe.toolTip()
    a, b = plain(viewer, "red", "a"), plain(viewer, "blue", "b")
    b.visible = False
    camera_of(viewer).zoom = 60  # the labels fill the canvas
    box.take(a, b)

    box.swipe.click()
    assert (a.visible, b.visible) == (True, True)
    seen = shot(qtbot, viewer)
    assert [at(seen, 0.5, x) for x in (0.1, 0.45, 0.55, 0.9)] == [RED, RED, BLUE, BLUE]
    box.line.setValue(20)
    seen = shot(qtbot, viewer)
    assert [at(seen, 0.5, x) for x in (0.1, 0.3)] == [RED, BLUE]
    camera_of(viewer).zoom = 80
    assert [at(shot(qtbot, viewer), 0.5, x) for x in (0.1, 0.3)] == [RED, BLUE], "zoom does not move the line"
    line = box.swiping._line
    QTest.mousePress(line, Qt.MouseButton.LeftButton, pos=QPoint(5, 50))
    QTest.mouseMove(line, QPoint(5 + line.parentWidget().width() // 2, 50))
    box.swiping._drag(QPoint(round(0.7 * line.parentWidget().width()), 50))
    assert box.line.value() == 70
    box.across.click()
    seen = shot(qtbot, viewer)
    assert [at(seen, y, 0.5) for y in (0.1, 0.6, 0.8)] == [RED, RED, BLUE]
    viewer.window._qt_window.resize(1100, 700)
    seen = shot(qtbot, viewer)
    assert [at(seen, y, 0.5) for y in (0.1, 0.6, 0.8)] == [RED, RED, BLUE], "nor does another size"
    viewer.dims.ndisplay = 3
    assert not box.swipe.isChecked()
    box.swipe.click()
    assert "2D" in box.message.text()
    viewer.dims.ndisplay = 2
    box.swipe.click()
    box.swipe.click()
    assert (a.visible, b.visible) == (True, False)
    assert at(shot(qtbot, viewer), 0.5, 0.9) == RED, "nothing is cut off any more"


def test_a_and_b_in_turns(qtbot, viewer, box) -> None:
    a, b = plain(viewer, "red", "a"), plain(viewer, "blue", "b")
    camera_of(viewer).zoom = 60
    box.take(a, b)
    box.turn()
    assert at(shot(qtbot, viewer), 0.5, 0.5) == RED
    box.turn()
    assert at(shot(qtbot, viewer), 0.5, 0.5) == BLUE
    assert "B, b" in box.message.text()
    box.swipe.click()
    assert not box.flicker.isChecked()
    assert (a.visible, b.visible) == (True, True)
    box.flicker.click()
    assert not box.swiping.on
    box.speed.setValue(box.speed.minimum())
    assert box.flickering.interval == FASTEST >= 334, "at most three flashes a second"
    box.flickering.interval = 10
    assert box.flickering.interval == FASTEST
    box.flickering.interval = 10**6
    assert box.flickering.interval == SLOWEST
    box.flickering.interval = FASTEST
    seen = set()
    qtbot.waitUntil(lambda: seen.add((a.visible, b.visible)) or len(seen) == 2, timeout=3000)
    assert seen == {(True, False), (False, True)}
    viewer.layers.remove(b)
    box.take(a, None)
    assert a.visible
    assert not box.flicker.isEnabled()


def test_two_views_that_go_together(qtbot, viewer, box) -> None:
    image = viewer.add_image(np.arange(2400.0).reshape(40, 60), name="image")
    a, b = plain(viewer, "red", "a"), plain(viewer, "blue", "b")
    hidden = viewer.add_labels(np.ones((40, 60), np.uint8), name="other")
    b.visible, request, active = False, list(viewer.layers), viewer.layers.selection.active
    box.take(a, b)
    camera_of(viewer).zoom = 60
    box.side_by_side.click()
    seen = shot(qtbot, viewer)
    assert [at(seen, 0.5, x) for x in (0.25, 0.75)] == [RED, BLUE]
    copy = box.beside._copies[0]
    assert np.shares_memory(copy.data, image.data), "the pixels are not copied"
    assert not hidden.visible
    a.visible = b.visible = False
    seen = shot(qtbot, viewer)
    assert at(seen, 0.52, 0.25) == at(seen, 0.52, 0.75), "the same place of the image under both"
    box.side_by_side.click()
    assert list(viewer.layers) == request
    assert [layer.visible for layer in request] == [True, True, False, True]
    assert viewer.layers.selection.active is active
    assert not grid_of(viewer).enabled
    box.side_by_side.click()
    viewer.layers.remove(b)
    box.take(a, None)
    assert list(viewer.layers) == [layer for layer in request if layer is not b]


def test_the_camera_goes_to_a_place_in_any_stack(qtbot, viewer, box) -> None:
    viewer.add_labels(np.ones((5, 40, 60), np.uint8), scale=(3, 1, 1), translate=(0, 100, 0), name="stack")
    go_to(viewer, (6.0, 120.0, 30.0), (1.0, 12.0, 6.0), (3.0, 1.0, 1.0))
    assert viewer.dims.current_step[0] == 2
    assert camera_of(viewer).center[-2:] == (120.0, 30.0)
    qtbot.wait(50)
    height, width = viewer.window._qt_viewer.canvas.size
    expected = min(height / 36, width / 24)
    assert camera_of(viewer).zoom == pytest.approx(expected, rel=0.01), "a third of the view, or 24 pixels"
    go_to(viewer, (110.0, 10.0), (1.0, 1.0), (1.0, 1.0))
    assert camera_of(viewer).center[-2:] == (110.0, 10.0)
    assert camera_of(viewer).zoom < min(height, width) / 20, "a pixel is seen among its neighbours"
    assert viewer.dims.current_step[0] == 2
