"""Plots of scores, for the window and for reports: they draw on a figure that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.comparison.metrics.objects import matchings
from napari_fcnseg.system.formatting import shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_fcnseg.comparison.metrics.probability import ProbabilityScores
    from napari_fcnseg.comparison.study import Study

#: Of Okabe and Ito (2008), colour-blind safe; dashes differ as well.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
_FINE = tuple(n / 100 for n in range(5, 100, 5))
_SCORES = (
    ("f1", "F1"), ("average_precision", "AP"), ("panoptic_quality", "panoptic quality"), ("precision", "precision"),
    ("recall", "recall"),
)  # fmt: skip
_MOST_LINES = 6


def scores_against_iou(figure: Figure, ink: str, study: Study) -> None:
    """Draw how scores of objects fall as the IoU threshold rises: of one mask several, of several masks one.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is drawn on.
    ink : str
        Colour of axes and text.
    study : Study
        Of single objects.
    """
    axes = _axes(figure, ink, "IoU threshold", "score")
    entries = study.ranked()[:_MOST_LINES]
    if len(entries) == 1:
        curve = matchings(entries[0].table, _FINE)
        for n, (score, name) in enumerate(_SCORES):
            _line(axes, n, [getattr(one, score) for one in curve], name)
    else:
        axes.set_ylabel("F1", color=ink)
        for n, entry in enumerate(entries):
            _line(axes, n, [one.f1 for one in matchings(entry.table, _FINE)], entry.name)
    axes.axvline(study.settings.threshold, color=ink, linewidth=0.8, alpha=0.6)
    _legend(axes, ink)


def precision_recall(figure: Figure, ink: str, curves: Sequence[ProbabilityScores]) -> None:
    """Draw precision against recall, with the best threshold as a dot."""
    axes = _axes(figure, ink, "recall", "precision")
    for n, one in enumerate(curves[:_MOST_LINES]):
        precision, recall, _ = one.curve(400)
        axes.plot(recall, precision, color=COLORS[n], linestyle=DASHES[n], label=_short(one.name))
        if one.best_recall is not None:
            best: Any = [one.best_recall], [one.best_precision]
            axes.plot(*best, "o", color=COLORS[n], markersize=4)
    _legend(axes, ink)


def reliability(figure: Figure, ink: str, curves: Sequence[ProbabilityScores]) -> None:
    """Draw how often a class is there against how probable it was said to be; on the diagonal it is calibrated."""
    axes = _axes(figure, ink, "said to be probable", "is the class")
    axes.plot([0, 1], [0, 1], color=ink, linewidth=0.8, alpha=0.6)
    for n, one in enumerate(curves[:_MOST_LINES]):
        bins: list[Any] = [part for part in one.bins if part.pixels]
        axes.plot(
            [part.said for part in bins], [part.true for part in bins], color=COLORS[n], linestyle=DASHES[n],
            marker="o", markersize=3, label=_short(one.name),
        )  # fmt: skip
    _legend(axes, ink)


def _axes(figure: Figure, ink: str, x: str, y: str) -> Axes:
    figure.clear()
    figure.patch.set_alpha(0)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(x, color=ink)
    axes.set_ylabel(y, color=ink)
    axes.tick_params(colors=ink)
    for spine in axes.spines.values():
        spine.set_color(ink)
    axes.grid(color=ink, alpha=0.15)
    return axes


def _line(axes: Axes, n: int, values: Sequence[float | None], name: str) -> None:
    known: list[Any] = [float("nan") if value is None else value for value in values]
    axes.plot(_FINE, known, color=COLORS[n], linestyle=DASHES[n], label=_short(name))


def _legend(axes: Axes, ink: str) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=ink, fontsize="small")


def _short(name: str) -> str:
    """Return a name that leaves room for the lines; matplotlib would hide one that begins with an underscore."""
    return "\u200b" + shorten_name(name, 28).replace("$", r"\$")
