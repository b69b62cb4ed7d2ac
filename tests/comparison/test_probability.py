"""Maps of probabilities against a truth: scikit-learn and torchmetrics are the reference.

``CURVES`` and ``BINS`` (scikit-learn 1.9.1), ``CALIBRATION`` (torchmetrics 1.9.0, in float64) were made from ``hit, p =
case(rounded)``, flat, by::

    P, R, T = precision_recall_curve(hit, p)
    f = 2 * P * R / (P + R); b = np.flatnonzero(f == f.max()).max()
    average_precision_score(hit, p), T[b], f[b], P[b], R[b], f1_score(hit, p >= 0.5), brier_score_loss(hit, p)
    P.sum(), R.sum(), len(T); calibration_curve(hit, p, n_bins=10)
    binary_calibration_error(torch.tensor(p), torch.tensor(hit.astype(int)), n_bins=10, norm=...)  # "l1", "max"
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile
import zarr

from napari_fcnseg.cli import main as cli
from napari_fcnseg.comparison.alignment.placed import placed
from napari_fcnseg.comparison.metrics import contingency, value_counts
from napari_fcnseg.comparison.metrics.probability import compare_probability, score_probability
from napari_fcnseg.comparison.metrics.scores import PROBABILITY_SCORES
from napari_fcnseg.errors import ImageError

EXACT = {"rel": 1e-9, "abs": 1e-12}
CURVES = {  # rounded or not
    True: [
        0.8058027447043341,
        0.54,
        0.7425237053245806,
        0.6841397849462365,
        0.8118022328548644,
        0.7292517006802721,
        0.1521158,
        65.12084875172933,
        71.140350877193,
        101.0,
    ],
    False: [
        0.8095225558722838,
        0.535664818811369,
        0.7436084733382031,
        0.6859838274932615,
        0.8118022328548644,
        0.729637234770705,
        0.15212728022319397,
        1151.5420293839281,
        1486.883572567783,
        1909.0,
    ],
}
BINS = (
    [
        0.0,
        0.05325443786982249,
        0.046153846153846156,
        0.084375,
        0.16498316498316498,
        0.3605150214592275,
        0.5858585858585859,
        0.808641975308642,
        0.8434782608695652,
        0.9444444444444444,
    ],
    [
        0.03601449275362316,
        0.15869822485207105,
        0.2572692307692307,
        0.35615625000000006,
        0.45235690235690207,
        0.5533047210300431,
        0.6520202020202022,
        0.7507407407407405,
        0.8532173913043475,
        0.9698148148148151,
    ],
)
CALIBRATION = [0.1598517731462909, 0.2832486248574881]


def case(rounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return where the class is, and a map of probabilities; rounded ones are often equal."""
    rng = np.random.default_rng(11)
    hit = rng.random((40, 50)) < 0.3
    p = np.clip(0.35 * hit + rng.normal(0.35, 0.2, hit.shape), 0.001, 0.999)
    return hit, np.round(p, 2) if rounded else p


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("kind", ["memory", "zarr"])
def test_scores_and_curve_are_those_of_scikit_learn(monkeypatch, rounded, kind) -> None:
    hit, p = case(rounded)
    monkeypatch.setattr(contingency, "_BLOCK", 300)
    found = score_probability(hit * 7 - 3, p if kind == "memory" else zarr.array(p, chunks=(8, 8)), 4)
    average, threshold, dice, precision, recall, half, brier, *curve = CURVES[rounded]
    got = (found.average_precision, found.best_threshold, found.best_dice, found.best_precision, found.best_recall)
    assert got == pytest.approx((average, threshold, dice, precision, recall), **EXACT)
    assert (found.dice, found.brier) == pytest.approx((half, brier), **EXACT)
    p_curve, r_curve, thresholds = found.curve(10**6)
    # scikit-learn adds a point of its own at recall 0.
    assert (p_curve.sum() + 1, r_curve.sum(), len(thresholds)) == pytest.approx(curve, **EXACT)
    few = found.curve(20)
    assert len(few[0]) == 20
    assert set(few[2]) <= set(thresholds)


def test_calibration_is_that_of_scikit_learn_and_torchmetrics() -> None:
    hit, p = case(True)
    bins = score_probability(hit, p, 1).bins
    assert [one.true for one in bins] == pytest.approx(BINS[0], **EXACT)
    assert [one.said for one in bins] == pytest.approx(BINS[1], **EXACT)
    found = score_probability(*case(False), 1)
    assert [found.calibration_error, found.largest_calibration_error] == pytest.approx(CALIBRATION, **EXACT)


def test_too_many_values_are_rounded_and_that_is_said(monkeypatch) -> None:
    hit, p = case(False)
    exact = score_probability(hit, p, 1)
    monkeypatch.setattr(value_counts, "_MOST", 500)
    monkeypatch.setattr(contingency, "_BLOCK", 300)
    found = score_probability(hit, p, 1)
    assert "rounded" in found.notes[0]
    assert exact.notes == ()
    assert found.average_precision == pytest.approx(exact.average_precision, abs=1e-3)
    assert found.calibration_error == pytest.approx(exact.calibration_error, **EXACT)
    assert found.pixels == exact.pixels == p.size


def test_what_is_not_defined_is_none_and_what_is_wrong_is_said() -> None:
    hit, p = case(True)
    none = score_probability(hit, p, 5, name="m")
    assert (none.positives, none.average_precision, none.best_dice, none.dice) == (0, None, None, None)
    assert none.brier == pytest.approx(float((p**2).mean()))
    assert len(none.curve()[0]) == 0
    every = score_probability(np.ones(4), np.full(4, 0.25), 1)
    assert (every.average_precision, every.best_dice, every.best_threshold, every.dice) == (1, 1, 0.25, 0)
    grey = score_probability(hit, np.round(p * 255).astype(np.uint8), 1)
    assert grey.average_precision == pytest.approx(score_probability(hit, np.round(p * 255) / 255, 1).average_precision)
    assert (grey.brier, grey.bins) == (None, ())
    assert "outside 0 to 1" in grey.notes[0]
    inside = np.ones(p.shape, bool)
    left_out = score_probability(hit, p, 1, ignore=[0, 1], where=inside)
    assert inside.all(), "what was given is as it was"
    assert (left_out.pixels, left_out.average_precision, left_out.brier) == (0, None, None)
    assert "NaN" not in json.dumps([one.as_dict() for one in (none, every, grey, left_out)], allow_nan=False)
    for scores, said in ((p[1:], "shape 39 × 50"), (p + np.nan, "not finite"), (p + 0j, "complex128")):
        with pytest.raises(ImageError, match=said):
            score_probability(hit, scores, 1, name="m")
    with pytest.raises(ImageError, match="no pixels"):
        score_probability(hit[:0], p[:0], 1)
    assert set(none.values()) == set(PROBABILITY_SCORES)


def test_maps_of_other_pixels_are_compared_where_they_lie() -> None:
    hit, p = case(True)
    steps = []
    finer = placed("b", p.repeat(3, 0).repeat(3, 1)[1:, 1:], (1 / 3, 1 / 3))
    maps = [(placed("a", p), 1), (finer, 1)]
    (coarse, fine), notes = compare_probability(placed("truth", hit), maps, progress=lambda *step: steps.append(step))
    assert fine.average_precision == coarse.average_precision
    assert "'b' has pixels of 0.3333" in notes[0]
    assert steps == [(1, 2), (2, 2)]


def test_maps_are_compared_on_the_command_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    hit, p = case(True)
    tifffile.imwrite("truth.tif", (hit + 1).astype(np.uint8))
    tifffile.imwrite("maps.tif", np.stack((1 - p, p)).astype(np.float32), metadata={"axes": "CYX"})
    assert cli.main("compare truth.tif --probabilities maps.tif --csv out.csv --json out.json".split()) == 0
    assert "precision" in capsys.readouterr().out
    with open("out.csv", encoding="utf-8", newline="") as file:
        rows = {(row["map"], row["label"], row["score"]): row["value"] for row in csv.DictReader(file)}
    expected = score_probability(hit, p.astype(np.float32), 1)
    assert float(rows["maps.tif, channel 2", "2", "average_precision"]) == expected.average_precision
    data = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [one["label"] for one in data["probabilities"]] == [1, 2]
    assert len(data["probabilities"][1]["curve"]["recall"]) == len(expected.thresholds)
    assert cli.main("compare truth.tif --probabilities maps.tif --label 2".split()) == 1
    assert "2 maps and 1 label" in capsys.readouterr().err
    assert cli.main("compare truth.tif maps.tif --probabilities maps.tif".split()) == 1
    assert cli.main("compare truth.tif".split()) == 1
    assert "nothing to compare" in capsys.readouterr().err
