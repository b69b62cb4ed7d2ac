"""What does not fit is a sentence in the dock and a notification, and the dock stays ready."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari_helpers import finish, give, image, run, settle, small_model


def test_nothing_is_chosen(qtbot, viewer, dock, told) -> None:
    said = run(qtbot, dock)
    assert "No model was chosen" in said
    assert told() == [said]
    give(dock, small_model())
    assert "No image was chosen" in run(qtbot, dock)


def test_channels_that_do_not_match(qtbot, viewer, dock, told) -> None:
    viewer.add_image(np.zeros((20, 20, 3), np.uint8), rgb=True)
    give(dock, small_model(2))
    said = run(qtbot, dock)
    assert "has 3 channels along axis 2; the model takes 2" in said
    assert dock.image.mapping.text() == said
    assert said in told()


def test_layers_of_different_shapes(qtbot, viewer, dock) -> None:
    viewer.add_image(image(20, 20), name="phase")
    viewer.add_image(image(20, 22), name="dapi")
    give(dock, small_model(2))
    settle(qtbot)
    for combo, layer in zip(dock.image.combos, viewer.layers, strict=True):
        combo.layer = layer
    assert run(qtbot, dock).startswith("Layers 'phase' (20 × 20) and 'dapi' (20 × 22) cannot be channels of one image")


def test_not_a_number(qtbot, viewer, dock, told) -> None:
    data = image(20, 20)
    data[3, 4] = np.nan
    viewer.add_image(data)
    give(dock, small_model())
    said = run(qtbot, dock)
    assert "the first at pixel (3, 4)" in said
    assert said in told()
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("text", ["sharpen", "clip:1", "divide_by_median"])
def test_preprocessing_that_cannot_be_done(qtbot, viewer, dock, text) -> None:
    viewer.add_image(np.zeros((20, 20), np.uint8))
    give(dock, small_model())
    dock.settings.preprocess.value = text
    assert text.split(":")[0] in run(qtbot, dock)
    assert len(viewer.layers) == 1


def test_a_fault_in_somebody_elses_image_is_shown_and_leaves_the_dock_ready(qtbot, viewer, dock, told) -> None:
    class Broken(np.ndarray):
        """An array that can be shown, and cannot be read by a worker."""

        def __getitem__(self, where):
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("the disk is gone")
            return np.asarray(self)[where]

    viewer.add_image(image(20, 20).view(Broken), contrast_limits=(0, 1))
    give(dock, small_model())
    assert "RuntimeError: the disk is gone" in run(qtbot, dock)
    assert any("the disk is gone" in message for message in told())


def test_a_file_that_is_no_model(qtbot, dock, told, tmp_path) -> None:
    path = tmp_path / "text.keras"
    path.write_text("this is no model")
    dock.choose_models([str(path)])
    qtbot.waitUntil(lambda: bool(told()), timeout=30_000)
    assert "text.keras" in dock.model.about.text()
    assert told() == [dock.model.about.text()] == [dock.run.message.text()]
    assert dock.models == ()
    assert not dock.model.report.isEnabled()
    finish(qtbot, dock)


def test_a_model_that_does_not_fit_the_ensemble_and_one_that_does_not_exist(qtbot, dock, told, tmp_path) -> None:
    dock.choose_models([str(tmp_path / "one.keras"), str(tmp_path / "two.keras")])
    qtbot.waitUntil(lambda: bool(told()), timeout=30_000)
    assert "there is no such file" in dock.model.about.text()


def test_the_last_choice_wins(qtbot, dock, tmp_path) -> None:
    for name in ("first", "second"):
        dock.choose_models([str(tmp_path / f"{name}.keras")])
    qtbot.waitUntil(lambda: "Reading" not in dock.model.about.text(), timeout=30_000)
    qtbot.wait(100)
    assert "second" in dock.model.about.text()
