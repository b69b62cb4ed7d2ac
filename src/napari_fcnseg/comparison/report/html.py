"""A page that says how masks differ: numbers, pictures, settings, and where the masks come from."""

from __future__ import annotations

import base64
import datetime
import io
import threading
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.comparison.agreement_map import AGREEMENT
from napari_fcnseg.comparison.metrics.scores import (
    DEFINITIONS,
    OF_CLASS,
    OF_MATCHING,
    OF_OBJECTS,
    SCORES,
    title,
    whole_scores,
)
from napari_fcnseg.comparison.report.pictures import LabelStyle, Scene, scenes
from napari_fcnseg.system.formatting import shorten_name
from napari_fcnseg.system.saving import save_text
from napari_fcnseg.system.saving.texts import PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_fcnseg.comparison.report.pictures import Picture
    from napari_fcnseg.comparison.study import Study, StudyEntry

_STYLE = """
@page { size: A4; margin: 10mm }
body { font: 11px/1.3 sans-serif; color: #111; background: #fff; max-width: 190mm; margin: 8mm auto }
h1 { font-size: 16px; margin: 0 0 2px; overflow-wrap: anywhere } h2 { font-size: 12px; margin: 6px 0 2px }
p { margin: 2px 0; overflow-wrap: anywhere } .row { display: flex; flex-wrap: wrap; column-gap: 22px }
table { border-collapse: collapse; margin: 2px 0 } th { text-align: left; font-weight: 600 }
td, th { padding: 0 7px 0 0; border-bottom: 1px solid #ddd; vertical-align: top }
td { white-space: nowrap } td.n, th.n { text-align: right } th { vertical-align: bottom }
.rest { flex: 1; min-width: 0 }
figure { margin: 2px 6px 2px 0; display: inline-block; vertical-align: top } figcaption { color: #444; font-size: 9px }
img { image-rendering: pixelated; max-height: 50mm; max-width: 58mm; border: 1px solid #bbb }
.close { column-gap: 10px } .close img { max-height: 22mm; max-width: 18mm } svg { max-height: 56mm; width: auto }
small, .said { color: #444; font-size: 9px }
.key { display: inline-block; width: 9px; height: 9px; border: 1px solid #888 }
@media print { body { margin: 0 } }
"""
_AT_THRESHOLD = tuple(score for score in OF_MATCHING if score not in ("precision", "recall"))  # F1 is of both
_MOST_CLASSES, _MOST_PAIRED, _MOST_MASKS = 8, 6, 8  # in tables that are to fit on one page
_CLASS_NAME, _MASK_NAME = 18, 44  # letters, so that they are read in one line
_SETTINGS = {
    "kind": "compared as", "ignore": "labels left out", "threshold": "IoU threshold", "tolerance": "border tolerance",
    "spatial": "axes in space",
}  # fmt: skip
_UNKNOWN = "not known: painted by hand, or opened from a file that does not say"
_ONE = threading.Lock()


def write_report(
    path: Path, study: Study, index: int | None = None, look: LabelStyle | None = None, *, overwrite: bool = False
) -> None:
    """Write a report of one mask of a study, with all masks ranked, as an HTML page that needs nothing else.

    Parameters
    ----------
    path : Path
        The file.
    study : Study
        The study.
    index : int, optional
        Which of its masks is shown; the best one otherwise.
    look : LabelStyle, optional
        How labels look.
    overwrite : bool
        Whether a page that is there is replaced.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already.
    """
    save_text(Path(path), render_report(study, index, look), overwrite=overwrite, kind=PAGE)


def render_report(study: Study, index: int | None = None, look: LabelStyle | None = None) -> str:
    """Return the report as HTML; the parameters are those of :func:`write_report`."""
    which = study.best if index is None else index
    entry = study.entries[which]
    whole, *close = scenes(study, which, look or LabelStyle())
    heading = f"{entry.name} compared with {study.truth}"
    parts = [
        f"<h1>{escape(heading)}</h1>",
        f"<p><small>{datetime.date.today().isoformat()} · napari-fcnseg {version('napari-fcnseg')}</small></p>",
        *(f"<p>{escape(note)}</p>" for note in study.notes),
        *_ranking(study), "<div class=row>", *_numbers(study, entry), "</div>",
        "<h2>Where they differ</h2>", _legend(), _figure(whole),
        "<div class='row close'>", *map(_figure, close), "</div>",
        *_origins(study, entry), _meanings(entry),
    ]  # fmt: skip
    head = f"<meta charset=utf-8><title>{escape(heading)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>" + "\n".join(parts) + "</body></html>\n"


def format_score(value: Any) -> str:
    """Return a score as text."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _ranking(study: Study) -> Iterable[str]:
    ranked = study.ranked()
    if len(ranked) < 2:
        return
    best = ranked[:_MOST_MASKS]
    rows = [
        (str(n), shorten_name(one.name, _MASK_NAME), *(one.value(score) for score in study.ranks))
        for n, one in enumerate(best, 1)
    ]
    heading = "All masks, the best first" if best == ranked else f"The best {len(best)} of {len(ranked)} masks"
    yield _table(heading, ["", "Mask", *map(title, study.ranks)], rows)


def _numbers(study: Study, entry: StudyEntry) -> Iterable[str]:
    """Return tables that stand beside each other: of all pixels, and of objects or of each pair of classes."""
    overall = [(title(score), entry.value(score)) for score in whole_scores(single=entry.single)]
    yield _table("As a whole", ["Score", ""], overall)
    found = entry.comparison.instances
    if found is None:
        yield f"<div class=rest>{_classes(entry)}{_confusion(study, entry)}</div>"
        return
    at = [(title(score), getattr(found.at, score)) for score in _AT_THRESHOLD]
    more = [(title(score), getattr(found, score)) for score in OF_OBJECTS]
    yield _table(f"Single objects, IoU {found.at.threshold:g}", ["Score", ""], at + more)
    yield f"<figure>{_curve(study)}<figcaption>Scores against the IoU threshold</figcaption></figure>"


def _classes(entry: StudyEntry) -> str:
    comparison = entry.comparison
    rows = [
        (
            f"{shorten_name(one.name, _CLASS_NAME)} ({one.label})",
            *(comparison.value_of_class(one, score) for score in OF_CLASS),
        )
        for one in comparison.classes[:_MOST_CLASSES]
    ]
    heads = [SCORES[score].heading(comparison.unit) for score in OF_CLASS]
    left = len(comparison.classes) - len(rows)
    heading = "Classes" if left <= 0 else f"The first {len(rows)} of {len(comparison.classes)} classes"
    if comparison.tolerance is not None:
        heading += f" (border tolerance {f'{comparison.tolerance:.4g} {comparison.unit}'.strip()})"
    return _table(heading, ["Class", *heads], rows)


def _confusion(study: Study, entry: StudyEntry) -> str:
    if len(entry.comparison.labels) > _MOST_PAIRED:
        return "<p><small>The confusion of so many classes is in the exported tables.</small></p>"
    names = [shorten_name(study.class_names.get(label, str(label)), _CLASS_NAME) for label in entry.comparison.labels]
    rows = [(name, *pixels) for name, pixels in zip(names, entry.comparison.confusion, strict=True)]
    return _table("Pixels: truth (rows), mask (columns)", ["", *names], rows)


def _meanings(entry: StudyEntry) -> str:
    """Return what the scores of the report say, in one paragraph."""
    own = (*_AT_THRESHOLD, *OF_OBJECTS) if entry.single else OF_CLASS
    scores = (*whole_scores(single=entry.single), *own)
    said = (f"<b>{escape(title(score))}</b>: {escape(DEFINITIONS[score])}" for score in scores)
    return f"<h2>What the scores say</h2><p class=said>{' '.join(said)}</p>"


def _table(heading: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"<div><h2>{escape(heading)}</h2><table><tr>"]
    for column, head in enumerate(heads):
        number = any(not isinstance(row[column], str) for row in rows)
        lines.append(f"<th scope=col{' class=n' if number else ''}>{escape(head)}</th>")
    lines.append("</tr>")
    for row in rows:
        cells = (
            f"<td{'' if isinstance(value, str) else ' class=n'}>{escape(format_score(value))}</td>" for value in row
        )
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

    from napari_fcnseg.comparison.report.plots import scores_against_iou

    text = io.StringIO()
    with _ONE, mpl.rc_context({"svg.hashsalt": "napari-fcnseg", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4, 2.6))
        FigureCanvasSVG(figure)
        scores_against_iou(figure, "#111111", study)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _origins(study: Study, entry: StudyEntry) -> Iterable[str]:
    chosen = {key: value for key, value in study.settings.as_dict().items() if value not in (None, ())}
    if study.settings.kind == "auto":
        chosen["kind"] = f"{'instances' if study.single else 'classes'}, as the maps look"
    if not study.single:
        chosen.pop("threshold")
        if len(entry.comparison.shape) > 2:
            chosen["spatial"] = entry.comparison.spatial
    settings = "; ".join(f"{_SETTINGS.get(key, key)}: {_words(value)}" for key, value in chosen.items())
    pixel = " × ".join(f"{n:.4g}" for n in entry.comparison.spacing)
    yield f"<h2>Settings</h2><p>{escape(settings)}; pixels of {escape(f'{pixel} {study.unit}'.strip())}</p>"
    yield "<h2>Where the masks come from</h2>"
    for name, origin in ((study.truth, study.truth_provenance), (entry.name, entry.provenance)):
        yield f"<p><b>{escape(name)}</b>: {escape(_origin(origin))}</p>"


def _origin(origin: Mapping[str, Any]) -> str:
    """Return what is known of a mask, in a line."""
    if not origin.get("program"):
        return str(origin.get("file") or _UNKNOWN)
    settings, versions = (
        value if isinstance(value := origin.get(key), dict) else {} for key in ("settings", "versions")
    )
    parts = [f"{origin['program']} {versions.get('napari-fcnseg', '')}".strip()]
    for model in origin.get("models") or ():
        if isinstance(model, dict):
            name, checksum, method = (str(model.get(key, "")) for key in ("name", "sha256", "method"))
            parts.append(f"{name or 'model'} (SHA-256 {checksum[:16]}…) {method}".strip())
    parts += [f"{key} {_words(settings[key])}" for key in ("preprocess", "border") if settings.get(key)]
    parts += [str(origin.get(key) or "") for key in ("device", "precision")]
    parts += [f"{key} {versions[key]}" for key in ("tensorflow", "jax", "torch", "keras") if versions.get(key)]
    if origin.get("instances"):
        parts.append("instances of its classes")
    return "; ".join(part for part in parts if part)


def _words(value: Any) -> str:
    """Return a setting as it is read."""
    return ", ".join(map(_words, value)) if isinstance(value, list | tuple) else str(value)
