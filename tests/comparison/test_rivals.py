"""Objects that are rivals for one partner, below an IoU of 0.5, are matched as StarDist and Cellpose match them.

``RIVALS`` is of StarDist 0.9.2, its ``_safe_divide`` made float64, since it is good to 1e-7 only::

    a, b = np.random.default_rng(seed).integers(0, 30, (2, 400))
    r = stardist.matching.matching(a, b, threshold)
    seed, threshold, r.tp, r.mean_matched_score
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from napari_fcnseg.comparison import compare, count, matches, matchings

EXACT = {"rel": 1e-9, "abs": 1e-12}
RIVALS = (
    (0, 0.02, 29, 0.08813691886263358), (0, 0.05, 27, 0.09096538273254653), (0, 0.08, 20, 0.10362750143409813),
    (1, 0.02, 29, 0.07495568156366508), (1, 0.05, 25, 0.07938604672018808), (1, 0.08, 14, 0.10067012116865011),
    (2, 0.02, 29, 0.08266739458930109), (2, 0.05, 28, 0.08497075191195583), (2, 0.08, 16, 0.10035117774754729),
)  # fmt: skip


@pytest.mark.parametrize(("seed", "threshold", "found", "quality"), RIVALS)
def test_pairs_of_noise_are_those_of_stardist(seed, threshold, found, quality) -> None:
    a, b = np.random.default_rng(seed).integers(0, 30, (2, 400))
    at = compare(a, b, instances=True, threshold=threshold).instances.at
    assert (at.found, at.segmentation_quality) == (found, pytest.approx(quality, **EXACT))


def test_what_is_no_pair_counts_too_where_there_are_rivals() -> None:
    """StarDist 0.9.2: two pairs, their mean IoU 0.36667; those of largest IoU among the pairs alone would have 0.4."""
    a, b = np.array([4, 0, 2, 5, 4, 5, 1, 5, 1, 4, 2, 1]), np.array([1, 4, 1, 1, 3, 0, 4, 0, 0, 1, 4, 4])
    at = compare(a, b, instances=True, threshold=0.3).instances.at
    assert (at.found, at.segmentation_quality) == (2, pytest.approx(0.3666666666666667, **EXACT))


def test_cells_that_all_touch_are_assigned_as_in_one_large_matrix() -> None:
    """Everything hangs together here, so that nothing can be solved apart."""
    pixels = np.indices((150, 150)).reshape(2, -1).T
    tiles = [
        cKDTree(np.random.default_rng(seed).uniform(0, 150, (300, 2))).query(pixels)[1].reshape(150, 150) + 1
        for seed in (1, 2)
    ]
    table = count(*tiles)
    shared = np.zeros((len(table.a_labels), len(table.b_labels)), np.int64)
    shared[table.rows, table.columns] = table.pixels
    iou = shared / (shared.sum(1, keepdims=True) + shared.sum(0) - shared)
    for at in matchings(table, (0.05, 0.2, 0.4)):
        good = iou >= at.threshold
        rows, columns = linear_sum_assignment(good + iou / (2 * min(iou.shape)), maximize=True)
        kept = good[rows, columns]
        assert (at.found, at.segmentation_quality) == (kept.sum(), pytest.approx(iou[rows, columns][kept].mean()))
        pairs = matches(table, at.threshold)
        assert len(set(pairs.values())) == len(pairs) == at.found
        index = [np.searchsorted(table.a_labels, list(pairs)), np.searchsorted(table.b_labels, list(pairs.values()))]
        assert iou[tuple(index)].min() >= at.threshold
