"""Which pixels lie in a layer of shapes or labels, wherever that lies in the world."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from skimage.draw import disk, polygon2mask

from napari_fcnseg._napari.layers.axes import AxisChoice
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg._napari.segment.run.region_of_interest import layer_mask, mask_layers
from napari_fcnseg.errors import SettingsError


def source(layer: Image, spatial: int = 2, channels: int = 1) -> ImageLayers:
    return ImageLayers.of([layer], InputSpec(channels, spatial))


def test_a_rectangle_is_the_pixels_whose_middles_it_holds() -> None:
    image, shapes = Image(np.zeros((20, 30))), Shapes([[[3, 4], [3, 12], [9, 12], [9, 4]]], shape_type="rectangle")
    expected = np.zeros((20, 30), bool)
    expected[3:10, 4:13] = True
    np.testing.assert_array_equal(layer_mask(shapes, source(image)).mask(), expected)


def test_an_ellipse_is_as_round_as_scikit_image_draws_it() -> None:
    image = Image(np.zeros((60, 60)))
    shapes = Shapes([[[10, 10], [10, 50], [50, 50], [50, 10]]], shape_type="ellipse")
    expected = np.zeros((60, 60), bool)
    expected[disk((30, 30), 20)] = True
    assert (layer_mask(shapes, source(image)).mask() != expected).mean() < 0.01


def test_shapes_are_where_they_are_in_the_world() -> None:
    corners = np.array([[20.0, 10.0], [20, 40], [50, 40]])
    image = Image(np.zeros((40, 30)), scale=(2, 3), translate=(5, -7))
    shapes = Shapes([corners], shape_type="polygon", scale=(0.5, 0.5))
    there = (corners * 0.5 - (5, -7)) / (2, 3)
    np.testing.assert_array_equal(layer_mask(shapes, source(image)).mask(), polygon2mask((40, 30), there))


def test_lines_have_no_inside() -> None:
    shapes = Shapes([[[0, 0], [9, 9]]], shape_type="line")
    with pytest.raises(SettingsError, match="Draw a rectangle"):
        layer_mask(shapes, source(Image(np.zeros((20, 20)))))


def test_a_region_beside_the_image_is_refused() -> None:
    shapes = Shapes([[[100, 100], [100, 120], [120, 120], [120, 100]]], shape_type="rectangle")
    with pytest.raises(SettingsError, match="No pixel of the image is inside"):
        layer_mask(shapes, source(Image(np.zeros((20, 20))))).mask()


def test_labels_of_another_pixel_size_are_looked_up() -> None:
    labels = np.zeros((10, 15), int)
    labels[2:5, 3:9] = 7
    image = Image(np.zeros((20, 30)), scale=(1, 1))
    layer = Labels(labels, scale=(2, 2), translate=(0.5, 0.5))
    mask = layer_mask(layer, source(image)).mask()
    np.testing.assert_array_equal(mask, np.kron(labels != 0, np.ones((2, 2), bool)))


def test_labels_of_the_same_place_are_taken_as_they_are_now() -> None:
    labels = np.zeros((10, 15), int)
    labels[2:5, 3:9] = 7
    layer, image = Labels(labels), Image(np.zeros((10, 15)))
    found = layer_mask(layer, source(image))
    assert found == layer_mask(layer, source(image))
    layer.data[0, 0] = 1
    assert found != layer_mask(layer, source(image))
    np.testing.assert_array_equal(found.mask(), (labels == 7))


def test_a_flat_region_holds_for_every_frame_and_past_the_channels() -> None:
    image = Image(np.zeros((4, 2, 10, 12)))
    labels = np.zeros((10, 12), int)
    labels[3:6] = 1
    chosen = ImageLayers.of([image], InputSpec(2, 2), AxisChoice(channel=1))
    np.testing.assert_array_equal(layer_mask(Labels(labels), chosen).mask(), labels == 1)


def test_a_stack_of_labels_lends_the_plane_of_the_first_frame() -> None:
    labels = np.zeros((3, 10, 12), int)
    labels[0, 3:6] = 1
    np.testing.assert_array_equal(
        layer_mask(Labels(labels), source(Image(np.zeros((3, 10, 12))))).mask(), labels[0] == 1
    )


def test_a_volume_gets_flat_shapes_in_every_plane() -> None:
    shapes = Shapes([[[2, 2], [2, 5], [5, 5], [5, 2]]], shape_type="rectangle")
    mask = layer_mask(shapes, source(Image(np.zeros((4, 8, 8))), spatial=3)).mask()
    assert mask.shape == (4, 8, 8)
    np.testing.assert_array_equal(mask.sum(axis=(1, 2)), [16] * 4)


def test_only_shapes_and_labels_are_regions() -> None:
    layers = [Image(np.zeros((3, 3))), Labels(np.zeros((3, 3), int)), Shapes()]
    assert mask_layers(layers) == layers[1:]
