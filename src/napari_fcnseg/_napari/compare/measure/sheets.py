"""Scores as tables: cells, tooltips, and text to copy. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_fcnseg.comparison.metrics.scores import (
    DEFINITIONS,
    OF_CLASS,
    OF_MATCHING,
    OF_OBJECTS,
    PROBABILITY_SCORES,
    SCORES,
    title,
    whole_scores,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_fcnseg.comparison import ClassScores, InstanceScores, ObjectRow, Study, StudyEntry
    from napari_fcnseg.comparison.metrics.probability import ProbabilityScores

_NO_SCORE = "There is nothing that this score could be computed from."
_NO_BORDER = "Borders were not searched here: label 0 has none, and very large maps are left out."
#: Filters of the table of objects, by their names.
FILTERS: Mapping[str, Callable[[ObjectRow], bool]] = {
    "all objects": lambda row: True,
    "missed": lambda row: row.side == "a" and not row.matched,
    "spurious": lambda row: row.side == "b" and not row.matched,
    "found": lambda row: row.matched,
    "split": lambda row: row.side == "a" and row.parts > 1,
    "merged": lambda row: row.side == "b" and row.parts > 1,
}


def number(value: float | int | None) -> str:
    """Return a number with four digits and thousands separators; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def percent(value: float | int | None) -> str:
    """Return a share in per cent, with its sign."""
    return "–" if value is None else f"{100 * value:+.3g} %"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title, tip : str
        Its heading, and what explains it.
    values : sequence
        One per row, by which it is sorted.
    text : callable
        From a value to what is shown.
    tips : sequence of str
        One per row, where rows have explanations of their own.
    """

    title: str
    tip: str
    values: Sequence[Any]
    text: Callable[[Any], str] = number
    tips: Sequence[str] = ()

    def tip_of(self, row: int) -> str:
        """Return the tooltip of a cell."""
        own = self.tips[row] if self.tips else self.tip
        return f"{own} {_NO_SCORE}" if self.values[row] is None else own


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes
    ----------
    columns : tuple of Column
        Of equal length.
    colors : tuple of str or None
        One per row, for a square before the first column; empty for none.
    """

    columns: tuple[Column, ...]
    colors: tuple[str | None, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def text(self, rows: Sequence[int] | None = None) -> str:
        """Return the table as tab-separated text with headings."""
        lines = ["\t".join(column.title for column in self.columns)]
        chosen = range(len(self)) if rows is None else rows
        lines += ["\t".join(column.text(column.values[row]) for column in self.columns) for row in chosen]
        return "\n".join(lines) + "\n"


def scores(values: Mapping[str, float | int | None]) -> Sheet:
    """Return a table of scores, one per line, each explained."""
    names = list(values)
    tips = [DEFINITIONS[name] for name in names]
    return Sheet((
        Column("Score", "What is measured.", [title(name) for name in names], str, tips),
        Column("Value", "How much.", [values[name] for name in names], number, tips),
    ))  # fmt: skip


def overall(entry: StudyEntry) -> Sheet:
    """Return the scores of a mask as a whole."""
    return scores({name: entry.value(name) for name in whole_scores(single=entry.single)})


def matching(found: InstanceScores) -> Sheet:
    """Return the scores of objects at the threshold, and those that need none."""
    values = {name: getattr(found.at, name) for name in OF_MATCHING}
    more = (*OF_OBJECTS, "a_objects", "b_objects")
    return scores({**values, **{name: getattr(found, name) for name in more}})


def classes(entry: StudyEntry, colors: Mapping[int, str]) -> Sheet:
    """Return the scores of each class."""
    comparison = entry.comparison
    searched = {one.label for one in comparison.borders}
    rows = comparison.classes
    columns = [Column("Class", "What the label means, and its number.", [_called(one) for one in rows], str)]
    for score in (SCORES[name] for name in (*OF_CLASS, "a_pixels", "b_pixels")):
        tip = score.definition
        if score.name == "border_f1" and comparison.tolerance is not None:
            tip += f" The tolerance was {f'{number(comparison.tolerance)} {comparison.unit}'.strip()}."
        form = percent if score.is_change else number
        tips = [tip if one.label in searched else f"{tip} {_NO_BORDER}" for one in rows] if score.of_border else ()
        values = [comparison.value_of_class(one, score.name) for one in rows]
        columns.append(Column(score.heading(comparison.unit), tip, values, form, tips))
    return Sheet(tuple(columns), tuple(colors.get(one.label) for one in rows))


def _called(one: ClassScores) -> str:
    return one.name if one.name == str(one.label) else f"{one.name} ({one.label})"


def ranking(study: Study) -> tuple[Sheet, list[int]]:
    """Return the masks, the best first, and which entry of the study each line is."""
    ranked = study.ranked()
    columns = [
        Column("Rank", f"By {title(study.ranks[0])}.", list(range(1, len(ranked) + 1))),
        Column("Mask", "Click one to look at it.", [entry.name for entry in ranked], str),
    ]
    columns += [
        Column(title(score), DEFINITIONS[score], [entry.value(score) for entry in ranked]) for score in study.ranks
    ]
    return Sheet(tuple(columns)), [next(i for i, e in enumerate(study.entries) if e is entry) for entry in ranked]


def objects(entry: StudyEntry, which: str) -> tuple[Sheet, list[ObjectRow]]:
    """Return a table of objects and what each line stands for.

    Parameters
    ----------
    entry : StudyEntry
        The mask.
    which : str
        One of `FILTERS`.
    """
    found = entry.comparison.instances
    rows = [] if found is None else [row for row in found.objects if FILTERS[which](row)]
    comparison = entry.comparison
    pixel = 1.0
    for length in comparison.spacing:
        pixel *= length
    columns = [
        Column("In", "A: the truth; B: the mask.", [row.side.upper() for row in rows], str),
        Column("Label", "Its number in that map.", [row.label for row in rows], str),
        Column("What", "found: it has a partner at the IoU threshold. Others are missed, or spurious.",
               [fate(row) for row in rows], str),
        Column("IoU", DEFINITIONS["iou"], [row.iou for row in rows]),
        Column("Partner", "The object of the other map that it shares most with.", [row.partner for row in rows],
               lambda label: "–" if label is None else str(label)),
        Column("Pixels", "Its size.", [row.pixels for row in rows]),
    ]  # fmt: skip
    if comparison.unit not in ("", "px"):
        power = {2: "²", 3: "³"}.get(len(comparison.spacing), "")
        sizes = [row.pixels * pixel for row in rows]
        columns.append(Column(f"Size ({comparison.unit}{power})", "Its size.", sizes))
    return Sheet(tuple(columns)), rows


def fate(row: ObjectRow) -> str:
    """Return whether an object was found, in words."""
    words = "found" if row.matched else "missed" if row.side == "a" else "spurious"
    many = "split" if row.side == "a" else "merged"
    return f"{words}, {many}" if row.parts > 1 else words


def headline(study: Study, entry: StudyEntry) -> str:
    """Return the result in a sentence."""
    overall_, found = entry.comparison.overall, entry.comparison.instances
    if not overall_.pixels:
        return "No pixel was compared: all of them have a label that is left out."
    if not overall_.different and found is None:
        return f"{entry.name} and {study.truth} are the same: 0 of {overall_.pixels:,} pixels differ."
    agree = round(100 * (overall_.accuracy or 0.0), 1)
    share = f"{min(agree, 99.9) if overall_.different else agree:g} %"  # 100 % only where nothing differs
    if found is None:
        dice = entry.comparison.mean_dice
        mean = f" Mean Dice {number(dice)}." if dice is not None else ""
        differ = f"{overall_.different:,} of {overall_.pixels:,} pixels differ."
        return f"{entry.name} agrees with {study.truth} on {share} of pixels; {differ}{mean}"
    at = found.at
    return (
        f"{at.found:,} of {found.a_objects:,} objects found (F1 {number(at.f1)} at IoU {at.threshold:g}), "
        f"{at.missed:,} missed, {at.spurious:,} spurious; {found.splits:,} split, {found.merges:,} merged."
    )


def cell_tip(study: Study, entry: StudyEntry, row: int, column: int) -> str:
    """Return what a cell of the confusion matrix says, in words."""
    comparison = entry.comparison
    pixels = comparison.confusion[row][column]
    a, b = (study.class_names.get(comparison.labels[i], f"label {comparison.labels[i]}") for i in (row, column))
    whole = sum(comparison.confusion[row])
    share = f": {100 * pixels / whole:.3g} % of all {a}" if whole else ""
    return f"{pixels:,} pixels are {a} in {study.truth} and {b} in {entry.name}{share}. Click to see them."


def probabilities(found: Sequence[ProbabilityScores]) -> Sheet:
    """Return the scores of maps of probabilities, a line each."""
    columns = [
        Column("Map", "The layer.", [one.name for one in found], str),
        Column("Label", "The label in A that it is about.", [one.label for one in found]),
    ]
    columns += [
        Column(score.heading(), score.definition, [getattr(one, score.name) for one in found])
        for score in PROBABILITY_SCORES.values()
    ]
    return Sheet(tuple(columns))
