"""Models of every kind in the dock: several answers, files and folders, and what the sidecar beside them says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari_helpers import ONNX, choose, image, run, settle
from readers.reader_forge import BIAS, CONV, KERNEL, entry, sequential
from readers.reader_forge_savedmodel import SavedModel

from napari_fcnseg import load_model, segment
from napari_fcnseg.samples import SAMPLES

SIDECAR = {
    "class_names": ["soil", "root", "hair"],
    "class_colors": ["#101010", "#20c020", "#3030ff"],
    "channel_names": ["red light", "blue light"],
    "preprocessing": [{"id": "scale_linear", "kwargs": {"gain": 2.0, "offset": 1.0}}],
    "pixel_size": {"y": 0.5, "x": 0.25},
    "unit": "micrometer",
}


@pytest.fixture
def with_sidecar(tmp_path) -> Path:
    """Return a model with two channels and three classes, and a sidecar beside it."""
    path = Path(shutil.copy(ONNX / "residual.ts.onnx", tmp_path / "roots.onnx"))
    (tmp_path / "roots.fcnseg.json").write_text(json.dumps(SIDECAR))
    return path


def test_another_answer_of_the_same_model_is_computed_when_it_is_chosen(qtbot, viewer, dock) -> None:
    path, data = ONNX / "two.ts.onnx", image(20, 22, 3)
    viewer.add_image(data, rgb=False)
    choose(qtbot, dock, path)
    assert dock.model.output.native.isVisibleTo(dock)
    assert dock.model.output.choices == ("scores0", "scores1")
    dock.settings.preprocess.value = "scale_linear:2,1"
    run(qtbot, dock)
    dock.model.output.native.setCurrentIndex(1)
    dock.model.output.native.activated.emit(1)
    assert dock.models == ()
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    assert dock.models[0].output == dock.model.output.value == "scores1"
    assert dock.settings.preprocess.value == "scale_linear:2,1"
    run(qtbot, dock)
    for layer, output in zip(list(viewer.layers)[1:], ("scores0", "scores1"), strict=True):
        expected = segment(data, load_model(path, output), preprocess="scale_linear:2,1")
        np.testing.assert_array_equal(layer.data, expected.labels)
    choose(qtbot, dock, ONNX / "residual.ts.onnx")
    assert not dock.model.output.native.isVisibleTo(dock)


def test_a_sidecar_names_and_colours_the_result_and_prepares_the_image(qtbot, viewer, dock, with_sidecar) -> None:
    data = image(2, 21, 23)
    viewer.add_image(data, name="roots", scale=(1, 0.5, 0.25), units=("pixel", "um", "um"))
    choose(qtbot, dock, with_sidecar)
    assert dock.settings.preprocess.value == "scale_linear:2,1"
    assert dock.settings.caption.text() == "From roots.fcnseg.json"
    assert "soil, root, hair" in dock.model.legend.accessibleName()
    assert "channels on axis 0: red light, blue light" in dock.image.mapping.text()
    run(qtbot, dock)
    labels = viewer.layers[-1]
    np.testing.assert_array_equal(labels.data, segment(data, with_sidecar).labels)
    assert list(labels.features["class"]) == ["not labelled", "soil", "root", "hair"]
    for label, color in enumerate(SIDECAR["class_colors"], start=1):
        assert (np.round(labels.colormap.map(label)[:3] * 255) == [int(color[i : i + 2], 16) for i in (1, 3, 5)]).all()
    assert not dock.image.warning.isVisibleTo(dock)


def test_what_the_user_writes_over_the_sidecars_steps_counts_and_the_next_model_brings_its_own(
    qtbot, viewer, dock, with_sidecar
) -> None:
    data = image(2, 21, 23)
    viewer.add_image(data)
    choose(qtbot, dock, with_sidecar)
    dock.settings.preprocess.value = ""
    assert dock.settings.caption.text() == ""
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, with_sidecar, preprocess=()).labels)
    dock.settings.preprocess.value = "scale_linear:3,0"
    choose(qtbot, dock, ONNX / "norms.ts.onnx")  # which says nothing: another model's line is not for it
    assert dock.settings.preprocess.value == ""
    choose(qtbot, dock, with_sidecar)
    assert dock.settings.preprocess.value == "", "what it was run with the last time"
    choose(qtbot, dock, ONNX / "norms.ts.onnx")
    assert dock.settings.preprocess.value == ""


@pytest.mark.parametrize(
    ("scale", "units", "said"),
    [
        ((1, 0.5, 0.26), ("pixel", "um", "um"), ""),
        ((1, 0.5, 0.5), ("pixel", "um", "um"), "are 0.5 × 0.5 micrometer, and those that the model was trained on 0.5"),
        ((1, 500, 250), ("pixel", "nm", "nm"), ""),
        ((1, 3, 3), ("pixel", "pixel", "pixel"), ""),
    ],
)
def test_pixels_of_another_size_are_said_before_the_run(qtbot, viewer, dock, with_sidecar, scale, units, said) -> None:
    viewer.add_image(image(2, 21, 23), scale=scale, units=units)
    choose(qtbot, dock, with_sidecar)
    assert said in dock.image.warning.text()
    assert dock.image.warning.isVisibleTo(dock) == bool(said)


def test_layers_are_asked_for_by_the_sidecars_channel_names(qtbot, viewer, dock, with_sidecar) -> None:
    for name in ("blue light", "other", "red light"):
        viewer.add_image(image(21, 23), name=name)
    choose(qtbot, dock, with_sidecar)
    settle(qtbot)
    assert [combo.layer.name for combo in dock.image.combos] == ["red light", "blue light"]
    assert [label.text() for label in dock.image._labels] == ["Red light", "Blue light"]


def test_a_sidecar_that_does_not_fit_is_a_sentence(qtbot, dock, told, with_sidecar) -> None:
    beside = with_sidecar.with_name("roots.fcnseg.json")
    beside.write_text(json.dumps({**SIDECAR, "class_names": ["soil"], "class_colors": []}))
    dock.choose_models([str(with_sidecar)])
    qtbot.waitUntil(lambda: bool(told()), timeout=30_000)
    assert "'class_names' has 1 entries, and the model has 3 classes" in dock.model.about.text()
    assert str(beside) in dock.model.about.text()


def test_an_ensemble_whose_sidecars_disagree_is_used_and_the_user_is_asked_for_the_steps(
    qtbot, dock, told, with_sidecar, tmp_path
) -> None:
    other = Path(shutil.copy(with_sidecar, tmp_path / "other.onnx"))
    choose(qtbot, dock, with_sidecar, other)
    assert len(dock.models) == 2
    assert dock.settings.preprocess.value == ""
    assert "do not agree on preprocessing" in told()[-1]


def test_a_samples_own_words_count_more_than_none(qtbot, viewer, dock) -> None:
    sample = SAMPLES["cells"]
    choose(qtbot, dock, sample.model_path)
    assert dock.choice.hints.class_colors == sample.class_colors
    assert dock.settings.caption.text() == ""


def test_a_dropped_onnx_model_and_a_savedmodels_file_reach_the_dock(qtbot, viewer, dock, tmp_path) -> None:
    viewer.open(str(ONNX / "residual.ts.onnx"), plugin=None)
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    assert dock.models[0].path == ONNX / "residual.ts.onnx"
    layers = [entry("Conv2D", "conv", **CONV), entry("GlobalAveragePooling2D", "pool")]
    folder = SavedModel(sequential(*layers, keras=2), [{"kernel": KERNEL, "bias": BIAS}, {}]).write(tmp_path / "cells")
    viewer.open(str(folder / "saved_model.pb"), plugin=None)
    qtbot.waitUntil(lambda: bool(dock.models) and dock.models[0].path == folder, timeout=30_000)
    assert len(viewer.layers) == 0


def test_folders_are_left_to_other_readers(viewer, tmp_path) -> None:
    from npe2 import PluginManager

    readers = PluginManager.instance().iter_compatible_readers
    assert "napari-fcnseg" in {reader.plugin_name for reader in readers("a.onnx")}
    assert "napari-fcnseg" not in {reader.plugin_name for reader in readers(str(tmp_path))}


def test_the_buttons_open_dialogs_for_files_and_for_folders(qtbot, dock, monkeypatch, tmp_path) -> None:
    from qtpy.QtWidgets import QFileDialog

    filters, chosen = [], []
    path = str(ONNX / "residual.ts.onnx")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *a: (filters.append(a[-1]), ([path], ""))[1])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a: str(tmp_path))
    monkeypatch.setattr(dock, "choose_models", chosen.append)
    dock.model.files_chosen.disconnect()
    dock.model.files_chosen.connect(chosen.append)
    dock.model.choose.click()
    dock.model.folder.click()
    assert chosen == [[path], [str(tmp_path)]]
    assert all(f"*{ending}" in filters[0] for ending in (".keras", ".h5", ".onnx", ".json"))
