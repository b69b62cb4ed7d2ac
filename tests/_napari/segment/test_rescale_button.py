"""Where pixels are of another size than the model's, one click adds the image with the model's, over itself."""

from __future__ import annotations

import numpy as np
from napari_helpers import finish, give, image, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg.arrays.rescaled import Grid, rescaled
from napari_fcnseg.model.sidecar import Sidecar


def corners(layer) -> np.ndarray:
    """Return where a layer's outer borders are in the world."""
    ends = np.array([(-0.5, -0.5), np.array(layer.data.shape[-2:]) - 0.5])
    return np.array([layer.data_to_world(end)[-2:] for end in ends])


def test_the_image_is_added_once_more_with_the_models_pixels_and_segmented(qtbot, viewer, dock) -> None:
    model = small_model(channels=2)
    model.sidecar = Sidecar(pixel_size=(0.5, 0.5), unit="micrometer")
    data = image(2, 40, 30)
    for number, channel in enumerate(data):
        viewer.add_image(
            channel, name=f"channel {number}", scale=(0.65, 0.65), translate=(3, -7), rotate=30, units=("um", "um")
        )
    give(dock, model)
    settle(qtbot)
    assert "1.3 times as large" in dock.image.warning.text()
    assert dock.image.rescale.isVisibleTo(dock)
    with qtbot.waitSignal(dock.image.rescale.made, timeout=30_000):
        dock.image.rescale.click()
    settle(qtbot)
    assert [layer.name for layer in viewer.layers] == [
        "channel 0", "channel 1", "channel 0 (rescaled)", "channel 1 (rescaled)",
    ]  # fmt: skip
    mine = viewer.layers[2:]
    assert [combo.layer for combo in dock.image.combos] == list(mine)
    assert not dock.image.rescale.isVisibleTo(dock), "they are right"
    grid = Grid.of((40, 30), (1.3, 1.3))
    for layer, channel in zip(mine, data, strict=True):
        np.testing.assert_array_equal(layer.data, rescaled(channel, (0, 1), grid))
        np.testing.assert_allclose(corners(layer), corners(viewer.layers[0]))
    dock.run.run.click()
    assert finish(qtbot, dock).startswith("Done")
    expected = segment(np.stack([layer.data for layer in mine], -1), model, channel_axis=-1).labels
    np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    np.testing.assert_allclose(corners(viewer.layers[-1]), corners(viewer.layers[0]))


def test_an_image_of_the_models_pixels_or_without_a_size_is_not_to_be_rescaled(qtbot, viewer, dock) -> None:
    model = small_model()
    model.sidecar = Sidecar(pixel_size=(0.5, 0.5), unit="micrometer")
    viewer.add_image(image(40, 30), scale=(0.5, 0.5), units=("um", "um"))
    viewer.add_image(image(40, 30), name="pixels")
    give(dock, model)
    for combo_layer in viewer.layers:
        dock.image.combos[0].layer = combo_layer
        dock.image._layer_chosen()
        settle(qtbot)
        assert not dock.image.rescale.isVisibleTo(dock)
