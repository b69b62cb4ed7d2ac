"""What is in a model, in words; nothing here knows Qt."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from napari_fcnseg._napari.result import models_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.hints import Hints
    from napari_fcnseg.model import PatchModel

_MOST_NAMES = 12  # in a sentence


def describe(models: Sequence[PatchModel], hints: Hints) -> tuple[str, str]:
    """Return what models take, tell apart and cost, as rich text, and more of it for a tooltip.

    Parameters
    ----------
    models : sequence of PatchModel
        The members of an ensemble, or the one model.
    hints : Hints
        What channels and classes are called.
    """
    from napari_fcnseg.sidecar import default_names  # a model was read by now, and the dock opens without it

    model, report = models[0], models[0].fcn.report
    patch = " × ".join(map(str, model.patch_shape))
    named = hints.class_names != default_names("class", model.classes)
    classes = _listed(hints.class_names, model.classes) if named else ""
    channels = _listed(hints.channel_names, model.channels)
    text = (
        f"<b>{_wrappable(models_name(models))}</b>: sees patches of {patch} pixels in {model.channels} "
        f"channel{'s' * (model.channels > 1)}{channels} and tells {model.classes} classes{classes} apart. "
    )
    slow = [m.fcn.report for m in models if m.fcn.report.cheaper == "patchwise"]
    if slow:
        text += f"Runs patch by patch unless asked otherwise. {slow[0].summary()}"
    else:
        text += f"As a dense network: {report.speedup_ceiling:.3g} × less arithmetic than patch by patch."
    notes = model.sidecar.notes if model.sidecar is not None else ()
    return text, escape(" ".join((report.summary(), *report.notes, *notes)))


def _wrappable(name: str) -> str:
    """Return a name as rich text that may be wrapped within: a white space of no width where it is put together."""
    return re.sub(r"([_.\-])(?=\w)", "\\1\u200b", escape(name))


def _listed(names: Sequence[str], count: int) -> str:
    """Return names in brackets, the first of very many; nothing unless there is one for each."""
    if len(names) != count:
        return ""
    more = ", …" * (count > _MOST_NAMES)
    return f" ({escape(', '.join(names[:_MOST_NAMES]))}{more})"
