"""The published case against its hand annotation: every score is that of the library that defines it.

Compared are the authors' own published maps (the largest of the three probabilities), which this program's own labels
equal at every one of the 193,600 pixels (``tests/proof/test_published.py``), with what was drawn by hand: 1 edge, 2
interior, 3 neither. Objects are the connected pieces of the interior.

``CONFUSION``, ``KAPPA``, ``CLASSES`` (scikit-learn 1.9.1), ``HAUSDORFF`` (MedPy 0.5.2) and ``MATCHED`` (StarDist 0.9.2,
its ``_safe_divide`` made float64, since it is good to 1e-7 only) were made from ``truth`` and ``mask`` as below::

    from sklearn.metrics import confusion_matrix, cohen_kappa_score, jaccard_score, precision_recall_fscore_support
    t, m = truth.ravel(), mask.ravel()
    confusion_matrix(t, m), cohen_kappa_score(t, m)
    precision_recall_fscore_support(t, m), jaccard_score(t, m, average=None)
    [(k, medpy.metric.binary.hd95(mask == k, truth == k), medpy.metric.binary.hd(mask == k, truth == k))]
    a, b = (skimage.measure.label(labels == 2, connectivity=1) for labels in (truth, mask))
    r = stardist.matching.matching(a, b, threshold)
    r.tp, r.fp, r.fn, r.accuracy, r.precision, r.recall, r.f1, r.mean_matched_score, r.panoptic_quality

scikit-image and SciPy are asked here and now. No library has the boundary F1 of Csurka et al. (2013) as they define it
(that of surface-distance weighs each border pixel by its length), so that it is worked out from the distances of
border points, with a k-d tree in place of our distance transforms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from scipy.ndimage import minimum_filter
from scipy.spatial import cKDTree
from skimage.measure import label
from skimage.metrics import adapted_rand_error, contingency_table, variation_of_information

from napari_fcnseg.comparison import CompareSettings, Comparison, compare, placed, study

if TYPE_CHECKING:
    from pathlib import Path

EXACT = {"rel": 1e-9, "abs": 1e-12}
INSIDE = (slice(30, 470), slice(30, 470))  # the authors' maps have a frame of zeros where no full patch fits
EDGE, INTERIOR, NEITHER = 1, 2, 3

CONFUSION = ((3047, 1849, 166), (9314, 62172, 126), (26237, 10365, 80324))
ACCURACY, KAPPA = 0.751771694214876, 0.5870933731377923
CLASSES = (  # precision, recall, Dice, Jaccard
    (0.07894191408881289, 0.601935993678388, 0.1395785616124599, 0.07502523822421392),
    (0.8358024359422472, 0.8681785175668882, 0.8516828997657502, 0.7416791926132703),
    (0.9963778902451126, 0.6869644048372475, 0.8132346538963866, 0.6852531181217901),
)
HAUSDORFF = (  # 95 %, largest, in pixels
    (29.017236257093817, 60.92618484691127),
    (20.591260281974, 63.00793600809346),
    (32.58449402252828, 70.83078426785913),
)
MATCHED = (
    (0.5, 10, 87, 12, 0.09174311926605505, 0.10309278350515463, 0.45454545454545453, 0.16806722689075632,
     0.7531024037599308, 0.12657183256469423),
    (0.65, 9, 88, 13, 0.08181818181818182, 0.09278350515463918, 0.4090909090909091, 0.15126050420168066,
     0.7659269864643353, 0.1158545021542692),
    (0.7, 8, 89, 14, 0.07207207207207207, 0.08247422680412371, 0.36363636363636365, 0.13445378151260504,
     0.7747191974441052, 0.10416392570677045),
    (0.75, 5, 92, 17, 0.043859649122807015, 0.05154639175257732, 0.22727272727272727, 0.08403361344537816,
     0.7985181563194044, 0.06710236607726086),
    (0.8, 2, 95, 20, 0.017094017094017096, 0.020618556701030927, 0.09090909090909091, 0.03361344537815126,
     0.8202339975858235, 0.027570890675153732),
)  # fmt: skip
MEAN_PRECISION = (3 * MATCHED[0][4] + sum(row[4] for row in MATCHED[1:])) / 10  # 0.55 and 0.6 are as 0.5, 0.85 on is 0


@pytest.fixture(scope="module")
def maps(shared_data) -> tuple[np.ndarray, np.ndarray]:
    case: Path = shared_data / "deepcell-3t3"
    scores = [tifffile.imread(case / f"published_probability_{i}.tif")[INSIDE] for i in range(3)]
    edge, interior = (tifffile.imread(case / f"truth_{name}.tif")[INSIDE] > 0 for name in ("edge", "interior"))
    assert not (edge & interior).any()
    return np.where(interior, INTERIOR, np.where(edge, EDGE, NEITHER)), np.argmax(scores, axis=0) + 1


@pytest.fixture(scope="module")
def found(maps) -> Comparison:
    return compare(*maps)


@pytest.fixture(scope="module")
def objects(maps) -> list[np.ndarray]:
    return [label(labels == INTERIOR, connectivity=1) for labels in maps]


def test_classes_are_those_of_scikit_learn(maps, found) -> None:
    assert found.confusion == CONFUSION
    np.testing.assert_array_equal(found.confusion, contingency_table(*maps).toarray()[1:, 1:])
    assert (found.overall.accuracy, found.overall.kappa) == pytest.approx((ACCURACY, KAPPA), **EXACT)
    assert found.overall.different == 193_600 - np.trace(CONFUSION)
    got = [(one.precision, one.recall, one.dice, one.jaccard) for one in found.classes]
    np.testing.assert_allclose(got, CLASSES, rtol=1e-9)
    sizes = np.bincount(maps[1].ravel())[1:] / np.bincount(maps[0].ravel())[1:]
    np.testing.assert_allclose([one.volume_difference for one in found.classes], sizes - 1, rtol=1e-9)


def test_rand_error_and_variation_of_information_are_those_of_scikit_image(maps, found, objects) -> None:
    for pair, overall in ((maps, found.overall), (objects, compare(*objects).overall)):
        rand = overall.rand_error, overall.rand_precision, overall.rand_recall
        assert rand == pytest.approx(adapted_rand_error(*pair), **EXACT)
        assert (overall.split_entropy, overall.merge_entropy) == pytest.approx(variation_of_information(*pair), **EXACT)


def test_borders_are_those_of_medpy_and_of_the_definition(maps, found) -> None:
    np.testing.assert_allclose([(one.hausdorff_95, one.hausdorff) for one in found.borders], HAUSDORFF, rtol=1e-9)
    assert found.tolerance == pytest.approx(0.0075 * math.hypot(440, 440), **EXACT)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    for one in found.borders:
        edges = [
            np.argwhere((labels == one.label) & ~minimum_filter(labels == one.label, footprint=cross, mode="constant"))
            for labels in maps
        ]
        recall = (cKDTree(edges[1]).query(edges[0])[0] <= found.tolerance).mean()
        precision = (cKDTree(edges[0]).query(edges[1])[0] <= found.tolerance).mean()
        expected = (precision, recall, 2 * precision * recall / (precision + recall))
        assert (one.precision, one.recall, one.f1) == pytest.approx(expected, **EXACT)


def test_objects_are_those_of_stardist(objects) -> None:
    for threshold, *expected in MATCHED:
        at = compare(*objects, instances=True, threshold=threshold).instances.at
        got = (at.found, at.spurious, at.missed, at.average_precision, at.precision, at.recall, at.f1)
        assert (*got, at.segmentation_quality, at.panoptic_quality) == pytest.approx(expected, **EXACT)
    scores = compare(*objects, instances=True).instances
    assert (scores.a_objects, scores.b_objects) == (22, 97)
    assert scores.mean_average_precision == pytest.approx(MEAN_PRECISION, **EXACT)
    overlaps = contingency_table(*objects).toarray()[1:, 1:]
    truth, mask = (np.bincount(labels.ravel())[1:] for labels in objects)
    assert scores.splits == ((overlaps > mask / 2).sum(1) > 1).sum() == 7
    assert scores.merges == ((overlaps > truth[:, None] / 2).sum(0) > 1).sum() == 3


def test_a_study_of_both_layers_says_the_same_and_ranks_the_truth_first(maps, found) -> None:
    """In the world, beside the truth itself, with pixels of 0.65 µm: lengths alone are scaled."""
    truth, mask = (placed(name, labels, (0.65, 0.65)) for name, labels in zip(("hand", "DeepCell"), maps, strict=True))
    seen = study(truth, [mask, truth], CompareSettings(kind="classes"), unit="µm")
    assert [entry.name for entry in seen.ranked()] == ["hand", "DeepCell"]
    ours = seen.entries[0].comparison
    assert (ours.confusion, ours.overall, ours.classes) == (found.confusion, found.overall, found.classes)
    np.testing.assert_allclose(
        [(one.hausdorff_95, one.hausdorff) for one in ours.borders], 0.65 * np.array(HAUSDORFF), rtol=1e-9
    )
    perfect = seen.entries[1].comparison
    assert (perfect.mean_dice, perfect.overall.kappa, perfect.overall.different) == (1, 1, 0)
    assert [(one.f1, one.hausdorff) for one in perfect.borders] == [(1, 0)] * 3
