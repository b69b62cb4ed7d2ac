"""Guess which labels are the truth and which are masks to compare; the user can change it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_fcnseg._napari.layers.metadata import is_result, shows_comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

#: Words in the names of manual annotations.
_TRUTH = re.compile(r"truth|annotat|manual|reference|by hand|(^|[^a-z])(gt|hand)([^a-z]|$)", re.IGNORECASE)


def likely_truth(layers: Sequence[Labels]) -> Labels | None:
    """Return the layer whose name says that it is the truth, else the last that is no result, else the last one.

    Parameters
    ----------
    layers : sequence of Labels
        The newest first.
    """
    mine = [layer for layer in layers if not shows_comparison(layer)]
    named = [layer for layer in mine if _TRUTH.search(layer.name)]
    others = [layer for layer in mine if not is_result(layer)]
    return next(iter([*named[:1], *others[-1:], *mine[-1:]]), None)


def likely_mask(layer: Labels) -> bool:
    """Whether a new layer is the result of a run."""
    return is_result(layer) and not shows_comparison(layer)
