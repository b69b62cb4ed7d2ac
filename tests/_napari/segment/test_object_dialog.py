"""The table of objects: it follows the layer, goes where one clicks, filters, corrects and saves."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtTest import QTest

from napari_fcnseg._napari.segment.results.instances_box import InstancesBox
from napari_fcnseg._napari.segment.results.object_dialog import ObjectDialog
from napari_fcnseg._napari.segment.results.object_model import ObjectModel
from napari_fcnseg._napari.segment.run.region_of_interest import mask_layers
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.measuring import measure_objects

if TYPE_CHECKING:
    from napari.layers import Layer

NAMES = ["not labelled", "background", "edge", "interior"]


def classes() -> np.ndarray:
    """Return three objects of class 3: of 12, 20 and 30 pixels."""
    data = np.ones((60, 70), np.uint8)
    for (row, col), (height, width) in (((5, 5), (3, 4)), ((20, 40), (4, 5)), ((40, 10), (5, 6))):
        data[row : row + height, col : col + width] = 3
    return data


@pytest.fixture
def opened(qtbot, viewer, own_cache):
    """Return the table of the objects that were found, with the layers."""
    metadata = {"napari_fcnseg": {"program": "napari-fcnseg", "models": [{"patch_shape": [9, 9]}]}}
    parent = Labels(
        classes(), name="cells", features={"index": range(4), "class": NAMES}, metadata=metadata, scale=(0.5, 0.5),
        units=("µm", "µm"),
    )  # fmt: skip
    viewer.add_layer(parent)
    box = InstancesBox(viewer)
    viewer.window.add_dock_widget(box, name="objects")
    qtbot.wait(20)
    assert not box.table.isEnabled()
    box.button.click()
    qtbot.waitUntil(lambda: box.table.isEnabled() and not box.busy, timeout=30_000)
    box.table.click()
    dialog = box.findChildren(ObjectDialog)[-1]
    qtbot.waitUntil(lambda: dialog.model.table is not None, timeout=30_000)
    yield box, dialog, viewer.layers[-1], parent
    with suppress(RuntimeError):  # a test has closed it
        dialog.close()


def column(dialog: ObjectDialog, name: str) -> list[float]:
    """Return what the table shows under a heading."""
    model = dialog.model
    place = next(c for c in range(model.columnCount()) if model.headerData(c, Qt.Orientation.Horizontal) == name)
    return [float(model.data(model.index(row, place)).replace(",", "")) for row in range(model.rowCount())]


def test_sorted_filtered_seen_and_saved(qtbot, viewer, opened, tmp_path) -> None:
    _, dialog, layer, _ = opened
    assert dialog.message.text() == "3 objects."
    assert column(dialog, "area (µm²)") == [3, 5, 7.5]
    dialog.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(dialog, "area (px)") == [30, 20, 12]
    dialog.condition.setText("area (px) > 15, x (µm) > 10")
    dialog.condition.editingFinished.emit()
    assert column(dialog, "area (px)") == [20]
    assert dialog.message.text() == "1 of 3 objects."
    dialog.condition.setText("area (px) >")
    dialog.condition.textEdited.emit("area (px) >")
    assert "Press Enter" in dialog.message.text(), "what is being written is not wrong yet"
    dialog.condition.setText("area (px) > 15, x (µm) > 10")
    dialog.condition.textEdited.emit(dialog.condition.text())
    assert dialog.message.text() == "1 of 3 objects."
    dialog.save_csv(str(tmp_path / "filtered.csv"))
    qtbot.waitUntil(lambda: "Saved" in dialog.message.text(), timeout=20_000)
    assert dialog.message.text().startswith("All 3 objects, not the 1 of the filter.")
    dialog.see(0)
    camera = getattr(viewer, "scene", viewer).camera
    np.testing.assert_allclose(camera.center[-2:], (10.75, 21.0))
    assert layer.selected_label == layer.data[21, 41]
    dialog.condition.setText("roundness > 2")
    dialog.condition.editingFinished.emit()
    assert "is no condition" in dialog.message.text()
    dialog.condition.clear()
    dialog.view.selectRow(0)
    before = layer.data.copy()
    QTest.keyClick(dialog.condition, Qt.Key.Key_Return)
    np.testing.assert_array_equal(layer.data, before, "Enter in the filter presses no button")

    dialog.save_csv(str(tmp_path / "objects.csv"))
    qtbot.waitUntil(lambda: "Saved as" in dialog.message.text(), timeout=20_000)
    with (tmp_path / "objects.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["label", "area (px)", "area (µm²)"]
    assert sorted(int(row[1]) for row in rows[1:]) == [12, 20, 30], "all of them, whatever is shown"
    dialog.save_outlines(str(tmp_path / "objects.geojson"))
    qtbot.waitUntil(lambda: (tmp_path / "objects.geojson").exists(), timeout=20_000)
    assert len(json.loads((tmp_path / "objects.geojson").read_text())["features"]) == 3


def test_corrections_and_paint_are_followed(qtbot, viewer, opened) -> None:
    box, dialog, layer, parent = opened
    first, second, third = (int(layer.data[place]) for place in ((6, 6), (21, 41), (41, 11)))
    dialog.merge.click()
    assert "two or more" in dialog.message.text()
    dialog.select(first, third)
    dialog.merge.click()
    qtbot.waitUntil(lambda: dialog.message.text() == "2 objects.", timeout=20_000)
    assert layer.data[41, 11] == first
    dialog.select(second)
    dialog.delete.click()
    qtbot.waitUntil(lambda: dialog.message.text() == "1 object.", timeout=20_000)
    undo = dialog.findChild(QShortcut)
    assert undo.key() == QKeySequence.StandardKey.Undo
    undo.activated.emit()
    undo.activated.emit()
    qtbot.waitUntil(lambda: dialog.message.text() == "3 objects.", timeout=20_000)
    parent.data_setitem(np.nonzero(np.ones((4, 4))), 3)  # in the classes, as the brush does
    qtbot.waitUntil(lambda: dialog.message.text() == "4 objects.", timeout=30_000)
    assert box.message.text().startswith("4 objects")


def test_8000_objects_are_sorted_and_filtered(qapp) -> None:
    labels = np.arange(1, 8101).reshape(90, 90)
    model = ObjectModel()
    model.show_table(measure_objects(labels))
    model.sort(2, Qt.SortOrder.DescendingOrder)
    model.filter("label > 100")
    assert model.rowCount() == 8000
    with pytest.raises(SettingsError, match="Write for example"):
        model.filter("label")
    assert model.rowCount() == 8000


def drag(
    viewer, layer: Layer, start: tuple[float, ...], *ways: tuple[float, ...], modifiers: tuple[str, ...] = ()
) -> None:
    """Press the mouse over a place, move it over others and let it go, as napari's canvas tells the active layer."""
    places = [np.asarray(layer.data_to_world(place)) for place in (start, *ways)]
    displayed = list(viewer.dims.displayed)

    def event(kind: str, number: int) -> ReadOnlyWrapper:
        place = tuple(places[number])
        return ReadOnlyWrapper(
            SimpleNamespace(
                type=kind, button=1, is_dragging=kind != "mouse_press", modifiers=modifiers, position=place,
                pos=np.array([50.0 * number, 0.0]), view_direction=None, dims_displayed=displayed, dims_point=place,
                up_direction=None, handled=False, native=None,
            )
        )  # fmt: skip

    active = viewer.layers.selection.active
    mouse_press_callbacks(active, event("mouse_press", 0))
    for number in range(1, len(places)):
        mouse_move_callbacks(active, event("mouse_move", number))
    mouse_release_callbacks(active, event("mouse_release", len(places) - 1))


@pytest.mark.timeout(120)
def test_an_object_is_split_by_a_line_and_whole_again_with_one_undo(qtbot, viewer, opened) -> None:
    _, dialog, layer, _ = opened
    before, names = layer.data.copy(), [each.name for each in viewer.layers]
    dialog.split.click()
    assert viewer.layers.selection.active.mode == "add_line"
    assert "Draw a line" in dialog.message.text()
    drag(viewer, layer, (36.0, 13.0), (40, 13), (50, 13))  # down through 5 rows of 6 pixels, after its third
    qtbot.waitUntil(lambda: dialog.message.text() == "4 objects.", timeout=20_000)
    assert [each.name for each in viewer.layers] == names, "the line is gone"
    assert viewer.layers.selection.active is layer
    assert not dialog.split.isChecked()
    changed = layer.data != before
    assert set(layer.data[changed]) == {4}
    assert sorted(np.bincount(layer.data.ravel())[1:]) == [10, 12, 20, 20]
    assert sorted(layer.features["area (px)"]) == [10, 12, 20, 20], "for the status bar"
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    qtbot.waitUntil(lambda: dialog.message.text() == "3 objects.", timeout=20_000)
    layer.redo()
    qtbot.waitUntil(lambda: dialog.message.text() == "4 objects.", timeout=20_000)
    assert layer.data.max() == 4


def test_a_line_that_cuts_nothing_is_said_and_the_selected_object_is_meant(qtbot, viewer, opened) -> None:
    _, dialog, layer, _ = opened
    dialog.select(int(layer.data[6, 6]))
    dialog.split.click()
    drag(viewer, layer, (36.0, 13.0), (50, 13))
    qtbot.waitUntil(lambda: "does not touch" in dialog.message.text(), timeout=20_000)
    assert not dialog.split.isChecked()
    dialog.select(*np.unique(layer.data)[1:3].tolist())
    dialog.split.click()
    assert "Select one object" in dialog.message.text()
    assert not dialog.line.active
    dialog.select()
    viewer.dims.ndisplay = 3
    dialog.split.click()
    assert "2D" in dialog.message.text()
    viewer.dims.ndisplay = 2
    assert layer.data.max() == 3


@pytest.mark.timeout(120)
def test_drawing_is_given_up(qtbot, viewer, opened) -> None:
    _, dialog, layer, _ = opened
    names = [each.name for each in viewer.layers]
    for how in ("button", "escape in the view", "escape", "line removed", "objects removed"):
        dialog.split.click()
        (canvas,) = (each for each in viewer.layers if isinstance(each, Shapes))
        assert not mask_layers([canvas]), "it is no region to segment"
        if how == "button":
            dialog.split.click()
        elif how == "escape in the view":
            canvas.keymap[next(key for key in canvas.keymap if "Esc" in str(key))](canvas)
        elif how == "escape":
            QTest.keyClick(dialog, Qt.Key.Key_Escape)
            assert dialog.isVisible(), "only the line is given up"
        elif how == "line removed":
            viewer.layers.remove(canvas)
        else:
            viewer.layers.remove(layer)
            names.remove(layer.name)
        qtbot.waitUntil(lambda: [each.name for each in viewer.layers] == names, timeout=5000)
        qtbot.waitUntil(lambda: not dialog.split.isChecked(), timeout=5000)


def test_objects_are_selected_by_clicks_in_the_view_and_merged(qtbot, viewer, opened) -> None:
    _, dialog, layer, _ = opened
    viewer.layers.selection.active = layer
    first, second = int(layer.data[6, 6]), int(layer.data[21, 41])
    drag(viewer, layer, (6.0, 6.0))
    assert dialog.selected() == [first]
    drag(viewer, layer, (21.0, 41.0), (30.0, 41.0))
    assert dialog.selected() == [first], "the view was moved"
    drag(viewer, layer, (21.0, 41.0), modifiers=("Shift",))
    assert sorted(dialog.selected()) == sorted([first, second])
    dialog.merge.click()
    qtbot.waitUntil(lambda: dialog.message.text() == "2 objects.", timeout=20_000)
    callbacks, names = len(layer.mouse_drag_callbacks), [each.name for each in viewer.layers]
    dialog.split.click()
    dialog.close()
    assert [each.name for each in viewer.layers] == names, "the line is gone"
    qtbot.waitUntil(lambda: len(layer.mouse_drag_callbacks) == callbacks - 1, timeout=5000)


@pytest.mark.timeout(120)
def test_with_the_mouse_and_the_keyboard_themselves(qtbot, viewer, opened) -> None:
    _, dialog, layer, _ = opened
    viewer.window._qt_window.show()
    qtbot.wait(300)
    viewer.layers.selection.active = layer
    native = viewer.window._qt_viewer.canvas.native
    camera = getattr(viewer, "scene", viewer).camera

    def point(*place: float) -> QPoint:
        row, col = (np.asarray(layer.data_to_world(place)) - camera.center[-2:]) * camera.zoom
        return QPoint(round(native.width() / 2 + col), round(native.height() / 2 + row))

    first, second, third = (int(layer.data[place]) for place in ((6, 6), (21, 41), (41, 11)))
    left, shift = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier
    for place, key in ((point(6, 6), Qt.KeyboardModifier.NoModifier), (point(21, 41), shift)):
        QTest.mouseMove(native, place)
        QTest.mouseClick(native, left, key, place)
    assert sorted(dialog.selected()) == sorted([first, second])
    dialog.select()
    dialog.split.click()
    native.setFocus()
    QTest.keyClick(native, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not dialog.line.active, timeout=5000)
    dialog.split.click()
    QTest.mouseClick(native, left, pos=point(36, 13))
    qtbot.wait(50)
    assert dialog.line.active, "a click is no line"
    QTest.mouseMove(native, point(36, 13))
    QTest.mousePress(native, left, pos=point(36, 13))
    for row in (42, 50):
        QTest.mouseMove(native, point(row, 13))
    QTest.mouseRelease(native, left, pos=point(50, 13))
    qtbot.waitUntil(lambda: dialog.message.text() == "4 objects.", timeout=20_000)
    assert (layer.data == third).sum() == 20
    native.setFocus()
    QTest.keyClick(native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: dialog.message.text() == "3 objects.", timeout=20_000)
    assert (layer.data == third).sum() == 30
