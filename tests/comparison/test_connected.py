"""Connected regions: those of scikit-image for any blocks, peeled as SciPy erodes; first the one to look at first."""

from __future__ import annotations

import importlib
import math

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_erosion, generate_binary_structure
from skimage.measure import label, regionprops

from napari_fcnseg.comparison import ONLY_A, ONLY_B, AgreementMap, CellMap, Differing, places
from napari_fcnseg.comparison.regions import depth as peeling

SEARCH = importlib.import_module("napari_fcnseg.comparison.regions.connected")  # the function of that name hides it
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=8)


def expected_regions(mask: np.ndarray, spatial: int, deep: int) -> list[tuple]:
    """Depth, pixels, box, centroid and deepest pixels of each region, from whole frames."""
    sides, corners = (generate_binary_structure(spatial, n) for n in (1, spatial))
    regions = []
    for frame in np.ndindex(mask.shape[: mask.ndim - spatial]):
        part = mask[frame]
        levels = [part]
        for level in range(1, deep):
            levels.append(binary_erosion(levels[-1], sides if level % 2 else corners, border_value=1))
        depth = np.sum(levels, axis=0)
        labels = label(part[None], connectivity=spatial + 1)[0]  # it takes two axes at least
        for number in range(1, labels.max() + 1):
            at = np.argwhere(labels == number)
            depths = depth[labels == number]
            box = [(int(a), int(b) + 1) for a, b in zip(at.min(0), at.max(0), strict=True)]
            deepest = {(*frame, *pixel) for pixel in at[depths == depths.max()].tolist()}
            whole = (*((i, i + 1) for i in frame), *box), (*map(float, frame), *at.mean(0).tolist())
            regions.append((int(depths.max()), len(at), *whole, deepest))
    return regions


@settings(max_examples=80, deadline=None)
@given(st.data(), SHAPES, st.integers(1, 3), st.integers(1, 40), st.integers(1, 5))
def test_regions_are_those_of_scikit_image_whatever_the_blocks(data, shape, spatial, block, deep) -> None:
    share = data.draw(st.sampled_from(((True, False, False), (True, True, True, False))))
    mask = data.draw(hnp.arrays(bool, shape, elements=st.sampled_from(share)))
    spatial = min(spatial, len(shape))
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SEARCH, "_BLOCK", block)
        for module in (SEARCH, peeling):
            patch.setattr(module, "DEEP", deep)
        found = places(mask.astype(np.uint8) * 3, spatial=spatial, progress=lambda *at: seen.append(at))
        few = places(mask, spatial=spatial, most=2)
    assert seen == [(n + 1, len(seen)) for n in range(len(seen))]
    assert len(seen) >= mask.size / block, "small blocks, so that regions are joined over their borders"
    expected = {region[2:4]: region for region in expected_regions(mask, spatial, deep)}
    assert len(found) == len(expected)
    for one in found:
        depth, pixels, *_, deepest = expected[one.box, one.centroid]
        assert (one.depth, one.pixels) == (depth, pixels)
        assert one.at in deepest
    assert few == found[:2]
    assert [(one.depth, one.pixels) for one in found] == sorted((r[:2] for r in expected.values()), reverse=True)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)])
def test_regions_are_joined_over_the_corners_of_blocks(signs, monkeypatch) -> None:
    monkeypatch.setattr(SEARCH, "_BLOCK", 3 ** len(signs))
    line = np.zeros((12,) * len(signs), bool)
    np.einsum("i" * len(signs) + "->i", line)[:] = True
    (one,) = places(line[tuple(slice(None, None, sign) for sign in signs)])
    assert (one.pixels, one.depth, one.box) == (12, 1, ((0, 12),) * len(signs))


def test_blocks_of_any_kind_of_array_give_the_same(monkeypatch) -> None:
    rng = np.random.default_rng(1)
    mask = np.kron(rng.random((3, 20, 25)) < 0.4, np.ones((1, 5, 4), bool))
    whole = places(mask, spatial=2)
    monkeypatch.setattr(SEARCH, "_BLOCK", 900)
    for array in (zarr.array(mask, chunks=(1, 16, 32)), da.from_array(mask, chunks=(2, 30, 17)), mask.astype(float)):
        parts = places(array, spatial=2)
        assert [(one.pixels, one.depth, one.centroid, one.box) for one in parts] == [
            (one.pixels, one.depth, one.centroid, one.box) for one in whole
        ]
    assert places(mask, spatial=2, most=3) == places(mask, spatial=2)[:3]
    assert places(np.zeros((4, 5))) == places(np.zeros((0, 5))) == ()
    with pytest.raises(KeyboardInterrupt):
        places(mask, progress=interrupt)


def interrupt(*_: int) -> None:
    raise KeyboardInterrupt


def test_a_pixel_in_the_middle_of_a_region_is_the_one_to_look_at() -> None:
    y, x = np.mgrid[:61, :81]
    disc = np.hypot(y - 30, x - 40) <= 12
    (one,) = places(disc)
    assert one.at == (30, 40)
    assert regionprops(disc.astype(int))[0].centroid == pytest.approx(one.centroid)
    (horseshoe,) = places((np.hypot(y - 30, x - 40) <= 25) & (np.hypot(y - 30, x - 40) > 15) & (x < 50))
    assert math.hypot(horseshoe.at[0] - 30, horseshoe.at[1] - 40) == pytest.approx(20, abs=1.5), "not in its hole"
    (all_of_it,) = places(np.ones((101, 101)))
    assert (all_of_it.at, all_of_it.depth) == ((50, 50), peeling.DEEP)


@pytest.mark.parametrize("thickness", [1, 2, 3, 4])
def test_a_missed_cell_comes_before_the_outline_of_a_large_one(thickness) -> None:
    y, x = np.mgrid[:400, :400]
    large, small = np.hypot(y - 150, x - 150), np.hypot(y - 350, x - 350)
    truth = np.select([large < 120, small < 6], [1, 2])
    mask = np.where(large < 120 + thickness, 1, 0)  # drawn too large, and the small one was missed
    agreement = AgreementMap(truth, mask)
    cell, *outline = places(Differing(agreement))
    assert cell.at == (350, 350)
    assert agreement[cell.at] == ONLY_A
    assert cell.pixels < sum(one.pixels for one in outline)
    assert {int(agreement[one.at]) for one in outline} == {ONLY_B}
    (missed,) = places(CellMap(truth, mask, 2, 0))
    assert missed == cell
