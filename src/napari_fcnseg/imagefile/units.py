"""Units of length that files have."""

from __future__ import annotations

from typing import Final

_MICROMETRES: Final = {
    "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6, "inch": 25400.0,
}  # fmt: skip


def factor(own: str, wanted: str) -> float | None:
    """Return what a length is to be multiplied by to be in another unit; None if one of them is not known."""
    if own == wanted:
        return 1.0
    if own not in _MICROMETRES or wanted not in _MICROMETRES:
        return None
    return _MICROMETRES[own] / _MICROMETRES[wanted]
