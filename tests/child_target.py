"""Functions that the tests of the child process call in it."""

from __future__ import annotations

import copyreg
import os
import signal
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from napari_fcnseg.errors import EngineError, UnsupportedLayerError


def echo(value: Any) -> Any:
    return value


def process() -> tuple[int, list[str]]:
    return os.getpid(), sorted(sys.modules)


def registered_error() -> None:
    """Raise an error that a library here would pickle in its own way."""
    copyreg.pickle(UnsupportedLayerError, lambda error: (eval, (repr(str(error)),)))
    raise UnsupportedLayerError("odd_one", "Odd", "it is odd", "Take it out.")


def sleep(seconds: float, touch: str = "") -> str:
    time.sleep(seconds)
    if touch:
        Path(touch).touch()
    return touch


def work(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def chatter() -> str:
    print("this must not get into the answers")
    os.write(1, b"nor this")
    return "quiet"


def refuse() -> None:
    raise UnsupportedLayerError("odd_one", "Odd", "it is odd", "Take it out.")


def fail() -> None:
    raise RuntimeError("first line\nsecond line")


def raise_foreign() -> None:
    """Raise an error of a class that its parent does not have, and that cannot be read where it is not."""
    raise type("OpError", (RuntimeError,), {"__module__": "tensorflow.errors", "__reduce__": _foreign})("graph is odd")


def raise_holding_foreign() -> None:
    """Raise one of our errors with something in it that only this process has."""
    error = EngineError("it is odd")
    error.cause = _module_object("tensorflow")  # type: ignore[attr-defined]
    raise error


def raise_unreadable() -> None:
    """Raise one of our errors whose class cannot be called with what it holds."""
    raise _DemandingError("a", "b")


def conv_error() -> None:
    """Have TensorFlow itself fail."""
    import tensorflow as tf

    tf.nn.conv2d(np.zeros((1, 4, 4, 2), np.float32), np.zeros((2, 2, 3, 1), np.float32), 1, "VALID")


def raise_exit() -> None:
    sys.exit("bye")


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def answer_foreign() -> Any:
    return _module_object("keras")


def answer_function() -> Any:
    """Return what would run a command where it is read."""
    return _Command()


def answer_lambda() -> Any:
    return lambda: None


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


def _foreign(self: Any) -> Any:
    return type(self), self.args


def _module_object(module: str) -> Any:
    """Return an object of a class that lies in a module; here it can be pickled, elsewhere its module is imported."""
    fake = types.ModuleType(module)
    fake.Odd = type("Odd", (), {"__module__": module})
    sys.modules[module] = fake
    return fake.Odd()


class _DemandingError(EngineError):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


class _Command:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


class _Unpicklable:
    """Stands for an answer that is too large to be sent."""

    def __reduce__(self) -> str:
        raise MemoryError
