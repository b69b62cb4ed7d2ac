"""An image with other pixels is what interpolation says, in parts too; what is computed on it comes back in place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_fcnseg.arrays.rescaled import Grid, Regridded, Rescaled, rescaled

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("factors", [(2, 2), (1.5, 3.7), (1, 2.5), (17 / 11, 1)])
def test_a_larger_image_is_linear_between_the_centres_of_its_pixels(factors) -> None:
    image = RANDOM.random((23, 31))
    grid = Grid.of(image.shape, factors)
    found = np.asarray(Rescaled(image, (0, 1), grid))
    places = [(np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(grid.shape, grid.scaled, strict=True)]
    expected = map_coordinates(image, np.meshgrid(*places, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_smaller_image_is_the_mean_of_what_lies_in_each_pixel() -> None:
    image = RANDOM.random((24, 36))
    found = np.asarray(Rescaled(image, (0, 1), Grid.of(image.shape, (1 / 3, 0.25))))
    np.testing.assert_allclose(found, image.reshape(8, 3, 9, 4).mean(axis=(1, 3)), atol=1e-6)
    uneven = np.asarray(Rescaled(image, (0, 1), Grid.of(image.shape, (1, 0.4))))  # 36 to 14
    fine = np.repeat(image, 14, axis=1).reshape(24, 14, 36).mean(axis=2)
    np.testing.assert_allclose(uneven, fine, atol=1e-6)


@pytest.mark.parametrize("factors", [(2, 0.7), (0.31, 1.9)])
def test_a_part_is_that_of_the_whole(factors) -> None:
    image = RANDOM.integers(0, 65535, (3, 40, 2, 50)).astype(np.uint16)
    grid = Grid.of((40, 50), factors)
    lazy = Rescaled(image, (1, 3), grid)
    whole = np.asarray(lazy)
    assert whole.shape == lazy.shape == (3, grid.scaled[0], 2, grid.scaled[1])
    for where in (
        (1, slice(3, 9), slice(None), slice(7, 20)),
        (slice(None), 5),
        (..., -1),
        (2, slice(2, 3), 1, slice(0, 1)),
    ):
        np.testing.assert_allclose(lazy[where], whole[where], rtol=1e-6)
    np.testing.assert_array_equal(rescaled(image, (1, 3), grid), whole)


@pytest.mark.parametrize("factors", [(2, 2), (0.5, 0.5), (1.37, 0.61), (0.1, 9.5)])
def test_results_lie_on_the_image_s_own_pixels_whatever_the_tiles(factors) -> None:
    grid = Grid.of((37, 45), factors)
    rows, columns = grid.scaled
    labels = RANDOM.integers(1, 200, (2, rows, columns)).astype(np.uint8)
    scores = RANDOM.random((2, rows, columns, 3)).astype(np.float32)
    expected = np.zeros((2, 37, 45), np.uint8)
    for i in range(37):  # the pixel whose centre lies in a scaled pixel has its label
        for j in range(45):
            expected[:, i, j] = labels[:, int((i + 0.5) * rows / 37), int((j + 0.5) * columns / 45)]
    np.testing.assert_array_equal(grid.back(labels, first=1), expected)
    for tile in (4, 7, 1000):
        out = Regridded(np.zeros((2, 37, 45), np.uint8), grid, 1)
        maps = Regridded(np.zeros((2, 37, 45, 3), np.float32), grid, 1)
        assert (out.shape, maps.shape) == (labels.shape, scores.shape)
        for frame in range(2):
            for top in range(0, rows, tile):
                for left in range(0, columns, tile):
                    where = (frame, slice(top, min(top + tile, rows)), slice(left, min(left + tile, columns)))
                    out[where] = labels[where]
                    maps[where] = scores[where]
        np.testing.assert_array_equal(out.array, expected)
        np.testing.assert_array_equal(maps.array, grid.back(scores, first=1))
