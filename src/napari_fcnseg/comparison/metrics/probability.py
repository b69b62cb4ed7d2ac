"""Scores of a probability map against a truth: precision-recall curve, best threshold, calibration."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.comparison.alignment.world import align
from napari_fcnseg.comparison.metrics.contingency import array_of, blocks_of, whole_labels
from napari_fcnseg.comparison.metrics.scores import PROBABILITY_SCORES
from napari_fcnseg.comparison.metrics.value_counts import Bin, ValueCounts
from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.csv_file import write_csv
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.json_file import write_json
from napari_fcnseg.system.saving.texts import SCORES
from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_fcnseg.comparison.alignment.placed import Placed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_KEPT = 2**20  # points of a curve that are kept at most


@dataclass(frozen=True)
class ProbabilityScores:
    """How well one map predicts one label of the truth.

    A score that is not defined is None: where the truth has none of the label, or, for calibration, where values are
    no probabilities from 0 to 1.

    Attributes
    ----------
    name : str
        The map.
    label : int
        The label of the truth.
    pixels, positives : int
        Pixels compared, and those of the label.
    average_precision : float or None
        As scikit-learn's ``average_precision_score``.
    best_threshold, best_dice, best_precision, best_recall : float or None
        The threshold with the largest Dice, the highest of several, and what it gives.
    dice : float or None
        At the threshold 0.5.
    bins : tuple of Bin
        Ten equal bins from 0 to 1, each with its upper end but the first with both; empty if values are no
        probabilities.
    calibration_error, largest_calibration_error : float or None
        Expected and maximum calibration error of Guo et al. (2017) over the bins.
    brier : float or None
        Brier score.
    notes : tuple of str
        What was rounded or left out, as sentences.
    thresholds, hits, called : tuple
        The different values, the largest first, and how many pixels of the label, and pixels in all, have each or
        more; of more than 2^20 different ones only so many are kept, after all scores were found.
    """

    name: str
    label: int
    pixels: int
    positives: int
    average_precision: float | None
    best_threshold: float | None
    best_dice: float | None
    best_precision: float | None
    best_recall: float | None
    dice: float | None
    bins: tuple[Bin, ...]
    calibration_error: float | None
    largest_calibration_error: float | None
    brier: float | None
    notes: tuple[str, ...] = ()
    thresholds: Floats = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    hits: Ints = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)
    called: Ints = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)

    def curve(self, most: int = 1000) -> tuple[Floats, Floats, Floats]:
        """Return precision, recall and threshold, the largest threshold first, at so many thresholds at most.

        Precision and recall are those of scikit-learn's ``precision_recall_curve`` in another order, its end point at
        recall 0 left out. Scores do not come from what is left of them here.
        """
        if not self.positives:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        at = _spread(len(self.thresholds), most)
        hits = self.hits[at]
        return hits / self.called[at], hits / self.positives, self.thresholds[at]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as JSON has it, with a curve of a thousand points at most."""
        data = {key: value for key, value in asdict(self).items() if key not in ("thresholds", "hits", "called")}
        precision, recall, thresholds = self.curve()
        data["curve"] = {"precision": precision.tolist(), "recall": recall.tolist(), "threshold": thresholds.tolist()}
        kept: dict[str, Any] = to_plain(data)
        return kept

    def values(self) -> dict[str, float | int | None]:
        """Return the scores by name, without curve and bins."""
        return {key: getattr(self, key) for key in PROBABILITY_SCORES}


def score_probability(
    truth: Any,
    scores: Any,
    label: int,
    *,
    name: str = "",
    where: Any = None,
    ignore: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ProbabilityScores:
    """Compare a map of probabilities of one class with the truth.

    Parameters
    ----------
    truth : array_like of int
        Labels; NumPy, dask, zarr or anything that can be sliced. Read block by block, as the scores are.
    scores : array_like
        A number for each pixel, larger where the class is more probable.
    label : int
        The class in the truth.
    name : str
        Of the map.
    where : array_like of bool, optional
        Pixels that count; all otherwise.
    ignore : sequence of int
        Labels of the truth whose pixels are left out.
    progress : callable, optional
        Called with the numbers of finished and of all blocks; what it raises ends it.

    Raises
    ------
    ImageError
        If the shapes differ, there are no pixels, or values are not finite or no numbers.

    Notes
    -----
    Values are counted exactly up to 2^22 different ones; more are rounded to parts of 1/65,536 of the largest, which a
    note says.
    """
    truth, scores = array_of(truth, "first"), array_of(scores, "second")
    shape = tuple(map(int, truth.shape))
    if shape != tuple(scores.shape):
        raise ImageError(
            f"{name or 'The map'} has the shape {format_shape(scores.shape)} and the truth {format_shape(shape)}."
        )
    if not shape or 0 in shape:
        raise ImageError(f"There are no pixels to compare: the shape is {shape}.")
    blocks = list(blocks_of(shape, chunk_shape_of(scores) or chunk_shape_of(truth)))
    counted = ValueCounts()
    for done, block in enumerate(blocks, start=1):
        labels = whole_labels(truth[block], "first")
        kept = np.ones(labels.shape, bool) if where is None else np.asarray(where[block], bool)
        if ignore:
            kept = kept & np.isin(labels, ignore, invert=True)  # a new one: the other may be the caller's
        counted.add(_finite(np.asarray(scores[block])[kept], name), (labels == label)[kept])
        if progress is not None:
            progress(done, len(blocks))
    return _scores(counted, name, label)


def compare_probability(
    truth: Placed, maps: Sequence[tuple[Placed, int]], *, ignore: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[ProbabilityScores, ...], tuple[str, ...]]:  # fmt: skip
    """Compare maps of probabilities with a truth, in the world: all on the truth's grid, and where all of them are.

    Parameters
    ----------
    truth : Placed
        Labels.
    maps : sequence of (Placed, int)
        Maps, and the label of the truth that each foretells.
    ignore : sequence of int
        Labels of the truth whose pixels are left out.
    progress : callable, optional
        Called with the numbers of finished and of all steps; what it raises ends it.

    Returns
    -------
    scores : tuple of ProbabilityScores
        One per map.
    notes : tuple of str
        What was resampled or left out, as sentences.
    """
    aligned = align([truth, *(one for one, _ in maps)])
    found = []
    for number, (one, label) in enumerate(maps):

        def tell(done: int, total: int, before: int = number) -> None:
            if progress is not None:
                progress(before * total + done, len(maps) * total)

        array = aligned.maps[number + 1]
        options: dict[str, Any] = {"name": one.name, "where": aligned.inside, "ignore": ignore, "progress": tell}
        found.append(score_probability(aligned.maps[0], array, label, **options))
    return tuple(found), aligned.notes


def save_csv(path: Path, found: Sequence[ProbabilityScores], *, overwrite: bool = False) -> None:
    """Write a line per score.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already and not to be replaced.
    """
    rows = [(one.name, one.label, key, value) for one in found for key, value in one.values().items()]
    write_csv(path, [("map", "label", "score", "value"), *rows], overwrite=overwrite)


def save_json(
    path: Path,
    found: Sequence[ProbabilityScores],
    truth: str = "",
    notes: Sequence[str] = (),
    *,
    overwrite: bool = False,
) -> None:  # fmt: skip
    """Write scores, calibration and curves.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already and not to be replaced.
    """
    data = {"program": "napari-fcnseg", "truth": truth, "notes": list(notes)}
    write_json(path, {**data, "probabilities": [one.as_dict() for one in found]}, overwrite=overwrite, kind=SCORES)


def _finite(values: npt.NDArray[Any], name: str) -> Floats:
    if values.dtype.kind not in "biuf":
        raise ImageError(f"{name or 'The map'} holds values of type {values.dtype}. Probabilities are numbers.")
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ImageError(f"{name or 'The map'} holds values that are not finite. Replace them by numbers first.")
    return numbers


def _scores(counted: ValueCounts, name: str, label: int) -> ProbabilityScores:
    """Return what follows from the counts."""
    thresholds, hits, called = counted.totals()
    positives, pixels = (int(part[-1]) if len(part) else 0 for part in (hits, called))
    notes = []
    if counted.rounded:
        notes.append(f"{name or 'The map'} has very many different values: they were rounded for the curve.")
    precision, half = None, None
    at: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    if positives:
        precision = float((np.diff(hits, prepend=0) * (hits / called)).sum() / positives)
        dice = 2 * hits / (called + positives)
        best = int(dice.argmax())
        at = (
            float(thresholds[best]),
            float(dice[best]),
            float(hits[best] / called[best]),
            float(hits[best] / positives),
        )
        upto = int(np.searchsorted(-thresholds, -0.5, side="right"))
        half = float(dice[upto - 1]) if upto else 0.0
    bins, errors, brier = counted.calibration()
    if pixels and not bins:
        notes.append(f"{name or 'The map'} holds values outside 0 to 1: they are no probabilities to calibrate.")
    kept = _spread(len(thresholds), _KEPT)
    return ProbabilityScores(
        name, label, pixels, positives, precision, *at, half, bins, *errors, brier, tuple(notes), thresholds[kept],
        hits[kept], called[kept],
    )  # fmt: skip


def _spread(count: int, most: int) -> Ints:
    """Return at most so many indices of a list, both ends included."""
    return np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))
