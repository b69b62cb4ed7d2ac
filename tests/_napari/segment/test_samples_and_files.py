"""Samples, model files, and models dropped on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from napari_helpers import finish, run, settle

from napari_fcnseg import segment
from napari_fcnseg.samples import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_brings_its_model_and_preprocessing(qtbot, viewer, dock, name) -> None:
    sample = SAMPLES[name]
    viewer.open_sample("napari-fcnseg", name)
    inputs = len(viewer.layers)
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    settle(qtbot)
    assert dock.settings.settings().preprocess == ((", ".join(sample.preprocess),) if sample.preprocess else ())
    assert ", ".join(sample.class_names) in dock.model.legend.accessibleName()
    for layer in viewer.layers:  # the whole image is for the demo
        layer.data = layer.data[:70, :80]
    run(qtbot, dock)
    labels = viewer.layers[-1]
    expected = segment(
        sample.image()[:70, :80], sample.model_path, channel_axis=sample.channel_axis, preprocess=sample.preprocess
    )
    np.testing.assert_array_equal(labels.data, expected.labels)
    assert list(labels.features["class"][1:]) == list(sample.class_names)
    assert labels.units == viewer.layers[0].units
    np.testing.assert_allclose(labels.scale, viewer.layers[0].scale)
    assert len(viewer.layers) == inputs + 1


def test_a_sample_from_the_docks_own_menu_opens_image_and_model(qtbot, viewer, dock) -> None:
    dock.model.samples.menu().actions()[1].trigger()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2 and bool(dock.models), timeout=30_000)
    settle(qtbot)
    assert [combo.layer.name for combo in dock.image.combos] == ["cells nuclei", "cells cytoplasm"]
    dock.choice.choose_sample("cells")
    qtbot.wait(200)
    assert len(viewer.layers) == 2


def test_channels_are_found_by_name_among_others(qtbot, viewer, dock) -> None:
    for name in ("Cytoplasm stain", "junk", "nuclei", "more junk"):
        viewer.add_image(np.ones((40, 40)), name=name)
    dock.choose_models([str(SAMPLES["cells"].model_path)])
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    settle(qtbot)
    assert [combo.layer.name for combo in dock.image.combos] == ["nuclei", "Cytoplasm stain"]


def test_a_chosen_model_is_not_replaced_by_a_samples(qtbot, viewer, dock) -> None:
    path = SAMPLES["cells"].model_path
    dock.choose_models([str(path)])
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    viewer.open_sample("napari-fcnseg", "tissue")
    qtbot.wait(200)
    assert dock.models[0].path == path


def test_models_dropped_together_are_an_ensemble(qtbot, viewer, dock) -> None:
    path = str(SAMPLES["cells"].model_path)
    before = len(viewer.layers)
    viewer.open([path, path], plugin=None)
    qtbot.waitUntil(lambda: len(dock.models) == 2, timeout=30_000)
    assert len(viewer.layers) == before


def test_a_dropped_model_opens_the_dock(qtbot, viewer) -> None:
    viewer.open(str(SAMPLES["tissue"].model_path), plugin=None)
    _, dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    assert dock.models[0].name == "tissue31"


def test_the_report_is_a_table_of_all_layers(qtbot, viewer, dock) -> None:
    from qtpy.QtWidgets import QTableWidget

    dock.choose_models([str(SAMPLES["tissue"].model_path)])
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    dock.model.report.click()
    table = dock.findChild(QTableWidget)
    report = dock.models[0].fcn.report
    assert table.rowCount() == len(report.rows())
    assert [table.item(0, c).text() for c in range(table.columnCount())] == list(report.rows()[0])
    finish(qtbot, dock)


def test_tooltips_speak_the_words_of_the_docstrings(qtbot, dock) -> None:
    assert "leaves the frame without a full patch unlabelled" in dock.settings.border.tooltip
    assert "automatic (None) goes by memory" in dock.settings.tile.toolTip()
    qtbot.waitUntil(lambda: "clip" in dock.settings.preprocess.tooltip, timeout=30_000)
    assert "scale_range:min_percentile,max_percentile" in dock.settings.preprocess.tooltip
    assert dock.settings.probabilities.tooltip != "<p></p>"
