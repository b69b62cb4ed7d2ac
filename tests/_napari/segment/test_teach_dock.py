"""Teaching in the window, with the mouse and the real trainer."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
from napari_helpers import choose, finish, give, run, settle, small_model
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QColorDialog, QMessageBox

import napari_fcnseg as nf
from napari_fcnseg._napari.compare.masks_box import MasksBox
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg.engine import engine
from napari_fcnseg.engine.placing import reference
from napari_fcnseg.samples import SAMPLES

pytestmark = pytest.mark.timeout(120)
SAMPLE = SAMPLES["cells"]
TRUTH = SAMPLE.truth()[:96, :120]
#: Channels first: the view shows rows and columns.
IMAGE = np.moveaxis(SAMPLE.image()[:96, :120], -1, 0).copy()
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def _own_strokes(tmp_path, monkeypatch):
    """Keep strokes of a test to itself."""
    monkeypatch.setattr("napari_fcnseg.teaching.kept.state_folder", lambda: tmp_path / "state")


@pytest.fixture
def teach(qtbot, viewer, dock):
    """Return the section, with an image and a model chosen."""
    viewer.add_image(IMAGE, name="cells")
    choose(qtbot, dock, SAMPLE.model_path)
    settle(qtbot)
    return dock.teach


def begin(qtbot, teach):
    """Press Start; return the layer of strokes once it can be painted on."""
    teach.start.click()
    qtbot.waitUntil(lambda: teach.teacher.active is not None, timeout=60_000)
    rest(qtbot, teach)
    return teach.teacher.active


def rest(qtbot, teach) -> None:
    """Wait until all that was painted is learned and shown."""

    def done() -> bool:
        teacher = teach.teacher
        waiting = teacher._watch._timer.isActive() or teacher._view._timer.isActive() or teacher._drawing.isActive()
        return not (waiting or teacher.jobs.busy)

    qtbot.waitUntil(done, timeout=90_000)


def rows(layer, *numbers: int, data: np.ndarray = TRUTH) -> None:
    """Paint some rows as they are in the truth, one undo each."""
    for row in numbers:
        columns = np.arange(6, data.shape[1] - 6)
        layer.data_setitem((np.full_like(columns, row), columns), data[row, 6:-6])


def accuracy(teach, data: np.ndarray = TRUTH) -> float:
    return float((np.asarray(teach.teacher.book.current.preview.data) == data).mean())


def test_strokes_with_the_mouse_change_what_is_shown_and_are_undone(qtbot, viewer, dock, teach) -> None:
    strokes = begin(qtbot, teach)
    assert list(strokes.features["class"])[1:] == list(dock.choice.hints.class_names)
    assert strokes.mode == "paint"
    viewer.window._qt_window.show()
    qtbot.wait(300)
    native = viewer.window._qt_viewer.canvas.native
    camera = getattr(viewer, "scene", viewer).camera

    def at(*place: float) -> QPoint:
        row, col = (np.asarray(strokes.data_to_world(place)) - camera.center[-2:]) * camera.zoom
        return QPoint(round(native.width() / 2 + col), round(native.height() / 2 + row))

    places = {label: np.argwhere(TRUTH[8:-8, 8:-8] == label) + 8 for label in (1, 2, 3)}
    for number in range(6):
        label = number % 3 + 1
        item = teach.classes.rows.item(label - 1)
        QTest.mouseClick(teach.classes.rows.viewport(), LEFT, pos=teach.classes.rows.visualItemRect(item).center())
        assert strokes.selected_label == label
        row, col = places[label][(number * 997) % len(places[label])]
        QTest.mousePress(native, LEFT, pos=at(row, col - 2))
        for step in range(-1, 3):
            QTest.mouseMove(native, at(row, col + step))
            qtbot.wait(10)
        QTest.mouseRelease(native, LEFT, pos=at(row, col + 2))
        assert np.count_nonzero(np.asarray(strokes.data) == label) >= 10
    rest(qtbot, teach)
    assert "Few strokes" in teach.message.text()
    assert accuracy(teach) > 0.75
    before = np.array(teach.teacher.book.current.preview.data)
    learned = teach.teacher.session.lesson.painted
    native.setFocus()
    QTest.keyClick(native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    rest(qtbot, teach)
    assert len(teach.teacher.session.lesson.painted.labels) == np.count_nonzero(strokes.data) < len(learned.labels)
    assert teach.redo()
    rest(qtbot, teach)
    np.testing.assert_array_equal(teach.teacher.book.current.preview.data, before)


def test_what_is_taught_is_saved_chosen_run_and_stands_in_the_certificate(qtbot, viewer, dock, teach, tmp_path) -> None:
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 30, 50, 66, 84)
    rest(qtbot, teach)
    assert "Held-out strokes: " in teach.message.text()
    assert accuracy(teach) > 0.9
    dock.run.run.click()  # the whole image, with what is in no file yet
    finish(qtbot, dock)
    result = viewer.layers[-1]
    assert (result.data == teach.teacher.book.current.preview.data).mean() > 0.9999
    assert result.metadata[METADATA]["models"][0]["taught"]["strokes"]["pixels"] == np.count_nonzero(strokes.data)

    path = tmp_path / "mine.keras"
    teach.teacher.save(path, overwrite=False)
    qtbot.waitUntil(lambda: bool(dock.models) and dock.models[0].name == "mine", timeout=60_000)
    fresh = nf.teach(
        IMAGE, np.array(strokes.data), SAMPLE.model_path, channel_axis=0, preprocess=SAMPLE.preprocess,
        class_names=SAMPLE.class_names, class_colors=SAMPLE.class_colors,
    )  # fmt: skip
    fresh.save(tmp_path / "python.keras")
    assert path.read_bytes() == (tmp_path / "python.keras").read_bytes()
    taught = nf.load_model(path).sidecar.other["taught"]
    assert taught == json.loads(json.dumps(fresh.sidecar.other["taught"]))

    teach.start.click()
    assert strokes.mode == "pan_zoom"
    viewer.add_image(np.moveaxis(SAMPLE.image()[200:296, 100:220], -1, 0), name="other")
    settle(qtbot)
    dock.image.combos[0].layer = viewer.layers["other"]
    dock.image._layer_chosen()
    dock.run.verify.click()
    assert finish(qtbot, dock).startswith("Conversion check passed")
    assert (viewer.layers[-1].data == SAMPLE.truth()[200:296, 100:220]).mean() > 0.85
    assert viewer.layers[-1].metadata[METADATA]["certificate"]["models"][0]["taught"] == taught


def test_a_preview_lies_under_no_result_and_is_no_mask(qtbot, viewer, dock, teach) -> None:
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 50)
    rest(qtbot, teach)
    preview = teach.teacher.book.current.preview
    assert preview.visible
    masks = MasksBox()
    qtbot.addWidget(masks)
    masks.offer(list(viewer.layers))
    assert masks.first is None, "neither strokes nor preview"
    run(qtbot, dock)
    assert not preview.visible
    rows(strokes, 30)
    assert preview.visible


def test_what_is_missing_is_said_and_what_was_deleted_comes_back(qtbot, viewer, teach) -> None:
    strokes = begin(qtbot, teach)
    assert teach.message.text() == "Paint a stroke of each class."
    assert not teach.doubtful.isEnabled()
    strokes.data_setitem((np.arange(20, 40), np.arange(20, 40)), 1)
    rest(qtbot, teach)
    assert teach.message.text() == "All strokes are of 'background'. Paint strokes of another class, too."
    strokes.data_setitem((np.arange(20, 40), np.arange(40, 60)), 2)
    rest(qtbot, teach)
    assert teach.message.text() == "'interior' has no stroke. Paint some, or leave the class out."
    strokes.name = "renamed"
    painted = np.array(strokes.data)
    qtbot.waitUntil(lambda: not teach.teacher._keeper._timer.isActive(), timeout=20_000)
    viewer.layers.remove(strokes)
    assert teach.message.text() == "The strokes on 'cells' were deleted. Start teaching brings them back."
    assert not teach.start.isChecked()
    again = begin(qtbot, teach)
    np.testing.assert_array_equal(again.data, painted)
    viewer.layers["cells"].data = IMAGE[:, :-1]
    again.data_setitem((np.arange(20, 40), np.arange(80, 100)), 3)
    rest(qtbot, teach)
    assert "The strokes have the shape 96 × 120, and the image has 95 × 120 pixels" in teach.message.text()
    viewer.layers.remove(viewer.layers["cells"])
    assert "The image 'cells' was removed" in teach.message.text()


def test_classes_are_added_renamed_and_deleted(qtbot, viewer, teach, monkeypatch) -> None:
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 50)
    QTest.mouseClick(teach.classes.add, LEFT)
    assert teach.classes.rows.count() == 4
    assert strokes.selected_label == 4
    teach.classes.rows.item(3).setText("dirt")
    assert list(strokes.features["class"])[1:] == ["background", "edge", "interior", "dirt"]
    rest(qtbot, teach)
    assert teach.message.text() == "'dirt' has no stroke. Paint some, or leave the class out."
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#123456"))
    teach.classes.rows.setCurrentRow(3)
    teach.classes.colour.trigger()
    assert teach.teacher.book.colors[3] == "#123456"
    np.testing.assert_allclose(strokes.colormap.map(4), np.array([0x12, 0x34, 0x56, 255]) / 255, atol=0.01)
    QTest.mouseClick(teach.classes.delete, LEFT)
    rest(qtbot, teach)
    assert "Few strokes" in teach.message.text() or "Held-out" in teach.message.text()
    asked = []
    monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args[2]) or QMessageBox.StandardButton.Yes)
    teach.classes.rows.setCurrentRow(1)
    QTest.mouseClick(teach.classes.delete, LEFT)
    assert asked == ["Delete 'edge' and its strokes?"]
    expected = np.where(TRUTH == 3, 2, np.where(TRUTH == 2, 0, TRUTH))[12, 6:-6]
    np.testing.assert_array_equal(np.asarray(strokes.data)[12, 6:-6], expected)
    rest(qtbot, teach)
    assert teach.teacher.session.lesson.painted.classes == 2
    assert not teach.classes.delete.isEnabled()
    strokes.data_setitem(np.nonzero(np.asarray(strokes.data) == 1), 0)
    rest(qtbot, teach)
    assert teach.message.text().endswith("The preview shows what was learned before.")


def test_a_killed_trainer_leaves_strokes_and_model_and_the_next_stroke_starts_another(qtbot, teach) -> None:
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 50)
    rest(qtbot, teach)
    shown, lesson = np.array(teach.teacher.book.current.preview.data), teach.teacher.session.lesson
    pid = engine()._host_of(reference()).child.pid
    os.kill(pid, signal.SIGSTOP)  # so that it is in the midst of it
    rows(strokes, 30)
    qtbot.waitUntil(lambda: teach.teacher.jobs.busy, timeout=20_000)
    qtbot.wait(300)
    os.kill(pid, signal.SIGKILL)
    rest(qtbot, teach)
    assert teach.message.text().startswith("The computing process ended, perhaps for want of memory. What was learned")
    assert teach.teacher.session.lesson is lesson
    np.testing.assert_array_equal(teach.teacher.book.current.preview.data, shown)
    rows(strokes, 70)
    rest(qtbot, teach)
    assert teach.teacher.session.lesson is not lesson
    assert "Held-out" in teach.message.text()


def test_stop_ends_at_once_and_keeps_what_was_learned(qtbot, teach) -> None:
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 50)
    rest(qtbot, teach)
    lesson = teach.teacher.session.lesson
    pid = engine()._host_of(reference()).child.pid
    os.kill(pid, signal.SIGSTOP)  # a fit that lasts
    try:
        rows(strokes, 30)
        qtbot.waitUntil(lambda: teach.teacher.jobs.busy, timeout=20_000)
        qtbot.wait(300)
        teach.start.click()
        qtbot.waitUntil(lambda: not teach.teacher.jobs.busy, timeout=5_000)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert teach.teacher.session.lesson is lesson
    assert teach.save.isEnabled()
    assert begin(qtbot, teach) is strokes
    rest(qtbot, teach)
    assert len(teach.teacher.session.lesson.painted.labels) == np.count_nonzero(strokes.data)


def test_corrections_and_a_second_image_teach_too_and_doubt_moves_the_view(qtbot, viewer, dock, teach) -> None:
    dock.run.run.click()
    finish(qtbot, dock)
    result = viewer.layers[-1]
    strokes = begin(qtbot, teach)
    teach.corrections.trigger()
    qtbot.waitUntil(lambda: "No labels of this image were edited by hand" in teach.message.text(), timeout=20_000)
    for label, row in ((1, 20), (2, 40), (3, 60)):
        columns = np.flatnonzero(np.asarray(result.data)[row] != label)[:30]
        result.data_setitem((np.full_like(columns, row), columns), label)
    teach.corrections.trigger()
    qtbot.waitUntil(lambda: np.count_nonzero(strokes.data) == 90, timeout=20_000)
    assert set(np.unique(np.asarray(strokes.data)[40])) == {0, 2}
    rest(qtbot, teach)

    viewer.add_image(IMAGE[:, ::-1].copy(), name="second")
    settle(qtbot)
    dock.image.combos[0].layer = viewer.layers["second"]
    dock.image._layer_chosen()
    qtbot.waitUntil(lambda: len(teach.teacher.book.sheets) == 2 and teach.teacher.active is not None, timeout=30_000)
    assert teach.teacher.active.name == "strokes · second"
    rows(teach.teacher.active, 10, 44, 80, data=TRUTH[::-1])
    rest(qtbot, teach)
    assert teach.teacher.session.lesson.images == (0, 1)
    assert teach.teacher.model.sidecar.other["taught"]["images"][1]["sha256"]

    camera = getattr(viewer, "scene", viewer).camera
    before = tuple(camera.center)
    teach.doubtful.click()
    qtbot.waitUntil(lambda: tuple(camera.center) != before, timeout=30_000)
    assert teach.teacher._visited
    rest(qtbot, teach)


def test_nothing_but_an_image_begins_with_fixed_filters(qtbot, viewer, dock) -> None:
    viewer.add_image(IMAGE[0], name="one")
    settle(qtbot)
    strokes = begin(qtbot, dock.teach)
    dock.teach.classes.rows.item(0).setText("none")
    rows(strokes, 12, 30, 50, 66, 84, data=np.where(TRUTH == 1, 1, 2).astype(np.uint8))
    rest(qtbot, dock.teach)
    assert accuracy(dock.teach, np.where(TRUTH == 1, 1, 2)) > 0.8
    assert dock.teach.teacher.model.class_names == ("none", "class 2")


def test_mistakes_are_sentences_in_the_section(qtbot, viewer, dock) -> None:
    teach = dock.teach
    teach.start.click()
    assert teach.message.text().startswith("No image was chosen.")
    assert not teach.start.isChecked()
    broken = IMAGE.astype(np.float32)
    broken[1, 30, 40] = np.nan
    viewer.add_image(broken, name="broken")
    give(dock, small_model(2, seed=1), small_model(2, seed=2))
    settle(qtbot)
    teach.start.click()
    assert teach.message.text().startswith("Teaching begins with one model.")
    choose(qtbot, dock, SAMPLE.model_path)
    strokes = begin(qtbot, teach)
    rows(strokes, 12, 50)
    rest(qtbot, teach)
    assert "(30, 40)" in teach.message.text()
    dock.teach.start.click()
    viewer.add_image(IMAGE[0], name="one channel")
    settle(qtbot)
    dock.image.combos[0].layer = viewer.layers["one channel"]
    dock.image._layer_chosen()
    teach.start.click()
    assert "2 channels" in teach.message.text()
