"""The method, the time said beforehand, and results with every Nth pixel."""

from __future__ import annotations

import re

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari_helpers import ONNX, choose, finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.geometry import placed_over

TURN = [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
PLACES = {
    "scale": {"scale": (2, 0.5, 3), "translate": (1, -2, 5)},
    "rotate": {"scale": (1, 2, 3), "rotate": TURN, "translate": (1, 2, 3)},
    "shear": {"shear": (0, 0, 0.7), "scale": (1, 2, 0.5)},
    "affine": {"affine": [[1, 0, 0, 4], [0, 0.9, 0.3, -7], [0, 0.1, 1.2, 3], [0, 0, 0, 1]], "scale": (1, 2, 2)},
    "mixed": {"rotate": [[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]], "scale": (1, 2, 3), "translate": (4, 5, 6)},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("dropped", [None, 0])
def test_entries_lie_on_the_middle_of_the_pixels_that_they_are(place, dropped) -> None:
    layer = Image(np.zeros((2, 50, 60)), **place)
    arguments, spanned = placed_over(layer, dropped, (1, 2), 7)
    result = Labels(np.zeros((2, 8, 9)[-(3 - (dropped is not None)) :], np.uint8), **arguments)
    assert spanned is None
    for entry in ((0, 0, 0), (0, 3, 5)) if dropped is not None else ((0, 0, 0), (1, 3, 5)):
        world = layer.data_to_world((entry[0], 7 * entry[1], 7 * entry[2]))
        own = entry if dropped is None else entry[1:]
        np.testing.assert_allclose(result.data_to_world(own), world[-len(own) :], atol=1e-12)


def test_a_stack_keeps_its_frames_and_the_axis_over_its_channels() -> None:
    layer = Image(np.zeros((3, 2, 50, 60)), scale=(1, 2, 3, 4), translate=(5, 6, 7, 8))  # time, channel, row, column
    arguments, spanned = placed_over(layer, 1, (2, 3), 5)
    result = Labels(np.zeros((3, 1, 10, 12), np.uint8), **arguments)
    assert spanned == 1
    np.testing.assert_allclose(result.data_to_world((2, 0, 4, 6)), layer.data_to_world((2, 0.5, 20, 30)))
    volume = Image(np.zeros((30, 2, 50, 60)), scale=(1, 2, 3, 4))  # plane, channel, row, column, for a 3D model
    arguments, _ = placed_over(volume, 1, (0, 2, 3), 5)
    np.testing.assert_allclose(arguments["scale"], (5, 4, 15, 20))


@pytest.mark.parametrize("method", ["dense", "patchwise"])
def test_every_fourth_pixel_lies_where_it_belongs(qtbot, viewer, dock, method) -> None:
    model, data = small_model(), image(2, 33, 34)
    layer = viewer.add_image(data, scale=(2, 0.5, 0.25), translate=(1, 2, 3))
    give(dock, model)
    dock.settings.method.value = method
    dock.settings.every.setValue(4)
    said = run(qtbot, dock)
    assert said.startswith("Done: 2 × 9 × 9 pixels")
    labels = viewer.layers[-1]
    np.testing.assert_array_equal(labels.data, segment(data, model, every=4, method=method).labels)
    np.testing.assert_array_equal(labels.data, segment(data, model).labels[:, ::4, ::4])
    np.testing.assert_array_equal(labels.scale, (2, 2, 1))
    np.testing.assert_array_equal(labels.translate, (1, 2, 3))
    np.testing.assert_allclose(labels.data_to_world((1, 5, 6)), layer.data_to_world((1, 20, 24)))
    assert labels.metadata["napari_fcnseg"]["models"][0]["method"] == method
    dock.run.verify.click()
    assert finish(qtbot, dock).startswith("Conversion check passed")


def test_where_patch_by_patch_is_better_the_model_says_so_and_the_run_says_how_long(qtbot, viewer, dock) -> None:
    path, data = ONNX / "norms.ts.onnx", image(2, 24, 25)
    viewer.add_image(data)
    choose(qtbot, dock, path)
    assert "runs patch by patch. Patch 7 × 7" in dock.model.about.text()
    assert "which is the better way" in dock.model.about.text()
    said = []
    say = dock.run.say
    dock.run.say = lambda text, detail="": (said.append(text), say(text, detail))
    run(qtbot, dock)
    forecast = next(text for text in said if text.startswith("Patch by patch: about "))
    assert "for 600 pixels on CPU" in forecast or "for 600 pixels on GPU" in forecast
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, path).labels)
    said.clear()
    dock.settings.method.value = "dense"
    run(qtbot, dock)
    assert not any("Patch by patch" in text for text in said)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, path, method="dense").labels)


def test_a_long_patch_by_patch_run_can_be_cancelled_when_its_time_has_been_said(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(1500, 1500)
    viewer.add_image(data)
    give(dock, model)
    dock.settings.method.value = "patchwise"
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: "Patch by patch: about" in dock.run.message.text(), timeout=60_000)
    assert "2,250,000 pixels" in dock.run.message.text()
    dock.run.cancel.click()
    assert finish(qtbot, dock).startswith("Stopped")


def test_a_precision_is_compared_on_the_image_before_a_run_and_used_in_it(qtbot, viewer, dock) -> None:
    viewer.add_image(image(40, 40))
    give(dock, small_model())
    settle(qtbot)
    dock.settings.method.value = "dense"
    assert not dock.settings.compare.isEnabled(), "float32 is what others are compared with"
    dock.settings.precision.value = "bfloat16"
    dock.settings.compare.click()
    said = finish(qtbot, dock)
    assert re.fullmatch(r"bfloat16: [\d.]+ × as fast as float32; .*labels agree.* pixels of this image\.", said), said
    assert len(viewer.layers) == 1, "nothing is segmented yet"
    run(qtbot, dock)
    assert viewer.layers[-1].metadata["napari_fcnseg"]["settings"]["precision"] == "bfloat16"


def test_a_device_that_is_not_there_is_said_before_the_run(qtbot, viewer, dock) -> None:
    viewer.add_image(image(20, 20))
    give(dock, small_model())
    dock.settings.device.value = "GPU:7"
    assert "GPU:7" in run(qtbot, dock)
    dock.settings.device.value = "CPU"
    assert "on CPU:0" in run(qtbot, dock)
