"""The compare dock in a real window: chosen, compared, looked at, clicked through and kept, as a person does it."""

from __future__ import annotations

import csv
import json

import numpy as np
from compare_helpers import choose, click, compared, open_dock, show_tab, untold
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from skimage.measure import label

from napari_fcnseg import compare
from napari_fcnseg._napari.compare.see.camera import camera_of
from napari_fcnseg.comparison import (
    BOTH,
    DIFFERENT,
    ONLY_A,
    ONLY_B,
    AgreementMap,
    Differing,
    count,
    matches,
    places,
)


def test_a_session_with_classes(qtbot, viewer, tmp_path, monkeypatch) -> None:
    viewer.open_sample("napari-fcnseg", "cells_to_compare")
    dock = open_dock(qtbot, viewer)
    assert untold(dock) == []
    truth, mask = viewer.layers["cells truth"], viewer.layers["cells threshold"]
    assert (dock.masks.first, dock.masks.chosen) == (truth, (mask,)), "the truth is known by its name"
    said = compared(qtbot, dock)
    names = {1: "background", 2: "edge", 3: "interior"}
    expected = compare(truth.data, mask.data, class_names=names, spacing=(0.65, 0.65), unit="µm")
    assert f"{expected.overall.different:,} of {truth.data.size:,} pixels differ" in said
    found = dock.controller.study.entries[0].comparison
    assert found == expected
    agreement = dock.controller.shown.agreement
    kinds = np.asarray(AgreementMap(truth.data, mask.data, background=[1]))
    np.testing.assert_array_equal(agreement.data, kinds, "the class called background is none")
    assert viewer.layers.selection.active is not agreement, "the next stroke of the brush is not on it"
    for kind, name in ((BOTH, "both"), (ONLY_A, "only A"), (ONLY_B, "only B"), (DIFFERENT, "different")):
        share = f"{100 * (kinds == kind).sum() / (kinds > 0).sum():.3g}"
        assert f"{name} {share} %".replace(" ", "&nbsp;") in dock.see.legend.text()

    show_tab(qtbot, dock, "Confusion")
    click(qtbot, dock.measure.confusion_table, 1, 2)
    qtbot.waitUntil(lambda: dock.controller.shown.light is not None)
    lit = (truth.data == 2) & (mask.data == 3)
    np.testing.assert_array_equal(dock.controller.shown.light.data, lit)
    assert f"{lit.sum():,} pixels are edge in cells truth, interior in cells threshold" in dock.see.place.text()
    y, x = (round(n / 0.65) for n in camera_of(viewer).center[-2:])
    assert lit[y, x], "the camera is on them"

    worst = places(Differing(np.asarray(AgreementMap(truth.data, mask.data))), spatial=2)
    for place in worst[:3]:
        dock.see.next.click()
        np.testing.assert_allclose(camera_of(viewer).center[-2:], np.multiply(place.at, 0.65), atol=1e-6)
    assert dock.see.place.text().startswith("3 of ")
    dock.see.previous.click()
    assert dock.see.place.text().startswith("2 of ")

    show_tab(qtbot, dock, "Classes")
    table = dock.measure.class_table
    table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert [dock.measure.classes.index(row, 0).data() for row in range(3)] == [
        "edge (2)", "interior (3)", "background (1)"
    ]  # fmt: skip
    table.setFocus()
    QTest.keySequence(table, "Ctrl+C")
    copied = QGuiApplication.clipboard().text().splitlines()
    assert copied[1].split("\t")[:2] == ["edge (2)", f"{expected.classes[1].dice:.4g}"]

    monkeypatch.setattr(
        "napari_fcnseg._napari.widgets.save_name.QFileDialog.getSaveFileName",
        lambda parent, title, name, kinds: (str(tmp_path / name), kinds),
    )
    for each in (dock.keep.csv, dock.keep.json, dock.keep.report):
        each.click()
        qtbot.waitUntil(lambda: dock.keep.message.text().startswith("Saved"), timeout=30_000)
        dock.keep._say("")
    rows = list(csv.DictReader((tmp_path / "scores.csv").open(encoding="utf-8")))
    dice = [float(row["value"]) for row in rows if (row["of"], row["score"]) == ("edge", "dice")]
    assert dice == [expected.classes[1].dice]
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["masks"][0]["mask"] == "cells threshold"
    assert "cells threshold compared with cells truth" in (tmp_path / "report.html").read_text(encoding="utf-8")
    dock.keep.copy.click()
    data = QGuiApplication.clipboard().mimeData()
    assert data.text().count("\n") == len(rows)
    assert data.html().startswith("<table>")

    truth.paint((5, 5), 3)
    qtbot.waitUntil(lambda: "has changed since" in dock.masks.message.text())
    dock.see.agreement.click()
    assert agreement not in viewer.layers
    viewer.layers.remove(mask)
    qtbot.wait(50)
    assert not dock.see.swipe.isEnabled()
    assert "pixels differ" in dock.measure.headline.text(), "what was computed is not lost"


def test_several_masks_of_objects(qtbot, viewer) -> None:
    viewer.open_sample("napari-fcnseg", "cells_to_compare")
    a, b = (label(viewer.layers[name].data == 3) for name in ("cells truth", "cells threshold"))
    viewer.layers.clear()
    place = {"scale": (2.0, 2.0), "translate": (10.0, 20.0)}
    truth = viewer.add_labels(a, name="by hand", **place)
    poor = viewer.add_labels(np.where(b % 3, b, 0), name="poor", **place)
    good = viewer.add_labels(b.repeat(2, 0).repeat(2, 1)[1:, 1:], name="good", scale=(1, 1), translate=(10, 20))
    dock = open_dock(qtbot, viewer)
    choose(dock, truth, poor, good)
    said = compared(qtbot, dock)
    expected = compare(a, b, instances=True, spacing=(2, 2))
    assert said.startswith(f"{expected.instances.at.found} of {expected.instances.a_objects} objects found")
    assert "each pixel takes the nearest label" in dock.masks.message.text()
    show_tab(qtbot, dock, "Masks")
    ranking = dock.measure.ranking
    assert [ranking.index(row, 1).data() for row in range(2)] == ["good", "poor"]
    assert dock.controller.masks == (truth, good), "the best one is looked at first"

    show_tab(qtbot, dock, "Objects")
    objects = dock.measure.objects
    objects.filter.setCurrentText("missed")
    missed = [row for row in expected.instances.objects if row.side == "a" and not row.matched]
    assert objects.objects.rowCount() == len(missed) == expected.instances.at.missed
    click(qtbot, objects.table, 1, 1)
    middle = np.add(np.multiply(missed[1].centroid, 2), (10, 20))
    np.testing.assert_allclose(camera_of(viewer).center[-2:], middle, atol=1e-6)
    assert truth.selected_label == missed[1].label
    qtbot.waitUntil(lambda: dock.controller.shown.light is not None)
    light = dock.controller.shown.light
    lit = np.zeros_like(a)
    row, column = (round(n) for n in truth.world_to_data(light.data_to_world((0, 0))))
    lit[row : row + light.data.shape[0], column : column + light.data.shape[1]] = light.data
    np.testing.assert_array_equal(lit, a == missed[1].label)
    assert light.contour, "what lies under it is seen"
    assert dock.see.place.text().startswith(f"Object {missed[1].label} of by hand: missed")
    assert f"{missed[1].pixels:,} pixels, IoU {missed[1].iou:.4g} with" in dock.see.place.text()

    dock.controller.view = None
    objects.slider.setValue(80)
    qtbot.waitUntil(lambda: dock.controller.view is not None, timeout=30_000)
    strict = compare(a, b, instances=True, threshold=0.8)
    assert f"at IoU 0.8), {strict.instances.at.missed} missed" in dock.measure.headline.text()
    pairs = matches(count(a, b), 0.8)
    np.testing.assert_array_equal(dock.controller.shown.agreement.data, np.asarray(AgreementMap(a, b, pairs=pairs)))
    np.testing.assert_allclose(dock.controller.shown.agreement.data_to_world((0, 0)), (10, 20))

    show_tab(qtbot, dock, "Masks")
    click(qtbot, dock.measure.ranking_table, 1, 1)
    assert dock.controller.masks == (truth, poor)
    qtbot.waitUntil(lambda: dock.controller.view is not None, timeout=30_000)
    assert dock.controller.shown.agreement.name == "by hand ≠ poor"
    show_tab(qtbot, dock, "Curve")
    qtbot.waitUntil(lambda: not dock.measure.plot.pixmap().isNull(), timeout=30_000)


def test_stacks_and_mistakes_and_ends(qtbot, viewer, told) -> None:
    dock = open_dock(qtbot, viewer)
    assert "Open at least two Labels layers" in dock.masks.message.text()
    dock.masks.compare.click()
    assert "nothing to compare" in dock.masks.message.text()
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 3, (4, 30, 40)).astype(np.uint8)
    truth = viewer.add_labels(stack, name="truth")
    other = stack.copy()
    other[2, 10:20, 5:25] = 7
    mask = viewer.add_labels(other, name="mask")
    far = viewer.add_labels(stack[0], name="far", translate=(1000, 1000))
    qtbot.wait(50)
    choose(dock, truth)
    dock.masks.compare.click()
    assert "No mask was chosen" in dock.masks.message.text()
    choose(dock, truth, far)
    dock.masks.compare.click()
    qtbot.waitUntil(lambda: "do not overlap" in dock.masks.message.text())
    assert dock.masks.compare.isEnabled()
    assert any("do not overlap" in text for text in told())
    dock.masks.form.ignore.setText("one")
    dock.masks.compare.click()
    assert "whole numbers with commas" in dock.masks.message.text()
    dock.masks.form.ignore.setText("")
    choose(dock, truth, mask)
    viewer.dims.set_current_step(0, 0)
    compared(qtbot, dock)
    dock.see.next.click()
    assert viewer.dims.current_step[0] == 2, "the slider goes to the frame too"
    assert ", in frame 2" in dock.see.place.text()

    large = Labels(rng.integers(0, 9, (3000, 3000)).astype(np.uint8), name="large")
    second = Labels(large.data.copy(), name="second")
    for layer in (large, second):
        viewer.add_layer(layer)
    qtbot.wait(50)
    before = dock.measure.headline.text()
    choose(dock, large, second)
    dock.masks.compare.click()
    dock.masks.cancel.click()
    assert "Stopped" in dock.masks.message.text()
    assert dock.masks.compare.isEnabled()
    assert dock.measure.headline.text() == before
    dock.masks.compare.click()
    viewer.layers.remove(second)
    qtbot.waitUntil(lambda: dock.masks.compare.isEnabled())
    dock.masks.compare.click()
