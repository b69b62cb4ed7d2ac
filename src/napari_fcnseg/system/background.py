"""Do something in a thread of its own."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def in_background(function: Callable[[], T], name: str) -> Future[T]:
    """Call a function in a thread that does not keep the program from ending.

    Parameters
    ----------
    function : callable
        What to do.
    name : str
        Of the thread.

    Returns
    -------
    concurrent.futures.Future
        What it returns or raises.
    """
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name=name, daemon=True).start()
    return future
