"""Runs from the dock: the numbers, the layers, stacks and channels."""

from __future__ import annotations

import numpy as np
import pytest
from napari_helpers import finish, give, image, results, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.axes import AxisChoice


def test_labels_and_probabilities_are_those_of_segment(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(37, 41)
    viewer.add_image(data, name="noise")
    give(dock, model)
    dock.settings.tile.setValue(16)
    dock.settings.border.value = "edge"
    dock.settings.preprocess.value = "scale_linear:2,1; zero_mean_unit_variance"
    dock.settings.probabilities.value = True
    said = run(qtbot, dock)
    expected = segment(
        data, model, tile=16, border="edge", preprocess="scale_linear:2,1 zero_mean_unit_variance", probabilities=True
    )
    *probabilities, labels = results(viewer, 1)
    assert said.startswith("Done: 37 × 41 pixels")
    assert labels.name == "noise · small0"
    np.testing.assert_array_equal(labels.data, expected.labels)
    np.testing.assert_array_equal(np.stack([p.data for p in probabilities], axis=-1), expected.probabilities)
    assert [p.name for p in probabilities] == [f"noise · small0 · class {c}" for c in (1, 2, 3)]
    assert all(tuple(p.contrast_limits) == (0, 1) for p in probabilities)
    assert labels.metadata["napari_fcnseg"]["settings"]["border"] == "edge"
    assert labels.metadata["napari_fcnseg"]["device"]
    assert list(labels.features["class"]) == ["not labelled", "class 1", "class 2", "class 3"]
    status = labels.get_status((3, 3), world=True)["value"]
    assert f"class: class {expected.labels[3, 3]}" in status


def test_every_frame_of_a_stack_is_segmented_alone(qtbot, viewer, dock) -> None:
    model, data = small_model(), image(2, 3, 12, 13)
    viewer.add_image(data)
    give(dock, model)
    settle(qtbot)
    assert dock.image.mapping.text() == "2 × 3 frames of 12 × 13 pixels, each segmented alone."
    run(qtbot, dock)
    labels = viewer.layers[-1].data
    assert labels.shape == (2, 3, 12, 13)
    np.testing.assert_array_equal(labels[1, 2], segment(data[1, 2], model).labels)


def test_a_second_run_takes_the_place_of_the_first_unless_that_is_kept_or_edited(qtbot, viewer, dock) -> None:
    viewer.add_image(image(20, 20), name="a")
    give(dock, small_model())
    run(qtbot, dock)
    first = viewer.layers[-1]
    first.opacity, first.contour = 0.3, 1
    over = viewer.add_points(name="over it")
    dock.settings.border.value = "edge"
    run(qtbot, dock)
    settle(qtbot)
    second = viewer.layers[1]
    assert list(viewer.layers)[1:] == [second, over], "in its place, under what lies over it"
    assert (second.opacity, second.contour) == (0.3, 1)
    viewer.layers.remove(over)
    assert second.name == "a · small0"
    assert dock.undo.undo(), "what was replaced is not lost"
    assert first in viewer.layers
    dock.undo.redo()
    settle(qtbot)
    dock.result.keep.click()
    assert second.name == "a · small0 · no normalisation"
    run(qtbot, dock)
    third = viewer.layers[-1]
    assert list(viewer.layers)[1:] == [second, third]
    assert not second.visible, "two masks over each other look like a third"
    third.paint((5, 5), 3 - third.data[5, 5])
    qtbot.waitUntil(lambda: "Edited by hand" in dock.result.about.text(), timeout=20_000)
    run(qtbot, dock)
    assert third in viewer.layers
    give(dock, small_model(seed=4))
    run(qtbot, dock)
    assert len(viewer.layers) == 5, "another model"


def test_two_layers_fill_two_channels_by_count(qtbot, viewer, dock) -> None:
    model, data = small_model(2), image(18, 20, 2)
    viewer.add_image(data[..., 0], name="phase")
    viewer.add_image(data[..., 1], name="dapi")
    give(dock, model)
    settle(qtbot)
    assert [combo.layer.name for combo in dock.image.combos] == ["phase", "dapi"]
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, model, channel_axis=-1).labels)
    assert viewer.layers[-1].name == "phase · small0"


def test_three_layers_leave_the_choice_to_the_user(qtbot, viewer, dock, told) -> None:
    for name in "abc":
        viewer.add_image(image(18, 20), name=name)
    give(dock, small_model(2))
    settle(qtbot)
    assert dock.image.combos[1].layer is None
    said = run(qtbot, dock)
    assert "'channel 2' has no layer" in said
    assert said in told()
    dock.image.combos[1].setCurrentIndex(2)
    assert run(qtbot, dock).startswith("Done")


def test_an_rgb_layer_works_alone_and_its_transparency_is_left_out(qtbot, viewer, dock) -> None:
    model = small_model(3)
    data = np.random.default_rng(1).integers(0, 255, (17, 19, 4), np.uint8)
    viewer.add_image(data, rgb=True)
    give(dock, model)
    settle(qtbot)
    assert all(combo.isHidden() for combo in dock.image.combos[1:])
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data[..., :3], model, channel_axis=-1).labels)


def test_a_channel_axis_that_could_be_two_is_asked_for(qtbot, viewer, dock) -> None:
    model, data = small_model(2), image(2, 2, 15, 16)
    viewer.add_image(data)
    give(dock, model)
    settle(qtbot)
    assert "2 axes as long as the model has channels" in dock.image.mapping.text()
    dock.run.run.click()
    assert "2 axes as long as the model has channels" in finish(qtbot, dock)
    dock.image.strip.chosen.emit(AxisChoice(channel=1))
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data[:, 0], segment(data, model, channel_axis=1).labels)


def test_layers_that_could_work_alone_can_be_channels(qtbot, viewer, dock) -> None:
    model, data = small_model(2), image(2, 2, 15, 16)
    for time_series in data:
        viewer.add_image(time_series)
    give(dock, model)
    settle(qtbot)
    assert dock.image.combos[1].isHidden()
    dock.image.strip.chosen.emit(AxisChoice(separate=True))
    for combo, layer in zip(dock.image.combos, viewer.layers, strict=True):
        combo.layer = layer
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, model, channel_axis=0).labels)


def test_multiscale_and_lazy_layers(qtbot, viewer, dock) -> None:
    dask = pytest.importorskip("dask.array")
    model, data = small_model(), image(24, 26)
    viewer.add_image([dask.from_array(data, chunks=8), dask.from_array(data[::2, ::2], chunks=8)], multiscale=True)
    give(dock, model)
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, model).labels)


def test_an_ensemble_of_two(qtbot, viewer, dock) -> None:
    models, data = (small_model(seed=1), small_model(seed=2)), image(20, 21)
    viewer.add_image(data, name="noise")
    give(dock, *models)
    run(qtbot, dock)
    assert viewer.layers[-1].name == "noise · small1 + 1 more"
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, models).labels)


def test_verify_runs_first_and_then_only_asks_the_patch_model(qtbot, viewer, dock, told) -> None:
    viewer.add_image(image(30, 31))
    give(dock, small_model())
    dock.settings.tile.setValue(16)
    settle(qtbot)
    dock.run.verify.click()
    said = finish(qtbot, dock)
    assert said.startswith("Conversion check passed: 256 of 256")
    assert said in told()
    assert len(viewer.layers) == 2
    dock.run.verify.click()
    assert finish(qtbot, dock) == said
    assert len(viewer.layers) == 2
    dock.settings.border.value = "constant"
    dock.run.verify.click()
    assert finish(qtbot, dock).startswith("Conversion check passed")
    assert len(viewer.layers) == 2
