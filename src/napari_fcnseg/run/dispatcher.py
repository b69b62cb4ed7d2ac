"""Distribute tiles over devices, and recover when memory runs out.

Each device has a queue of its own. A tile that does not fit into memory is cut and tried again, in a new computing
process if the old one died of it; what has come so far is kept, and later tiles are no larger than what worked. A
device other than the CPU that cannot take even the smallest tile hands what is left to the CPU.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import FcnSegError, OutOfMemoryError
from napari_fcnseg.plan.tiles import cut_tiles
from napari_fcnseg.run.device_queue import DeviceQueue, TileJob
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from napari_fcnseg.plan.memory_budget import MemoryBudget
    from napari_fcnseg.run.device_queue import Numbers
    from napari_fcnseg.run.method_runner import AnyRunner

T = TypeVar("T")

_NO_ROOM = "A tile of the image does not fit into memory. Choose a smaller tile, or close other programs."
_AHEAD = 1  # tiles in a device's queue behind the one that it computes
_DEATHS = 3  # deaths of the process without a finished tile between: then memory is not the cause


class Dispatcher:
    """Distributes tiles over devices.

    Parameters
    ----------
    runners : sequence of MethodRunner
        How each model's numbers are computed.
    devices : sequence of Device
        Where; each takes the next tile when it has room.
    memory_budget : MemoryBudget
        What a tile may take of the computer's memory.
    tell : callable
        Called with a sentence whenever something happens that the user should know.

    Attributes
    ----------
    added : int
        Tiles that there are more than were given, because some were cut.
    """

    def __init__(
        self,
        runners: Sequence[AnyRunner],
        devices: Sequence[Device],
        memory_budget: MemoryBudget,
        tell: Callable[[str], object],
    ) -> None:
        self.added = 0
        self._tell = tell
        self._memory_budget = memory_budget
        self._queues = [
            DeviceQueue(device, budget_on(device, memory_budget, len(devices)), runners) for device in devices
        ]
        self._left: list[MemoryBudget] = []  # of devices that were too small
        self._deaths: set[int] = set()  # ids of processes that died since the last finished tile
        self._jobs: Iterator[TileJob | Future[Any]] = iter(())
        self._again: deque[TileJob] = deque()
        self._coming: Future[Any] | None = None
        self._problem: FcnSegError | None = None

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that compute now."""
        return tuple(queue.device for queue in self._queues)

    @property
    def memory_budgets(self) -> list[MemoryBudget]:
        """What has been learned of each device that has computed."""
        return [*(queue.memory_budget for queue in self._queues), *self._left]

    def load(self, poll: float | None) -> Generator[None, None, None]:
        """Have every device compile what it needs, yielding None every ``poll`` seconds."""
        for queue in self._queues:
            queue.request()  # all at the same time
        for queue in self._queues:
            try:
                yield from queue.load(poll)
            except OutOfMemoryError as error:
                self._to_cpu(queue, error)
                yield from queue.load(poll)

    def answers(
        self, jobs: Iterator[TileJob | Future[Any]], poll: float | None
    ) -> Generator[tuple[TileJob, list[Numbers]] | None, None, None]:
        """Compute tiles.

        Parameters
        ----------
        jobs : iterator of TileJob or Future
            A future says that the next tile can be given only after it is done.
        poll : float, optional
            Seconds after which None is yielded while no tile is ready.

        Yields
        ------
        (TileJob, list of ndarray) or None
            Each finished tile with every method's numbers, ``(*size, output)``, in the order in which they are
            finished.

        Raises
        ------
        FcnSegError
            Once everything that can still be finished is.
        """
        self._jobs = jobs
        try:
            while True:
                self._fill()
                queue = next((queue for queue in self._queues if queue.ready), None)
                if queue is not None:
                    finished = self._take(queue)
                    if finished is not None:
                        yield finished
                    continue
                awaited: set[Future[Any]] = {future for queue in self._queues for future in queue.awaited}
                if self._coming is not None and self._problem is None:
                    awaited.add(self._coming)
                if not awaited and not any(self._queues):
                    break
                if awaited and not wait(awaited, poll, FIRST_COMPLETED).done:
                    yield None
        finally:
            for queue in self._queues:
                queue.withdraw()
        if self._problem is not None:
            raise self._problem

    def _fill(self) -> None:
        """Fill the devices' queues in turns."""
        for depth in range(_AHEAD + 1):
            for queue in self._queues:
                if len(queue) == depth and (job := self._next(queue)) is not None:
                    self._begin(queue, job)

    def _begin(self, queue: DeviceQueue, job: TileJob) -> None:
        try:
            queue.begin(job)
        except MemoryError:
            self._retry(queue, job, OutOfMemoryError(_NO_ROOM))
        except FcnSegError as error:  # from reading the image
            self._end(error)

    def _next(self, queue: DeviceQueue) -> TileJob | None:
        """Return the next tile for a device, cut to what it may take; None if no tile can be begun now."""
        job = self._again.popleft() if self._again else self._given()
        if job is None:
            return None
        parts = [replace(job, region=region) for region in cut_tiles(job.region, queue.memory_budget.tile(job.size))]
        self.added += len(parts) - 1
        self._again.extendleft(reversed(parts[1:]))
        return parts[0]

    def _given(self) -> TileJob | None:
        if self._problem is not None or (self._coming is not None and not self._coming.done()):
            return None
        self._coming = None
        try:
            given = next(self._jobs, None)
        except FcnSegError as error:
            self._end(error)
            return None
        if isinstance(given, Future):
            self._coming = given
            return self._given()
        return given

    def _end(self, error: FcnSegError) -> None:
        """Begin no further tile; queued tiles are finished first."""
        self._again.clear()
        self._problem = self._problem or error

    def _take(self, queue: DeviceQueue) -> tuple[TileJob, list[Numbers]] | None:
        """Take a device's oldest tile; None if it failed and is to be done again, or the run is to end."""
        job = queue.oldest
        try:
            answers = queue.take()
        except OutOfMemoryError as error:
            self._retry(queue, job, error)
            return None
        except FcnSegError as error:
            queue.withdraw()
            self._end(error)
            return None
        self._deaths.clear()
        if queue.failed:
            queue.failed = False
            self._tell(f"The run goes on in tiles of {format_shape(job.size)} pixels.")
        return job, answers

    def _retry(self, queue: DeviceQueue, job: TileJob, error: OutOfMemoryError) -> None:
        """Take back a tile that did not fit, and those queued after it: to be cut, or computed by the CPU."""
        waiting = [other for other in queue.withdraw() if other is not job]
        if error.pid is not None:
            self._deaths.add(error.pid)
        # A new process costs seconds, so fewer steps are better where the old one died.
        smaller = queue.memory_budget.shrink(job.size, 2 if error.pid is None else 4)
        if len(self._deaths) >= _DEATHS or (smaller is None and queue.device.is_cpu):
            self._end(error)
            return
        self._again.extendleft(reversed([job, *waiting]))
        if smaller is None:
            self._to_cpu(queue, error)
            return
        if not queue.failed:
            queue.failed = True
            tile = f"a tile of {format_shape(job.size)} pixels"
            happened = (
                f"{tile.capitalize()} did not fit into the memory of {queue.device.key}"
                if error.pid is None
                else f"The computing process crashed on {tile} on {queue.device.key}"
            )
            self._tell(f"{happened}: it goes on with smaller tiles. The labels are the same.")
        engine().release()  # give memory of the failed tile back first

    def _to_cpu(self, queue: DeviceQueue, error: OutOfMemoryError) -> None:
        """Let the CPU compute what a device cannot.

        Raises
        ------
        OutOfMemoryError
            If the device is the CPU.
        """
        if queue.device.is_cpu:
            raise error
        cpu = engine().device("CPU", queue.device.precision)
        self._left.append(queue.memory_budget)
        self._tell(
            f"The memory of {queue.device} is too small for this model. The run goes on on {cpu}; it takes longer."
        )
        queue.device, queue.memory_budget = cpu, budget_on(cpu, self._memory_budget, 1)


def budget_on(device: Device, memory_budget: MemoryBudget, share: int) -> MemoryBudget:
    """Return what a tile may take on a device, when ``share`` devices compute at once."""
    if device.is_cpu:
        return memory_budget.shared(share)
    return memory_budget.of_device(engine().free_memory(device))


def wait_for(future: Future[T], poll: float | None) -> Generator[None, None, T]:
    """Wait for a future, yielding None every ``poll`` seconds; return or raise what it does."""
    while True:
        try:
            return future.result(timeout=poll)
        except TimeoutError:
            if future.done():
                raise
            yield None
