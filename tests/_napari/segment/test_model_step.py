"""The model step in a real window: drops, the menu of recent models, ensembles, refusals, and names put on results."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari._qt.qt_viewer import QtViewer
from napari_helpers import ONNX, choose, image, run
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMainWindow, QWidget
from readers.reader_forge import BIAS, CONV, KERNEL, entry, functional, h5_file, sequential
from readers.reader_forge_savedmodel import SavedModel

from napari_fcnseg import load_model
from napari_fcnseg._napari.recent_models import recent
from napari_fcnseg._napari.segment.models.drop import ModelDrop
from napari_fcnseg._napari.segment.models.naming_dialog import NamingDialog
from napari_fcnseg._napari.segment.models.preferences import Preferences, preferred, settable
from napari_fcnseg._napari.segment.models.report_dialog import ReportDialog

COPY = Qt.DropAction.CopyAction
LEFT, PLAIN = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
REFUSED = "#e5484d"


def mime(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drop(widget: QWidget, *paths: Path) -> tuple[bool, bool]:
    """Drag files onto a widget and let go; return whether they were welcome, and whether they were taken."""
    data, place = mime(*paths), QPointF(5, 5)
    enter = QDragEnterEvent(place.toPoint(), COPY, data, LEFT, PLAIN)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    event = QDropEvent(place, COPY, data, LEFT, PLAIN)
    event.ignore()
    QApplication.sendEvent(widget, event)
    return enter.isAccepted(), event.isAccepted()


def loaded(qtbot, dock, *paths: Path) -> bool:
    """Wait until these models are read."""
    qtbot.waitUntil(lambda: [m.path for m in dock.models] == list(paths), timeout=30_000)
    return True


def canvas_places(dock) -> list[QWidget]:
    """Return all around napari's canvas that takes drops: the viewer, and the welcome over it."""
    window = dock.parentWidget()
    while not isinstance(window, QMainWindow):
        window = window.parentWidget()
    middle = window.centralWidget()
    return [place for place in [middle, *middle.findChildren(QWidget)] if place.acceptDrops()]


@pytest.fixture
def models(tmp_path) -> list[Path]:
    """Return two models with two channels and three classes."""
    return [Path(shutil.copy(ONNX / "residual.ts.onnx", tmp_path / name)) for name in ("a.onnx", "b.onnx")]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a SavedModel."""
    layers = [entry("Conv2D", "conv", **CONV), entry("GlobalAveragePooling2D", "pool")]
    return SavedModel(sequential(*layers, keras=2), [{"kernel": KERNEL, "bias": BIAS}, {}]).write(tmp_path / "saved")


def test_models_dropped_on_dock_and_canvas_are_taken_and_all_else_is_napari_s(
    qtbot, viewer, dock, models, folder, tmp_path, monkeypatch
) -> None:
    qtbot.waitUntil(lambda: dock.findChild(ModelDrop) is not None)
    left = []
    monkeypatch.setattr(QtViewer, "_qt_open", lambda _, names, **__: left.append(names))
    picture, stranger, ordinary = tmp_path / "cells.tif", tmp_path / "data.h5", tmp_path / "images"
    picture.write_bytes(b"II*\0")
    stranger.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    ordinary.mkdir()
    shutil.copy(picture, ordinary)

    assert drop(dock, models[0]) == (True, True)
    assert loaded(qtbot, dock, models[0])
    assert drop(dock, picture) == (False, False)
    line = dock.settings.preprocess.native
    assert isinstance(line, QLineEdit)
    assert drop(line, *models) == (True, True)
    assert loaded(qtbot, dock, *models)
    assert line.text() == ""
    assert drop(line, picture)[1] is False or picture.name in line.text()  # a line for text takes what it always takes
    line.clear()

    places = canvas_places(dock)
    assert len(places) >= 2
    for place, several in zip(places, [[folder], models, [folder]], strict=False):
        assert drop(place, *several)[1]
        assert loaded(qtbot, dock, *several)
        assert not place.property("drag")  # the welcome lights up below a drag, and not for ever
    assert left == []
    for strange in ([picture], [stranger], [ordinary], [models[0], picture], [tmp_path / "gone"]):
        drop(places[0], *strange)
        assert left.pop() == [str(path) for path in strange]
    assert dock.models
    viewer.window.remove_dock_widget(dock)
    qtbot.wait(50)
    drop(places[0], models[0])
    assert left == [[str(models[0])]]


@pytest.mark.skipif(not settable(), reason="napari has settings of plugins from 0.9 on")
@pytest.mark.usefixtures("own_cache")
def test_recent_models_the_preferred_folder_and_an_ensemble_member_by_member(
    qtbot, viewer, dock, models, folder, tmp_path, monkeypatch
) -> None:
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from qtpy.QtWidgets import QFileDialog

    menu = dock.model.recent.menu()

    def entries() -> dict[str, bool]:
        menu.fill()
        return {action.text(): action.isEnabled() for action in menu.actions() if action.text()}

    assert not any(entries().values())
    choose(qtbot, dock, models[0])
    started = []
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *a: (started.append(a[2]), ([str(models[1])], ""))[1])
    dialog = PreferencesDialog(parent=dock)
    pages = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    lines = dialog._stack.widget(pages.index("FCNSeg")).findChildren(QLineEdit)
    lines[0].setText(str(folder.parent))
    assert preferred() == Preferences(model_folder=str(folder.parent))
    dock.model.add.click()
    assert started == [str(folder.parent)]
    assert loaded(qtbot, dock, *models)
    assert [button.accessibleName() for button in dock.model.members.buttons] == [
        "Take a.onnx out of the ensemble", "Take b.onnx out of the ensemble"
    ]  # fmt: skip
    seen = entries()
    assert list(seen)[:3] == ["a.onnx + 1 more", "a.onnx", f"In {folder.parent}:"]
    assert seen["saved"]
    dock.model.members.buttons[0].click()
    assert loaded(qtbot, dock, models[1])
    assert not dock.model.members.isVisibleTo(dock)
    models[0].unlink()
    assert entries()["a.onnx + 1 more (not there any more)"] is False
    next(action for action in menu.actions() if action.text() == "saved").trigger()
    assert loaded(qtbot, dock, folder)
    menu.fill()
    menu.actions()[-1].trigger()
    assert recent() == ()
    lines[0].setText("")
    dialog.close()
    assert preferred() == Preferences()


def refuse(qtbot, dock, *paths: Path) -> str:
    dock.choose_models([str(path) for path in paths])
    said = dock.model.about
    qtbot.waitUntil(lambda: not said.text().startswith("Reading") and not dock.choice.reading, timeout=30_000)
    return said.text()


def test_a_refused_model_shows_which_layer_and_lets_another_answer_be_chosen(qtbot, dock, tmp_path) -> None:
    dense = entry("Dense", "end", units=2)
    layers = [(entry("Conv2D", "conv", **CONV), ["input"]), (entry("LSTM", "memory", units=2), ["conv"]),
              (entry("GlobalAveragePooling2D", "pool"), ["conv"]), (dense, ["memory"])]  # fmt: skip
    model = functional(*layers, outputs=["end", "pool"])
    path = h5_file(tmp_path / "two.h5", model, {"conv": {"kernel:0": KERNEL, "bias:0": BIAS}})
    said = refuse(qtbot, dock, path)
    assert "'memory' (LSTM)" in said
    dock.model.report.click()
    dialog = dock.findChildren(ReportDialog)[-1]
    table = dialog.pages[0].table
    texts = [[table.item(r, c).text() for c in range(3)] for r in range(table.rowCount())]
    assert [row[0] for row in texts] == ["conv", "memory", "end"]
    assert texts[0][2] == "understood"
    assert texts[1][2].startswith("refused: ")
    assert texts[2][2] == "not looked at"
    assert table.item(1, 2).foreground().color().name() == REFUSED
    assert table.item(0, 2).foreground().color().name() != REFUSED
    table.selectRow(1)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QGuiApplication.clipboard().text()
    assert copied.rstrip("\t") == "\t".join(texts[1])
    dialog.copy.click()
    assert said in QGuiApplication.clipboard().text()
    dialog.close()

    picker = dock.model.output
    assert picker.native.isVisibleTo(dock)
    assert (picker.value, picker.choices) == ("end", ("end", "pool"))
    assert said == dock.model.about.text()
    picker.native.setCurrentIndex(1)
    picker.native.activated.emit(1)
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    assert dock.models[0].output == "pool"
    assert os.path.samefile(dock.models[0].path, path)


def test_new_names_and_colours_are_put_on_the_results_that_are_shown(qtbot, viewer, dock, models) -> None:
    viewer.add_image(image(2, 20, 21))
    choose(qtbot, dock, models[0])
    dock.settings.probabilities.value = True
    run(qtbot, dock)
    other = viewer.add_labels(np.ones((20, 21), int), features={"index": [0, 1, 2, 3], "class": list("wxyz")})
    emitted = []
    dock.model.naming.connect(lambda: emitted.append(1))
    assert len(dock.model.legend.chips) == 3
    QTest.mouseDClick(dock.model.legend.chips[0], LEFT)
    assert emitted == [1]
    dialog = dock.findChildren(NamingDialog)[-1]
    for row, name in enumerate(("soil", "root", "hair")):
        dialog.classes.item(row, 0).setText(name)
    dialog.classes.cellWidget(1, 1).set_color("#12ab34")
    dialog.save()
    qtbot.waitUntil(lambda: "soil" in dock.model.legend.accessibleName(), timeout=30_000)
    assert dock.model.legend.chips[1].color == "#12ab34"
    assert load_model(models[0]).class_names == ("soil", "root", "hair")
    *maps, labels, untouched = list(viewer.layers)[1:]
    assert list(labels.features["class"]) == ["not labelled", "soil", "root", "hair"]
    assert (np.round(labels.colormap.map(2)[:3] * 255) == (0x12, 0xAB, 0x34)).all()
    assert [layer.name for layer in maps] == [f"{labels.name} · {name}" for name in ("soil", "root", "hair")]
    assert untouched is other
    assert list(other.features["class"]) == list("wxyz")
