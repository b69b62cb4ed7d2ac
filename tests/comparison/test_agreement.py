"""Maps of agreement and connected regions: plain loops and scikit-image are the reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.measure import label, regionprops

from napari_fcnseg.comparison import (
    AGREEMENT,
    BOTH,
    DIFFERENT,
    NEITHER,
    ONLY_A,
    ONLY_B,
    Agreement,
    Cell,
    compare,
    count,
    matches,
    places,
    table,
    write,
)

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=7)
#: Machado, Oliveira and Fernandes (2009), severity 1: what a reader without one kind of cone sees of linear RGB.
MACHADO = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def kind(a: int, b: int, pairs: dict[int, int] | None) -> int:
    """Return what a pixel is, as the documentation has it."""
    if not a and not b:
        return NEITHER
    if not a or not b:
        return ONLY_B if not a else ONLY_A
    same = a == b if pairs is None else pairs.get(a) == b
    return BOTH if same else DIFFERENT


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES, st.booleans(), st.sampled_from(("i8", "i2", "f4")))
def test_each_pixel_is_of_the_kind_that_its_labels_say(data, shape, single, kind_of_number) -> None:
    values = st.sampled_from((0, 1, 2, 3, -4, 300))
    a, b = (data.draw(hnp.arrays(np.int64, shape, elements=values)) for _ in range(2))
    pairs = {1: 2, -4: 300, 300: 1} if single else None
    inside = data.draw(hnp.arrays(bool, shape))
    found = Agreement(a.astype(kind_of_number), b, inside=inside, pairs=pairs, ignore=(3,))
    expected = np.array([kind(x, y, pairs) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)])
    expected[~inside.ravel() | (a.ravel() == 3)] = NEITHER
    np.testing.assert_array_equal(np.asarray(found), expected.reshape(shape))
    counts = write(found)
    assert counts == {k: n for k in range(1, 5) if (n := int((expected == k).sum()))}
    cell = Cell(a, b, 1, 2, inside=inside)
    np.testing.assert_array_equal(np.asarray(cell), (a == 1) & (b == 2) & inside)


def test_partners_are_found_in_tables_and_lists_alike() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 30, (2, 50, 60))
    pairs = {k: int(v) for k, v in zip(range(1, 30), rng.permutation(29) + 1, strict=True) if k % 3}
    small = np.asarray(Agreement(a, b, pairs=pairs))
    far = 2**40  # too large for a table
    large = Agreement(np.where(a, a + far, 0), b, pairs={k + far: v for k, v in pairs.items()})
    np.testing.assert_array_equal(large, small)
    assert not (np.asarray(Agreement(a, b, pairs={})) == BOTH).any()


def test_a_part_is_what_numpy_would_choose_and_only_it_is_read(monkeypatch) -> None:
    a, b = np.random.default_rng(0).integers(0, 3, (2, 4, 9, 11))
    found = Agreement(zarr.array(a, chunks=(1, 4, 4)), b)
    whole = np.asarray(found)
    for where in (
        2, (slice(None), 3), (1, slice(2, 9, 3), slice(None, None, -2)), (..., -1), (slice(5, 2),), (-1, -1, -1),
        (np.int64(1), slice(None, 4)), (0, ..., slice(1, 2)),
    ):  # fmt: skip
        np.testing.assert_array_equal(found[where], whole[where])
    for where in (4, (0, 0, 11), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            found[where]
    monkeypatch.setattr(table, "_BLOCK", 60)
    out = zarr.array(np.zeros(a.shape, np.uint8))
    seen = []
    write(found, out, lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(out[:], whole)
    assert len(seen) > 3
    assert seen[-1][0] == seen[-1][1]


def test_partners_agree_in_the_map_as_often_as_in_the_table() -> None:
    rng = np.random.default_rng(3)
    a = np.kron(np.arange(12).reshape(3, 4), np.ones((8, 8), int))
    b = np.roll(a, (1, 2), (0, 1)) * 7 % 61
    found = compare(a, b, instances=True, threshold=0.3)
    pairs = matches(count(a, b), 0.3)
    assert len(pairs) == found.instances.at.found > 0
    counts = write(Agreement(a, b, pairs=pairs))
    shared = sum(int(((a == i) & (b == j)).sum()) for i, j in pairs.items())
    assert counts[BOTH] == shared
    assert rng is not None


@settings(max_examples=80, deadline=None)
@given(st.data(), SHAPES, st.integers(1, 3), st.integers(1, 30))
def test_regions_are_those_of_scikit_image_whatever_the_blocks(data, shape, spatial, block) -> None:
    mask = data.draw(hnp.arrays(bool, shape, elements=st.sampled_from((True, False, False))))
    spatial = min(spatial, len(shape))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_BLOCK", block)
        found = places(mask.astype(np.uint8) * 3, spatial=spatial)
    expected = []
    for frame in np.ndindex(shape[: len(shape) - spatial]):
        part = mask[frame]
        inner = np.pad(part, 1)
        for axis, step in itertools.product(range(spatial), (1, -1)):
            inner = inner & np.roll(np.pad(part, 1), step, axis)
        labels = label(part[None] if spatial == 1 else part, connectivity=spatial)  # it takes two axes at least
        labels = labels[0] if spatial == 1 else labels
        for number in range(1, labels.max() + 1):
            at = np.argwhere(labels == number)
            core = int(inner[tuple(slice(1, -1) for _ in range(spatial))][labels == number].sum())
            box = tuple((int(a), int(b) + 1) for a, b in zip(at.min(0), at.max(0), strict=True))
            frames = tuple((i, i + 1) for i in frame)
            expected.append((core, len(at), (*frames, *box), (*map(float, frame), *at.mean(0).tolist())))
    got = [(one.core, one.pixels, one.box, one.centroid) for one in found]
    assert [one[:2] for one in got] == sorted((one[:2] for one in expected), reverse=True)
    for one, other in zip(sorted(got), sorted(expected), strict=True):
        assert one[:3] == other[:3]
        assert one[3] == pytest.approx(other[3])
    for one in found:
        assert mask[one.at]
        assert all(start <= i < stop for i, (start, stop) in zip(one.at, one.box, strict=True))


def test_a_missed_cell_comes_before_a_long_outline() -> None:
    y, x = np.mgrid[:200, :200]
    mask = np.abs(np.hypot(y - 80, x - 80) - 60) < 0.6  # a line around a large cell
    cell = np.hypot(y - 180, x - 180) < 5
    first, *others = places(mask | cell)
    assert first.pixels == cell.sum() < sum(one.pixels for one in others)
    assert first.at == (180, 180), "the deepest pixel"
    assert regionprops(cell.astype(int))[0].centroid == pytest.approx(first.centroid)
    assert [one.pixels for one in places(mask | cell, most=1)] == [first.pixels]
    assert places(np.zeros((5, 5))) == ()


def test_readers_who_lack_a_kind_of_cone_tell_the_colours_apart() -> None:
    colors = np.array([[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, text in AGREEMENT.values()])
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    for matrix in MACHADO.values():
        seen = np.clip(linear @ np.asarray(matrix).T, 0, 1)
        shown = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
        lab = rgb2lab(shown[None])[0]
        apart = [deltaE_ciede2000(p, q) for p, q in itertools.combinations(lab, 2)]
        assert min(apart) > 18, "about 2 can just be seen; 10 is seen at a glance"
