"""Where a layer lies, for the core: napari's own transforms are the reference."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels

from napari_fcnseg._napari.compare.placing import geometry_over, placed_layer, to_world, unit_of, viewer_units
from napari_fcnseg._napari.compare.walk import RegionWalk, frame_of, in_world

PLACES = (
    {},
    {"scale": (2.0, 0.5, 0.25), "translate": (-3.0, 4.0, 0.125)},
    {"rotate": (10.0, 20.0, 30.0), "scale": (2.0, 0.5, 0.25), "shear": (0.1, 0.2, 0.3), "translate": (1.0, 2.0, 3.0)},
    {"affine": [[1, 0.2, 0, 5], [0, 2, 0.1, -1], [0.3, 0, 1, 2], [0, 0, 0, 1]], "scale": (3.0, 1.0, 0.5)},
)


def layer(**place) -> Labels:
    return Labels(np.zeros((4, 5, 6), np.uint8), name="a", **place)


def apply(affine: np.ndarray, point: np.ndarray) -> np.ndarray:
    return affine[:-1, :-1] @ point + affine[:-1, -1]


@pytest.mark.parametrize("place", PLACES)
def test_a_pixel_lies_where_napari_shows_it(place) -> None:
    mine = layer(**place)
    for point in np.random.default_rng(0).uniform(-5, 5, (5, 3)):
        np.testing.assert_allclose(apply(to_world(mine), point), mine.data_to_world(point), atol=1e-9)
    assert placed_layer(mine).data is mine.data


@pytest.mark.parametrize("place", PLACES)
def test_a_layer_over_a_part_lies_over_that_part(place) -> None:
    mine, origin = layer(**place), (1, 2, 3)
    grid = to_world(mine).copy()
    grid[:-1, -1] = apply(to_world(mine), np.array(origin, float))
    part = Labels(np.zeros((2, 2, 2), np.uint8), **geometry_over(mine, grid, origin))
    np.testing.assert_allclose(part.data_to_world((0, 1, 1)), mine.data_to_world((1, 3, 4)), atol=1e-9)
    assert part.units == mine.units


def test_a_grid_with_an_axis_that_the_layer_lacks_lies_as_it_says() -> None:
    mine = Labels(np.zeros((5, 6), np.uint8), scale=(0.5, 0.25), units=("um", "um"))
    grid = np.diag([3.0, 0.5, 0.25, 1.0])
    wide = Labels(np.zeros((2, 5, 6), np.uint8), **geometry_over(mine, grid, (0, 0, 0)))
    assert tuple(wide.data_to_world((1, 2, 4))) == (3.0, 1.0, 1.0)


def test_lengths_are_converted_and_plain_pixels_lie_on_pixels() -> None:
    mine = layer(scale=(500.0, 500.0, 500.0), translate=(1000.0, 0.0, 0.0), units=("nm",) * 3)
    in_um = to_world(mine, layer(units=("um",) * 3).units)
    np.testing.assert_allclose(apply(in_um, np.ones(3)), (1.5, 0.5, 0.5))
    as_pixels = to_world(mine, layer().units)
    np.testing.assert_allclose(as_pixels, to_world(mine))
    in_plane = to_world(mine, Labels(np.zeros((5, 6), np.uint8), units=("um", "um")).units)
    np.testing.assert_allclose(np.diag(in_plane), (500, 0.5, 0.5, 1))
    assert (unit_of(mine, 2), unit_of(layer(), 2)) == ("nm", "")
    assert unit_of(layer(units=("um", "um", "nm")), 2) == "", "lengths along the axes would not be comparable"
    shown = SimpleNamespace(layers=SimpleNamespace(units=layer(units=("um",) * 3).units))
    np.testing.assert_allclose(viewer_units(shown, mine, 3), 1e-3)
    assert viewer_units(SimpleNamespace(layers=[]), mine, 3).tolist() == [1, 1, 1]


def test_a_walk_goes_round_in_both_directions_and_says_where_it_is() -> None:
    places = [SimpleNamespace(pixels=n, at=(0, n)) for n in (5, 1, 3)]
    walk = RegionWalk(places)
    assert walk.text("") == "3 differences."
    assert [walk.step(1).pixels for _ in range(4)] == [5, 1, 3, 5]
    assert walk.text(", here") == "1 of 3: 5 pixels, here"
    assert [walk.step(-1).pixels for _ in range(2)] == [3, 1]
    assert walk.text("") == "2 of 3: 1 pixel"
    assert RegionWalk(places).step(-1).pixels == 3
    assert RegionWalk().step(1) is None
    assert "do not differ" in RegionWalk().text("")
    assert frame_of((3, 1, 9, 9), (2, 0, 4, 4), 2) == ", in frame 2"
    assert frame_of((9, 9), (4, 4), 2) == ""


def test_a_box_extends_in_the_world_as_far_as_its_corners() -> None:
    affine = np.array([[0.0, -2.0, 5.0], [1.0, 0.0, 7.0], [0.0, 0.0, 1.0]])
    where, extent = in_world(affine, (3, 4), ((0, 10), (2, 5)))
    assert where.tolist() == [-3, 10]
    assert extent.tolist() == [6, 10]
