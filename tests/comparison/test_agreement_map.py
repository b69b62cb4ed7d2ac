"""Maps of agreement: what a plain loop says of each pixel; in colours that everybody tells apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_fcnseg.comparison import (
    AGREEMENT,
    BOTH,
    DIFFERENT,
    NEITHER,
    ONLY_A,
    ONLY_B,
    AgreementMap,
    CellMap,
    Differing,
    compare,
    count,
    matches,
    write_map,
)
from napari_fcnseg.comparison.metrics import contingency
from napari_fcnseg.errors import ImageError

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
    found = AgreementMap(a.astype(kind_of_number), b, inside=inside, pairs=pairs, ignore=(3,))
    expected = np.array([kind(x, y, pairs) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)])
    expected[~inside.ravel() | (a.ravel() == 3)] = NEITHER
    np.testing.assert_array_equal(np.asarray(found), expected.reshape(shape))
    counts = write_map(found)
    assert counts == {k: n for k in range(1, 5) if (n := int((expected == k).sum()))}
    cell = CellMap(a, b, 1, 2, inside=inside)
    np.testing.assert_array_equal(np.asarray(cell), (a == 1) & (b == 2) & inside)


def test_a_class_that_is_background_counts_as_none_but_is_no_other_background() -> None:
    a, b = np.array([1, 1, 1, 2, 2, 2, 3, 0, 0, 9]), np.array([1, 2, 0, 1, 2, 3, 0, 2, 1, 1])
    found = np.asarray(AgreementMap(a, b, background=(1, 9)))
    assert found.tolist() == [
        NEITHER, ONLY_B, DIFFERENT, ONLY_A, BOTH, DIFFERENT, ONLY_A, ONLY_B, DIFFERENT, DIFFERENT
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(Differing(found)), a != b)


def test_partners_are_found_in_tables_and_lists_alike() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 30, (2, 50, 60))
    pairs = {k: int(v) for k, v in zip(range(1, 30), rng.permutation(29) + 1, strict=True) if k % 3}
    small = np.asarray(AgreementMap(a, b, pairs=pairs))
    far = 2**40  # too large for a table
    large = AgreementMap(np.where(a, a + far, 0), b, pairs={k + far: v for k, v in pairs.items()})
    np.testing.assert_array_equal(large, small)
    assert not (np.asarray(AgreementMap(a, b, pairs={})) == BOTH).any()


def test_a_part_is_what_numpy_would_choose_and_only_it_is_read(monkeypatch) -> None:
    a, b = np.random.default_rng(0).integers(0, 3, (2, 4, 9, 11))
    found = AgreementMap(zarr.array(a, chunks=(1, 4, 4)), b)
    whole = np.asarray(found)
    for where in (
        2, (slice(None), 3), (1, slice(2, 9, 3), slice(None, None, -2)), (..., -1), (slice(5, 2),), (-1, -1, -1),
        (np.int64(1), slice(None, 4)), (0, ..., slice(1, 2)),
    ):  # fmt: skip
        np.testing.assert_array_equal(found[where], whole[where])
    for where in (4, (0, 0, 11), (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            found[where]
    monkeypatch.setattr(contingency, "_BLOCK", 60)
    out = zarr.array(np.zeros(a.shape, np.uint8))
    seen = []
    write_map(found, out, lambda done, total: seen.append((done, total)))
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
    counts = write_map(AgreementMap(a, b, pairs=pairs))
    shared = sum(int(((a == i) & (b == j)).sum()) for i, j in pairs.items())
    assert counts[BOTH] == shared
    assert rng is not None


def test_any_kind_of_whole_numbers_is_taken_and_nothing_else() -> None:
    far = 2**63 - 1
    a, b = np.array([far, -far, 1, 0, 7], np.int64), np.array([far, far, 1, 7, 0], np.uint64)
    expected = [BOTH, DIFFERENT, BOTH, ONLY_B, ONLY_A]
    assert np.asarray(AgreementMap(a, b)).tolist() == expected
    assert np.asarray(AgreementMap(a, b, pairs={-far: far, far: 3, 1: 1})).tolist() == [DIFFERENT, BOTH, *expected[2:]]
    assert np.asarray(AgreementMap(a.astype(bool), [1.0, 1, 1, 1, 0])).tolist() == [BOTH, BOTH, BOTH, ONLY_B, ONLY_A]
    with pytest.raises(ImageError, match="not whole"):
        np.asarray(AgreementMap(a, a + 0.5))
    with pytest.raises(ImageError, match="5 and 4"):
        AgreementMap(a, b[:4])
    assert write_map(CellMap(np.zeros((0, 3)), np.zeros((0, 3)), 0, 0)) == {}


class Recorder:
    """An array that notes what is read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.read = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
        part = self._array[where]
        self.read.append(part.shape)
        return part


def test_no_more_is_read_than_is_looked_at(monkeypatch) -> None:
    a, b = (Recorder(np.random.default_rng(seed).integers(0, 3, (6, 40, 50))) for seed in range(2))
    found = Differing(AgreementMap(a, b))
    assert a.read == b.read == []
    found[3, 5:9]
    assert a.read == b.read == [(1, 4, 50)]
    monkeypatch.setattr(contingency, "_BLOCK", 500)
    whole = np.asarray(AgreementMap(a, b))
    assert max(map(np.prod, a.read)) <= 500
    np.testing.assert_array_equal(whole >= ONLY_A, found)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        write_map(
            AgreementMap(a, b), out := np.full(a.shape, 9, np.uint8), lambda *at: seen.append(at) or interrupt(at[0])
        )
    assert len(seen) == 2
    done = out != 9
    np.testing.assert_array_equal(out[done], whole[done])
    assert 0 < done.sum() < done.size


def interrupt(done: int) -> None:
    if done == 2:
        raise KeyboardInterrupt


def as_seen(colors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return sRGB colours in CIELAB as a reader sees them."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.asarray(matrix).T, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]


@pytest.mark.parametrize(("opacity", "apart", "from_grey"), [(1.0, 19.9, 15.0), (0.7, 12.5, 12.0)])
@pytest.mark.parametrize("lacking", MACHADO)
def test_readers_who_lack_a_kind_of_cone_tell_the_colours_apart(lacking, opacity, apart, from_grey) -> None:
    """In CIEDE2000, of which about 2 can just be seen; also over a grey image that shines through."""
    colors = np.array([[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for _, text in AGREEMENT.values()])
    greys = as_seen(np.repeat(np.linspace(0, 1, 52)[:, None], 3, axis=1), MACHADO[lacking])
    for image in (0.0, 0.25, 0.5, 0.75, 1.0):
        lab = as_seen(opacity * colors + (1 - opacity) * image, MACHADO[lacking])
        assert min(deltaE_ciede2000(p, q) for p, q in itertools.combinations(lab, 2)) > apart
        assert min(deltaE_ciede2000(np.broadcast_to(p, greys.shape), greys).min() for p in lab) > from_grey
