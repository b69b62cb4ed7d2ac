"""Normalisation in the dock: by its usual name or as people type it, with a look at what reaches the model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari_helpers import ONNX, choose, finish, give, run, settle, small_model

from napari_fcnseg import preprocess, segment
from napari_fcnseg._napari.segment.image.normalisation_box import USUAL
from napari_fcnseg._napari.segment.models.naming_dialog import NamingDialog

COUNTS = (82 + 2950 * np.random.default_rng(0).gamma(1, 0.12, (60, 64)).clip(0, 1)).astype(np.uint16)


def seen(qtbot, dock):
    """Wait for the look at the image, and return it."""
    dock.normalisation.histogram.show_look(None)
    dock._refresh()
    qtbot.waitUntil(lambda: dock.normalisation.histogram.look is not None, timeout=30_000)
    return dock.normalisation.histogram.look


def test_counts_are_doubted_before_the_run_and_the_suggested_step_is_one_click_away(qtbot, viewer, dock) -> None:
    viewer.add_image(COUNTS)
    give(dock, small_model())
    box = dock.normalisation
    look = seen(qtbot, dock)
    assert (look.low, look.high) == (COUNTS.min(), COUNTS.max())
    assert sum(look.counts) == COUNTS.size
    assert "networks are usually trained on about -3 to 3" in box.warning.text()
    assert "another normalisation" in dock.run.warning.text()
    assert not dock.run.warning.isHidden()
    assert box.use.text() == "Try: Zero mean, unit variance"
    said = run(qtbot, dock)
    assert said.lower().count("check the normalisation") == 1, "who runs all the same is told again, and once"
    assert dock.run.warning.isHidden(), "the run says it more exactly"
    assert any("Check the normalisation" in note for note in viewer.layers[-1].metadata["napari_fcnseg"]["notes"])
    box.use.click()
    assert dock.settings.preprocess.value == "zero_mean_unit_variance"
    assert box.choice.currentText() == "Zero mean, unit variance"
    qtbot.waitUntil(lambda: not box.doubtful, timeout=30_000)
    assert "is a guess" in box.warning.text(), "a click does not make it right"
    assert "is a guess" in dock.run.warning.text(), "nor is it out of sight"
    assert "usually trained" not in run(qtbot, dock)
    box.leave.click()
    assert not box.warning.text()
    assert "zero_mean_unit_variance" in dock.result.about.text().replace("\u200b", "")


def test_what_the_user_finds_right_is_not_doubted_again_for_this_model(qtbot, viewer, dock) -> None:
    viewer.add_image(np.stack([COUNTS, COUNTS]))
    choose(qtbot, dock, ONNX / "residual.ts.onnx")
    seen(qtbot, dock)
    assert dock.normalisation.doubtful
    dock.normalisation.leave.click()
    assert not dock.normalisation.doubtful
    choose(qtbot, dock, ONNX / "norms.ts.onnx")
    choose(qtbot, dock, ONNX / "residual.ts.onnx")
    seen(qtbot, dock)
    assert not dock.normalisation.doubtful
    dock.settings.preprocess.value = "/3"
    qtbot.waitUntil(lambda: dock.normalisation.doubtful, timeout=30_000)


@pytest.mark.parametrize("name", list(USUAL))
def test_each_usual_name_is_its_steps_and_is_recognised(qtbot, viewer, dock, name) -> None:
    qtbot.waitUntil(lambda: dock.isAncestorOf(dock.shortcuts), timeout=10_000)
    box = dock.normalisation
    box.choice.setCurrentText("Custom…")
    box.choice.setCurrentText(name)
    box.choice.activated.emit(box.choice.currentIndex())
    assert dock.settings.preprocess.value == USUAL[name]
    dock.settings.preprocess.value = "subtract_local_mean:9"
    assert box.choice.currentText() == "Custom…"
    assert dock.settings.preprocess.native.isVisibleTo(dock)
    dock.settings.preprocess.value = USUAL[name]
    assert box.choice.currentText() == name
    assert dock.settings.preprocess.native.isVisibleTo(dock) == name.endswith("…")


@pytest.mark.parametrize(
    ("typed", "meant", "shown"),
    [
        ("/255", preprocess.BYTES, "0–1, from 8 bits (÷ 255)"),
        ("zscore", "zero_mean_unit_variance", "Zero mean, unit variance"),
        ("Normalize", "scale_range", "Custom…"),
        ("/255, zscore", f"{preprocess.BYTES} zero_mean_unit_variance", "Custom…"),
    ],
)
def test_what_people_type_is_understood(qtbot, viewer, dock, typed, meant, shown) -> None:
    viewer.add_image(COUNTS)
    give(dock, small_model())
    dock.settings.preprocess.native.setText(typed)
    dock.settings.preprocess.native.editingFinished.emit()
    assert dock.normalisation.choice.currentText() == shown
    settle(qtbot)
    dock.run.run.click()
    finish(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(COUNTS, small_model(), preprocess=meant).labels)
    steps = viewer.layers[-1].metadata["napari_fcnseg"]["settings"]["preprocess"]
    assert preprocess.parse(steps) == preprocess.parse(meant)


def test_a_guess_stays_one_in_another_dock_and_is_never_written_as_a_fact(qtbot, viewer, dock, tmp_path) -> None:
    """A stranger named a class: the guess stood in the sidecar then, and nothing said any more that it was one."""
    model = tmp_path / "mine.onnx"
    model.write_bytes((ONNX / "residual.ts.onnx").read_bytes())
    viewer.add_image(np.stack([COUNTS, COUNTS]))
    choose(qtbot, dock, model)
    seen(qtbot, dock)
    assert dock.normalisation.doubtful
    dock.normalisation.use.click()
    steps = dock.settings.preprocess.value
    qtbot.waitUntil(lambda: dock.normalisation.guess, timeout=30_000)
    run(qtbot, dock)
    dock.dialogs.open_naming(guess=dock.normalisation.guess)
    naming = dock.findChildren(NamingDialog)[-1]
    assert naming.preprocess.text() == ""
    with qtbot.waitSignal(dock.choice.loaded, timeout=30_000):
        naming.save()
    assert "preprocess" not in json.loads((tmp_path / "mine.fcnseg.json").read_text())
    assert dock.settings.preprocess.value == steps

    viewer.window.remove_dock_widget(dock)
    again = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
    qtbot.waitUntil(lambda: bool(again.models), timeout=30_000)  # the model of the result that is there
    assert again.models[0].path == model
    assert again.settings.preprocess.value == steps
    assert again.settings.caption.text() == "As you last chose for this model"
    seen(qtbot, again)
    assert again.normalisation.guess
    again.normalisation.leave.click()
    assert not again.normalisation.guess
