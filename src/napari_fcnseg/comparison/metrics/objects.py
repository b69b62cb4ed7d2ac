"""Scores of single objects, matched one to one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.comparison.metrics.classes import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_fcnseg.comparison.metrics.contingency import Contingency, Floats, Ints, LabelPositions

#: The thresholds that the mean average precision is over: 0.5, 0.55, … 0.95.
THRESHOLDS = tuple(n / 100 for n in range(50, 100, 5))


@dataclass(frozen=True)
class Matching:
    """Objects matched one to one where their IoU is at least a threshold.

    As StarDist and Cellpose do: as many pairs as possible. Below 0.5 there may be several ways to have as many; of
    those the one is taken whose partners, those below the threshold included, have the largest IoU in sum.
    Kirillov et al. (2019) ask for more than 0.5; here, as in StarDist, an IoU equal to the threshold is enough.

    Attributes
    ----------
    threshold : float
        Smallest IoU of a pair.
    found, spurious, missed : int
        Pairs; objects of b without partner; objects of a without partner.
    average_precision : float or None
        ``found / (found + spurious + missed)``.
    precision, recall, f1 : float or None
        Of objects; f1 is the recognition quality of Kirillov et al.
    segmentation_quality : float or None
        Mean IoU of the pairs; None without pairs.
    panoptic_quality : float or None
        ``segmentation_quality * f1``, 0 where nothing is found.

    All are None where there is no object to count: neither in a nor in b, or for precision in b, for recall in a.
    """

    threshold: float
    found: int
    spurious: int
    missed: int
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    segmentation_quality: float | None
    panoptic_quality: float | None


@dataclass(frozen=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    side : str
        ``"a"`` or ``"b"``.
    label, pixels : int
        Its label and its size.
    partner : int or None
        The object of the other map with the largest IoU, the smaller label where two have it; None if it meets none.
    iou : float
        With it; 0 if there is none.
    parts : int
        Objects of the other map that lie in it by more than half of each of them: two or more are a split of an object
        of a, a merge in an object of b.
    matched : bool
        Whether it is one of the pairs at the threshold.
    centroid : tuple of float
        In pixels of the grid on which the maps were compared: of the maps, or of a study's ``aligned``.
    box : tuple of (int, int)
        First pixel and the one after the last, along each axis.
    """

    side: str
    label: int
    pixels: int
    partner: int | None
    iou: float
    parts: int
    matched: bool
    centroid: tuple[float, ...]
    box: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class InstanceScores:
    """Scores of single objects; 0 is background, every other label, also a negative one, one object.

    Attributes
    ----------
    a_objects, b_objects : int
        How many there are.
    at : Matching
        At the chosen threshold.
    curve : tuple of Matching
        At 0.5, 0.55, … 0.95.
    mean_average_precision : float or None
        Of the curve; None if there are no objects.
    splits : int
        Objects of a that hold two or more objects of b by more than half of each of those.
    merges : int
        Objects of b that hold two or more objects of a by more than half of each of those.
    objects : tuple of ObjectRow
        All of a, then all of b.
    """

    a_objects: int
    b_objects: int
    at: Matching
    curve: tuple[Matching, ...]
    mean_average_precision: float | None
    splits: int
    merges: int
    objects: tuple[ObjectRow, ...]


def instance_scores(table: Contingency, threshold: float) -> InstanceScores:
    """Return the scores of a table that was counted with places."""
    counts, rows, columns, pixels, iou = _overlaps(table)
    a, b = table.a_pixels, table.b_pixels
    pairs = _pairs(rows, columns, iou, threshold)
    curve = matchings(table, THRESHOLDS)
    precisions = [one.average_precision for one in curve if one.average_precision is not None]
    parts_a = np.bincount(rows[2 * pixels > b[columns]], minlength=len(a))
    parts_b = np.bincount(columns[2 * pixels > a[rows]], minlength=len(b))
    objects = (
        *_rows("a", table.a_labels, (a, parts_a), table.b_labels, (rows, columns, iou), pairs, table.a_places),
        *_rows("b", table.b_labels, (b, parts_b), table.a_labels, (columns, rows, iou), pairs, table.b_places),
    )
    return InstanceScores(
        *counts, _matching(threshold, iou[pairs], counts), curve, ratio(sum(precisions), len(precisions)),
        int((parts_a > 1).sum()), int((parts_b > 1).sum()), objects,
    )  # fmt: skip


def rematched(table: Contingency, scores: InstanceScores, threshold: float) -> InstanceScores:
    """Return the scores of a table at another threshold; only what depends on it is computed again."""
    counts, rows, columns, _, iou = _overlaps(table)
    pairs = _pairs(rows, columns, iou, threshold)
    paired = {
        "a": set(table.a_labels[rows[pairs]].tolist()),
        "b": set(table.b_labels[columns[pairs]].tolist()),
    }
    objects = tuple(
        row if row.matched == (now := row.label in paired[row.side]) else replace(row, matched=now)
        for row in scores.objects
    )
    return replace(scores, at=_matching(threshold, iou[pairs], counts), objects=objects)


def matchings(table: Contingency, thresholds: Sequence[float]) -> tuple[Matching, ...]:
    """Return the matching of the objects of a table at each of some IoU thresholds."""
    counts, rows, columns, _, iou = _overlaps(table)
    return tuple(_matching(t, iou[_pairs(rows, columns, iou, t)], counts) for t in thresholds)


def matches(table: Contingency, threshold: float) -> dict[int, int]:
    """Return the label in b of each object of a that has a partner at an IoU threshold."""
    _, rows, columns, _, iou = _overlaps(table)
    pairs = _pairs(rows, columns, iou, threshold)
    return dict(zip(table.a_labels[rows[pairs]].tolist(), table.b_labels[columns[pairs]].tolist(), strict=True))


def _overlaps(table: Contingency) -> tuple[tuple[int, int], Ints, Ints, Ints, Floats]:
    """Return the numbers of objects, and of each pair that overlaps its objects' places, shared pixels and IoU."""
    counts = int((table.a_labels != 0).sum()), int((table.b_labels != 0).sum())
    kept = (table.a_labels[table.rows] != 0) & (table.b_labels[table.columns] != 0)
    rows, columns, pixels = table.rows[kept], table.columns[kept], table.pixels[kept]
    iou = pixels / (table.a_pixels[rows] + table.b_pixels[columns] - pixels)
    return counts, rows, columns, pixels, iou


def _matching(threshold: float, iou: Floats, counts: tuple[int, int]) -> Matching:
    found, (a, b) = len(iou), counts
    f1, quality = ratio(2 * found, a + b), ratio(float(iou.sum()), found)
    panoptic = None if f1 is None else f1 * (quality or 0.0)
    return Matching(
        threshold, found, b - found, a - found, ratio(found, a + b - found), ratio(found, b), ratio(found, a), f1,
        quality, panoptic,
    )  # fmt: skip


def _pairs(rows: Ints, columns: Ints, iou: Floats, threshold: float) -> Ints:
    """Return which of the overlaps are matched pairs.

    Above an IoU of 0.5 nothing has rivals. Below, the objects that hang together with rivals by any overlap are
    assigned together; in all others every overlap that is large enough is a pair.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    good = iou >= threshold
    a, b = int(rows.max(initial=0)) + 1, int(columns.max(initial=0)) + 1
    of_a, of_b = np.bincount(rows[good], minlength=a), np.bincount(columns[good], minlength=b)
    rivals = good & ((of_a[rows] > 1) | (of_b[columns] > 1))
    if not rivals.any():
        return np.flatnonzero(good)
    groups = connected_components(coo_array((np.ones(len(rows)), (rows, columns + a)), (a + b, a + b)), directed=False)
    together = np.isin(groups[1][rows], groups[1][rows[rivals]])
    chosen = good & ~together
    chosen[together] = _assigned(rows[together], columns[together], iou[together], good[together])
    return np.flatnonzero(chosen)


def _assigned(rows: Ints, columns: Ints, iou: Floats, good: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the matched overlaps among rivals, by optimal assignment."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    left, i = np.unique(rows, return_inverse=True)
    right, j = np.unique(columns, return_inverse=True)
    # One more pair outweighs all IoU. That of what is no pair counts, too, as in StarDist. Each row may go without, at
    # a column of its own; that gains 1 rather than nothing, since SciPy knows no gain of 0, and so does all else.
    gain = 1 + good + iou / (2 * min(len(left), len(right)))
    alone = np.arange(len(left))
    # Before 1.15, SciPy matches in 32 bits and takes the numbers of rows and columns in nothing else.
    where = np.concatenate((i, alone)).astype(np.int32), np.concatenate((j, len(right) + alone)).astype(np.int32)
    gains = csr_array((np.concatenate((gain, np.ones(len(left)))), where), (len(left), len(left) + len(right)))
    partner = min_weight_full_bipartite_matching(gains, maximize=True)[1]
    pairs: npt.NDArray[np.bool_] = good & (partner[i] == j)
    return pairs


def _rows(
    side: str, labels: Ints, counts: tuple[Ints, Ints], others: Ints, overlaps: tuple[Ints, Ints, Floats],
    pairs: Ints, places: LabelPositions | None,
) -> Sequence[ObjectRow]:  # fmt: skip
    (pixels, parts), (own, other, iou) = counts, overlaps
    best = np.full(len(labels), -1)
    order = np.lexsort((-other, iou))  # the last one written stays: largest IoU, then smallest label
    best[own[order]] = order
    matched = np.zeros(len(labels), bool)
    matched[own[pairs]] = True
    assert places is not None
    rows = []
    for i in np.flatnonzero(labels).tolist():
        at = best[i]
        box = tuple(zip(places.start[i].tolist(), places.stop[i].tolist(), strict=True))
        rows.append(
            ObjectRow(
                side, int(labels[i]), int(pixels[i]), int(others[other[at]]) if at >= 0 else None,
                float(iou[at]) if at >= 0 else 0.0, int(parts[i]), bool(matched[i]),
                tuple(places.centroid[i].tolist()), box,
            )
        )  # fmt: skip
    return rows
