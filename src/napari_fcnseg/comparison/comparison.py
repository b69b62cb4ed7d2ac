"""Compare two label maps: the scores of classes, of single objects and of borders, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.comparison.metrics.boundaries import BoundaryScores, boundary_scores, default_tolerance
from napari_fcnseg.comparison.metrics.classes import (
    ClassScores,
    OverallScores,
    class_scores,
    confusion,
    overall_scores,
    ratio,
    union,
)
from napari_fcnseg.comparison.metrics.contingency import array_of, count
from napari_fcnseg.comparison.metrics.objects import InstanceScores, instance_scores
from napari_fcnseg.comparison.settings import AUTO, CLASSES, INSTANCES, CompareSettings, labels_of
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.csv_file import write_csv
from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_fcnseg.comparison.metrics.contingency import Contingency

#: More labels than this are taken for single objects, unless the caller says.
_MANY = 64
#: Most labels in a table of classes.
_MOST = 2**12
#: Most pixels in which borders are searched.
_SEARCHED = 2**24
_SLICES = (
    "Borders were searched in each slice or frame of the last {} axes by itself, distances where both maps have the "
    "class there. A volume has 3 axes in space: say so under Settings, with --spatial 3 or spatial=3."
)


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
    spatial : int
        How many of the last axes borders extend along.
    unit : str
        Of the spacing; without one ``"px"`` if pixels are 1 long, and empty otherwise.
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
    borders : tuple of BoundaryScores
        One per label but 0; empty for instances, and where they were not searched, which ``notes`` says.
    tolerance : float or None
        Of the border scores, in the unit.
    instances : InstanceScores or None
        Scores of single objects; None for classes.
    notes : tuple of str
        What was not computed and why, as sentences.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    spatial: int
    unit: str
    ignored: tuple[int, ...]
    labels: tuple[int, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: tuple[ClassScores, ...]
    overall: OverallScores
    mean_dice: float | None
    mean_jaccard: float | None
    borders: tuple[BoundaryScores, ...]
    tolerance: float | None
    instances: InstanceScores | None
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as JSON has it."""
        data: dict[str, Any] = to_plain(self)
        data["overall"]["variation_of_information"] = self.overall.variation_of_information
        return data

    def rows(self) -> list[tuple[str, str, float | int | None]]:
        """Return every score as (of what, score, value); the first is ``"all"`` for the whole."""
        rows: list[tuple[str, str, float | int | None]] = [("all", key, n) for key, n in vars(self.overall).items()]
        rows.append(("all", "variation_of_information", self.overall.variation_of_information))
        if self.instances is None:
            rows += [("all", "mean_dice", self.mean_dice), ("all", "mean_jaccard", self.mean_jaccard)]
        borders = {scores.label: scores for scores in self.borders}
        for one in self.classes:
            of = vars(one)
            rows += [(one.name, key, n) for key, n in of.items() if key not in ("label", "name")]
            if one.label in borders:
                rows += [(one.name, key, n) for key, n in borders[one.label].named().items()]
        if self.instances is not None:
            of = vars(self.instances)
            rows += [("objects", key, n) for key, n in of.items() if key not in ("at", "curve", "objects")]
            for matching in dict.fromkeys((self.instances.at, *self.instances.curve)):
                name = f"objects, IoU {matching.threshold:g}"
                rows += [(name, key, n) for key, n in vars(matching).items() if key != "threshold"]
        return rows

    def value_of_class(self, one: ClassScores, score: str) -> float | int | None:
        """Return a score of one class, also of its border; None if it was not computed."""
        border = next((border.named() for border in self.borders if border.label == one.label), {})
        value: float | int | None = border[score] if score in border else getattr(one, score, None)
        return value

    def save_csv(self, path: Path) -> None:
        """Write one line per score."""
        write_csv(path, (("of", "score", "value"), *self.rows()))


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
    spatial: int | None = None,
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
        Length of a pixel along each axis that is space, matched from the last: two for slices or frames that stand for
        themselves, three for a volume.
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
    spatial : int, optional
        How many of the last axes borders extend along: 2 for slices or frames that stand for themselves, 3 for a
        volume. Otherwise those that the spacing names, 3 at most, and 2 without one.
    progress : callable, optional
        Called with the blocks counted and their number; what it raises ends the comparison.

    Raises
    ------
    ImageError
        If the shapes differ, there are no pixels, or a value is no label.
    SettingsError
        If another argument is of no use.

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> truth = [[1, 1, 2], [1, 2, 2]]
    >>> mask = [[1, 1, 2], [1, 1, 2]]
    >>> scores = fcn.compare(truth, mask, class_names={1: "nucleus", 2: "wall"})
    >>> round(scores.overall.accuracy, 3), [(one.name, round(one.dice, 3)) for one in scores.classes]
    (0.833, [('nucleus', 0.857), ('wall', 0.8)])
    """
    a, b = array_of(a, "first"), array_of(b, "second")
    lengths, named = _lengths(spacing, len(a.shape))
    settings = CompareSettings(
        kind_of(instances), labels_of(ignore), threshold, tolerance, spatial or (min(named, 3) if named else None)
    )
    table = count(a, b, ignore=settings.ignore, places=instances is not False, progress=progress)
    single = single_objects([table]) if instances is None else instances
    return scored(table, (a, b), settings, single=single, spacing=lengths, unit=unit, class_names=class_names or {})


def kind_of(instances: bool | None) -> str:
    """Return the kind of labels as settings have it."""
    return AUTO if instances is None else INSTANCES if instances else CLASSES


def single_objects(tables: Sequence[Contingency]) -> bool:
    """Guess by the number of labels whether they are single objects."""
    return any(len(union(table)) > _MANY for table in tables)


def scored(
    table: Contingency, maps: tuple[Any, Any], settings: CompareSettings, *, single: bool, spacing: tuple[float, ...],
    unit: str, class_names: Mapping[int, str], cut: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:  # fmt: skip
    """Return all scores of two maps, of which the table was counted.

    Parameters
    ----------
    table : Contingency
        Of the maps; with places if the labels are single objects.
    maps : (array_like, array_like)
        The truth and the mask.
    settings : CompareSettings
        What the user chose.
    single : bool
        Whether labels are single objects.
    spacing, unit, class_names
        As :func:`compare` has them.
    cut : bool
        Whether some pixels of the maps have no label because a map does not reach there.
    progress : callable, optional
        Called with the classes whose borders were searched and their number; what it raises ends it.

    Raises
    ------
    SettingsError
        If there are too many labels for classes.
    """
    labels = union(table)
    if not single and len(labels) > _MOST:
        raise SettingsError(f"There are {len(labels):,} labels, too many for classes. Compare them as instances.")
    matrix = np.zeros((0, 0), np.int64) if single else confusion(table, labels)
    classes = () if single else class_scores(matrix, labels, class_names)
    shape = tuple(map(int, maps[0].shape))
    spatial = settings.axes(len(shape))
    notes = _notes(math.prod(shape), single, bool(settings.ignore), cut)
    reach = settings.tolerance
    if reach is None:
        reach = default_tolerance(shape[-spatial:], spacing[-spatial:])
    borders = []
    searched = not notes and not single
    if searched:
        a, b = (np.asarray(array) for array in maps)
        wanted = [label for label in labels.tolist() if label]
        for done, label in enumerate(wanted, start=1):
            borders.append(boundary_scores(a, b, label, spacing, reach, spatial))
            if progress is not None:
                progress(done, len(wanted))
    if borders and math.prod(shape[:-spatial]) > 1:
        notes = (_SLICES.format(spatial),)
    return Comparison(
        shape, spacing, spatial, unit_or_px(unit, spacing), settings.ignore, () if single else tuple(labels.tolist()),
        tuple(map(tuple, matrix.tolist())), classes, overall_scores(table),
        _mean([one.dice for one in classes if one.label]), _mean([one.jaccard for one in classes if one.label]),
        tuple(borders), reach if searched else None,
        instance_scores(table, settings.threshold) if single else None, notes,
    )  # fmt: skip


def unit_or_px(unit: str, spacing: Sequence[float]) -> str:
    """Return the unit of lengths; without one they are pixels only if a pixel is 1 long."""
    return unit or ("px" if all(length == 1 for length in spacing) else "")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return ratio(sum(known), len(known))


def _lengths(spacing: Sequence[float] | None, axes: int) -> tuple[tuple[float, ...], int]:
    """Return the length of a pixel along each axis, and how many axes were given one."""
    try:
        given = tuple(map(float, spacing)) if spacing is not None else ()
        good = len(given) <= axes and all(0 < length < math.inf for length in given)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise SettingsError(f"The spacing is one length above 0 per axis, {axes} in all, not {spacing!r}.")
    return (1.0,) * (axes - len(given)) + given, len(given)


def _notes(pixels: int, single: bool, ignoring: bool, cut: bool) -> tuple[str, ...]:
    """Return notes on border scores that were left out."""
    if single:
        return ()
    if ignoring:
        return ("Border scores were left out: the ends of ignored pixels would count as borders.",)
    if cut:
        return ("Border scores were left out: the ends of a turned map would count as borders.",)
    if pixels > _SEARCHED:
        return (f"Border scores were left out: they are searched up to {_SEARCHED:,} pixels. Compare a part.",)
    return ()
