"""What does not fit is a sentence in the dock and a notification, and the dock stays ready."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from napari_helpers import choose, give, image, run, settle, small_model
from qtpy.QtWidgets import QScrollArea

from napari_fcnseg.samples import SAMPLES


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
    dock.setFixedWidth(300)  # the first sentence names each step, in words longer than a line
    settle(qtbot)
    assert dock.findChild(QScrollArea).widget().minimumSizeHint().width() <= 300


def test_a_fault_in_somebody_elses_image_is_shown_and_leaves_the_dock_ready(qtbot, viewer, dock, told) -> None:
    class Broken(np.ndarray):
        """An array that can be shown, and cannot be read by a worker."""

        def __getitem__(self, where):
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("the disk is gone")
            return np.asarray(self)[where]

    viewer.add_image(image(20, 20).view(Broken), contrast_limits=(0, 1))
    give(dock, small_model())
    assert "cannot be read (the disk is gone)" in run(qtbot, dock)
    assert any("the disk is gone" in message for message in told())


def test_a_file_that_is_no_model(qtbot, dock, told, tmp_path) -> None:
    path = tmp_path / "text.keras"
    path.write_text("this is no model")
    dock.choose_models([str(path)])
    qtbot.waitUntil(lambda: bool(told()), timeout=30_000)
    assert "text.keras" in dock.model.about.text()
    assert told() == [dock.model.about.text()]
    assert dock.models == ()
    assert not dock.model.report.isEnabled()
    assert not dock.run.message.text(), "it stands once in the dock"
    assert not dock.run.run.isEnabled()
    assert "the reason is under Model" in dock.run.run.toolTip()


def test_a_model_that_does_not_fit_the_ensemble_and_one_that_does_not_exist(qtbot, dock, told, tmp_path) -> None:
    dock.choose_models([str(tmp_path / "one.keras"), str(tmp_path / "two.keras")])
    qtbot.waitUntil(lambda: bool(told()), timeout=30_000)
    assert "there is no such file" in dock.model.about.text()


def test_images_that_do_not_fit_one_after_the_other(qtbot, viewer, dock, told) -> None:
    """Each is a sentence that says what to do, and the dock takes the next request."""
    noise, before = image(40, 50), len(viewer.layers)
    cases = [
        (noise, small_model(spatial=3), "has 2 axes of pixels and the model looks along 3. Open a stack of planes"),
        (noise, small_model(2), "'channel 2' has no layer yet. Choose one under Image."),
        (np.full((9, 9), np.inf, np.float32), small_model(), "the first at pixel (0, 0). Replace them"),
    ]
    for data, model, sentence in cases:
        layer = viewer.add_image(data, contrast_limits=(0, 1))
        give(dock, model)
        said = run(qtbot, dock)
        assert sentence in said
        assert said in told()
        viewer.layers.remove(layer)
    viewer.add_image(image(5, 5))
    give(dock, small_model())
    dock.settings.border.value = "valid"
    assert "smaller than the patch (8 × 8)" in run(qtbot, dock)
    dock.settings.border.value = "reflect"
    dock.settings.device.value = "GPU:7"
    assert run(qtbot, dock).startswith("There is no device 'GPU:7' here. Choose one of: CPU:0 (")
    dock.settings.device.value = ""
    dock.settings.tile.setValue(dock.settings.tile.maximum())  # larger than any memory: it is only a most
    assert run(qtbot, dock).startswith("Done: 5 × 5 pixels in ")
    assert len(viewer.layers) == before + 2


def test_nothing_where_it_is_to_be_segmented(qtbot, viewer, dock, told) -> None:
    viewer.window._qt_window.show()
    viewer.add_image(image(40, 50))
    viewer.add_shapes([np.array([[1, 1], [9, 9]])], shape_type="line", name="line")
    beside = np.array([[100, 100], [100, 140], [140, 140], [140, 100]])
    viewer.add_shapes([beside], shape_type="rectangle", name="beside")
    viewer.add_labels(np.zeros((40, 50), np.uint8), name="empty")
    give(dock, small_model())
    for name, sentence in [
        ("inside line", "There is nothing inside 'line'. Draw a rectangle, an ellipse or a polygon in it."),
        ("inside beside", "No pixel of the image is inside 'beside'. Draw over the image, or choose another."),
        ("inside empty", "No pixel of the image is inside 'empty'. Draw over the image, or choose another."),
        ("visible area", "The view shows nothing of the image. Move it there, or choose the whole image."),
    ]:
        settle(qtbot)
        dock.where.area.setCurrentIndex(dock.where.area.findText(name))
        if name == "visible area":
            getattr(viewer, "scene", viewer).camera.center = (5000, 5000)
            qtbot.wait(200)
        assert run(qtbot, dock) == sentence
        assert not told(), "once, in the dock, which is in sight"
    assert len(viewer.layers) == 4


def _truncated(path: Path) -> None:
    path.write_bytes(Path(SAMPLES["cells"].model_path).read_bytes()[:2000])


def _weights_only(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("layers/dense/vars").create_dataset("0", data=np.zeros((3, 3)))


BROKEN = {
    "cut.keras": (_truncated, "a zip archive that was cut off or damaged. Copy or download the file again"),
    "w.weights.h5": (_weights_only, "holds the weights of a model only, not its structure"),
    "noise.onnx": (
        lambda path: path.write_bytes(b"\x08\x07\x12" + bytes(range(255, 0, -1))),
        "damaged or no ONNX file",
    ),
    "empty.keras": (lambda path: path.write_bytes(b""), "it is empty. Copy or download the file again"),
    "folder": (lambda path: path.mkdir(), "it is a folder. Choose the model file inside it."),
}


def test_broken_models_one_after_the_other_and_a_good_one_at_last(qtbot, viewer, dock, told, tmp_path) -> None:
    for number, (name, (make, sentence)) in enumerate(BROKEN.items(), 1):
        path = tmp_path / name
        make(path)
        dock.choose_models([str(path)])
        qtbot.waitUntil(lambda number=number: len(told()) == number, timeout=30_000)
        assert sentence in told()[-1]
        assert name in told()[-1]
        assert dock.model.about.text() == told()[-1]
        assert (dock.models, dock.run.message.text(), dock.run.run.isEnabled()) == ((), "", False)
    good = tmp_path / "gone.keras"
    shutil.copy(SAMPLES["cells"].model_path, good)
    choose(qtbot, dock, good)
    assert dock.run.message.text() == "", "what was wrong with another model is no news any more"
    good.unlink()  # it was read: what is deleted since is not needed
    for name in ("nuclei", "cytoplasm"):
        viewer.add_image(image(40, 50), name=name)
    assert run(qtbot, dock).startswith("Done: 40 × 50 pixels")
    dock.result.copy_python()
    qtbot.waitUntil(lambda: not dock.result._busy, timeout=30_000)
    assert "there is no such file" in dock.result.message.text().replace("\u200b", "")
    dock.result.save_as(str(tmp_path / "no" / "such" / "folder.tif"))
    qtbot.waitUntil(lambda: not dock.result._busy, timeout=30_000)
    assert "There is no folder" in dock.result.message.text()
    assert "Create it, or choose another one." in dock.result.message.text()


def test_the_last_choice_wins(qtbot, dock, tmp_path) -> None:
    for name in ("first", "second"):
        dock.choose_models([str(tmp_path / f"{name}.keras")])
    qtbot.waitUntil(lambda: "Reading" not in dock.model.about.text(), timeout=30_000)
    qtbot.wait(100)
    assert "second" in dock.model.about.text()
