"""Work in a thread: generators that yield often and return errors instead of raising them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


T = TypeVar("T")
#: Seconds after which a worker looks whether it should stop.
POLL = 0.05


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a worker ended.

    Attributes
    ----------
    value : object
        The result; None if absent.
    error : Exception or None
        What went wrong.
    cancelled : bool
        Whether it was asked to stop.
    """

    value: Any = None
    error: Exception | None = None
    cancelled: bool = False


def drive(work: Generator[T, None, Outcome]) -> Generator[T, None, Outcome]:
    """Do what another generator does, which whoever holds it can close."""
    return (yield from work)


def end_workers(stop: threading.Event, work: list[Generator[Any, None, Outcome]]) -> None:
    """End what runs for a dock that is gone: napari may have stopped its worker in the middle."""

    def close() -> None:
        while work:
            try:
                work[-1].close()
                work.pop()
            except ValueError:  # a worker is still at it, and will see the stop
                time.sleep(POLL)

    stop.set()
    in_background(close, "napari-fcnseg-end")


def in_worker(function: Callable[[], Any]) -> Generator[None, None, Outcome]:
    """Call a function; its result is the value of the outcome. napari may close in the meantime."""
    try:
        return Outcome((yield from wait_in_worker(function, threading.Event())))
    except Exception as error:
        return Outcome(error=error)


def is_expected(error: Exception) -> bool:
    """Whether an error is a sentence for the user, and not a bug."""
    return isinstance(error, FcnSegError)


def wait_in_worker(function: Callable[[], T], stop: threading.Event) -> Generator[None, None, T | None]:
    """Wait for a function that cannot be interrupted, yielding None; return None at once when asked to stop."""
    future = in_background(function, "napari-fcnseg-work")
    while not stop.is_set():
        try:
            return future.result(timeout=POLL)
        except TimeoutError:
            if future.done():
                raise
            yield None
    return None
