"""A page that says how masks differ: numbers, pictures, settings, and where the masks come from."""

from __future__ import annotations

import base64
import datetime
import io
import threading
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from napari_fcnseg.comparison.agreement import AGREEMENT
from napari_fcnseg.comparison.definitions import DEFINITIONS, overall_scores, title
from napari_fcnseg.comparison.pictures import Look, Scene, scenes
from napari_fcnseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.comparison.pictures import Picture
    from napari_fcnseg.comparison.study import Entry, Study

_STYLE = """
@page { size: A4; margin: 10mm }
body { font: 11px/1.35 sans-serif; color: #111; background: #fff; max-width: 190mm; margin: 8mm auto }
h1 { font-size: 17px; margin: 0 0 2px } h2 { font-size: 12px; margin: 8px 0 2px } p { margin: 2px 0 }
table { border-collapse: collapse; margin: 2px 12px 2px 0 } th { text-align: left; font-weight: 600 }
td, th { padding: 0 6px 0 0; border-bottom: 1px solid #ddd; vertical-align: top } td.n { text-align: right }
figure { margin: 2px 6px 2px 0; display: inline-block; vertical-align: top } figcaption { color: #444; font-size: 9px }
img { image-rendering: pixelated; max-height: 52mm; max-width: 58mm; border: 1px solid #bbb }
.close img { max-height: 22mm; max-width: 18mm } .row { display: flex; flex-wrap: wrap }
svg { max-height: 44mm; width: auto }
small { color: #444; font-size: 9px } .key { display: inline-block; width: 9px; height: 9px; border: 1px solid #888 }
@media print { body { margin: 0 } }
"""
_CLASS = (
    "dice",
    "jaccard",
    "precision",
    "recall",
    "volume_difference",
    "border_f1",
    "hausdorff_95",
    "a_pixels",
    "b_pixels",
)
_MATCHING = ("found", "missed", "spurious", "f1", "average_precision", "segmentation_quality", "panoptic_quality")
_INSTANCES = ("mean_average_precision", "splits", "merges")
_MOST_CLASSES = 12  # in a table that is to be read on one page
_UNKNOWN = "not known: painted by hand, or opened from a file that does not say"
_ONE = threading.Lock()


def write_report(path: Path, study: Study, index: int | None = None, look: Look | None = None) -> None:
    """Write a report of one mask of a study, with all masks ranked, as an HTML page that needs nothing else.

    Parameters
    ----------
    path : Path
        The file.
    study : Study
        The study.
    index : int, optional
        Which of its masks is shown; the best one otherwise.
    look : Look, optional
        How labels look.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = report(study, index, look)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} could not be written ({error.strerror}). Choose another folder or name.") from None


def report(study: Study, index: int | None = None, look: Look | None = None) -> str:
    """Return the report as HTML; the parameters are those of :func:`write_report`."""
    which = study.best if index is None else index
    entry = study.entries[which]
    whole, *close = scenes(study, which, look or Look())
    heading = f"{entry.name} compared with {study.truth}"
    parts = [
        f"<h1>{escape(heading)}</h1>",
        f"<p><small>{datetime.date.today().isoformat()} · napari-fcnseg {version('napari-fcnseg')}</small></p>",
        *(f"<p>{escape(note)}</p>" for note in study.notes),
        "<div class=row>", *_numbers(study, entry), "</div>",
        "<h2>Where they differ</h2>", _legend(), _figure(whole),
        "<div class='row close'>", *map(_figure, close), "</div>",
        *_origins(study, entry),
    ]  # fmt: skip
    head = f"<meta charset=utf-8><title>{escape(heading)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>" + "\n".join(parts) + "</body></html>\n"


def shown(value: Any) -> str:
    """Return a score as it stands in the report."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _numbers(study: Study, entry: Entry) -> Iterable[str]:
    if len(study.entries) > 1:
        rows = [(n, one.name, *(one.value(score) for score in study.ranks)) for n, one in enumerate(study.ranked(), 1)]
        yield _table("All masks, the best first", ["", "Mask", *map(title, study.ranks)], rows)
    overall = [(title(score), entry.value(score), DEFINITIONS[score]) for score in overall_scores(entry)]
    yield _table("As a whole", ["Score", "", "What it says"], overall)
    found = entry.comparison.instances
    if found is None:
        yield _classes(study, entry)
        if len(entry.comparison.labels) <= _MOST_CLASSES:
            yield _confusion(study, entry)
        return
    at = [(title(score), getattr(found.at, score), DEFINITIONS[score]) for score in _MATCHING]
    more = [(title(score), getattr(found, score), DEFINITIONS[score]) for score in _INSTANCES]
    yield _table(f"Single objects, IoU {found.at.threshold:g}", ["Score", "", "What it says"], at + more)
    yield f"<figure>{_curve(study)}<figcaption>Scores against the IoU threshold</figcaption></figure>"


def _classes(study: Study, entry: Entry) -> str:
    comparison = entry.comparison
    borders = {one.label: one for one in comparison.borders}
    rows = []
    for one in comparison.classes[:_MOST_CLASSES]:
        edge = borders.get(one.label)
        values = {"border_f1": edge and edge.f1, "hausdorff_95": edge and edge.hausdorff_95}
        rows.append((f"{one.name} ({one.label})", *(values.get(key, getattr(one, key, None)) for key in _CLASS)))
    heads = [f"{title(key)} ({comparison.unit})" if key == "hausdorff_95" else title(key) for key in _CLASS]
    left = len(comparison.classes) - len(rows)
    heading = "Classes" if left <= 0 else f"The first {len(rows)} of {len(comparison.classes)} classes"
    if comparison.tolerance is not None:
        heading += f" (border tolerance {comparison.tolerance:.4g} {comparison.unit})"
    return _table(heading, ["Class", *heads], rows)


def _confusion(study: Study, entry: Entry) -> str:
    names = [study.class_names.get(label, str(label)) for label in entry.comparison.labels]
    rows = [(name, *pixels) for name, pixels in zip(names, entry.comparison.confusion, strict=True)]
    return _table("Pixels: truth (rows), mask (columns)", ["", *names], rows)


def _table(heading: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"<div><h2>{escape(heading)}</h2><table><tr>"]
    lines += [f"<th scope=col>{escape(head)}</th>" for head in heads]
    lines.append("</tr>")
    for row in rows:
        cells = (f"<td{'' if isinstance(value, str) else ' class=n'}>{escape(shown(value))}</td>" for value in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join(lines) + "</table></div>"


def _legend() -> str:
    keys = (f"<span class=key style='background:{color}'></span> {escape(name)}" for name, color in AGREEMENT.values())
    return f"<p>Truth (A), mask (B), and their agreement: {' &nbsp; '.join(keys)}</p>"


def _figure(scene: Scene) -> str:
    pictures = (("truth", scene.truth), ("mask", scene.mask), ("agreement", scene.agreement))
    images = (f"<img alt='{escape(f'{scene.caption}: {name}')}' src='{_png(picture)}'>" for name, picture in pictures)
    return f"<figure>{' '.join(images)}<figcaption>{escape(scene.caption)}</figcaption></figure>"


def _png(picture: Picture) -> str:
    import imageio.v3 as imageio

    data = imageio.imwrite("<bytes>", picture, extension=".png")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _curve(study: Study) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from napari_fcnseg.comparison.figures import scores_against_iou

    text = io.StringIO()
    with _ONE, mpl.rc_context({"svg.hashsalt": "napari-fcnseg", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4, 2.6))
        FigureCanvasSVG(figure)
        scores_against_iou(figure, "#111111", study)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _origins(study: Study, entry: Entry) -> Iterable[str]:
    settings = ", ".join(f"{key} {value}" for key, value in study.settings.as_dict().items() if value not in (None, []))
    pixel = " × ".join(f"{n:.4g}" for n in entry.comparison.spacing)
    yield f"<h2>Settings</h2><p>{escape(settings)}; pixels of {pixel} {escape(study.unit)}</p>"
    yield "<h2>Where the masks come from</h2>"
    for name, origin in ((study.truth, study.truth_provenance), (entry.name, entry.provenance)):
        yield f"<p><b>{escape(name)}</b>: {escape(_origin(origin))}</p>"


def _origin(origin: Mapping[str, Any]) -> str:
    """Return what is known of a mask, in a line."""
    if not origin.get("program"):
        return str(origin.get("file") or _UNKNOWN)
    models = origin.get("models") or ()
    named = [
        f"{model.get('name', 'model')} (SHA-256 {str(model.get('sha256', ''))[:16]}…)"
        for model in models if isinstance(model, dict)
    ]  # fmt: skip
    versions = origin.get("versions")
    program = versions.get("napari-fcnseg", "") if isinstance(versions, dict) else ""
    parts = [f"{origin['program']} {program}".strip(), ", ".join(named), str(origin.get("device", ""))]
    if origin.get("instances"):
        parts.append("instances of its classes")
    return "; ".join(part for part in parts if part)
