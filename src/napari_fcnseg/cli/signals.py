"""Being told to end: as with Ctrl-C, with what is done kept, the locks removed and a sentence."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: How a computer that is shut down, a cluster whose time is up and a terminal that is closed tell a program to end.
_ENDING: Final = ("SIGTERM", "SIGHUP")


class ToldToEnd(KeyboardInterrupt):
    """A signal has told the program to end.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code by which shells know of it."""
        return 128 + self.number

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}."


@contextmanager
def heeded() -> Iterator[None]:
    """Have signals that tell a program to end raise :class:`ToldToEnd` in it, once; those that are ignored stay so."""
    if threading.current_thread() is not threading.main_thread():  # Python hears signals there alone
        yield
        return

    def end(number: int, _: FrameType | None) -> None:
        for each in earlier:  # some programs send it twice, and what is done is being kept meanwhile
            signal.signal(each, signal.SIG_IGN)
        raise ToldToEnd(number)

    numbers = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    earlier = {number: signal.SIG_DFL for number in numbers if signal.getsignal(number) == signal.SIG_DFL}
    for number in earlier:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in earlier:
            signal.signal(number, signal.SIG_DFL)
