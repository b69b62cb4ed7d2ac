"""Scores of classes, and of two partitions as wholes, from a contingency table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.comparison.metrics.contingency import Contingency, Floats, Ints


@dataclass(frozen=True)
class ClassScores:
    """How well one class is found; ``a`` is the truth.

    Attributes
    ----------
    label : int
        The class.
    name : str
        Its name.
    a_pixels, b_pixels, both : int
        Pixels of the class in a, in b, and in both.
    dice, jaccard : float or None
        ``2 both / (a + b)`` and ``both / (a + b - both)``; None if neither has the class.
    precision, recall : float or None
        ``both / b`` and ``both / a``; None if b, or a, has none of the class.
    volume_difference : float or None
        ``(b - a) / a``; None if a has none of the class.
    """

    label: int
    name: str
    a_pixels: int
    b_pixels: int
    both: int
    dice: float | None
    jaccard: float | None
    precision: float | None
    recall: float | None
    volume_difference: float | None


@dataclass(frozen=True)
class OverallScores:
    """How alike two label maps are as wholes. Label 0 counts as any other but where that is said.

    Attributes
    ----------
    pixels, different : int
        Pixels compared, and those with different labels.
    accuracy : float or None
        Share of pixels with equal labels; None if no pixel is compared.
    kappa : float or None
        Cohen's kappa; None if chance alone would agree everywhere (both maps hold one and the same label).
    rand_error, rand_precision, rand_recall : float or None
        Adapted Rand error as scikit-image defines it, where a is not 0; None if there are no pairs of pixels to count.
    split_entropy, merge_entropy : float or None
        The two parts of the variation of information in bits, in scikit-image's order: H(b|a), false splits, and
        H(a|b), false merges. None if no pixel is compared.
    """

    pixels: int
    different: int
    accuracy: float | None
    kappa: float | None
    rand_error: float | None
    rand_precision: float | None
    rand_recall: float | None
    split_entropy: float | None
    merge_entropy: float | None

    @property
    def variation_of_information(self) -> float | None:
        """H(b|a) + H(a|b) in bits."""
        if self.split_entropy is None or self.merge_entropy is None:
            return None
        return self.split_entropy + self.merge_entropy


def ratio(part: float, whole: float) -> float | None:
    """Return a ratio; None if the denominator is 0."""
    return float(part / whole) if whole else None


def union(table: Contingency) -> Ints:
    """Return the labels that occur in either map, ascending."""
    return np.union1d(table.a_labels, table.b_labels)


def confusion(table: Contingency, labels: Ints) -> Ints:
    """Return pixels per label of a (rows) and of b (columns), dense."""
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    rows = np.searchsorted(labels, table.a_labels)[table.rows]
    columns = np.searchsorted(labels, table.b_labels)[table.columns]
    matrix[rows, columns] = table.pixels
    return matrix


def class_scores(matrix: Ints, labels: Ints, names: Mapping[int, str]) -> tuple[ClassScores, ...]:
    """Return the scores of each class."""
    scores = []
    for i, label in enumerate(labels.tolist()):
        a, b, both = int(matrix[i].sum()), int(matrix[:, i].sum()), int(matrix[i, i])
        scores.append(
            ClassScores(
                label, names.get(label, str(label)), a, b, both, ratio(2 * both, a + b), ratio(both, a + b - both),
                ratio(both, b), ratio(both, a), ratio(b - a, a),
            )
        )  # fmt: skip
    return tuple(scores)


def overall_scores(table: Contingency) -> OverallScores:
    """Return the scores that need no classes to correspond, and those of equal labels."""
    total = table.total
    same = table.a_labels[table.rows] == table.b_labels[table.columns]
    agreed = int(table.pixels[same].sum())
    accuracy = ratio(agreed, total)
    h_b, h_a = _entropies(table) if total else (None, None)
    return OverallScores(total, total - agreed, accuracy, _kappa(table, agreed), *_rand(table), h_b, h_a)


def _kappa(table: Contingency, agreed: int) -> float | None:
    """Return (observed - by chance) / (1 - by chance), from whole numbers: nothing cancels."""
    _, in_a, in_b = np.intersect1d(table.a_labels, table.b_labels, assume_unique=True, return_indices=True)
    a, b = table.a_pixels[in_a].tolist(), table.b_pixels[in_b].tolist()
    chance = sum(x * y for x, y in zip(a, b, strict=True))
    total = table.total
    return None if chance == total**2 else (agreed * total - chance) / (total**2 - chance)


def _rand(table: Contingency) -> tuple[float | None, float | None, float | None]:
    counted = table.a_labels[table.rows] != 0
    pixels, columns = table.pixels[counted].astype(float), table.columns[counted]
    a = np.bincount(table.rows[counted], pixels)
    b = np.bincount(columns, pixels)
    both, of_a, of_b = (float(n @ n - n.sum()) for n in (pixels, a, b))
    shared = ratio(both, (of_a + of_b) / 2)
    return None if shared is None else 1 - shared, ratio(both, of_a), ratio(both, of_b)


def _entropies(table: Contingency) -> tuple[float, float]:
    joint: Floats = table.pixels / table.total
    of_a, of_b = table.pixels / table.a_pixels[table.rows], table.pixels / table.b_pixels[table.columns]
    return float(-(joint * np.log2(of_a)).sum()) + 0.0, float(-(joint * np.log2(of_b)).sum()) + 0.0
