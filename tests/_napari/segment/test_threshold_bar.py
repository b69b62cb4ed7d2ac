"""The threshold's slider: labels at once, by the probabilities of the run, and said wherever the result goes."""

from __future__ import annotations

import json

import numpy as np
from napari_helpers import give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.edits import edited_pixels
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg.run.recipe import Inputs, as_python


def test_labels_follow_the_slider_and_what_was_painted_stays(qtbot, viewer, dock, tmp_path) -> None:
    model, data = small_model(), image(2, 40, 42)
    viewer.add_image(data, name="noise")
    give(dock, model)
    assert dock.threshold.isHidden()
    run(qtbot, dock)
    labels = viewer.layers[-1]
    assert not dock.threshold.isHidden()
    assert dock.threshold.caption.text() == "Unsure below"
    assert dock.threshold.value.text() == "off"
    frames = [segment(frame, model, confidence=True) for frame in data]
    own, sure = np.stack([f.labels for f in frames]), np.stack([f.confidence for f in frames])
    for percent in (70, 45, 0, 90):
        dock.threshold.slider.setValue(percent)
        qtbot.waitUntil(lambda: not dock.threshold._waiting, timeout=10_000)
        np.testing.assert_array_equal(labels.data, np.where(sure < np.float32(percent / 100), 4, own))
        assert edited_pixels(labels) == 0
        assert ("threshold" in labels.metadata[METADATA]) == (percent > 0)
    assert labels.colormap.map(4)[3] > 0, "a colour of its own"
    assert "Unsure below 90 %" in dock.result.about.text()
    dock.result.save_as(str(tmp_path / "labels.tif"))
    qtbot.waitUntil(lambda: "Saved" in dock.result.message.text(), timeout=30_000)
    told = json.loads((tmp_path / "labels.provenance.json").read_text(encoding="utf-8"))
    assert told["threshold"] == {"value": 0.9, "classes": 3, "unsure": 4}

    labels.paint((0, 20, 20), 2)
    painted = labels.data[0] != np.where(sure[0] < np.float32(0.9), 4, own[0])
    assert painted.any()
    qtbot.waitUntil(lambda: "Edited by hand" in dock.result.about.text(), timeout=20_000)
    dock.threshold.slider.setValue(30)
    qtbot.waitUntil(lambda: not dock.threshold._waiting, timeout=10_000)
    assert (labels.data[0][painted] == 2).all()
    np.testing.assert_array_equal(labels.data[0][~painted], np.where(sure[0] < np.float32(0.3), 4, own[0])[~painted])
    settle(qtbot)
    run(qtbot, dock)
    assert dock.threshold.value.text() == "off", "another result"


def test_a_script_computes_the_same_threshold() -> None:
    model = {"path": "m.onnx", "output": "", "sha256": "0" * 64, "name": "m", "patch_shape": [8, 8]}
    provenance = {
        "models": [model], "settings": {}, "tile": [8, 8], "channel_axis": None, "devices": [], "mask": None,
        "image": {"shape": [20, 20]}, "threshold": {"value": 0.7, "classes": 3, "unsure": 4},
    }  # fmt: skip
    script = as_python(provenance, Inputs(("image.tif",)))
    assert "confidence=True" in script
    assert "Threshold(0.7, 3).apply(result.labels, result.confidence)" in script
    compile(script, "script", "exec")
