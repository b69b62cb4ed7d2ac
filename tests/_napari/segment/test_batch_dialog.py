"""The batch's window: a folder or open layers, rows that fill in, and every way to end it."""

from __future__ import annotations

import csv
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from _plates import write_plate
from napari.layers import Image
from napari_helpers import ONNX, give, small_model
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QLabel, QLineEdit
from skimage.measure import label, regionprops

import napari_fcnseg as nf
from napari_fcnseg._napari.layers.channels import InputSpec
from napari_fcnseg._napari.segment.batch import dialog as dialog_module
from napari_fcnseg._napari.segment.batch.dialog import BatchDialog
from napari_fcnseg._napari.segment.batch.layers import layer_image
from napari_fcnseg._napari.segment.batch.table import BatchModel
from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.models.preferences import Preferences
from napari_fcnseg.batch import ReportLine
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from pathlib import Path

MODEL = ONNX / "multi.dynamo.onnx"  # 14 x 14 patches, RGB, two classes
HINTS = ModelHints(class_names=("ground", "cell"), class_colors=("#999999", "#d55e00"))


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def rows(dialog: BatchDialog) -> dict[str, str]:
    """Return what the table shows: file and status."""
    model = dialog.files
    return {model.data(model.index(r, 0)): model.data(model.index(r, 1)) for r in range(model.rowCount())}


def start(qtbot, dialog: BatchDialog) -> str:
    """Press Start and wait for the end; return what the window says."""
    dialog.start.click()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=120_000)
    return dialog.message.text()


def test_a_folder_and_then_open_layers(qtbot, viewer, tmp_path) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    images = {name: pixels(20, 24, 3, seed=seed) for seed, name in enumerate(("2.tif", "10.tif"))}
    for name, image in images.items():
        tifffile.imwrite(folder / name, image)
    (folder / "broken.tif").write_text("x", encoding="utf-8")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    dialog = BatchDialog(viewer, as_ensemble(MODEL), RunSettings(border="edge"), HINTS, viewer.window._qt_window)
    told: list[bool] = []
    dialog.running.connect(told.append)
    dialog.show()
    assert "No folder with images" in start(qtbot, dialog)
    dialog.form.folder.line.setText(str(folder))
    assert dialog.form.results.folder == str(folder / "labels")  # proposed
    dialog.form.results.line.setText(str(out))
    dialog.form.folder.line.setText(f"{folder}/")
    assert dialog.form.results.folder == str(out)  # the user's own word stays
    dialog.form.probabilities.setChecked(True)
    dialog.hold()
    dialog.start.click()
    assert not dialog.busy
    dialog.release()
    said = start(qtbot, dialog)
    assert said == f"2 done, 1 failed, 1 left out. Report: {out / 'report.csv'}"
    assert rows(dialog) == {"notes.txt": "Left out", "2.tif": "Done", "10.tif": "Done", "broken.tif": "Failed"}
    assert told == [True, False]
    for name, image in images.items():
        expected = nf.segment(image, MODEL, border="edge").labels
        np.testing.assert_array_equal(tifffile.imread(out / name.replace(".tif", ".labels.tif")), expected)
    assert (out / "2.probabilities.tif").is_file()
    dialog.table.selectRow(3)
    assert dialog.details.text().startswith("broken.tif: ")
    assert not dialog.show_labels.isEnabled()
    dialog.table.selectRow(2)
    dialog.show_labels.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=30_000)
    shown = viewer.layers[0]
    np.testing.assert_array_equal(shown.data, tifffile.imread(out / "10.labels.tif"))
    assert (shown.name, list(shown.features["class"])) == ("10", ["not labelled", "ground", "cell"])
    np.testing.assert_allclose(shown.colormap.map(2), [0xD5 / 255, 0x5E / 255, 0, 1], atol=1e-6)
    assert shown.metadata["napari_fcnseg"]["program"] == "napari-fcnseg"
    assert "2 done before" in start(qtbot, dialog)
    _layers_too(qtbot, viewer, dialog, tmp_path / "layers")
    dialog.close()
    qtbot.waitUntil(lambda: not viewer.window._qt_window.findChildren(BatchDialog), timeout=10_000)


def _layers_too(qtbot, viewer, dialog: BatchDialog, out: Path) -> None:
    """Segment layers with the window that has just segmented a folder."""
    stack = pixels(2, 3, 20, 22, seed=5)
    viewer.add_image(
        stack, name="a/stack", scale=(1, 1, 2, 2), translate=(0, 0, 7, 9), units=("s", "pixel", "um", "um")
    )
    viewer.add_image(pixels(20, 22, seed=6), name="grey")
    qtbot.wait(50)
    dialog.form.source.setCurrentIndex(1)
    listed = [dialog.form.layers.item(row) for row in range(dialog.form.layers.count())]
    assert [item.text() for item in listed] == ["a/stack", "grey"]  # the result is not offered
    assert "Merge to Stack" in listed[1].toolTip()
    assert not listed[1].flags() & Qt.ItemFlag.ItemIsEnabled
    dialog.form.results.line.setText(str(out))
    assert "1 done" in start(qtbot, dialog)
    labels = nf.segment(stack, MODEL, channel_axis=1, border="edge").labels
    np.testing.assert_array_equal(tifffile.imread(out / "a_stack.labels.tif"), labels)
    dialog.table.selectRow(0)
    before = len(viewer.layers)
    dialog.table.activated.emit(dialog.files.index(0, 0))
    qtbot.waitUntil(lambda: len(viewer.layers) > before, timeout=30_000)
    shown = viewer.layers[-1]
    np.testing.assert_array_equal(shown.data[:, 0], labels)
    np.testing.assert_allclose(shown.scale[-2:], (2, 2))
    np.testing.assert_allclose(shown.translate[-2:], (7, 9))


def test_a_plate_is_a_folder_of_fields_and_becomes_a_plate(qtbot, viewer, tmp_path) -> None:
    fields = {"A/1/0": pixels(3, 20, 24), "B/2/0": pixels(3, 20, 24, seed=1)}
    plate, out = write_plate(tmp_path / "screen.ome.zarr", fields), tmp_path / "screen.ome.labels.zarr"
    dialog = BatchDialog(viewer, as_ensemble(MODEL), RunSettings(border="edge"), HINTS, viewer.window._qt_window)
    dialog.show()
    dialog.form.folder.line.setText(str(tmp_path))
    assert dialog.form.subfolders.isVisible()
    dialog.form.folder.line.setText(str(plate))
    assert dialog.form.results.folder == str(out)  # beside the plate, never in it
    assert not dialog.form.subfolders.isVisible()
    assert (dialog.form.form.isEnabled(), dialog.form.form.currentData()) == (False, "ome-zarr")
    said = start(qtbot, dialog)
    assert said == f"2 done. Report: {tmp_path / 'screen.ome.labels.report' / 'report.csv'}"
    assert rows(dialog) == dict.fromkeys(fields, "Done")
    dialog.table.selectRow(1)
    dialog.show_labels.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=30_000)
    expected = nf.segment(np.moveaxis(fields["B/2/0"], 0, -1), MODEL, border="edge").labels
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data), expected)
    assert viewer.layers[0].name == "B/2/0"
    dialog.form.folder.line.setText(str(tmp_path))
    assert dialog.form.form.isEnabled()
    dialog.close()


@pytest.mark.parametrize("how", ["stop", "close", "parent"])
def test_a_batch_ends_at_once_and_what_is_done_stays(qtbot, viewer, tmp_path, how, told) -> None:
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", pixels(300, 300, 3))
    settings = RunSettings(border="edge", tile=20)
    parent = QLabel()
    dialog = BatchDialog(viewer, as_ensemble(MODEL), settings, HINTS, parent)
    dialog.form.folder.line.setText(str(tmp_path))
    out, files = tmp_path / "labels", dialog.files
    dialog.show()
    dialog.start.click()
    qtbot.waitUntil(lambda: len(files.lines) == 1 and dialog.bar.value() > 100, timeout=120_000)
    assert rows(dialog)["b.npy"] == "Working…"
    dialog.reject()  # Esc ends nothing that goes on
    assert dialog.isVisible()
    ended: list[object] = []
    dialog.destroyed.connect(lambda _=None: ended.append(True))
    if how == "stop":
        dialog.stop.click()
        qtbot.waitUntil(lambda: not dialog.busy, timeout=30_000)
        assert rows(dialog) == {"a.npy": "Done", "b.npy": "Not done", "c.npy": "Not done"}
        assert dialog.message.text().startswith("1 done, 2 not done. Start again to go on.")
    elif how == "close":
        dialog.close()
        qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    else:
        parent.deleteLater()
        qtbot.waitUntil(lambda: bool(ended), timeout=30_000)
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name == "napari-fcnseg-batch"], timeout=30_000)
    with (out / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "stopped", "stopped"]
    names = sorted(path.name for path in out.iterdir() if path.name[0] != ".")
    assert names == ["a.labels.provenance.json", "a.labels.tif", "b.labels.tif.partial.zarr", "report.csv"]
    assert not told()
    if how != "parent":
        parent.deleteLater()


def test_the_window_is_narrow_named_and_has_tooltips(qtbot, viewer) -> None:
    models = (small_model(), small_model(seed=1))
    dialog = BatchDialog(viewer, models, RunSettings(disagreement=True), HINTS, viewer.window._qt_window)
    dialog.show()
    dialog.resize(300, 500)
    qtbot.wait(50)
    assert dialog.width() <= 330
    assert dialog.form.disagreement.isChecked()
    for widget in dialog.findChildren((QAbstractButton, QComboBox, QLineEdit)):
        if widget.isVisible():
            assert widget.toolTip().startswith("<p>"), widget
            assert widget.accessibleName() or widget.text(), widget
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget
            assert widget.width() >= min(widget.minimumSizeHint().width(), widget.sizeHint().width()), widget
    dialog.form.source.setCurrentIndex(1)
    assert "No image layer is open" in start(qtbot, dialog)
    dialog.close()


def test_the_table_has_a_row_per_file_and_none_is_drawn_twice(qtbot) -> None:
    model = BatchModel()
    told: list[int] = []
    model.begin([f"{n}.tif" for n in range(10_000)])
    model.dataChanged.connect(lambda first, last: told.append(first.row()))
    assert model.work_on("7.tif") == 7
    model.work_on("7.tif")
    model.take(ReportLine("7.tif", "failed", "It is broken."))
    model.work_on("8.tif")
    assert told == [7, 7, 7, 8]
    assert [model.data(model.index(7, column)) for column in range(3)] == ["7.tif", "Failed", "It is broken."]
    assert model.data(model.index(7, 0), Qt.ItemDataRole.ToolTipRole) == "It is broken."
    assert model.data(model.index(8, 1)) == "Working…"
    model.end()
    assert model.data(model.index(8, 1)) == "Not done"


def test_a_layer_becomes_an_image_with_its_axes_and_pixel_size() -> None:
    need = InputSpec(3, 2)
    rgb, spot = layer_image(Image(pixels(9, 8, 4), rgb=True, scale=(0.5, 0.25), units=("um", "um")), need, 1)
    assert (rgb.axes, rgb.data.shape, rgb.unit) == ("YXS", (9, 8, 3), "µm")
    assert dict(rgb.pixel_size) == {"Y": 0.5, "X": 0.25}
    assert spot.spanned_axis is None
    grey, spot = layer_image(Image(pixels(9, 8)), need, 1)
    assert (grey.axes, spot) == ("YX", None)
    volume, spot = layer_image(Image(pixels(7, 9, 8)), replace(need, channels=1, spatial=3), 2)
    assert volume.axes == "ZYX"
    np.testing.assert_allclose(spot.geometry["scale"], (2, 2, 2))


def test_objects_as_the_dock_has_them(qtbot, viewer, dock, tmp_path) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for seed, name in enumerate(("a.tif", "b.tif")):
        tifffile.imwrite(folder / name, pixels(20, 24, 3, seed=seed))
    give(dock, *as_ensemble(MODEL), hints=HINTS)
    dock.instances.form.minimum_size.setValue(4)
    dock.instances.form.corners.setChecked(True)
    dock.dialogs.batch.click()
    dialog = dock.findChildren(BatchDialog)[-1]
    assert dialog.form.objects.text() == "Find objects: cell"
    assert not dialog.form.objects.isChecked()
    dialog.form.folder.line.setText(str(folder))
    dialog.form.results.line.setText(str(out))
    dialog.form.objects.setChecked(True)
    assert "2 done" in start(qtbot, dialog)
    with (out / "objects.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for name in ("a", "b"):
        regions = regionprops(label(tifffile.imread(out / f"{name}.labels.tif") == 2, connectivity=2))
        areas = [int(region.area) for region in regions if region.area >= 4]
        assert [int(row["area (px)"]) for row in table if row["image"] == f"{name}.tif"] == areas
        assert areas
    dialog.close()
    dock.instances.form.offer_classes({1: "ground", 2: "cell"})
    dock.instances.form.interior.setCurrentIndex(0)  # as shown under Objects
    dock.dialogs.batch.click()
    assert dock.findChildren(BatchDialog)[-1].form.objects.text() == "Find objects: ground"


def test_a_folder_is_segmented_on_the_preferred_cluster_and_layers_are_not(
    qtbot, viewer, tmp_path, monkeypatch
) -> None:
    distributed = pytest.importorskip("distributed")
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    images = {name: pixels(20, 24, 3, seed=seed) for seed, name in enumerate(("a.tif", "b.tif"))}
    for name, image in images.items():
        tifffile.imwrite(folder / name, image)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None, silence_logs=50
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        monkeypatch.setattr(dialog_module, "preferred", lambda: Preferences(cluster=address))
        dialog = BatchDialog(viewer, as_ensemble(MODEL), RunSettings(border="edge", device="CPU"), HINTS)
        qtbot.addWidget(dialog)
        assert f"segmented at {address}" in dialog.message.text()
        dialog.form.folder.line.setText(str(folder))
        dialog.form.results.line.setText(str(out))
        assert start(qtbot, dialog).startswith("2 done.")
    assert rows(dialog) == {"a.tif": "Done", "b.tif": "Done"}
    for name, image in images.items():
        alone = nf.segment(image, MODEL, border="edge", device="CPU").labels
        np.testing.assert_array_equal(tifffile.imread(out / name.replace(".tif", ".labels.tif")), alone)
    viewer.add_image(images["a.tif"], name="layer", rgb=True)  # the cluster is gone, and is not asked
    qtbot.wait(50)
    dialog.form.source.setCurrentIndex(1)
    dialog.form.results.line.setText(str(tmp_path / "layers"))
    assert start(qtbot, dialog).startswith("1 done.")
