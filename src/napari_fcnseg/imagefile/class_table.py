"""Colours and names of the classes as label files have them; no label is changed by them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_ENTRIES = 256  # numbers that a table of 8 bits tells apart


def lookup_table(colors: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return red, green and blue of each label, ``(256, 3)``: black for 0, and for labels that are of no class.

    Parameters
    ----------
    colors : sequence of str
        Of label 1, 2, …, as ``#rrggbb``.
    """
    table = np.zeros((_ENTRIES, 3), np.uint8)
    for label, color in enumerate(colors[: _ENTRIES - 1], start=1):
        table[label] = list(bytes.fromhex(color[1:7]))
    return table


def names_text(names: Sequence[str]) -> str:
    """Return which label is which class, a line for each."""
    return "\n".join(("0: not predicted", *(f"{label}: {name}" for label, name in enumerate(names, start=1))))


def png_bytes(labels: npt.NDArray[Any], colors: Sequence[str]) -> bytes:
    """Return labels as a PNG, of 8 bits with the colours of the classes as its palette."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(labels))
    if colors and labels.dtype == np.uint8:
        picture.putpalette(lookup_table(colors).tobytes())
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()
