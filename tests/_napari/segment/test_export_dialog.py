"""A package of the model from the dock's menu: what is missing is said, and what is written opens."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from napari_helpers import give, image, settle, small_model

from napari_fcnseg._napari.segment.models.export_dialog import ExportDialog


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
