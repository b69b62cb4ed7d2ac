"""A run in napari's activity area."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.utils import cancelable_progress

from napari_fcnseg._napari.segment.run.spinner import set_spinning

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

#: A shorter run is over before anybody could look there.
_FIRST_SECONDS = 0.5
_PAUSE_SECONDS = 1.0


class Activity:
    """A bar in the activity area of a widget's window, with a button that cancels.

    Parameters
    ----------
    widget : QWidget
        The widget.
    title : str
        Of the bar.
    """

    def __init__(self, widget: QWidget, title: str) -> None:
        self._widget, self._title = widget, title
        self._bar: Any = None
        self._closed = False
        self._next = time.monotonic() + _FIRST_SECONDS
        set_spinning(widget, fast=False)

    @property
    def canceled(self) -> bool:
        """Whether the user pressed the button."""
        return self._bar is not None and bool(self._bar.is_canceled)

    def advance(self, done: int, total: int) -> None:
        """Show the progress, once a second; call it when nothing else was shown in this turn of the event loop.

        napari has the whole window drawn at once for it, and at the first time the whole event queue run.
        """
        now = time.monotonic()
        if now < self._next or self._closed:
            return
        self._next = now + _PAUSE_SECONDS
        if self._bar is None:
            bar = cancelable_progress(total=total, desc=self._title)
            if self._closed:  # meanwhile
                bar.close()
                return
            self._bar = bar
        if (done, total) != (self._bar.n, self._bar.total):
            self._bar.total = total
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        self._closed = True
        if self._bar is not None:
            self._bar.close()
        with suppress(RuntimeError):  # the dock is gone, and its window perhaps
            set_spinning(self._widget, fast=True)
