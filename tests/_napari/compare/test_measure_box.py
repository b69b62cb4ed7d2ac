"""The tables of scores as a person uses them: clicked, sorted, copied, with many labels; no viewer is needed."""

from __future__ import annotations

import numpy as np
from compare_helpers import LEFT, click
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from napari_fcnseg._napari.compare.measure.measure_box import MeasureBox
from napari_fcnseg.comparison import CompareSettings, placed, study


def _shown(qtbot, found, tab, index=0):
    box = MeasureBox()
    qtbot.addWidget(box)
    box.resize(360, 600)
    box.show_study(found, index)
    box.show()
    qtbot.waitExposed(box)
    names = [box.tabs.tabText(i) for i in range(box.tabs.count())]
    box.tabs.setCurrentIndex(names.index(tab))
    assert box.tabs.isTabVisible(names.index(tab))
    qtbot.wait(20)
    return box


def _masks(*errors):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (8, 10)), np.ones((5, 5), int))
    masks = [placed(f"mask {n}", np.where(rng.random(truth.shape) < e, 2, truth)) for n, e in enumerate(errors)]
    return study(placed("hand", truth), masks, class_names={1: "nucleus", 2: "wall"})


def test_a_mask_is_chosen_and_stays_chosen_when_sorted(qtbot) -> None:
    found = _masks(0.3, 0.1, 0.2)
    box = _shown(qtbot, found, "Masks", index=1)
    table, model = box.ranking_table, box.ranking
    assert [model.index(row, 1).data() for row in range(3)] == ["mask 1", "mask 2", "mask 0"]
    assert table.currentIndex().row() == 0
    table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert [model.index(row, 1).data() for row in range(3)] == ["mask 0", "mask 2", "mask 1"]
    assert table.selectionModel().selectedRows()[0].row() == 2, "the same mask is selected as before"
    with qtbot.waitSignal(box.mask_chosen) as chosen:
        click(qtbot, table, 1, 1)
    assert chosen.args == [2]
    box.show_study(found, 0)
    assert [model.index(row, 1).data() for row in range(3)] == ["mask 0", "mask 2", "mask 1"], "still sorted"
    assert table.selectionModel().selectedRows()[0].row() == 0


def test_a_cell_is_chosen_with_mouse_and_keyboard_and_copied(qtbot) -> None:
    found = _masks(0.2)
    matrix = np.array(found.entries[0].comparison.confusion)
    box = _shown(qtbot, found, "Confusion")
    table, model = box.confusion_table, box.confusion
    with qtbot.waitSignal(box.cell_clicked) as chosen:
        click(qtbot, table, 1, 2)
    assert chosen.args == [1, 2]
    QTest.keyClick(table, Qt.Key.Key_Up)
    with qtbot.waitSignal(box.cell_clicked) as chosen:
        QTest.keyClick(table, Qt.Key.Key_Return)
    assert chosen.args == [0, 2]
    box.unit.setCurrentIndex(1)
    share = 100 * matrix[1, 2] / matrix[1].sum()
    assert model.index(1, 2).data() == f"{share:.3g} %"
    box.unit.setCurrentIndex(2)
    assert model.index(1, 2).data() == f"{100 * matrix[1, 2] / matrix[:, 2].sum():.3g} %"
    box.unit.setCurrentIndex(0)
    QTest.keySequence(table, "Ctrl+C")
    rows = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    assert rows[0][1:] == ["0", "nucleus", "wall"]
    np.testing.assert_array_equal([[int(n.replace(",", "")) for n in row[1:]] for row in rows[1:]], matrix)


def test_hundreds_of_classes_are_all_there_and_none_is_measured_by_itself(qtbot) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(300).repeat(4).reshape(30, 40)
    mask = np.where(rng.random(truth.shape) < 0.3, 7, truth)
    found = study(placed("a", truth), [placed("b", mask)], CompareSettings("classes"))
    box = MeasureBox()
    qtbot.addWidget(box)
    asked = []
    model = box.confusion
    whole = model.data
    model.data = lambda index, *role: asked.append(index) or whole(index, *role)
    box.show_study(found)
    assert (model.rowCount(), model.columnCount()) == (300, 300)
    assert len(asked) < 3000, "only what is seen is worked out, not 300 columns of it"
    matrix = np.array(found.entries[0].comparison.confusion)
    assert model.index(9, 7).data() == f"{matrix[9, 7]:,}"


def test_objects_and_their_threshold(qtbot) -> None:
    truth = np.kron(np.arange(1, 41).reshape(5, 8), np.ones((6, 6), int))
    mask = np.roll(truth, 1, 1)
    mask[:6] = 0
    found = study(placed("a", truth), [placed("b", mask)], CompareSettings("instances"))
    box = _shown(qtbot, found, "Objects")
    objects = box.objects
    objects.filter.setCurrentText("missed")
    assert objects.objects.rowCount() == found.entries[0].comparison.instances.at.missed
    with qtbot.waitSignal(box.object_clicked) as chosen:
        click(qtbot, objects.table, 2, 1)
    assert chosen.args[0].label == 3
    objects.filter.setCurrentText("all objects")
    objects.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    seen = []
    box.threshold_changed.connect(seen.append)
    for value in (60, 70, 90):
        objects.slider.setValue(value)
    qtbot.waitUntil(lambda: bool(seen))
    assert seen == [0.9], "asked once, for the last"
    box.show_study(found.at(0.9))
    ious = [objects.objects.sheet.columns[3].values[objects.objects.source_row(row)] for row in range(72)]
    assert ious == sorted(ious, reverse=True), "the order that was chosen stays"
    strict = found.at(0.9).entries[0].comparison.instances.at
    assert f"{strict.missed} missed" in box.headline.text()
    with qtbot.waitSignal(box.object_clicked) as chosen:
        QTest.mouseClick(
            objects.table.viewport(), LEFT, pos=objects.table.visualRect(objects.objects.index(0, 3)).center()
        )  # fmt: skip
    assert chosen.args[0].iou == ious[0]
