"""The editor of the sidecar: what it shows, what it writes, and what later results make of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari_helpers import ONNX, choose, image, results, run
from qtpy.QtWidgets import QColorDialog

from napari_fcnseg import load_model, segment
from napari_fcnseg._napari.segment.models.naming_dialog import ColorButton, NamingDialog
from napari_fcnseg.samples import SAMPLES


@pytest.fixture
def path(tmp_path) -> Path:
    """Return a model with two channels and three classes, and nothing beside it."""
    return Path(shutil.copy(ONNX / "residual.ts.onnx", tmp_path / "roots.onnx"))


def opened(dock) -> NamingDialog:
    dock.model.names.click()
    return dock.findChildren(NamingDialog)[-1]


def save(qtbot, dialog: NamingDialog) -> None:
    from qtpy.QtWidgets import QDialogButtonBox

    dialog.buttons.button(QDialogButtonBox.StandardButton.Save).click()


def test_what_is_written_is_used_by_the_next_run(qtbot, viewer, dock, path, monkeypatch) -> None:
    from qtpy.QtGui import QColor

    data = image(2, 20, 21)
    viewer.add_image(data)
    choose(qtbot, dock, path)
    dialog = opened(dock)
    assert [dialog.classes.item(row, 0).text() for row in range(3)] == ["class 1", "class 2", "class 3"]
    for row, name in enumerate(("soil", "root", "hair")):
        dialog.classes.item(row, 0).setText(name)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#12ab34"))
    button = dialog.classes.cellWidget(1, 1)
    assert isinstance(button, ColorButton)
    button.click()
    dialog.channels.item(0, 0).setText("red light")
    dialog.preprocess.setText("scale_linear:2,1; zero_mean_unit_variance")
    dialog.pixel_size.setText("0.5, 0.25")
    dialog.unit.setCurrentText("micrometer")
    dialog.citation.setPlainText("Our paper,\nsecond line")
    dialog.doi.setText("10.1000/182")
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: path.with_name("roots.fcnseg.json").exists() and bool(dock.models), timeout=30_000)
    sidecar = load_model(path).sidecar
    assert sidecar.class_names == ("soil", "root", "hair")
    assert sidecar.class_colors[1] == "#12ab34"
    assert sidecar.channel_names == ("red light", "channel 2")
    assert sidecar.preprocess == ("scale_linear:2,1", "zero_mean_unit_variance")
    assert (sidecar.pixel_size, sidecar.unit) == ((0.5, 0.25), "micrometer")
    assert (sidecar.cite[0].text, sidecar.cite[0].doi) == ("Our paper,\nsecond line", "10.1000/182")
    qtbot.waitUntil(lambda: "soil, root, hair" in dock.model.legend.accessibleName(), timeout=30_000)
    assert dock.settings.caption.text() == "From roots.fcnseg.json"
    dock.settings.probabilities.value = True
    run(qtbot, dock)
    *maps, labels = results(viewer, 1)
    np.testing.assert_array_equal(labels.data, segment(data, path).labels)
    assert [layer.name for layer in maps] == [f"{labels.name} · {name}" for name in ("soil", "root", "hair")]
    assert (np.round(labels.colormap.map(2)[:3] * 255) == (0x12, 0xAB, 0x34)).all()
    again = opened(dock)
    assert again.entries().pixel_size == "0.5, 0.25"
    assert again.entries().citation == "Our paper,\nsecond line"
    again.close()


def test_what_nobody_chose_is_left_out_and_what_others_wrote_is_kept(qtbot, dock, path) -> None:
    beside = path.with_name("roots.fcnseg.json")
    beside.write_text(json.dumps({"class_names": ["a", "b", "c"], "description": "mine", "theirs": [1, 2]}))
    choose(qtbot, dock, path)
    dialog = opened(dock)
    dialog.classes.item(2, 0).setText("d")
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: "a, b, d" in dock.model.legend.accessibleName(), timeout=30_000)
    assert json.loads(beside.read_text()) == {
        "format_version": "1", "description": "mine", "class_names": ["a", "b", "d"], "axes": ["y", "x"],
        "theirs": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.classes.item(0, 0).setText(" "), "'class_names' has an empty entry"),
        (lambda d: d.preprocess.setText("sharpen"), "no preprocessing step 'sharpen'"),
        (lambda d: d.pixel_size.setText("half"), "not 'half'"),
        (lambda d: d.pixel_size.setText("-1"), "numbers above 0"),
        (lambda d: d.doi.setText("hello"), "instead of a DOI"),
    ],
)
def test_what_does_not_fit_is_said_in_the_dialog_and_nothing_is_written(qtbot, dock, path, change, says) -> None:
    choose(qtbot, dock, path)
    dialog = opened(dock)
    change(dialog)
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: bool(dialog.message.text()), timeout=10_000)
    assert says in dialog.message.text()
    assert dialog.isVisible()
    assert dialog.buttons.isEnabled()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    dialog.close()


def test_a_folder_that_cannot_be_written_to_is_a_sentence(qtbot, dock, path) -> None:
    choose(qtbot, dock, path)
    dialog = opened(dock)
    path.parent.chmod(0o500)
    try:
        if os.access(path.parent, os.W_OK):  # the system's owner may write everywhere: put a folder in the way
            path.parent.chmod(0o700)
            path.with_name("roots.fcnseg.json").mkdir()
        save(qtbot, dialog)
        qtbot.waitUntil(lambda: bool(dialog.message.text()), timeout=10_000)
    finally:
        path.parent.chmod(0o700)
    assert "roots.fcnseg.json" in dialog.message.text()
    dialog.close()


def test_the_classes_of_each_answer_are_kept_apart(qtbot, dock, tmp_path) -> None:
    path = Path(shutil.copy(ONNX / "two.ts.onnx", tmp_path / "two.onnx"))
    choose(qtbot, dock, path)
    dock.model.output.native.setCurrentIndex(1)
    dock.model.output.native.activated.emit(1)
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    dialog = opened(dock)
    dialog.classes.item(0, 0).setText("rim")
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: "rim, class 2" in dock.model.legend.accessibleName(), timeout=30_000)
    assert dock.model.output.value == "scores1"
    assert load_model(path, "scores1").class_names[0] == "rim"
    assert load_model(path, "scores0").class_names[0] == "class 1"


def test_members_of_an_ensemble_are_named_alike(qtbot, dock, path, tmp_path) -> None:
    other = Path(shutil.copy(path, tmp_path / "other.onnx"))
    choose(qtbot, dock, path, other)
    dialog = opened(dock)
    dialog.preprocess.setText("scale_linear:2,1")
    dialog.citation.setPlainText("Of the first")
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: dock.settings.preprocess.value == "scale_linear:2,1", timeout=30_000)
    assert load_model(other).sidecar.preprocess == ("scale_linear:2,1",)
    assert [len(load_model(p).sidecar.cite) for p in (path, other)] == [1, 0]


def test_what_the_user_writes_beside_a_samples_model_counts_more_than_the_sample(qtbot, viewer, dock, tmp_path) -> None:
    from napari_fcnseg._napari.segment.models.hints import ModelHints

    path = Path(shutil.copy(SAMPLES["cells"].model_path, tmp_path))
    hints = ModelHints(str(path), class_names=("x", "y", "z"))
    viewer.add_image(np.ones((40, 40, 2)), metadata=hints.metadata())
    qtbot.waitUntil(lambda: "x, y, z" in dock.model.legend.accessibleName(), timeout=30_000)
    dialog = opened(dock)
    assert dialog.entries().class_names == ("x", "y", "z")
    dialog.classes.item(1, 0).setText("why")
    save(qtbot, dialog)
    qtbot.waitUntil(lambda: "x, why, z" in dock.model.legend.accessibleName(), timeout=30_000)
