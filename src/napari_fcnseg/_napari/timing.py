"""Times in words."""

from __future__ import annotations

_MINUTE = 60


def duration(seconds: float) -> str:
    """Return a time as a person would say it."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _MINUTE * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _MINUTE / _MINUTE:.1f} h"
