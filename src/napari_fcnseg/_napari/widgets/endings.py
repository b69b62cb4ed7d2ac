"""Call a function when a Qt object is destroyed."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject


def at_end(owner: QObject, act: Callable[[], object]) -> None:
    """Do something once when a Qt object ends, by Qt or by Python.

    A function that only Qt's signal knows may be taken apart by Python's garbage collector, together with the object,
    before the signal calls it: that is the end of the process. A finalizer is kept until it was called.

    Parameters
    ----------
    owner : QObject
        The object.
    act : callable
        What is done; the Qt half of the object, and of its children, may be gone by then. If it knows the object, only
        Qt can end it.
    """
    end = weakref.finalize(owner, act)
    end.atexit = False
    owner.destroyed.connect(end)
