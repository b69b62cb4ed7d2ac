"""Functions that the tests of the child process call in it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_fcnseg.errors import UnsupportedLayerError


def echo(value: Any) -> Any:
    return value


def process() -> tuple[int, list[str]]:
    return os.getpid(), sorted(sys.modules)


def sleep(seconds: float, touch: str = "") -> str:
    time.sleep(seconds)
    if touch:
        Path(touch).touch()
    return touch


def chatter() -> str:
    print("this must not get into the answers")
    os.write(1, b"nor this")
    return "quiet"


def refuse() -> None:
    raise UnsupportedLayerError("odd_one", "Odd", "it is odd", "Take it out.")


def fail() -> None:
    raise RuntimeError("first line\nsecond line")


def exhaust() -> None:
    raise MemoryError


def take(count: int) -> None:
    np.ones(count, np.uint8)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os._exit(7)


def number(region: tuple[tuple[int, int], ...], side: int, most: int, how: str) -> Any:
    """Return the numbers of a square's pixels in a region; make trouble, as ``how`` says, over more than ``most``."""
    (top, bottom), (left, right) = region
    if how == "kill below" and top > 0:
        die()
    if (bottom - top) * (right - left) > most:
        if how == "raise":
            raise MemoryError
        if how == "fail":
            raise RuntimeError("something else")
        if how == "kill":
            die()
        if how == "abort":
            sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
            sys.stderr.flush()
            os.abort()
        if how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "answer":
            return _Unpicklable()
    return np.arange(side * side).reshape(side, side)[top:bottom, left:right]


class _Unpicklable:
    """Stands for an answer that is too large to be sent."""

    def __reduce__(self) -> str:
        raise MemoryError
