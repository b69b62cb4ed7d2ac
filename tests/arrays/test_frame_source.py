"""Regions are read as asked, each chunk is decoded once as long as it is kept, and no more is kept than said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.arrays import frame_source as source_module
from napari_fcnseg.arrays.frame_source import ChannelStack, ChunkedSource, MemorySource, chunk_shape_of, first_channels

IMAGE = np.random.default_rng(0).integers(0, 2**16, (90, 130, 2)).astype(np.uint16)


class Fetched:
    """What a chunked array is read with; counts the pixels."""

    def __init__(self) -> None:
        self.regions: list[tuple[tuple[int, int], ...]] = []

    def __call__(self, region):
        """Return a region."""
        self.regions.append(region)
        return IMAGE[tuple(slice(a, b) for a, b in region)].copy()


@given(chunks=st.tuples(st.integers(1, 100), st.integers(1, 140)), cell=st.integers(1, 4000), data=st.data())
def test_a_region_of_a_chunked_array_is_that_region(chunks, cell, data) -> None:
    region = []
    for n in IMAGE.shape[:2]:
        start = data.draw(st.integers(0, n - 1))
        region.append((start, data.draw(st.integers(start + 1, n))))
    fetched = Fetched()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "_CELL", cell)
        chunked = ChunkedSource(fetched, IMAGE.shape[:2], chunks)
        found = chunked.read(tuple(region))
    np.testing.assert_array_equal(found, IMAGE[tuple(slice(a, b) for a, b in region)])
    assert len(set(fetched.regions)) == len(fetched.regions)
    for r in fetched.regions:  # along chunks, so that none is decoded twice
        assert all(a % min(c, n) == 0 for (a, _), c, n in zip(r, chunks, IMAGE.shape, strict=False))


def test_overlapping_windows_decode_each_chunk_once_as_long_as_it_is_kept(monkeypatch) -> None:
    monkeypatch.setattr(source_module, "_CELL", 1)
    fetched = Fetched()
    chunked = ChunkedSource(fetched, IMAGE.shape[:2], (10, 10))
    for row in range(0, 90, 15):
        for column in range(0, 130, 15):
            chunked.read(((max(row - 7, 0), min(row + 22, 90)), (max(column - 7, 0), min(column + 22, 130))))
    assert len(fetched.regions) == 9 * 13


def test_no_more_chunks_are_kept_than_fit(monkeypatch) -> None:
    monkeypatch.setattr(source_module, "_CELL", 1)
    monkeypatch.setattr(source_module, "_CACHE", 5 * 10 * 10 * 2 * 2)
    fetched = Fetched()
    chunked = ChunkedSource(fetched, IMAGE.shape[:2], (10, 10))
    for _ in range(2):
        for column in range(0, 130, 10):
            chunked.read(((0, 10), (column, column + 10)))
    assert len(fetched.regions) == 26
    assert sum(part.nbytes for part in chunked._kept.values()) <= 5 * 400


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 9000), st.integers(1, 3)),
    chunks=st.tuples(st.integers(1, 50), st.integers(1, 9000)),
    block=st.integers(1, 2**16),
)
def test_blocks_cover_a_frame_once_and_no_line_of_a_statistic_is_cut(shape, chunks, block) -> None:
    frame = MemorySource(np.zeros(shape, np.float32))
    frame.chunks = chunks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "_BLOCK", block)
        blocks = list(frame.blocks())
    assert sum(math.prod(b - a for a, b in region) for region in blocks) == shape[0] * shape[1]
    assert len(set(blocks)) == len(blocks)
    assert all(a % source_module.LINE == 0 for _, (a, _) in blocks)


def test_channels_of_arrays_on_disk_are_read_where_they_are_asked_for() -> None:
    dask = pytest.importorskip("dask.array")
    lazy = dask.from_array(IMAGE, chunks=(40, 50, 1))
    where = (slice(3, 60), slice(40, 110), slice(None))
    stack = ChannelStack([lazy[..., 1], lazy[..., 0]])
    np.testing.assert_array_equal(stack[where], IMAGE[where][..., ::-1])
    assert (stack.shape, stack.dtype, stack.chunks) == ((90, 130, 2), np.uint16, (40, 50, 2))
    first = first_channels(lazy, 2, 1)
    np.testing.assert_array_equal(first[where], IMAGE[where][..., :1])
    assert (first.shape, chunk_shape_of(first)) == ((90, 130, 1), (40, 50, 1))
    assert chunk_shape_of(IMAGE) is None
