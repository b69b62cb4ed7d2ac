"""The drawn cells: the same on every machine, and true to their truth."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from napari_fcnseg.samples.synthetic import BACKGROUND, EDGE, INTERIOR, cell_instances, fluorescence_cells

SEED = 11
SHAPE = (256, 200)


@pytest.fixture(scope="module")
def cells():
    return fluorescence_cells(SEED, SHAPE)


@pytest.fixture(scope="module")
def instances():
    return cell_instances(SEED, SHAPE)


def test_shapes_and_types(cells, instances):
    image, truth = cells
    assert (image.shape, image.dtype) == ((*SHAPE, 2), np.uint16)
    assert (truth.shape, truth.dtype) == (SHAPE, np.uint8)
    assert (instances.shape, instances.dtype) == (SHAPE, np.int32)


def test_the_same_seed_draws_the_same_image(cells):
    image, truth = fluorescence_cells(SEED, SHAPE)
    assert digest(image) == digest(cells[0])
    assert digest(truth) == digest(cells[1])


def test_another_seed_draws_another_image(cells):
    assert digest(fluorescence_cells(SEED + 1, SHAPE)[1]) != digest(cells[1])


def test_the_image_does_not_drift_between_versions(cells):
    # Measured with NumPy 2.4.6 and SciPy 1.17.1. The margins allow for rounding elsewhere, not for other cells.
    image, truth = cells
    np.testing.assert_allclose(image.mean((0, 1)), (347.39, 367.15), rtol=0.01)
    np.testing.assert_allclose(image.std((0, 1)), (299.72, 238.64), rtol=0.01)
    np.testing.assert_allclose(
        np.bincount(truth.ravel(), minlength=4)[1:] / truth.size, (0.5715, 0.0952, 0.3333), atol=0.002
    )


def test_every_class_is_there(cells):
    assert np.unique(cells[1]).tolist() == [BACKGROUND, EDGE, INTERIOR]


def test_background_is_what_lies_outside_cells(cells, instances):
    np.testing.assert_array_equal(cells[1] == BACKGROUND, instances == 0)


def test_edges_part_touching_cells(cells, instances):
    truth = cells[1]
    assert touching_pairs(instances) > 10, "the test needs cells that touch"
    pieces, count = ndimage.label(truth == INTERIOR, structure=np.ones((3, 3)))
    for piece in range(1, count + 1):
        assert len(np.unique(instances[pieces == piece])) == 1, "two cells in one interior"


def test_each_cell_has_one_interior():
    # On the whole sample size. The frame may cut a cell in two, hence the margin of one in a hundred.
    truth = fluorescence_cells(SEED)[1]
    owners = np.unique(cell_instances(SEED)[truth == INTERIOR])
    count = ndimage.label(truth == INTERIOR)[1]
    assert len(owners) > 80
    assert abs(count - len(owners)) <= max(1, len(owners) // 100)


def test_an_edge_is_two_pixels_wide(cells, instances):
    depth = np.zeros(SHAPE)
    for number in np.unique(instances[instances > 0]):
        depth += ndimage.distance_transform_edt(np.pad(instances == number, 1, mode="edge"))[1:-1, 1:-1]
    inner = (slice(4, -4), slice(4, -4))  # nearer the frame the depth outside it counts too
    interior = cells[1][inner] == INTERIOR
    assert (depth[inner][interior] > 2).all()
    assert ((depth[inner] > 2) & ~interior).sum() < 0.002 * interior.size  # behind thin bridges


def test_cells_are_brighter_than_what_surrounds_them(cells):
    image, truth = cells
    for channel in range(2):
        assert np.median(image[truth == INTERIOR][:, channel]) > 1.5 * np.median(image[truth == BACKGROUND][:, channel])


@pytest.mark.parametrize("shape", [(1, 1), (40, 70), (31, 8)])
def test_any_size_can_be_drawn(shape):
    image, truth = fluorescence_cells(0, shape)
    assert image.shape == (*shape, 2)
    assert truth.shape == shape
    assert set(np.unique(truth)) <= {BACKGROUND, EDGE, INTERIOR}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def touching_pairs(instances):
    pairs = set()
    for one, other in ((instances[1:], instances[:-1]), (instances[:, 1:], instances[:, :-1])):
        meet = (one != other) & (one > 0) & (other > 0)
        pairs |= {tuple(sorted(pair)) for pair in zip(one[meet].tolist(), other[meet].tolist(), strict=True)}
    return len(pairs)
