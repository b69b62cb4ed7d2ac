"""How far a batch is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is.

    Attributes
    ----------
    name : str
        Of the image that is being segmented; of several the first.
    number, count : int
        Images before it, and all.
    done, total : int
        Its finished tiles, and all; 0 of 0 before they are known.
    seconds_left : float or None
        For the whole batch, by the images so far.
    others : tuple of str
        Names of those that are being segmented beside it.
    team : str
        What segments them, as people say it: ``"4 workers at tcp://10.0.0.1:8786"``; empty for this computer.
    """

    name: str
    number: int
    count: int
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    others: tuple[str, ...] = ()
    team: str = ""

    def __str__(self) -> str:
        if self.team:
            return f"{self.number} of {self.count} done, on {self.team}"
        return f"{self.number + 1} of {self.count}: {self.name}"
