"""Compare two label maps: the scores of classes, of single objects and of borders, as plain data."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.comparison.borders import BorderScores, border_scores, default_tolerance
from napari_fcnseg.comparison.classes import (
    ClassScores,
    OverallScores,
    class_scores,
    confusion,
    overall_scores,
    ratio,
    union,
)
from napari_fcnseg.comparison.instances import InstanceScores, instance_scores
from napari_fcnseg.comparison.table import count
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.plaindata import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: Labels from which on they are taken for single objects where nobody says.
_MANY = 64
#: Pixels up to which borders are searched.
_SEARCHED = 2**24

#: What each score means, and where it is from; a sentence or two each.
DEFINITIONS: Final[Mapping[str, str]] = {
    "dice": "Twice the shared pixels over the pixels of both (Dice 1945). 1: the same; 0: nothing in common.",
    "jaccard": "Shared pixels over the pixels of either, also called IoU (Jaccard 1912).",
    "precision": "Share of the mask's pixels of this class that are right.",
    "recall": "Share of the truth's pixels of this class that were found.",
    "volume_difference": "How much larger the class is in the mask than in the truth, as a share of the truth.",
    "accuracy": "Share of pixels with the same label.",
    "kappa": "Agreement beyond what chance would give (Cohen 1960). 0: as by chance; 1: the same.",
    "rand_error": "Adapted Rand error where the truth is not 0 (Arganda-Carreras et al. 2015; scikit-image). 0: same.",
    "variation_of_information": "Bits lost and gained between the two (Meilă 2007; scikit-image). 0: the same.",
    "split_entropy": "The part of the variation of information that comes from false splits, in bits.",
    "merge_entropy": "The part of the variation of information that comes from false merges, in bits.",
    "border_f1": "Share of border pixels within the tolerance of the other border, both ways (Csurka et al. 2013).",
    "hausdorff_95": "95 % of the border pixels are at most this far from the other border (as MedPy counts).",
    "average_precision": "Objects found over found, missed and spurious, at an IoU threshold (Caicedo et al. 2019).",
    "mean_average_precision": "Mean of the average precision at IoU 0.5, 0.55, … 0.95.",
    "panoptic_quality": "Mean IoU of the pairs times the F1 score of objects (Kirillov et al. 2019).",
    "splits": "Truth objects that hold two or more objects of the mask by over half of each.",
    "merges": "Objects of the mask that hold two or more truth objects by over half of each.",
}


@dataclass(frozen=True)
class Comparison:
    """How two label maps differ; ``a`` is the truth, ``b`` the mask.

    A score that is not defined is None, never NaN; each says when in its description.

    Attributes
    ----------
    shape : tuple of int
        Pixels along each axis.
    spacing : tuple of float
        Length of a pixel along each axis.
    unit : str
        Of the spacing, ``"px"`` where nothing is known.
    ignored : tuple of int
        Labels of a whose pixels were left out.
    labels : tuple of int
        Labels that occur in either map, those left out apart; empty for instances.
    confusion : tuple of tuple of int
        Pixels per label of a (rows) and of b (columns), in the order of ``labels``.
    classes : tuple of ClassScores
        One per label; empty for instances.
    overall : OverallScores
        Of the maps as wholes.
    mean_dice, mean_jaccard : float or None
        Over all classes but 0; None if there are none.
    borders : tuple of BorderScores
        One per label but 0; empty where they were not searched, and ``notes`` says why.
    tolerance : float or None
        Of the border scores, in the unit.
    instances : InstanceScores or None
        Scores of single objects; None for classes.
    notes : tuple of str
        What was not computed and why, as sentences.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    unit: str
    ignored: tuple[int, ...]
    labels: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]
    overall: OverallScores
    mean_dice: float | None
    mean_jaccard: float | None
    borders: tuple[BorderScores, ...]
    tolerance: float | None
    instances: InstanceScores | None
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as JSON has it."""
        data: dict[str, Any] = plain(asdict(self))
        data["overall"]["variation_of_information"] = self.overall.variation_of_information
        return data

    def rows(self) -> list[tuple[str, str, float | int | None]]:
        """Return every score as (of what, score, value); the first is ``"all"`` for the whole."""
        rows: list[tuple[str, str, float | int | None]] = [("all", key, n) for key, n in asdict(self.overall).items()]
        rows.append(("all", "variation_of_information", self.overall.variation_of_information))
        if self.instances is None:
            rows += [("all", "mean_dice", self.mean_dice), ("all", "mean_jaccard", self.mean_jaccard)]
        borders = {scores.label: scores for scores in self.borders}
        for one in self.classes:
            of = asdict(one)
            rows += [(one.name, key, n) for key, n in of.items() if key not in ("label", "name")]
            if one.label in borders:
                edge = asdict(borders[one.label])
                rows += [(one.name, key if "haus" in key else f"border_{key}", edge[key]) for key in list(edge)[1:]]
        if self.instances is not None:
            of = asdict(self.instances)
            rows += [("objects", key, n) for key, n in of.items() if key not in ("at", "curve", "objects")]
            for matching in dict.fromkeys((self.instances.at, *self.instances.curve)):
                name = f"objects, IoU {matching.threshold:g}"
                rows += [(name, key, n) for key, n in asdict(matching).items() if key != "threshold"]
        return rows

    def save_csv(self, path: Path) -> None:
        """Write one line per score."""
        write_csv(path, (("of", "score", "value"), *self.rows()))


def write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Write a table; None is an empty cell.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    except OSError as error:
        raise OutputError(f"{path} could not be written ({error.strerror}). Choose another folder or name.") from None


def compare(
    a: Any,
    b: Any,
    *,
    spacing: Sequence[float] | None = None,
    unit: str = "",
    class_names: Mapping[int, str] | None = None,
    ignore: Sequence[int] = (),
    instances: bool | None = None,
    threshold: float = 0.5,
    tolerance: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare a label map with the truth.

    Everything but the border scores follows from one table of overlaps, counted block by block. Labels are whole
    numbers of any sign, with or without gaps; numbers of a floating type are taken if all are whole.

    Parameters
    ----------
    a, b : array_like of int
        The truth and the mask, of one shape with any number of axes: NumPy, dask, zarr, or mapped from a file.
    spacing : sequence of float, optional
        Length of a pixel along each axis.
    unit : str
        Of the spacing.
    class_names : mapping of int to str, optional
        Names of the classes.
    ignore : sequence of int
        Labels of the truth whose pixels are left out of everything but the border scores.
    instances : bool, optional
        Labels are single objects, not classes; 0 is background. Otherwise true for more than 64 labels.
    threshold : float
        IoU from which on two objects are a pair.
    tolerance : float, optional
        Of the border scores, in the unit; 0.75 % of the diagonal otherwise.
    progress : callable, optional
        Called with the blocks done and their number; what it raises ends the comparison.

    Raises
    ------
    ImageError
        If the shapes differ, there are no pixels, or a value is no label.
    SettingsError
        If another argument is of no use.
    """
    lengths = _lengths(spacing, len(np.shape(a)))
    if not 0 < threshold <= 1:
        raise SettingsError(f"The IoU threshold is above 0 and at most 1, not {threshold!r}.")
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise SettingsError(f"The tolerance is a length from 0, not {tolerance!r}.")
    table = count(a, b, ignore=ignore, places=instances is not False, progress=progress)
    labels = union(table)
    single = len(labels) > _MANY if instances is None else instances
    if not single and len(labels) > 2**12:
        raise SettingsError(f"There are {len(labels):,} labels, too many for classes. Compare them as instances.")
    matrix = np.zeros((0, 0), np.int64) if single else confusion(table, labels)
    classes = () if single else class_scores(matrix, labels, class_names or {})
    reach = tolerance if tolerance is not None else default_tolerance(np.shape(a), lengths)
    notes = _notes(a, b, single, bool(ignore))
    borders: tuple[BorderScores, ...] = ()
    if not notes:
        borders = tuple(border_scores(a, b, n, lengths, reach) for n in labels.tolist() if n)
    return Comparison(
        tuple(map(int, np.shape(a))), lengths, unit or "px", tuple(map(int, ignore)),
        () if single else tuple(labels.tolist()), tuple(map(tuple, matrix.tolist())), classes, overall_scores(table),
        _mean([one.dice for one in classes if one.label]), _mean([one.jaccard for one in classes if one.label]),
        borders, None if notes else reach,
        instance_scores(table, threshold) if single else None, notes,
    )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return ratio(sum(known), len(known))


def _lengths(spacing: Sequence[float] | None, axes: int) -> tuple[float, ...]:
    lengths = (1.0,) * axes if spacing is None else tuple(map(float, spacing))
    if len(lengths) != axes or not all(0 < length < math.inf for length in lengths):
        raise SettingsError(f"The spacing is one length above 0 per axis, {axes} in all, not {spacing!r}.")
    return lengths


def _notes(a: Any, b: Any, single: bool, ignoring: bool) -> tuple[str, ...]:
    """Say why there are no border scores, if so."""
    if single:
        return ("Border scores are of classes; these labels are single objects.",)
    if ignoring:
        return ("Border scores were left out: the ends of ignored pixels would count as borders.",)
    if any(not isinstance(array, np.ndarray) or isinstance(array, np.memmap) for array in (a, b)):
        return ("Border scores were left out: they need both label maps in memory.",)
    if a.size > _SEARCHED:
        return (f"Border scores were left out: they are searched up to {_SEARCHED:,} pixels. Compare a part.",)
    return ()
