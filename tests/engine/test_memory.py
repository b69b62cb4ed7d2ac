"""The memory model: what it counts, and the tile that follows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.engine.memory import choose_tile, free_memory, tile_bytes
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Conv, Pool


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
    assert choose_tile([dense()], (30, 20)) == (30, 20)


def test_the_tile_shrinks_until_it_fits() -> None:
    limit = 2**20
    tile = choose_tile([dense()], (4000, 4000), limit)
    assert tile_bytes(dense(), tile) <= limit < tile_bytes(dense(), tuple(2 * t for t in tile))


def test_a_limit_too_small_for_any_tile_is_said() -> None:
    with pytest.raises(SettingsError, match=r"too small: even a tile of \d pixels takes"):
        choose_tile([dense(1000)], (400, 400), 1000)


def test_free_memory_is_some_but_not_more_than_there_is() -> None:
    import psutil

    assert 0 < free_memory() <= psutil.virtual_memory().total
