"""A background task of which only the latest request counts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.worker import Outcome, wait_in_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: A function that does the work; it is given one that it calls with finished and all steps.
Work: TypeAlias = "Callable[[Callable[[int, int], None]], Any]"


class TaskStopped(Exception):  # noqa: N818 - no error
    """The task was cancelled."""


@dataclass(eq=False)
class Task:
    """A background task.

    Attributes
    ----------
    work : callable
        Gets :meth:`note`.
    stop : threading.Event
        Set to cancel.
    progress : (int, int)
        Steps done, and their number.
    """

    work: Work
    stop: threading.Event = field(default_factory=threading.Event)
    progress: tuple[int, int] = (0, 1)

    def note(self, done: int, total: int) -> None:
        """Record the progress.

        Raises
        ------
        Stopped
            When it is to stop.
        """
        self.progress = done, total
        if self.stop.is_set():
            raise TaskStopped


class LatestTask(QObject):
    """Runs the latest task in a worker; an earlier one is stopped, and its result dropped.

    Parameters
    ----------
    parent : QObject
        What listens; it ends with it.
    """

    #: Emitted with the result.
    done = Signal(object)
    #: Emitted with the exception.
    failed = Signal(object)
    #: Emitted with the numbers of finished and of all steps.
    advanced = Signal(int, int)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Task | None = None
        at_end(parent, self.give_up)

    @property
    def busy(self) -> bool:
        """Whether a task is waiting or running."""
        return self._job is not None

    def ask(self, work: Work) -> None:
        """Start a task in place of the running one."""
        self.give_up()
        self._job = job = Task(work)
        slots = {"yielded": self._note, "returned": self._take}
        create_worker(_working, job, _connect=slots, _ignore_errors=True)

    def give_up(self) -> None:
        """Stop the running task."""
        if self._job is not None:
            self._job.stop.set()
            self._job = None

    def _note(self, job: Task) -> None:
        if job is self._job:
            self.advanced.emit(*job.progress)

    def _take(self, ended: tuple[Task, Outcome]) -> None:
        job, outcome = ended
        if job is not self._job:
            return
        self._job = None
        if outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.done.emit(outcome.value)


def _working(job: Task) -> Generator[Task, None, tuple[Task, Outcome]]:
    waiting = wait_in_worker(partial(job.work, job.note), job.stop)
    try:
        while True:
            try:
                next(waiting)
            except StopIteration as end:
                return job, Outcome(end.value)
            yield job
    except Exception as error:
        return job, Outcome(error=error)
