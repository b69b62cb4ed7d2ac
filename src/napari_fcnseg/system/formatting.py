"""Numbers and names as a person would say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MINUTE = 60


def format_shape(numbers: Iterable[int]) -> str:
    """Return ``(3, 4)`` as ``"3 × 4"``."""
    return " × ".join(map(str, numbers))


def format_duration(seconds: float) -> str:
    """Return a time as a person would say it."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _MINUTE * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _MINUTE / _MINUTE:.1f} h"


def format_bytes(count: float) -> str:
    """Return a number of bytes as a person would say it."""
    if count < 2**20:
        return f"{count / 2**10:.3g} KiB" if count >= 2**10 else f"{count:.0f} bytes"
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def shorten_name(name: str, most: int) -> str:
    """Return a name of at most ``most`` letters, with the middle left out of a longer one: names differ at the ends."""
    half = most // 2
    return name if len(name) <= most else f"{name[: most - half - 1]}…{name[len(name) - half :]}"
