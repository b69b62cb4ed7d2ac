"""Labels that were edited by hand are not the model's: the dock, the files and the certificate say so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari_helpers import finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.segment.results.certificate_dialog import CertificateDialog
from napari_fcnseg.proof.certificate import Certificate


@pytest.fixture
def labels(qtbot, viewer, dock):
    """Return the labels of a run over two frames, whose columns are not the last axis."""
    viewer.add_image(image(2, 40, 50), name="noise")
    give(dock, small_model())
    dock.settings.tile.setValue(24)
    run(qtbot, dock)
    return viewer.layers[-1]


def stroke(layer, number: int) -> int:
    """Paint with the brush as the mouse does; return how many pixels that changed."""
    before = layer.data.copy()
    layer.mode, layer.brush_size = "paint", 9
    layer.paint((0, 20, 25), number)
    layer.fill((1, 5, 5), number)
    return int(np.count_nonzero(layer.data != before))


def test_edits_are_counted_said_and_written_and_the_check_is_of_the_models_own(
    qtbot, viewer, dock, labels, tmp_path
) -> None:
    own = labels.data.copy()
    edited = stroke(labels, 7)
    assert edited
    qtbot.waitUntil(lambda: f"Edited by hand ({edited:,} px)" in dock.result.about.text(), timeout=20_000)
    settle(qtbot)
    dock.run.verify.click()
    said = finish(qtbot, dock)
    assert said.startswith("Conversion check passed: 256 of 256")
    assert f"edited by hand ({edited:,} px): it is not what was checked" in said
    assert "model's own labels" in dock.result.about.text()
    entry = labels.metadata[METADATA]
    assert Certificate.from_dict(entry["certificate"]).edited_pixels == edited
    viewer.layers.selection.active = labels
    settle(qtbot)
    dock.dialogs.open_certificate()
    (dialog,) = dock.findChildren(CertificateDialog)
    assert f"{edited:,} pixels were edited by hand since" in dialog.text.toPlainText()

    labels.data[0, 0, :] = 9  # by a script, of which napari tells nobody
    more = int(np.count_nonzero(labels.data != own))
    assert more > edited
    for number, save in enumerate(
        (dock.result.save_as, lambda path: viewer.layers.save(path, selected=True, plugin="napari-fcnseg"))
    ):
        save(str(tmp_path / f"{number}.tif"))
        told = tmp_path / f"{number}.provenance.json"
        qtbot.waitUntil(told.exists, timeout=20_000)
        qtbot.waitUntil(lambda: dock.result.save.isEnabled(), timeout=20_000)
        written = json.loads(told.read_text(encoding="utf-8"))
        assert written["edited"] == {"pixels": more}
        assert Certificate.from_dict(written["certificate"]).edited_pixels == more
    interior = dock.instances.form.interior
    interior.setCurrentIndex(interior.findData(2))  # no class has a name: none is proposed
    dock.instances.find_now()
    qtbot.waitUntil(lambda: any("objects" in layer.name for layer in viewer.layers), timeout=30_000)
    assert viewer.layers[-1].metadata[METADATA]["edited"] == {"pixels": more}


def test_what_is_undone_is_not_edited(qtbot, viewer, dock, labels) -> None:
    own = labels.data.copy()
    stroke(labels, 7)
    qtbot.waitUntil(lambda: "Edited by hand" in dock.result.about.text(), timeout=20_000)
    labels.undo()
    labels.undo()
    np.testing.assert_array_equal(labels.data, own)
    qtbot.waitUntil(lambda: "Edited" not in dock.result.about.text(), timeout=20_000)
    assert "edited" not in labels.metadata[METADATA]
    labels.data = np.zeros_like(own)
    qtbot.waitUntil(lambda: f"Edited by hand ({own.size:,} px)" in dock.result.about.text(), timeout=20_000)


def test_the_axes_of_the_layer_are_those_that_are_compared(qtbot, viewer, dock) -> None:
    from napari_fcnseg._napari.layers.axes import AxisChoice
    from napari_fcnseg._napari.layers.edits import edited_pixels

    viewer.add_image(image(30, 2, 28), name="frames in the middle")
    give(dock, small_model())
    settle(qtbot)
    dock.image.strip.chosen.emit(AxisChoice(None, (2, 0)))
    run(qtbot, dock)
    layer = viewer.layers[-1]
    expected = segment(viewer.layers[0].data.transpose(1, 2, 0), small_model()).labels.transpose(2, 0, 1)
    np.testing.assert_array_equal(layer.data, expected)
    assert edited_pixels(layer) == 0
    layer.data[3, 1, 4] += 1
    assert edited_pixels(layer) == 1
