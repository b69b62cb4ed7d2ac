"""The memory model: what it counts, and the tile that follows."""

from __future__ import annotations

import numpy as np

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.conversion.memory import countable, patch_bytes, tile_bytes
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Conv, Pool
from napari_fcnseg.plan.default_tile import default_tile
from napari_fcnseg.plan.smaller_tile import SMALLEST


def dense(channels: int = 8):
    kernel = np.ones((2, 2, 1, channels), np.float32)
    nodes = (
        Node("conv", "Conv2D", (Conv(kernel, None, (1, 1), (1, 1)),), (INPUT,)),
        Node("pool", "MaxPooling2D", (Pool("max", (4, 4), (4, 4)),), ("conv",)),
    )
    return convert_network(Network("test", (5, 5, 1), nodes, "pool"))


def test_bytes_are_those_of_the_worst_step() -> None:
    # A tile of 10 reads 14 × 14 pixels; the convolution gives 13 × 13 × 8, the maximum over rows 10 × 13 × 8, over
    # columns 10 × 10 × 8. There may be a copy of what is read.
    assert tile_bytes(dense(), (10, 10)) == 4 * 8 * (2 * 13 * 13 + 10 * 13 + 10 * 10)


def test_the_tile_is_never_larger_than_the_image() -> None:
    assert default_tile([dense()], (30, 20), 2**30) == (30, 20)


def test_the_tile_shrinks_until_it_fits_and_no_further() -> None:
    budget = 2**20
    tile = default_tile([dense()], (4000, 4000), budget)
    assert tile_bytes(dense(), tile) <= budget < tile_bytes(dense(), tuple(2 * t for t in tile))


def test_where_nothing_fits_the_smallest_tile_is_given() -> None:
    assert max(default_tile([dense(1000)], (400, 400), 1000)) <= SMALLEST


def test_a_map_with_more_elements_than_the_framework_can_number_is_no_tile() -> None:
    assert not countable(dense(), (20_000, 20_000))  # 3.2e9 of them
    assert countable(dense(), default_tile([dense()], (20_000, 20_000), 2**60))


def test_patch_by_patch_a_batch_is_what_takes_memory() -> None:
    assert patch_bytes(dense(), 10) == 10 * patch_bytes(dense(), 1)
    assert patch_bytes(dense(), 10**9) == patch_bytes(dense(), 10**6)
