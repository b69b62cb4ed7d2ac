"""However a comparison ends, the viewer is as it was, and nothing goes on behind it."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import zarr
from compare_helpers import LEFT, choose, compared, open_dock
from napari.layers import Labels
from napari_helpers import settle
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_fcnseg import compare
from napari_fcnseg._napari.compare.see.camera import grid_of


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name == "napari-fcnseg-work"}


@pytest.mark.parametrize("end", ["closed", "deleted"])
@pytest.mark.parametrize("mode", ["flicker", "swipe", "side_by_side"])
def test_closing_the_dock_shows_the_layers_as_they_were(qtbot, viewer, mode, end) -> None:
    rng = np.random.default_rng(0)
    truth, mask = (viewer.add_labels(rng.integers(0, 3, (30, 40)), name=name) for name in ("truth", "mask"))
    viewer.add_image(np.zeros((30, 40)), name="image")
    mask.visible = False
    dock = open_dock(qtbot, viewer)
    choose(dock, truth, mask)
    compared(qtbot, dock)
    before = [(layer, layer.visible) for layer in viewer.layers]
    agreement = dock.controller.shown.agreement
    getattr(dock.see, mode).click()
    assert not agreement.visible, "it would lie over what is looked at"
    getattr(dock.see, mode).click()
    assert [(layer, layer.visible) for layer in viewer.layers] == before
    getattr(dock.see, mode).click()
    qtbot.wait(50)
    with qtbot.waitSignal(dock.destroyed):
        if end == "closed":
            QTest.mouseClick(dock.parent().title.close_button, LEFT)
        else:
            dock.deleteLater()
    assert [(layer, layer.visible) for layer in viewer.layers] == before
    assert not grid_of(viewer).enabled
    viewer.layers.remove(mask)
    viewer.dims.ndisplay = 3
    truth.paint((3, 3), 2)


def test_closing_the_viewer_in_the_middle_leaves_no_thread(qtbot, viewer) -> None:
    data = np.random.default_rng(0).integers(0, 3, (2500, 2500)).astype(np.uint8)
    truth, mask = (viewer.add_labels(data.copy(), name=name) for name in ("truth", "mask"))
    dock = open_dock(qtbot, viewer)
    choose(dock, truth, mask)
    dock.masks.compare.click()
    qtbot.waitUntil(lambda: dock.controller.busy)
    viewer.close()
    qtbot.waitUntil(lambda: not threads(), timeout=20_000)


def test_layers_on_disk_of_other_axes_and_of_floats_are_compared(qtbot, viewer) -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 3, (3, 24, 32)).astype(np.uint8)
    plane = stack[1].copy()
    truth = viewer.add_labels(plane, name="truth", scale=(2.0, 2.0))
    lazy = viewer.add_labels(da.from_array(stack, chunks=(1, 8, 8)), name="stack", scale=(1.0, 2.0, 2.0))
    dock = open_dock(qtbot, viewer)
    choose(dock, truth, lazy)
    compared(qtbot, dock)
    expected = compare(np.broadcast_to(plane, stack.shape), stack)
    assert dock.controller.study.entries[0].comparison.confusion == expected.confusion
    assert "the same along the first 1 axis" in dock.masks.message.text()
    agreement = dock.controller.shown.agreement
    assert agreement.data.shape == stack.shape
    np.testing.assert_allclose(agreement.data_to_world((1, 2, 3)), (1, 4, 6))
    dock.see.next.click()
    stored = Labels(zarr.array(stack[0], chunks=(8, 8)), name="stored", scale=(2.0, 2.0))
    viewer.add_layer(stored)
    qtbot.wait(50)
    choose(dock, truth, stored)
    compared(qtbot, dock)
    assert dock.controller.study.entries[0].comparison.confusion == compare(plane, stack[0]).confusion
    negative = viewer.add_labels(np.where(plane == 2, -7, plane.astype(np.int32)), name="negative", scale=(2.0, 2.0))
    qtbot.wait(50)
    choose(dock, truth, negative)
    said = compared(qtbot, dock)
    assert f"{(plane == 2).sum():,} of {plane.size:,} pixels differ" in said
    assert dock.controller.study.entries[0].comparison.labels == (-7, 0, 1, 2)


def test_each_key_does_what_the_dock_says_of_it(qtbot, viewer) -> None:
    truth = viewer.add_labels(np.zeros((30, 40), int), name="truth")
    mask = viewer.add_labels(np.zeros((30, 40), int), name="mask")
    mask.data[3:9, 3:9] = mask.data[15:20, 20:30] = 1
    dock = open_dock(qtbot, viewer)
    choose(dock, truth, mask)
    compared(qtbot, dock)
    see = dock.see
    viewer.window._qt_window.activateWindow()
    settle(qtbot)

    def press(key: Qt.Key) -> None:
        QTest.keyClick(see, key, Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier)
        settle(qtbot)

    for key, check in ((Qt.Key.Key_W, see.swipe), (Qt.Key.Key_A, see.side_by_side), (Qt.Key.Key_B, see.flicker)):
        press(key)
        assert check.isChecked()
        assert sum(each.isChecked() for each in (see.swipe, see.side_by_side, see.flicker)) == 1
    shown = truth.visible, mask.visible
    press(Qt.Key.Key_B)
    assert (truth.visible, mask.visible) == shown[::-1]
    see.end()
    for key, place in ((Qt.Key.Key_N, "1 of"), (Qt.Key.Key_N, "2 of"), (Qt.Key.Key_P, "1 of")):
        press(key)
        assert see.place.text().startswith(place)
