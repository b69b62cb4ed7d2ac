"""Maps of probabilities against a truth, in the compare dock of a real window; the core's scores are the reference."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from compare_helpers import LEFT, click, open_dock
from napari.layers import Image, Labels
from napari_helpers import settle
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_fcnseg._napari.compare.probability_worker import is_likely, label_of, maps_among
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg.comparison.metrics.probability import score_probability

NAMES = {"index": range(3), "class": ["none", "wall", "cell"]}


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Return a truth with the labels 1 and 2, and the probability of 2."""
    rng = np.random.default_rng(3)
    cells = rng.random((60, 70)) < 0.4
    return cells + 1, np.clip(0.3 * cells + rng.normal(0.35, 0.15, cells.shape), 0, 1).astype(np.float32)


def chosen(box) -> list[tuple[str, int]]:
    """Return the maps that would be scored, and the label of each."""
    return [(layer.name, label) for layer, label in box.chosen]


def test_maps_are_offered_scored_drawn_cut_and_saved(qtbot, viewer, tmp_path, monkeypatch) -> None:
    labels, p = scene()
    scale = {"scale": (0.5, 0.5), "units": ("µm", "µm")}
    viewer.add_image(1000 * p, name="camera", **scale)
    dock = open_dock(qtbot, viewer)
    box = dock.probability
    box.parent().heading.click()
    settle(qtbot)
    assert chosen(box) == [], "an image is no map of probabilities because it is of floating point"
    box.score.click()
    assert "no truth" in box.message.text().lower()
    # A map of half as many pixels per axis, and its opposite: both where the truth is.
    viewer.add_image(p, name="run · cell", **scale)
    viewer.add_image(1 - p, name="run · wall", **scale)
    viewer.add_labels(labels.repeat(2, 0).repeat(2, 1), name="truth", features=NAMES, scale=(0.25, 0.25),
                      translate=(-0.125, -0.125), units=("µm", "µm"))  # fmt: skip
    qtbot.waitUntil(lambda: dock.masks.first is viewer.layers["truth"])
    settle(qtbot)
    assert chosen(box) == [("run · wall", 1), ("run · cell", 2)], "by the names of the classes"
    QTest.mouseClick(box.score, LEFT)
    qtbot.waitUntil(lambda: len(box._found) == 2, timeout=30_000)
    expected = score_probability(labels, p, 2)
    _, cell = box._found
    assert (cell.name, cell.positives) == ("run · cell", 4 * expected.positives)
    for score in ("average_precision", "best_threshold", "best_dice", "dice", "calibration_error", "brier"):
        assert getattr(cell, score) == pytest.approx(getattr(expected, score), rel=1e-9)
    assert "pixels of 0.5" in box.message.text(), "it says what was resampled"
    shown = {box.scores.headerData(i, Qt.Orientation.Horizontal): box.scores.index(1, i).data()
             for i in range(box.scores.columnCount())}  # fmt: skip
    assert shown["Map"] == "run · cell"
    assert all(box.scores.headerData(i, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
               for i in range(box.scores.columnCount()))  # fmt: skip

    def picture() -> bytes:
        image = box.plot.pixmap().toImage()
        return bytes(image.constBits().asstring(image.sizeInBytes()))

    qtbot.waitUntil(lambda: not box.plot.pixmap().isNull(), timeout=30_000)
    first = picture()
    assert len(set(first)) > 20
    box.which.setCurrentIndex(1)
    qtbot.waitUntil(lambda: picture() != first, timeout=30_000)

    click(qtbot, box.table, 1, 0)
    QTest.mouseClick(box.best, LEFT)
    qtbot.waitUntil(lambda: isinstance(viewer.layers[-1], Labels) and "≥" in viewer.layers[-1].name)
    cut = viewer.layers[-1]
    np.testing.assert_array_equal(cut.data, np.where(p >= expected.best_threshold, 2, 0))
    np.testing.assert_allclose(cut.scale, (0.5, 0.5))
    assert cut.metadata[METADATA]["thresholded"]["map"] == "run · cell"

    for name in ("scores.csv", "scores.json"):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        box.save.click()
        qtbot.waitUntil(lambda name=name: name in box.message.text())
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    value = next(row["value"] for row in rows if (row["map"], row["score"]) == ("run · cell", "average_precision"))
    assert float(value) == cell.average_precision
    data = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert (data["truth"], len(data["probabilities"])) == ("truth", 2)

    # What a person said stays, whatever else happens; a label that the truth lacks has no best threshold.
    box.maps.cellWidget(1, 1).setValue(9)
    box.maps.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    viewer.layers["run · cell"].name = "cells, perhaps"
    viewer.add_labels(labels, name="other")
    box.set_truth(viewer.layers["other"])
    settle(qtbot)
    assert chosen(box) == [("cells, perhaps", 9)]
    assert box.maps.item(1, 0).text() == "cells, perhaps"
    box.score.click()
    qtbot.waitUntil(lambda: len(box._found) == 1, timeout=30_000)
    assert box._found[0].average_precision is None
    box.best.click()
    assert "no pixel with label 9" in box.message.text()


def test_which_layers_are_maps_and_of_which_label() -> None:
    labels, p = scene()
    own = {METADATA: {"program": "napari-fcnseg"}}
    layers = [Image(p, name=f"x · {name}", metadata=own) for name in ("a", "b", "confidence")]
    layers += [Image((255 * p).astype(np.uint8), name="grey"), Labels(labels), Image(40 * p, name="camera")]
    maps = maps_among(layers)
    assert {layer.name for layer in maps} == {"x · a", "x · b", "camera"}
    assert [is_likely(layer) for layer in maps] == [layer.name != "camera" for layer in maps]
    assert {layer.name: label_of(layer, None, maps) for layer in maps} == {"x · a": 1, "x · b": 2, "camera": 1}
