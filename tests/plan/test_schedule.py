"""Which tiles are computed: those wanted, each with all that its strips are computed from, and no other."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.plan.mask import Mask
from napari_fcnseg.plan.schedule import EARLY, Schedule
from napari_fcnseg.plan.tiles import as_slices, cut_tiles

EXTENT, TILE = ((1, 30), (0, 20)), (3, 7)
FRAMES = [(0,), (1,), (2,)]


@given(data=st.data(), together=st.integers(1, 4))
def test_a_part_is_its_tiles_and_those_above_them_in_their_groups(data, together) -> None:
    tiles = cut_tiles(EXTENT, TILE)
    schedule = Schedule.of(tiles, together, FRAMES)
    if data.draw(st.booleans()):
        place = (data.draw(st.floats(0, 30)), data.draw(st.floats(0, 20)))
        schedule = schedule.nearest_to((data.draw(st.integers(0, 2)),), place)
    everything = dict(schedule.planned())
    assert all(sorted(region for _, region in parts) == sorted(tiles) for parts in everything.values())
    finished = data.draw(st.sets(st.tuples(st.sampled_from(FRAMES), st.sampled_from(tiles))))
    rest = dict(schedule.planned(lambda index, region: (index, region) in finished))
    for index, parts in everything.items():
        again = rest.get(index, [])
        assert [part for part in parts if part in again] == again, "in the same order"
        for number in {group for group, _ in parts}:
            group = [region for n, region in parts if n == number]
            chosen = [region for n, region in again if n == number]
            wanted = [region for region in group if (index, region) not in finished]
            assert set(wanted) <= set(chosen)
            assert chosen == group[: len(chosen)], "from its top"
            assert not chosen or chosen[-1] in wanted, "and no further than needed"


@given(
    pixels=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 29), st.integers(0, 19)), min_size=1, max_size=6),
    together=st.integers(1, 4),
    stacked=st.booleans(),
)
def test_a_mask_leaves_the_tiles_that_hold_some_of_it_and_counts_its_pixels(pixels, together, stacked) -> None:
    mask = np.zeros((3, 30, 20), bool)
    mask[tuple(np.transpose(pixels))] = True
    mask[0, 5, 5] = True
    wanted = mask if stacked else np.broadcast_to(mask.any(axis=0), mask.shape)
    layout = Layout((3, 30, 20), None, 2)
    drawn = Mask(mask if stacked else mask.any(axis=0), layout)
    schedule = Schedule.of(cut_tiles(EXTENT, TILE), together, FRAMES, drawn)
    inside = wanted[:, 1:]  # of what is predicted
    assert schedule.pixels == inside.sum()
    assert list(schedule.frames) == [(n,) for n in range(3) if inside[n].any()]
    covered = np.zeros(mask.shape, bool)
    for index, region in schedule:
        covered[(*index, *as_slices(region))] = True
    assert covered[:, 1:][inside].all()
    if together == 1:
        assert all(wanted[(*index, *as_slices(region))].any() for index, region in schedule)
    assert schedule.total == len(list(schedule))
    points = schedule.drawn(50, np.random.default_rng(0))
    assert wanted[tuple(points.T)].all()
    np.testing.assert_array_equal(
        schedule.holds(np.argwhere(np.ones(mask.shape))),
        wanted.ravel() & np.isin(np.indices(mask.shape)[0].ravel(), schedule.frames),
    )


def test_an_early_tile_comes_first_counts_and_is_not_computed_again_for_what_is_left() -> None:
    schedule = Schedule.of(cut_tiles(EXTENT, TILE), 2, FRAMES)
    before, pixels = schedule.total, schedule.pixels
    schedule = schedule.begin_with(((4, 6), (2, 9)))
    assert schedule.total == before + 1
    assert schedule.pixels == pixels
    assert schedule.planned()[0][1][0] == (EARLY, ((4, 6), (2, 9)))
    assert EARLY not in {group for _, parts in schedule.planned()[1:] for group, _ in parts}
    assert EARLY not in {group for _, parts in schedule.planned(lambda *_: False) for group, _ in parts}
    mask = np.zeros((30, 20), bool)
    mask[20, 15] = True
    masked = Schedule.of(cut_tiles(EXTENT, TILE), 2, [()], Mask(mask, Layout((30, 20), None, 2)))
    masked = masked.begin_with(((4, 6), (2, 9)))
    assert masked.early is None, "there is nothing of the mask in it"
