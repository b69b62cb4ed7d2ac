"""Statistics of a large frame, taken by all workers of a cluster: each looks at a part, and the parts add up exactly.

What a step needs is asked in the order of the steps, one question after the other; the questions wait in a thread of
their own for the answers that the window brings.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from napari_fcnseg import preprocess
from napari_fcnseg.run.cluster.job import Job
from napari_fcnseg.run.cluster.worker import look_at_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index


class FrameLook:
    """The statistics of one frame.

    Parameters
    ----------
    plan : RunPlan
        The run's plan.
    index : tuple of int
        The frame.
    key : str
        Of the order.
    parts : int
        Into how many parts the frame is cut.
    numbers : list, optional
        What is known of an earlier run.

    Attributes
    ----------
    numbers : list or None
        The numbers that each step needs (:attr:`napari_fcnseg.preprocess.Bound.numbers`); None before all are known.
    """

    def __init__(
        self, plan: RunPlan, index: Index, key: str, parts: int, numbers: list[preprocess.Numbers] | None = None
    ) -> None:
        self._plan, self._index, self._key, self._parts = plan, index, key, parts
        self._known: list[preprocess.Numbers] = []
        self._waiting: deque[tuple[Job, Future[Any]]] = deque()
        self._asked: dict[int, Future[Any]] = {}  # by the job's identity
        self._end: Future[None] = Future()
        self._stopped = False
        self.numbers = numbers
        if numbers is None:
            threading.Thread(target=self._take, name="napari-fcnseg-statistics", daemon=True).start()

    def next_job(self) -> Job | None:
        """Return something to ask a worker; None if there is nothing now.

        Raises
        ------
        FcnSegError
            If a step does not fit the frame.
        """
        if self._end.done():
            self._end.result()
        if not self._waiting:
            return None
        job, future = self._waiting.popleft()
        self._asked[id(job)] = future
        return job

    def answered(self, job: Job, answer: Mapping[str, Any]) -> bool:
        """Take an answer; return whether it was one of this frame's."""
        future = self._asked.pop(id(job), None)
        if future is not None:
            future.set_result(answer["part"])
        return future is not None

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopped = True
        for future in [*(future for _, future in self._waiting), *self._asked.values()]:
            future.cancel()

    def _take(self) -> None:
        try:
            source = self._plan.layout.source(self._plan.image, self._index)
            for step in self._plan.steps:
                self._known.append(preprocess.bind_elsewhere(step, source, self._ask).numbers)
            self.numbers = self._known
        except CancelledError:
            return
        except Exception as error:
            self._end.set_exception(error)
        else:
            self._end.set_result(None)

    def _ask(self, name: str, argument: Any) -> list[Any]:
        """Have every part looked at, and wait."""
        if self._stopped:
            raise CancelledError
        futures: list[Future[Any]] = []
        frame = f"frame {list(self._index)}" if self._index else "the image"
        for part in range(self._parts):
            question = (list(self._index), list(self._known), name, argument, part, self._parts)
            future: Future[Any] = Future()
            job = Job(look_at_frame, (self._key, list(self._plan.tile), *question), f"Taking statistics of {frame}")
            futures.append(future)
            self._waiting.append((job, future))
        return [future.result() for future in futures]
