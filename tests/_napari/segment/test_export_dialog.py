"""A package of the model from the dock's menu: what is missing is said, and what is written opens."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from cut_text import cut_text
from napari_helpers import give, image, settle, small_model

from napari_fcnseg._napari.segment.models.export_dialog import ExportDialog
from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path


def opened(dock) -> ExportDialog:
    dock.model.export.click()
    return dock.findChildren(ExportDialog)[-1]


@pytest.mark.timeout(120)
def test_the_menu_writes_a_package_with_the_chosen_image(qtbot, viewer, dock, tmp_path) -> None:
    assert not dock.model.export.isEnabled()
    viewer.add_image(image(40, 41))
    give(dock, small_model())
    dock.settings.preprocess.value = "scale_linear:2,1"
    settle(qtbot)
    dialog = opened(dock)
    dialog.export.click()
    assert "Choose a licence" in dialog.message.text()
    dialog.licence.setCurrentText("CC-BY")
    dialog.export.click()
    assert "Did you mean" in dialog.message.text()
    dialog.licence.setCurrentText("MIT")
    dialog.authors.setText("Ada Lovelace, Grace Hopper")
    dialog.name.setText("From the dock")
    path = tmp_path / "dock.bioimage.zip"
    dialog.write(path)
    assert not dialog.export.isEnabled()
    qtbot.waitUntil(dialog.export.isEnabled, timeout=60_000)
    assert dialog.message.text() == f"Saved as {path}."
    with zipfile.ZipFile(path) as archive:
        text = archive.read("rdf.yaml").decode()
        with archive.open("test_input.npy") as file:
            np.testing.assert_array_equal(np.load(file)[0, ..., 0], image(40, 41))
    assert all(f"name: {name}" in text for name in ("From the dock", "Ada Lovelace", "Grace Hopper"))
    assert "id: scale_linear" in text
    dialog.write(path)
    qtbot.waitUntil(dialog.export.isEnabled, timeout=60_000)
    assert "exists already" in dialog.message.text()
    dialog.close()


def test_without_an_image_there_is_none_to_choose(qtbot, viewer, dock) -> None:
    give(dock, small_model())
    settle(qtbot)
    dialog = opened(dock)
    assert not dialog.image.isEnabled()
    assert not dialog.image.isChecked()
    dialog.close()


@pytest.mark.timeout(120)
def test_a_package_says_what_the_dock_knows_of_a_model_without_a_sidecar(qtbot, viewer, dock, tmp_path) -> None:
    dock.choice.choose_sample("cells")
    qtbot.waitUntil(lambda: bool(dock.models) and dock.ready, timeout=30_000)
    settle(qtbot)
    sample, given = written(qtbot, dock, tmp_path / "cells.bioimage.zip"), SAMPLES["cells"]
    assert sample["inputs"][0]["axes"][-1]["channel_names"] == list(given.channel_names)
    assert sample["outputs"][0]["axes"][-1]["channel_names"] == list(given.class_names)
    assert [(axis["scale"], axis["unit"]) for axis in sample["inputs"][0]["axes"][1:3]] == [(0.65, "micrometer")] * 2
    hints = ModelHints(class_names=("a", "b", "c"), class_colors=("#000000", "#111111", "#222222"))
    give(dock, small_model(), hints=replace(hints, channel_names=("actin",)))
    other = written(qtbot, dock, tmp_path / "other.bioimage.zip")
    assert other["inputs"][0]["axes"][-1]["channel_names"] == ["actin"]
    assert other["outputs"][0]["axes"][-1]["channel_names"] == ["a", "b", "c"]
    assert "scale" not in other["inputs"][0]["axes"][1]


def written(qtbot, dock, path: Path) -> dict[str, Any]:
    """Export what is chosen, with random numbers for a test image; return the description in the package."""
    dialog = opened(dock)
    dialog.image.setChecked(False)
    dialog.licence.setCurrentText("MIT")
    dialog.write(path)
    qtbot.waitUntil(dialog.export.isEnabled, timeout=60_000)
    assert dialog.message.text() == f"Saved as {path}."
    dialog.close()
    with zipfile.ZipFile(path) as archive:
        return yaml.safe_load(archive.read("rdf.yaml"))


@pytest.mark.parametrize("width", [200, 344, 700])
def test_no_message_squeezes_the_fields(qtbot, viewer, dock, width) -> None:
    give(dock, small_model())
    settle(qtbot)
    dialog = opened(dock)
    dialog.resize(width, 10)
    said = (
        "Choose a licence: it says how others may use the model.",
        f"Saved as /{'a_rather_long_folder/' * 12}a.zip.",
    )
    for text in (*said, ""):
        for style in (ERROR_STYLE, ""):
            dialog._say(text, style)
            settle(qtbot)
            assert _cut(dialog) == []
            fields = [dialog.name, dialog.authors, dialog.licence, dialog.image]
            assert [field.height() for field in fields if field.height() < field.sizeHint().height()] == []
    dialog._say(said[1])
    settle(qtbot)
    dialog.resize(dialog.minimumWidth() or 150, 10)
    settle(qtbot)
    assert _cut(dialog) == []
    dialog.close()


def _cut(dialog: ExportDialog) -> list[str]:
    """Return what is cut, but not the line that an editable list makes lower than other lines."""
    return [said for said in cut_text(dialog) if not said.startswith("QLineEdit is")]
