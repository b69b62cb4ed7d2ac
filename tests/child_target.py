"""Functions that the tests of the child process call in it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

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


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os._exit(7)
