"""The box of a result: what it says, and that its copies, its files and its second run are that very result."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtGui import QGuiApplication

from napari_fcnseg._napari.layers.axes import AxisChoice
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg._napari.layers.geometry import placed_over
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.results.result_box import ResultBox
from napari_fcnseg._napari.segment.run.request import RunRequest
from napari_fcnseg._napari.segment.run.worker import segment_worker
from napari_fcnseg.cli import main as cli
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.run.recipe import check_models, settings_of
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    from pathlib import Path

CELLS = SAMPLES["cells"]


@pytest.fixture
def box(viewer) -> ResultBox:
    box = ResultBox(viewer)
    viewer.window.add_dock_widget(box)
    return box


def order_of(*layers: Any, choice: AxisChoice | None = None, **settings: Any) -> RunRequest:
    source = ImageLayers.of(layers, InputSpec(2, 2), choice)
    place, spanned = placed_over(layers[0], source.dropped_axis, source.spatial_axes)
    hints = ModelHints(class_names=CELLS.class_names, class_colors=CELLS.class_colors)
    models = (load_model(CELLS.model_path),)
    settings = RunSettings(preprocess=CELLS.preprocess, probabilities=True, **settings)
    return RunRequest(source, models, settings, hints, place, spanned, focus=(*(0,) * len(source.stack_axes), 20, 30))


def computed(viewer: Any, request: RunRequest) -> list[Any]:
    """Do what a request asks for, as the dock's worker does; return the layers, the labels last."""
    steps = segment_worker(request)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome = end.value
            break
    assert outcome.error is None
    for layer in outcome.value.layers:
        layer.metadata[METADATA] = outcome.value.provenance
        viewer.add_layer(layer)
    return list(outcome.value.layers)


def press(qtbot: Any, box: ResultBox, button: Any) -> str:
    """Press a button that begins something, and wait for its end; return what the box says, without its spaces."""
    button.click()
    return ended(qtbot, box)


def ended(qtbot: Any, box: ResultBox) -> str:
    qtbot.waitUntil(lambda: box.save.isEnabled(), timeout=60_000)
    return box.message.text().replace("\u200b", "")


def execute(folder: Path, script: str | None, command: str | None) -> tuple[Any, Any]:
    """Execute what was copied, in a folder of its own; return labels and probabilities."""
    folder.mkdir()
    os.chdir(folder)
    if script is not None:
        exec(compile(script, "script", "exec"), {})
    else:
        assert cli.main([*shlex.split(command)[1:], "--quiet"]) == 0
    return tifffile.imread("labels.tif"), np.moveaxis(tifffile.imread("labels.probabilities.tif"), 0, -1)


def test_copies_files_and_a_second_run_are_that_very_result(qtbot, viewer, box, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_FCNSEG_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert box.layer is None
    channels = np.moveaxis(CELLS.image()[:90, :101], -1, 0)
    for name, channel in zip(CELLS.channel_names, channels, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", channel)
        viewer.open(str(tmp_path / f"{name}.tif"), scale=(0.65, 0.65), units="um")
    request = order_of(*viewer.layers, border="edge")
    *maps, labels = layers = computed(viewer, request)
    scores = np.stack([layer.data for layer in maps], -1)
    qtbot.waitUntil(lambda: box.layer is labels)
    assert not box.python.isEnabled()  # nobody has said yet what was segmented
    box.remember(layers, request)
    assert box.python.isEnabled()

    said = box.about.text().replace("\u200b", "")
    provenance = labels.metadata[METADATA]
    digits = provenance["models"][0]["sha256"][:8]
    for part in ("cells31", "subtract_local_mean", "Conversion not checked"):
        assert part in said
    assert f"CPU:0 · {format_duration(provenance['seconds'])} · sha256 {digits}" in box.about.toolTip()
    labels.metadata[METADATA] = provenance | {"certificate": {"passed": False, "points": 9}, "tiles": (2, 5)}
    box.refresh()
    assert "FAILED" in box.about.text()
    assert "Stopped: 2 of 5 tiles" in box.about.text()
    labels.metadata[METADATA] = provenance
    box.show_layer(labels)

    for name, button in (("script", box.python), ("command", box.command)):
        assert press(qtbot, box, button) == "Copied. It writes labels.tif into the folder where it is run."
        text = QGuiApplication.clipboard().text()
        assert "nuclei.tif" in text
        again = execute(tmp_path / name, *((text, None) if name == "script" else (None, text)))
        np.testing.assert_array_equal(again[0], labels.data)
        np.testing.assert_array_equal(again[1], scores)

    viewer.layers[0].data = channels[0][::-1].copy()  # the file is another image now, and so is its result
    other = order_of(*viewer.layers[:2])
    turned = computed(viewer, other)
    box.remember(turned, other)
    viewer.layers.selection.active = turned[-1]
    qtbot.waitUntil(lambda: box.layer is turned[-1])
    assert "saved as" in press(qtbot, box, box.python)
    again = execute(tmp_path / "saved", QGuiApplication.clipboard().text(), None)
    np.testing.assert_array_equal(again[0], turned[-1].data)

    repeated = computed(viewer, box.request_again(labels))
    for mine, theirs in zip(repeated, layers, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)

    for button, signal in ((box.again, box.run_again), (box.delete, box.remove)):
        with qtbot.waitSignal(signal) as caught:
            button.click()
        assert caught.args == [turned[-1]]
    assert box.layers_of(labels) == layers
    for layer in [*turned, *repeated, *layers]:
        viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: box.layer is None)
    assert box.isHidden()


def test_a_result_is_saved_with_where_it_comes_from(qtbot, viewer, box, tmp_path) -> None:
    channels = np.moveaxis(CELLS.image()[:40, :50], -1, 0)
    layer = viewer.add_image(channels, name="a/b: c", scale=(1, 0.65, 0.65), units=("pixel", "um", "um"))
    request = order_of(layer)
    layers = computed(viewer, request)
    labels = layers[-1]
    qtbot.waitUntil(lambda: box.layer is labels)
    box.remember(layers, request)
    for ending in (".tif", ".ome.tif", ".zarr", ".png", ".npy"):
        path = tmp_path / f"labels{ending}"
        box.save_as(str(path))
        assert f"Saved as {path}" in ended(qtbot, box)
        again = read_image([path])
        np.testing.assert_array_equal(np.asarray(again.data), labels.data)
        if ending not in (".png", ".npy"):
            assert (again.pixel_size, again.unit) == (pytest.approx({"Y": 0.65, "X": 0.65}), "µm")
        told = json.loads((tmp_path / f"{path.stem}.provenance.json").read_text(encoding="utf-8"))
        assert (told["class_names"], told["class_colors"]) == (list(CELLS.class_names), list(CELLS.class_colors))
        assert told["inputs"]["files"] == []
        check_models(told, request.models)
        assert settings_of(told) == settings_of(labels.metadata[METADATA])
    box.save_as(str(tmp_path / "nowhere" / "a.tif"))
    assert "There is no folder" in ended(qtbot, box)
    box.save_as(str(tmp_path / "labels.zarr"))
    assert "Remove it, or choose another name" in ended(qtbot, box)
    assert "part" not in "".join(os.listdir(tmp_path))

    turned = viewer.add_image(np.repeat(channels[..., None], 5, axis=3))  # channel, row, column, frame
    other = order_of(turned, choice=AxisChoice(0, (1, 2)))
    frames = computed(viewer, other)
    box.remember(frames, other)
    qtbot.waitUntil(lambda: box.layer is frames[-1])
    box.save_as(str(tmp_path / "turned.ome.tif"))
    assert "Saved" in ended(qtbot, box)
    again = read_image([tmp_path / "turned.ome.tif"])
    assert again.axes[1:] == "YX"  # which they are by the user's choice, and in the order that such a file has them
    np.testing.assert_array_equal(again.data, np.moveaxis(frames[-1].data, -1, 0))

    stranger = viewer.add_layer(Labels(labels.data, metadata={METADATA: labels.metadata[METADATA]}))
    viewer.layers.selection.active = stranger
    qtbot.waitUntil(lambda: box.layer is stranger)
    assert not box.python.isEnabled()
    assert not box.again.isEnabled()
    assert box.request_again(stranger) is None
    assert box.layers_of(stranger) == [stranger]
    box.save_as(str(tmp_path / "stranger.tif"))
    assert "stranger.provenance.json" in ended(qtbot, box)
