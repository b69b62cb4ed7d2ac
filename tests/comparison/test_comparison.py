"""Scores of two label maps: those of the libraries that define them, and a stated answer where there is none.

``KAPPA``, ``CLASSES`` (scikit-learn 1.9.1), ``MATCHED`` (StarDist 0.9.2, its float32 overlaps
made float64, since they are good to 1e-7 only) and ``HAUSDORFF`` (MedPy 0.5.2) were made from
``a, b = maps()`` with ``ca, cb = a % 4, b % 4``::

    from sklearn.metrics import cohen_kappa_score, jaccard_score, precision_recall_fscore_support
    cohen_kappa_score(ca.ravel(), cb.ravel())
    precision_recall_fscore_support(ca.ravel(), cb.ravel()), jaccard_score(ca.ravel(), cb.ravel(), average=None)
    k = stardist.matching.matching(a, b, t)  # t, tp, fp, fn, accuracy, f1, mean_matched_score, panoptic_quality
    medpy.metric.binary.hd95(ca == k, cb == k, (2.0, 0.5)), medpy.metric.binary.hd(ca == k, cb == k, (2.0, 0.5))
"""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
import tifffile
import zarr
from skimage.measure import regionprops
from skimage.metrics import adapted_rand_error, hausdorff_distance, variation_of_information

from napari_fcnseg import compare
from napari_fcnseg.cli import main as cli
from napari_fcnseg.comparison import DEFINITIONS, count
from napari_fcnseg.comparison.metrics import contingency
from napari_fcnseg.errors import ImageError, SettingsError

EXACT = {"rel": 1e-9, "abs": 1e-12}
KAPPA = 0.747057560670159
CLASSES = (  # precision, recall, Dice, Jaccard
    (0.9009417509591908, 0.852112676056338, 0.7384868421052632, 0.7268292682926829),
    (0.9050455501051157, 0.7441574415744158, 0.8439849624060151, 0.7437603993344426),
    (0.9029889879391715, 0.7944845699277742, 0.787719298245614, 0.7351973684210527),
    (0.8231357552581262, 0.659041394335512, 0.6497829232995659, 0.5812743823146944),
)
HAUSDORFF = ((1, 2.0, 4.123105625617661), (2, 4.0, 6.324555320336759), (3, 4.0, 12.093386622447824))
MATCHED = (
    (0.1, 37, 2, 3, 0.8809523809523809, 0.9367088607594937, 0.5742062962611889, 0.5378641256117466),
    (0.25, 35, 4, 5, 0.7954545454545454, 0.8860759493670886, 0.5999929668795676, 0.531639337741389),
    (0.5, 26, 13, 14, 0.49056603773584906, 0.6582278481012658, 0.681525490988167, 0.4485990573592998),
    (0.6, 19, 20, 21, 0.31666666666666665, 0.4810126582278481, 0.7338419816949087, 0.35298728233425986),
    (0.75, 9, 30, 31, 0.12857142857142856, 0.22784810126582278, 0.8144681407448198, 0.1855750194102121),
    (0.9, 1, 38, 39, 0.01282051282051282, 0.02531645569620253, 0.9029850746268657, 0.022860381636123184),
)
MEAN_PRECISION = 0.18218856686155743


def maps() -> tuple[np.ndarray, np.ndarray]:
    """Discs, and the same discs moved."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:60, :80]
    cy, cx, r = rng.uniform(0, 60, 40), rng.uniform(0, 80, 40), rng.uniform(3, 8, 40)
    both = []
    for shift in (0.0, 1.5):
        labels = np.zeros((60, 80), int)
        for k in range(40):
            labels[np.hypot(y - cy[k] - shift * rng.normal(), x - cx[k] - shift * rng.normal()) < r[k]] = k + 1
        both.append(labels)
    return both[0], both[1]


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    a, b = (labels % 4 for labels in maps())
    found = compare(a, b)
    assert found.overall.kappa == pytest.approx(KAPPA, **EXACT)
    assert found.overall.accuracy == pytest.approx(0.8508333333333333, **EXACT)
    got = [[getattr(one, key) for one in found.classes] for key in ("precision", "recall", "dice", "jaccard")]
    np.testing.assert_allclose(got, CLASSES, rtol=1e-9)
    np.testing.assert_array_equal(found.confusion, np.histogram2d(a.ravel(), b.ravel(), range(5))[0])
    assert found.mean_dice == pytest.approx(np.mean(CLASSES[2][1:]), **EXACT)
    one = found.classes[2]
    assert one.volume_difference == pytest.approx(((b == 2).sum() - (a == 2).sum()) / (a == 2).sum(), **EXACT)


@pytest.mark.parametrize("seed", range(4))
def test_rand_error_and_variation_of_information_are_those_of_scikit_image(seed) -> None:
    a, b = np.random.default_rng(seed).integers(0, 6, (2, 5, 17, 23))
    overall = compare(a, b).overall
    rand = overall.rand_error, overall.rand_precision, overall.rand_recall
    assert rand == pytest.approx(adapted_rand_error(a, b), **EXACT)
    assert (overall.split_entropy, overall.merge_entropy) == pytest.approx(variation_of_information(a, b), **EXACT)
    kept = compare(a, b, ignore=[2, 3]).overall
    expected = adapted_rand_error(a, b, ignore_labels=(0, 2, 3))
    assert (kept.rand_error, kept.rand_precision, kept.rand_recall) == pytest.approx(expected, **EXACT)
    assert kept.pixels == np.isin(a, [2, 3], invert=True).sum()


def test_borders_are_those_of_medpy_and_scikit_image() -> None:
    a, b = (labels % 4 for labels in maps())
    borders = compare(a, b, spacing=(2.0, 0.5), unit="µm").borders
    got = [(one.label, one.hausdorff_95, one.hausdorff) for one in borders]
    np.testing.assert_allclose(got, HAUSDORFF, rtol=1e-9)
    plain = compare(a, b, tolerance=1.0).borders[0]
    edge = []
    for labels in (a, b):
        padded = np.pad(labels == 1, 1)
        inner = padded.copy()
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            inner &= np.roll(padded, step, axis)
        edge.append((padded & ~inner)[1:-1, 1:-1])
    assert plain.hausdorff == pytest.approx(hausdorff_distance(*edge), **EXACT)
    points = [np.argwhere(one) for one in edge]
    apart = np.hypot(*(points[0][:, None] - points[1][None]).transpose(2, 0, 1))
    recall, precision = (apart.min(1) <= 1).mean(), (apart.min(0) <= 1).mean()
    expected = (precision, recall, 2 * precision * recall / (precision + recall))
    assert (plain.precision, plain.recall, plain.f1) == pytest.approx(expected, **EXACT)


def test_matched_objects_are_those_of_stardist() -> None:
    a, b = maps()
    for threshold, *expected in MATCHED:
        at = compare(a, b, instances=True, threshold=threshold).instances.at
        got = (at.found, at.spurious, at.missed, at.average_precision, at.f1, at.segmentation_quality)
        assert (*got, at.panoptic_quality) == pytest.approx(expected, **EXACT)
    assert compare(a, b, instances=True).instances.mean_average_precision == pytest.approx(MEAN_PRECISION, **EXACT)


def test_rivals_for_one_partner_are_matched_so_that_most_have_one() -> None:
    a = np.array([[1] * 10 + [2] * 2])
    b = np.array([[1] * 2 + [2] * 10])  # 1 and 2 overlap by 2/3, more than both other pairs together
    at = compare(a, b, instances=True, threshold=0.15).instances.at
    assert (at.found, at.segmentation_quality) == (2, pytest.approx(0.2))


def test_the_table_of_objects_has_each_ones_place_and_partner(monkeypatch) -> None:
    a, b = maps()
    monkeypatch.setattr(contingency, "_BLOCK", 700)  # many blocks, whose edges cut the objects
    rows = compare(a, b, instances=True).instances.objects
    assert {row.side for row in rows} == {"a", "b"}
    for side, own, other in (("a", a, b), ("b", b, a)):
        mine = [row for row in rows if row.side == side]
        for row, props in zip(mine, regionprops(own), strict=True):
            assert (row.label, row.pixels) == (props.label, props.num_pixels)
            assert row.centroid == pytest.approx(props.centroid, **EXACT)
            assert np.transpose(row.box).ravel().tolist() == list(props.bbox)
            ious = {
                k: ((own == row.label) & (other == k)).sum() / ((own == row.label) | (other == k)).sum()
                for k in np.unique(other[own == row.label]) if k
            }  # fmt: skip
            assert row.iou == pytest.approx(max(ious.values(), default=0), **EXACT)
            assert (row.partner is None) == (not ious)
            assert row.partner is None or ious[row.partner] == pytest.approx(row.iou)


def test_splits_and_merges_are_counted() -> None:
    a = np.array([[1, 1, 1, 1, 0, 2, 2, 3, 3]])
    b = np.array([[1, 1, 2, 2, 0, 5, 5, 5, 5]])
    found = compare(a, b, instances=True).instances
    assert (found.splits, found.merges) == (1, 1)


def test_blocks_from_disk_and_dask_give_the_scores_of_memory(monkeypatch, tmp_path) -> None:
    a, b = np.random.default_rng(1).integers(-3, 9, (2, 4, 31, 29))
    monkeypatch.setattr(contingency, "_BLOCK", 200)
    stored = zarr.create_array(tmp_path / "b.zarr", shape=b.shape, dtype=b.dtype, chunks=(1, 8, 8))
    stored[:] = b
    seen: list[tuple[int, int]] = []
    found = compare(a, stored, progress=lambda done, total: seen.append((done, total)))
    expected = compare(a, b)
    assert (found.confusion, found.overall) == (expected.confusion, expected.overall)
    assert found.labels == tuple(range(-3, 9))
    assert len(seen) > 4 and seen[-1][0] == seen[-1][1]  # noqa: PT018
    assert found.borders == expected.borders
    da = pytest.importorskip("dask.array")
    assert compare(da.from_array(a, chunks=(2, 16, 16)), b).overall == expected.overall


def test_labels_of_any_kind_mean_the_same() -> None:
    a, b = maps()
    names = np.random.default_rng(0).permutation(10**6)[:41] - 5 * 10**5  # negative ones, and gaps
    names[0] = 0
    expected = compare(a, b, instances=True)
    for one in (compare(names[a], names[b], instances=True), compare(a.astype("f4"), b.astype("u1"), instances=True)):
        for got, wanted in zip(one.instances.curve, expected.instances.curve, strict=True):
            assert (got.found, got.spurious, got.missed) == (wanted.found, wanted.spurious, wanted.missed)
            assert got.panoptic_quality == pytest.approx(wanted.panoptic_quality, **EXACT)
        assert one.overall.rand_error == pytest.approx(expected.overall.rand_error, **EXACT)


def test_what_is_not_defined_is_none_and_what_is_wrong_is_said() -> None:
    empty, one = np.zeros((6, 6), int), np.ones((6, 6), bool)
    nothing = compare(empty, empty)
    assert (nothing.overall.accuracy, nothing.overall.kappa, nothing.overall.rand_error) == (1, None, None)
    assert (nothing.mean_dice, nothing.overall.variation_of_information) == (None, 0)
    apart = compare(empty, one)
    assert [(c.dice, c.precision, c.recall) for c in apart.classes] == [(0, None, 0), (0, 0, None)]
    assert (apart.overall.kappa, apart.overall.rand_error) == (0, None)
    assert (apart.borders[0].f1, apart.borders[0].hausdorff_95) == (0, None)
    none = compare(empty, empty, instances=True).instances
    assert (none.at.average_precision, none.at.panoptic_quality, none.mean_average_precision) == (None, None, None)
    missed = compare(one, empty, instances=True).instances
    assert (missed.at.average_precision, missed.at.panoptic_quality, missed.at.precision) == (0, 0, None)
    assert compare(one, empty, ignore=[1]).overall.accuracy is None
    assert "NaN" not in json.dumps(compare(one, empty, ignore=[1]).as_dict(), allow_nan=False)
    for a, b, more, error, said in (
        (empty, empty[1:], {}, ImageError, "6 × 6 and 5 × 6"),
        (empty[:0], empty[:0], {}, ImageError, "no pixels"),
        (empty, empty + 0.5, {}, ImageError, "second label map holds numbers that are not whole"),
        (empty, np.full((6, 6), np.nan), {}, ImageError, "not whole"),
        (empty, empty + 0j, {}, ImageError, "complex128"),
        (np.full((6, 6), 2**63, np.uint64), empty, {}, ImageError, "above 2"),
        (empty, empty, {"spacing": (1, 0)}, SettingsError, "2 in all"),
        (empty, empty, {"threshold": 0}, SettingsError, "IoU threshold"),
        (empty, empty, {"tolerance": -1}, SettingsError, "tolerance"),
        (np.arange(5000), np.arange(5000), {"instances": False}, SettingsError, "too many for classes"),
    ):
        with pytest.raises(error, match=said):
            compare(a, b, **more)


def test_the_table_is_sparse_and_its_count_can_be_stopped() -> None:
    a, b = maps()
    found = count(a, b)
    assert found.pixels.sum() == a.size == found.total
    assert len(found.pixels) < len(found.a_labels) * len(found.b_labels)
    np.testing.assert_array_equal(found.b_pixels, np.unique(b, return_counts=True)[1])

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        compare(a, b, progress=stop)


def test_masks_are_ranked_on_the_command_line(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = (labels % 4 for labels in maps())
    for name, labels in (("truth", a), ("poor", np.roll(b, 9)), ("good", b)):
        np.save(f"{name}.npy", labels)
    code = cli.main("compare truth.npy poor.npy good.npy --csv out.csv --json out.json --report out.html".split())
    out = capsys.readouterr().out
    assert code == 0
    assert out.index("good.npy") < out.index("poor.npy")
    with open("out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kappa = [float(row["value"]) for row in rows if (row["mask"], row["score"]) == ("good.npy", "kappa")]
    assert kappa == pytest.approx([KAPPA], **EXACT)
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.index("good.npy") < page.index("poor.npy")
    assert f"{KAPPA:.3f}" in page
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [one["mask"] for one in data["masks"]] == ["good.npy", "poor.npy"]
    assert data["masks"][0]["overall"]["kappa"] == pytest.approx(KAPPA, **EXACT)
    assert cli.main("compare truth.npy good.npy --instances".split()) == 0
    assert "panoptic" in capsys.readouterr().out
    np.save("small.npy", a[:-1])
    assert cli.main("compare truth.npy small.npy --tolerance 2 --json small.json".split()) == 0
    assert "left out" in capsys.readouterr().out
    small = json.loads((tmp_path / "small.json").read_text(encoding="utf-8"))
    assert (small["masks"][0]["overall"]["different"], small["masks"][0]["tolerance"]) == (0, 2)
    assert small["settings"]["tolerance"] == 2


def test_files_with_other_pixels_are_compared_where_they_lie(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    a = maps()[0] % 4
    for name, labels, size in (("truth", a, 1.0), ("fine", a.repeat(3, 0).repeat(3, 1), 1 / 3)):
        meta = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        meta |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
        tifffile.imwrite(f"{name}.ome.tif", labels.astype(np.uint8), metadata=meta, ome=True)
    assert cli.main("compare truth.ome.tif fine.ome.tif --json out.json --overwrite".split()) == 0
    assert "each pixel takes the nearest label" in " ".join(capsys.readouterr().out.split())
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert data["unit"] == "µm"
    overall = data["masks"][0]["overall"]
    assert (overall["pixels"], overall["different"]) == (a.size, 0)


def test_what_a_file_does_not_say_is_as_in_the_truth_and_units_may_differ(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    labels = (maps()[0] % 4).astype(np.uint8)

    def write(name: str, size: float, unit: str) -> None:
        meta = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        meta |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
        tifffile.imwrite(name, labels, metadata=meta, ome=True)

    write("truth.ome.tif", 0.25, "µm")
    write("nano.ome.tif", 250, "nm")
    write("odd.ome.tif", 250, "pixel")
    np.save("plain.npy", labels)
    origin = {"program": "napari-fcnseg", "class_names": ["edge", "inside", "other"]}
    (tmp_path / "plain.provenance.json").write_text(json.dumps(origin), encoding="utf-8")
    for line in ("truth.ome.tif nano.ome.tif plain.npy", "plain.npy nano.ome.tif"):
        assert cli.main(f"compare {line} --json out.json --overwrite".split()) == 0
        data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        assert data["notes"] == []
        assert {one["overall"]["pixels"] for one in data["masks"]} == {labels.size}
        assert [row["name"] for row in data["masks"][0]["classes"]][1:] == origin["class_names"]
        origins = {one["mask"]: one["provenance"] for one in data["masks"]} | {data["truth"]: data["truth_provenance"]}
        assert origins["plain.npy"] == origin
        assert origins["nano.ome.tif"] == {}
    capsys.readouterr()
    assert cli.main("compare truth.ome.tif odd.ome.tif".split()) != 0
    assert "lengths in pixel, the truth in µm" in " ".join(capsys.readouterr().err.split())


def test_degenerate_maps_have_the_scores_that_are_stated() -> None:
    line = compare(np.array([0, 5, 5, 0]), np.array([0, 5, 0, 0]))  # one axis
    assert (line.overall.different, line.mean_dice, line.borders[0].hausdorff) == (1, pytest.approx(2 / 3), 1)
    same = compare(*[np.array([[7, 7], [7, 7]])] * 2)  # one class and no background, twice
    assert (same.labels, same.mean_dice, same.overall.kappa, same.borders[0].f1) == ((7,), 1, None, 1)
    lone = compare(np.array([[0, 1, 1]]), np.array([[0, 1, 9]]))  # a label in one map only
    assert [(one.label, one.dice, one.recall, one.precision) for one in lone.classes[1:]] == [
        (1, pytest.approx(2 / 3), 0.5, 1), (9, 0, None, 0),
    ]  # fmt: skip
    apart = compare(np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 1]]), instances=True).instances  # no overlap
    assert (apart.at.found, apart.at.spurious, apart.at.missed, apart.at.panoptic_quality) == (0, 1, 1, 0)
    assert [(row.partner, row.iou) for row in apart.objects] == [(None, 0), (None, 0)]
    huge = np.array([[-(2**63), 2**62, 0]])
    big = compare(huge, huge.copy(), instances=True).instances
    assert [row.label for row in big.objects if row.side == "a"] == [-(2**63), 2**62]
    assert (big.at.found, big.mean_average_precision) == (2, 1)
    left = compare(huge, huge, ignore=[0, 2**62, -(2**63)], instances=True)  # nothing is left
    assert (left.overall.pixels, left.overall.accuracy, left.instances.a_objects) == (0, None, 0)
    assert compare(huge, huge, ignore=[0, 2**62, -(2**63)], instances=False).classes == ()
    many = np.arange(1, 5001).reshape(50, 100)  # each pixel an object
    renamed = compare(many, many[::-1]).instances
    assert (renamed.at.found, renamed.splits, renamed.merges) == (5000, 0, 0)
    assert [row.partner for row in renamed.objects[:100]] == many[-1].tolist()


def test_every_score_is_explained_and_its_source_named() -> None:
    a, b = maps()
    scores = {row[1] for found in (compare(a % 4, b % 4), compare(a, b, instances=True)) for row in found.rows()}
    assert scores <= set(DEFINITIONS)
    named = {key for key, text in DEFINITIONS.items() if re.search(r"\d{4}", text)}
    counted = {"pixels", "different", "both", "found", "missed", "spurious", "volume_difference", "splits", "merges"}
    means_and_shares = {"precision", "recall", "mean_dice", "mean_jaccard"}
    of_sides = {f"{side}_{what}" for side in "ab" for what in ("pixels", "objects")}
    assert set(DEFINITIONS) - named == counted | means_and_shares | of_sides
