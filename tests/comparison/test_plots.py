"""The plots show the scores of the study: read back from the lines that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from napari_fcnseg import score_probability
from napari_fcnseg.comparison import CompareSettings, placed, study
from napari_fcnseg.comparison.report.plots import precision_recall, reliability, scores_against_iou


@pytest.fixture
def figure() -> Figure:
    return Figure()


def lines(figure: Figure) -> dict[str, np.ndarray]:
    """Return the points of each line that the legend names."""
    (axes,) = figure.axes
    handles, names = axes.get_legend_handles_labels()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names
    return {name.strip("\u200b"): line.get_xydata() for name, line in zip(names, handles, strict=True)}


def discs(shift: int) -> np.ndarray:
    labels = np.zeros((60, 60), int)
    y, x = np.indices(labels.shape)
    for k in range(9):
        cy, cx = divmod(k, 3)
        labels[np.hypot(y - 20 * cy - 10 - shift * (k % 4), x - 20 * cx - 10) < 8] = k + 1
    return labels


def test_scores_fall_with_the_threshold_as_the_study_says(figure) -> None:
    found = study(placed("t", discs(0)), [placed("_m", discs(2))], CompareSettings("instances", threshold=0.35))
    scores_against_iou(figure, "#000000", found)
    drawn = lines(figure)
    assert list(drawn) == ["F1", "AP", "panoptic quality", "precision", "recall"]
    for threshold in (0.05, 0.35, 0.5, 0.95):
        at = found.at(threshold).entries[0].comparison.instances.at
        for name, value in (("F1", at.f1), ("AP", at.average_precision), ("panoptic quality", at.panoptic_quality)):
            (row,) = np.flatnonzero(np.isclose(drawn[name][:, 0], threshold))
            assert drawn[name][row, 1] == pytest.approx(value)
    (mark,) = [line for line in figure.axes[0].lines if list(line.get_xdata()) == [0.35, 0.35]]
    assert mark.get_ydata() == [0, 1]


def test_several_masks_are_named_as_they_are_and_the_best_six_are_drawn(figure) -> None:
    names = ["_hidden", "$a$", "c" * 60, *"defgh"]
    masks = [placed(name, discs(n)) for n, name in enumerate(names)]
    scores_against_iou(figure, "#000000", study(placed("t", discs(0)), masks, CompareSettings("instances")))
    drawn = lines(figure)
    assert list(drawn)[:2] == ["_hidden", r"\$a\$"]
    assert len(drawn) == 6
    assert max(map(len, drawn)) <= 28
    figure.canvas.draw()  # no name is taken for a formula


def test_objects_that_are_not_there_leave_a_gap(figure) -> None:
    empty = np.zeros((5, 5), int)
    scores_against_iou(figure, "#000000", study(placed("t", empty), [placed("m", empty)], CompareSettings("instances")))
    assert np.isnan(lines(figure)["F1"][:, 1]).all()


def test_curves_of_probabilities_are_those_of_every_threshold(figure) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((50, 60)) < 0.3
    said = np.floor(np.clip(truth * 0.3 + rng.random(truth.shape) * 0.7, 0, 0.99) * 100) / 100 + 0.005
    one = score_probability(truth.astype(np.uint8), said, label=1)
    hits = [(found & truth).sum() / (truth.sum(), found.sum()) for found in (said >= v for v in np.unique(said))]
    precision_recall(figure, "#000000", [one])
    (points,) = lines(figure).values()
    np.testing.assert_allclose(sorted(points.tolist()), sorted(map(list, hits)))
    (best,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    recall, precision = max(hits, key=lambda hit: hit.prod() / hit.sum())
    assert (best.get_xdata()[0], best.get_ydata()[0]) == pytest.approx((recall, precision))
    reliability(figure, "#000000", [one])
    (points,) = lines(figure).values()
    parts = [(said >= n / 10) & (said < (n + 1) / 10) for n in range(10)]
    np.testing.assert_allclose(points, [(said[part].mean(), truth[part].mean()) for part in parts])
