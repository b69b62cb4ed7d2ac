"""Blocks cover a run once, hold whole groups of tiles, and no two of them write one chunk."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.plan import blocks as blocks_module
from napari_fcnseg.plan.blocks import BlockAxis, Blocks
from napari_fcnseg.plan.tiles import as_slices, cut_tiles, group_columns

AXIS = st.tuples(st.integers(0, 30), st.integers(1, 60), st.integers(1, 40))


@given(
    axes=st.lists(AXIS, min_size=1, max_size=3), together=st.integers(1, 4), least=st.integers(1, 12), data=st.data()
)
def test_blocks_are_whole_groups_and_whole_chunks(data, axes, together, least) -> None:
    cuts = [BlockAxis.of(a, a + n, tile, together if axis == 0 else 1, least) for axis, (a, n, tile) in enumerate(axes)]
    stack = data.draw(st.sampled_from([(), (2,), (3, 1)]))
    blocks = Blocks(cuts, stack)
    extent = tuple((a, a + n) for a, n, _ in axes)
    groups = group_columns(cut_tiles(extent, tuple(tile for *_, tile in axes)), together)
    count, owners = np.zeros([stop for _, stop in extent], int), {}
    seen = []
    for number in blocks.of_frame(tuple(n - 1 for n in stack)):
        index, region = blocks.at(number)
        assert index == tuple(n - 1 for n in stack)
        assert blocks.number(index, region) == number
        count[as_slices(region)] += 1
        tiles = blocks.tiles(region)
        assert len(tiles) == blocks.count(region)
        assert all(blocks.number(index, tile) == number for tile in tiles)
        seen += group_columns(tiles, together)
        slabs = blocks.slabs(region)
        assert sum(stop - start for (start, stop), *_ in slabs) == region[0][1] - region[0][0]
        chunks = [range(a // c, -(-b // c)) for (a, b), c in zip(region, blocks.chunks, strict=True)]
        for chunk in itertools.product(*chunks):
            assert owners.setdefault(chunk, number) == number, "two blocks write one chunk"
    assert sorted(seen) == sorted(groups)
    expected = np.zeros_like(count)
    expected[as_slices(extent)] = 1
    np.testing.assert_array_equal(count, expected)


def test_what_is_no_block_has_no_number() -> None:
    blocks = Blocks([BlockAxis.of(0, 1000, 600)], (2,))
    assert len(blocks) == 2 * 2
    assert blocks.number((2,), ((0, 500),)) == blocks.number((0,), ((1000, 1500),)) == -1


def test_chunks_are_neither_small_nor_huge() -> None:
    sizes = {64: 256, 100: 300, 300: 295, 1024: 1000, 5000: 1250, 4999: 1667}
    found = {tile: BlockAxis.of(0, 10_000, tile).chunk for tile in sizes}
    assert found == sizes
    assert blocks_module.LEAST <= BlockAxis.of(0, 10_000, 48, 17).chunk <= blocks_module.MOST
