"""What a worker is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: In the answer of a job that would fail on any worker: why, as a sentence.
VERDICT: Final = "verdict"
#: In the answer of a job for itself that failed again and again: why, as a sentence.
GIVEN_UP: Final = "given up"


@dataclass(frozen=True)
class Words:
    """What is said of work that comes to an early end, as sentences.

    Attributes
    ----------
    kept : str
        Of all but the job that failed.
    memory : str
        Where a worker may have had too little memory.
    gone : str
        Where the scheduler is lost.
    """

    kept: str = "Everything else is kept. "
    memory: str = "Choose a smaller --tile, or workers with more memory, then run again."
    gone: str = "What is finished is kept: start a scheduler and workers, and give the same command with its address."


@dataclass(eq=False)
class Job:
    """Something to compute.

    Attributes
    ----------
    function : callable
        An importable one; what it returns is a mapping, whose ``trouble``, if there is any, is a sentence.
    arguments : tuple
        Plain data.
    what : str
        What it is, as the beginning of a sentence: ``"The block of rows 0 to 512"``.
    worker : str
        For which worker it is; empty for any.
    failures : int
        How many times it has failed.
    alone : bool
        Whether the others go on when it has failed too often; it is answered then (:data:`GIVEN_UP`).
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    what: str = ""
    worker: str = ""
    failures: int = 0
    alone: bool = False


def said_block(index: Sequence[int], box: Sequence[Sequence[int]]) -> str:
    """Return what a block of a frame is called, as the beginning of a sentence."""
    frame = f"of frame {list(index)}, " if index else ""
    return f"The block {frame}" + " × ".join(f"{start} to {stop}" for start, stop in box)
