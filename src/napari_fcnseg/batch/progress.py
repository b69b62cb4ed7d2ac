"""How far a batch is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes
    ----------
    name : str
        Of the image that is being segmented.
    number, count : int
        Images before it, and all.
    done, total : int
        Its finished tiles, and all; 0 of 0 before they are known.
    seconds_left : float or None
        For the whole batch, by the images so far.
    """

    name: str
    number: int
    count: int
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
