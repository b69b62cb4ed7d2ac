"""The foot of the dock says nothing of another image or model than those that are chosen."""

from __future__ import annotations

import numpy as np
from cut_text import cut_text
from napari_helpers import give, image, run, settle, small_model
from readers.onnx_files import write
from readers.unet_files import unet


def foretold(dock) -> bool:
    return bool(dock.run.plan.text())


def test_what_was_done_is_no_news_under_another_image_or_model(qtbot, viewer, dock) -> None:
    viewer.add_image(image(20, 21))
    give(dock, small_model())
    assert run(qtbot, dock).startswith("Done: 20 × 21")
    settle(qtbot)
    assert dock.run.message.text().startswith("Done"), "the result that has come is no other image"
    viewer.layers.clear()
    viewer.add_image(image(30, 31))
    settle(qtbot)
    assert dock.run.message.text() == ""
    assert run(qtbot, dock).startswith("Done: 30 × 31")
    dock.choice._load(("other.keras",), dock.choice.hints)
    assert dock.run.message.text() == ""


def test_a_refusal_stands_once_and_whole_and_nothing_of_the_model_before(qtbot, viewer, dock, tmp_path) -> None:
    window = viewer.window._qt_window
    window.show()
    window.resize(1089, 630)
    viewer.add_image(np.full((40, 41), 5000, np.uint16) + np.arange(41, dtype=np.uint16))
    give(dock, small_model())
    qtbot.waitUntil(lambda: bool(dock.run.warning.text()) and foretold(dock), timeout=30_000)
    dock.choose_models([str(write(tmp_path / "plain.onnx", unet()))])
    qtbot.waitUntil(lambda: "image-to-image" in dock.model.about.text(), timeout=30_000)
    qtbot.wait(700)  # a forecast or a look that was on its way
    assert (dock.run.message.text(), dock.run.warning.text(), foretold(dock)) == ("", "", False)
    assert not dock.run.run.isEnabled()
    assert not dock.run.verify.isEnabled()
    seen = dock.model.about.visibleRegion().boundingRect()
    assert seen.height() == dock.model.about.height(), "all of it is in sight"
    assert not [said for said in cut_text(dock) if "image-to-image" in said]
    give(dock, small_model())
    assert dock.run.run.isEnabled()
    assert "nearest to the view" in dock.run.run.toolTip()


def test_what_is_taught_can_be_run_though_a_model_was_refused(qtbot, viewer, dock, tmp_path) -> None:
    (tmp_path / "text.keras").write_text("no model")
    dock.choose_models([str(tmp_path / "text.keras")])
    qtbot.waitUntil(lambda: not dock.run.run.isEnabled(), timeout=30_000)
    dock.teach.teacher.on, dock.teach.teacher.model = True, small_model()
    dock.teach.teacher.changed.emit()
    assert dock.run.run.isEnabled()
    dock.teach.teacher.on, dock.teach.teacher.model = False, None
    dock.teach.teacher.changed.emit()
    assert not dock.run.run.isEnabled()
