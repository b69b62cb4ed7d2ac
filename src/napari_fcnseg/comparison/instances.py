"""Scores of single objects: who is whose partner, and how many have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.comparison.classes import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.comparison.table import Contingency, Floats, Ints, Places

#: The thresholds that the mean average precision is over: 0.5, 0.55, … 0.95.
THRESHOLDS = tuple(n / 100 for n in range(50, 100, 5))


@dataclass(frozen=True)
class Matching:
    """Objects matched one to one where their IoU is at least a threshold.

    As StarDist does: as many pairs as possible, of those the ones of largest IoU in sum.

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
        In pixels.
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
    """Return which of the overlaps are pairs.

    Only objects that meet can be rivals, so that each group of them is solved on its own; most have one overlap.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    candidates = np.flatnonzero(iou >= threshold)
    if not len(candidates):
        return candidates
    left, a = np.unique(rows[candidates], return_inverse=True)
    right, b = np.unique(columns[candidates], return_inverse=True)
    size = len(left) + len(right)
    graph = coo_array((np.ones(len(candidates)), (a, b + len(left))), (size, size))
    groups = connected_components(graph, directed=False)[1][a]
    order = np.argsort(groups, kind="stable")
    chosen = []
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(group) == 1:
            chosen.append(group)
            continue
        own_a, i = np.unique(a[group], return_inverse=True)
        own_b, j = np.unique(b[group], return_inverse=True)
        gain = np.zeros((len(own_a), len(own_b)))
        gain[i, j] = 1 + iou[candidates[group]] / (2 * min(gain.shape))  # one more pair outweighs all IoU
        which = np.full(gain.shape, -1)
        which[i, j] = group
        best = which[linear_sum_assignment(gain, maximize=True)]
        chosen.append(best[best >= 0])
    return candidates[np.sort(np.concatenate(chosen))]


def _rows(
    side: str, labels: Ints, counts: tuple[Ints, Ints], others: Ints, overlaps: tuple[Ints, Ints, Floats],
    pairs: Ints, places: Places | None,
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
