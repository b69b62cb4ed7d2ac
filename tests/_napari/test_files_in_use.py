"""The window saves over no file of an open layer or a model; over a result if the user was asked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Labels
from napari.plugins.io import save_layers
from npe2 import PluginManager

from napari_fcnseg._napari.compare.export_box import ExportBox
from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.segment.results.certificate_dialog import CertificateDialog
from napari_fcnseg._napari.segment.results.result_box import ResultBox
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import read_image

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"
LABELS = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(np.uint8)
PROVENANCE = {"program": "napari-fcnseg", "models": [{"name": "m", "sha256": "", "patch_shape": (9, 9)}]}


@pytest.fixture(autouse=True)
def plugins() -> None:
    PluginManager.instance().discover()


def result() -> Labels:
    return Labels(LABELS, metadata={"napari_fcnseg": PROVENANCE}, name="result")


@pytest.mark.parametrize("link", [os.symlink, os.link, shutil.copy])
def test_file_save_replaces_a_result_but_no_layer_s_own_file(viewer, tmp_path, link) -> None:
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((20, 30), np.uint8))
    before = (tmp_path / "image.tif").read_bytes()
    viewer.open(tmp_path / "image.tif", plugin="napari")
    link(tmp_path / "image.tif", tmp_path / "other.tif")
    for name in ("image.tif", "other.tif"):
        if link is shutil.copy and name == "other.tif":  # an earlier result: the dialog has asked
            save_layers(str(tmp_path / name), [result()], plugin="napari-fcnseg")
            np.testing.assert_array_equal(tifffile.imread(tmp_path / name), LABELS)
            continue
        with pytest.raises(OutputError, match="read: it is never written over"):
            save_layers(str(tmp_path / name), [result()], plugin="napari-fcnseg")
    assert (tmp_path / "image.tif").read_bytes() == before


def test_a_layer_that_is_read_from_zarr_keeps_it_and_a_folder_is_not_replaced(viewer, tmp_path) -> None:
    zarr.create_array(tmp_path / "image.zarr", data=LABELS)
    zarr.create_array(tmp_path / "other.zarr", data=LABELS)
    viewer.add_image(zarr.open_array(tmp_path / "image.zarr", mode="r"))  # nobody said from where
    with pytest.raises(OutputError, match="is read"):
        save_layers(str(tmp_path / "image.zarr"), [result()], plugin="napari-fcnseg")
    with pytest.raises(OutputError, match=r"exists already\. Remove it"):  # no dialog asks about a folder
        save_layers(str(tmp_path / "other.zarr"), [result()], plugin="napari-fcnseg")
    assert (read_image([tmp_path / "image.zarr"]).data[:] == LABELS).all()


def test_a_chosen_model_and_its_sidecar_are_kept(qtbot, dock, tmp_path) -> None:
    for file in MODEL.parent.glob(f"{MODEL.name}*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "multi.dynamo.fcnseg.json").write_text('{"format_version": "1"}', encoding="utf-8")
    dock.choose_models([str(tmp_path / MODEL.name)])
    for name in (MODEL.name, "multi.dynamo.fcnseg.json"):
        assert in_use().problem(tmp_path / name)
    qtbot.waitUntil(lambda: bool(dock.models), timeout=60_000)
    before = (tmp_path / MODEL.name).read_bytes()
    certificate = SimpleNamespace(save=lambda path, overwrite: pytest.fail("it was written"))
    dialog = CertificateDialog(certificate, "proof.json")
    qtbot.addWidget(dialog)
    dialog.save_as(str(tmp_path / MODEL.name), replace=True)
    qtbot.waitUntil(lambda: "is read: it is never written over" in dialog.message.text().replace("\u200b", ""))
    assert in_use().problem(tmp_path / f"{MODEL.name}.data")
    assert (tmp_path / MODEL.name).read_bytes() == before


def test_under_a_name_that_was_completed_nobody_was_asked(qtbot, viewer, tmp_path, monkeypatch) -> None:
    box = ResultBox(viewer)
    qtbot.addWidget(box)
    viewer.add_layer(result())
    qtbot.waitUntil(lambda: box.layer is not None)
    (tmp_path / "labels.tif").write_bytes(b"precious")
    answer = {"path": str(tmp_path / "labels")}
    where = "napari_fcnseg._napari.segment.results.result_box.QFileDialog.getSaveFileName"
    monkeypatch.setattr(where, lambda *_: (answer["path"], "TIFF (*.tif)"))
    box.save.click()
    qtbot.waitUntil(lambda: "exists already" in box.message.text().replace("\u200b", ""), timeout=10_000)
    assert (tmp_path / "labels.tif").read_bytes() == b"precious"
    answer["path"] += ".tif"  # the dialog has asked about this one
    box.save.click()
    qtbot.waitUntil(lambda: "Saved as" in box.message.text(), timeout=10_000)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), LABELS)


def test_a_table_is_not_written_over_a_picture_that_is_open(qtbot, viewer, tmp_path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((20, 30), np.uint8))
    before = (tmp_path / "image.tif").read_bytes()
    viewer.open(tmp_path / "image.tif", plugin="napari")
    box = ExportBox()
    qtbot.addWidget(box)
    box.take(SimpleNamespace(save_csv=lambda *_, **__: pytest.fail("it was written")))
    box.save(tmp_path / "image.tif", replace=True)
    qtbot.waitUntil(lambda: "never written over" in box.message.text(), timeout=10_000)
    assert (tmp_path / "image.tif").read_bytes() == before
