"""Describe a model, or the reason for its refusal, in words. Free of Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from napari_fcnseg.errors import AS_IT_IS, FcnSegError, UnsupportedLayerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg.model.patch_model import PatchModel

_MOST_NAMES = 12  # in a sentence


@dataclass(frozen=True)
class LayerTable:
    """The table of a model's layers, and what is said above it.

    Attributes
    ----------
    name, text : str
        The model's, and a few sentences.
    rows : tuple of tuple of str
        One per layer, in the order of :data:`napari_fcnseg.conversion.report.COLUMNS`.
    refused : int or None
        The row for which the model was refused.
    """

    name: str
    text: str
    rows: tuple[tuple[str, ...], ...]
    refused: int | None = None

    def as_text(self, headings: Sequence[str]) -> str:
        """Return all of it with tabs between the cells, as spreadsheets take it."""
        return "\n".join([self.name, self.text, "\t".join(headings), *("\t".join(row) for row in self.rows)])


def describe(models: Sequence[PatchModel], hints: ModelHints) -> tuple[str, str]:
    """Return what models take, tell apart and cost, as rich text, and more of it for a tooltip.

    Parameters
    ----------
    models : sequence of PatchModel
        The members of an ensemble, or the one model.
    hints : ModelHints
        What channels and classes are called.
    """
    if any(model.labels_every_pixel for model in models):
        return _described_as_it_is(models, hints)
    model, report = models[0], models[0].fcn.report
    names = _listed(hints.channel_names, model.channels)
    parts = [
        f"{' × '.join(map(str, model.patch_shape))} patches",
        f"{model.channels} channel{'s' * (model.channels > 1)}{names}",
        f"{model.classes} classes",
    ]
    slow = [m.fcn.report for m in models if m.fcn.report.cheaper == "patchwise"]
    parts.append("runs patch by patch" if slow else f"{_times(report.speedup_ceiling)}× less work")
    text = " · ".join(parts) + (f". {slow[0].summary()}" if slow else "")
    notes = model.sidecar.notes if model.sidecar is not None else ()
    return text, escape(" ".join((report.summary(), *report.notes, *notes)))


def _described_as_it_is(models: Sequence[PatchModel], hints: ModelHints) -> tuple[str, str]:
    """Return what models take and tell apart of which one is not converted, and what is to be known of it."""
    model = models[0]
    names = _listed(hints.channel_names, model.channels)
    parts = f"{model.channels} channel{'s' * (model.channels > 1)}{names}", f"{model.classes} classes"
    notes = dict.fromkeys(note for each in models for note in each.source.notes)
    halo = f"Its tiles overlap by {' × '.join(str(n // 2) for n in model.patch_shape)} pixels at either side."
    return f"{' · '.join(parts)}. {AS_IT_IS}", escape(" ".join((*notes, halo)))


def sheets(models: Sequence[PatchModel]) -> tuple[LayerTable, ...]:
    """Return what became of the layers of models; nothing of those that are not converted."""
    reports = [(model.name, model.fcn.report) for model in models if not model.labels_every_pixel]
    return tuple(LayerTable(name, " ".join((r.summary(), *r.notes)), tuple(r.rows())) for name, r in reports)


def refused_sheet(name: str, error: Exception) -> LayerTable | None:
    """Return what is known of a model that was refused, the layer marked that it was refused for.

    Parameters
    ----------
    name : str
        What the model is called.
    error : Exception
        Why it was refused.

    Returns
    -------
    LayerTable or None
        None where nothing is known of its layers.
    """
    from napari_fcnseg.conversion.report import COLUMNS  # a model was read by now, and the dock opens without it

    understood = error.understood if isinstance(error, FcnSegError) else None
    layers = list(understood.layers) if understood is not None else []
    rows = list(understood.rows) if understood is not None else []
    refused: int | None = None
    why = "refused: as the model's answer"
    if isinstance(error, UnsupportedLayerError):
        names = [layer for layer, _ in layers]
        refused = names.index(error.layer) if error.layer in names else len(layers)
        if refused == len(layers):
            layers.append((error.layer, error.layer_type))
        why = f"refused: {error.reason}"
    elif rows and len(rows) == len(layers):
        refused = len(rows) - 1  # every layer was understood: what is wrong is what comes out
    for index, layer in enumerate(layers):
        if index == refused:
            became = why
        elif index < len(rows):
            continue
        else:
            became = "understood" if refused is not None and index < refused else "not looked at"
        row = (*layer, became, *("",) * (len(COLUMNS) - 3))
        rows[index : index + 1] = [row]
    return LayerTable(name, str(error), tuple(rows), refused) if layers else None


def wrappable(name: str) -> str:
    """Return a name as rich text that may be wrapped within: a white space of no width where it is put together."""
    return re.sub(r"([_.\-])(?=\w)", "\\1\u200b", escape(name))


def _listed(names: Sequence[str], count: int) -> str:
    """Return names in brackets, the first of very many; nothing unless there is one for each."""
    if len(names) != count:
        return ""
    more = ", …" * (count > _MOST_NAMES)
    return f" ({escape(', '.join(names[:_MOST_NAMES]))}{more})"


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.1f}"
