"""What a caller may give: lengths, units, settings, odd arrays; and that scores mean what their definitions say."""

from __future__ import annotations

import itertools
from fractions import Fraction

import dask.array as da
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from napari_fcnseg import compare, score_probability
from napari_fcnseg.comparison import CompareSettings, Contingency, count, placed, study
from napari_fcnseg.comparison.metrics.classes import overall_scores
from napari_fcnseg.errors import ImageError, SettingsError

LABELS = np.repeat(np.arange(4), 30).reshape(10, 12)


def test_rand_precision_and_recall_are_the_shares_of_pairs_that_their_definitions_say() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 4, 40), rng.integers(1, 5, 40)
    pairs = list(itertools.combinations(range(40), 2))
    in_a, in_b = ({(i, j) for i, j in pairs if labels[i] == labels[j]} for labels in (a, b))
    overall = compare(a, b, instances=False).overall
    assert overall.rand_precision == pytest.approx(len(in_a & in_b) / len(in_a), rel=1e-12)
    assert overall.rand_recall == pytest.approx(len(in_a & in_b) / len(in_b), rel=1e-12)
    split = compare(np.ones(8, int), np.arange(8) // 4).overall
    assert split.rand_recall == 1 > split.rand_precision


def test_kappa_of_a_large_map_with_next_to_nothing_on_it() -> None:
    total = 10**8
    ones = np.array([0, 1])
    table = Contingency(ones, ones, np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([total - 2, 1, 1]))
    chance = Fraction((total - 1) ** 2 + 1, total**2)
    exact = (Fraction(total - 2, total) - chance) / (1 - chance)
    assert overall_scores(table).kappa == pytest.approx(float(exact), rel=1e-12)


def test_axes_that_have_a_length_are_space() -> None:
    """The distance between two shifted blocks is that of a volume if three lengths are given, of slices if two are."""
    a, b = np.zeros((2, 12, 20, 20), int)
    a[3:8, 4:12, 4:12], b[5:11, 4:12, 4:12] = 1, 1
    volume = compare(a, b, spacing=(3, 1, 1))
    rims = [mask & (distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1] <= 1) for mask in (a == 1, b == 1)]
    far = [distance_transform_edt(~rims[1 - i], (3, 1, 1))[rims[i]] for i in (0, 1)]
    assert volume.spatial == 3
    assert volume.borders[0].hausdorff == pytest.approx(max(each.max() for each in far))
    assert volume.notes == ()
    for slices in (compare(a, b, spacing=(1, 1)), compare(a, b), compare(a, b, spacing=(3, 1, 1), spatial=2)):
        assert slices.spatial == 2
        assert slices.borders[0].hausdorff == 0
        assert "each slice or frame of the last 2 axes by itself" in slices.notes[0]
    assert compare(a[:1], b[:1]).notes == ()
    assert compare(a, b, spacing=(0.5, 0.5)).spacing == (1, 0.5, 0.5)
    found = study(placed("a", a), [placed("b", b)])
    assert found.as_dict()["masks"][0]["spatial"] == 2
    assert "by itself" in found.notes[0]


def test_a_length_without_a_unit_is_pixels_only_where_a_pixel_is_one_long() -> None:
    assert [compare(LABELS, LABELS, spacing=size).unit for size in (None, (1, 1), (0.5, 0.5))] == ["px", "px", ""]
    assert compare(LABELS, LABELS, spacing=(0.5, 0.5), unit="µm").unit == "µm"
    assert study(placed("a", LABELS, (2, 2)), [placed("b", LABELS, (2, 2))]).unit == ""


def test_objects_can_be_found_again_on_the_truth() -> None:
    truth = np.zeros((20, 20), int)
    truth[10:15, 10:15] = 7
    there = placed("cut", truth[8:, 8:])
    there.affine[:-1, -1] = 8
    data = study(placed("truth", truth), [there], CompareSettings("instances")).as_dict()
    (row_start, _), _ = data["masks"][0]["instances"]["objects"][0]["box"]
    assert row_start + data["grid"]["origin"][0] == 10
    assert data["grid"]["affine"][0][-1] == 8


def test_numbers_of_numpy_are_numbers() -> None:
    given = CompareSettings("instances", np.array([1, 2]), np.float32(0.5), np.int64(1), np.int64(2))
    assert given == CompareSettings("instances", (1, 2), 0.5, 1.0, 2)
    assert type(given.spatial) is int
    assert compare(LABELS, LABELS, ignore=1).ignored == (1,)


@pytest.mark.parametrize("ignore", [[1.5], "12", [2**70], [True], None])
def test_labels_to_leave_out_are_whole_numbers(ignore) -> None:
    with pytest.raises(SettingsError, match="labels to leave out are whole numbers"):
        compare(LABELS, LABELS, ignore=ignore)


@pytest.mark.parametrize("spacing", [0.5, (1, 1, 1), "ab", (1, np.nan), (None, 1)])
def test_a_spacing_is_lengths(spacing) -> None:
    with pytest.raises(SettingsError, match="spacing is one length above 0 per axis, 2 in all"):
        compare(LABELS, LABELS, spacing=spacing)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([[1, 2], [3]], "rows have different lengths"),
        (np.ma.masked_equal(LABELS, 2), "masked values"),
        (da.from_array(LABELS)[da.from_array(LABELS[:, 0]) > 1], "compute_chunk_sizes"),
        (np.full((10, 12), -np.inf, np.float16), "not whole"),
    ],
)
def test_what_is_no_label_map_is_said(odd, said) -> None:
    for a, b in ((odd, LABELS), (LABELS, odd)):
        with pytest.raises(ImageError, match=said):
            compare(a, b)


def test_a_grid_needs_a_length_per_axis_and_an_extent() -> None:
    with pytest.raises(SettingsError, match="'t' is one length per axis, 2 in all"):
        placed("t", LABELS, (1,))
    with pytest.raises(ImageError, match="'t' has no extent along an axis"):
        study(placed("t", LABELS, (0, 1)), [placed("m", LABELS)])


def test_pixels_that_count_may_be_numbers_and_the_others_may_be_anything() -> None:
    where = (LABELS > 0).astype(np.uint8) * 3
    assert count(LABELS, LABELS, where=where).total == (LABELS > 0).sum()
    with pytest.raises(ImageError, match=r"10 × 13 and the label maps 10 × 12"):
        count(LABELS, LABELS, where=np.ones((10, 13), bool))
    scores = np.where(LABELS == 0, np.nan, LABELS / 4)
    known = score_probability(LABELS, scores, 2, where=where)
    assert known == score_probability(LABELS, scores, 2, ignore=[0])
    with pytest.raises(ImageError, match="not finite"):
        score_probability(LABELS, scores, 2)


def test_names_that_are_no_text_and_paths_that_are_text_can_be_written(tmp_path) -> None:
    found = study(placed("t", LABELS), [placed("m\udcff", LABELS)])
    found.save_csv(str(tmp_path / "a.csv"))
    found.save_json(str(tmp_path / "a.json"))
    assert "m\\udcff" in (tmp_path / "a.csv").read_text(encoding="utf-8")
    import json

    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["masks"][0]["mask"] == "m\udcff"
