"""One job at a time in a worker thread; another one stops it and takes its place."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.worker import Outcome, drive, end_workers
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Make = Callable[[threading.Event], Generator[Any, None, Outcome]]
    Job = tuple[Make, Callable[[Any], object], Callable[[Outcome], object]]


class Jobs(QObject):
    """Runs generators as those of :mod:`napari_fcnseg._napari.widgets.worker`.

    Parameters
    ----------
    parent : QObject
        What it belongs to; what runs stops when that ends.
    """

    #: Emitted when nothing runs any more.
    idle = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._work: list[Generator[Any, None, Outcome]] = []  # at most one; in a list, which outlives this object
        self._stops = [threading.Event()]
        self._job: Job | None = None
        self._next: Job | None = None
        self._outcome: Outcome | None = None
        stops, work = self._stops, self._work
        at_end(parent, lambda: end_workers(stops[-1], work))

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return bool(self._work)

    def run(self, make: Make, took: Callable[[Any], object], ended: Callable[[Outcome], object]) -> None:
        """Run a job, as soon as the one that runs has stopped.

        Parameters
        ----------
        make : callable
            Returns the generator, from an event that is set to stop it.
        took : callable
            Called with what it yields, but None.
        ended : callable
            Called with its outcome.
        """
        if self.busy:
            self._stops[-1].set()
            self._next = make, took, ended
            return
        self._job, self._outcome = (make, took, ended), None
        self._stops[-1] = threading.Event()
        self._work.append(make(self._stops[-1]))
        slots = {"yielded": self._on_news, "returned": self._on_outcome, "finished": self._on_end}
        create_worker(drive, self._work[-1], _connect=slots, _ignore_errors=True)

    def stop(self) -> None:
        """Stop what runs, and what would follow."""
        self._next = None
        self._stops[-1].set()

    def _on_news(self, news: Any) -> None:
        if news is not None and self._job is not None and not self._stops[-1].is_set():
            self._job[1](news)

    def _on_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _on_end(self) -> None:
        job, self._job = self._job, None
        in_background(self._work.pop().close, "napari-fcnseg-end")  # napari may have stopped the worker in the middle
        if job is not None:
            job[2](self._outcome or Outcome(cancelled=True))
        following, self._next = self._next, None
        if following is not None:
            self.run(*following)
        elif not self.busy:
            self.idle.emit()
