"""The doctor's report in a window, and no run beside it."""

from __future__ import annotations

from qtpy.QtGui import QGuiApplication

from napari_fcnseg._napari.segment.doctor_dialog import DoctorDialog
from napari_fcnseg.engine import engine


def test_the_doctor_says_what_there_is_and_no_run_begins_meanwhile(qtbot, dock) -> None:
    dock.dialogs.doctor.click()
    (dialog,) = dock.findChildren(DoctorDialog)
    assert "timing a tile" in dialog.message.text()
    assert not dock.run.run.isEnabled()
    qtbot.waitUntil(lambda: bool(dialog.text.toPlainText()), timeout=120_000)
    text = dialog.text.toPlainText()
    assert text.startswith("Findings")
    assert str(engine().device().key) in text
    assert "megapixels/s" in text
    dialog.copy.click()
    assert QGuiApplication.clipboard().text() == text
    qtbot.waitUntil(dock.dialogs.doctor.isEnabled)
    assert dock.run.run.isEnabled()
    dialog.close()


def test_a_report_that_comes_after_its_window_was_closed_is_dropped(qtbot, dock, told) -> None:
    dock.dialogs.doctor.click()
    dock.findChildren(DoctorDialog)[0].close()
    qtbot.waitUntil(dock.dialogs.doctor.isEnabled, timeout=120_000)
    assert dock.run.run.isEnabled()
    assert not told()


def test_the_doctor_waits_for_the_end_of_a_run(dock, monkeypatch, told) -> None:
    monkeypatch.setattr(dock.controller, "_work", [object()])
    dock.dialogs.doctor.click()
    assert "Wait until the run has ended" in told()[-1]
    assert not dock.findChildren(DoctorDialog)
