"""One device's queue of tiles."""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.engine import Device, engine
from napari_fcnseg.system.child_process import usage_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.memory_budget import MemoryBudget
    from napari_fcnseg.run.method_runner import AnyRunner

    Numbers: TypeAlias = npt.NDArray[np.float32]


_numbers = itertools.count()  # numbers of tiles, unique over all queues and runs


@dataclass(frozen=True)
class TileJob:
    """A tile to compute.

    Attributes
    ----------
    index : tuple of int
        Of its frame in the stack.
    region : Region
        Its output pixels in the frame.
    readers : tuple of WindowReader
        What each method reads the frame with.
    group : int
        Only a tile of the same group of its frame may be computed from what is kept of this one.
    """

    index: tuple[int, ...]
    region: Region
    readers: tuple[WindowReader, ...]
    group: int = 0

    def follows(self, other: TileJob) -> bool:
        """Whether it is right below another tile of the same group, as wide as that one."""
        (start, _), *sides = self.region
        (_, stop), *others = other.region
        same = (self.index, self.readers, self.group) == (other.index, other.readers, other.group)
        return same and start == stop and sides == others

    @property
    def size(self) -> tuple[int, ...]:
        """Output pixels per axis."""
        return tuple(stop - start for start, stop in self.region)


@dataclass
class DeviceQueue:
    """The tiles that one device computes, and what a tile may take there.

    Attributes
    ----------
    device : Device
        The device.
    memory_budget : MemoryBudget
        What a tile may take.
    runners : sequence of MethodRunner
        How each model's numbers are computed.
    failed : bool
        Whether its last tile did not fit.
    """

    device: Device
    memory_budget: MemoryBudget
    runners: Sequence[AnyRunner]
    failed: bool = False
    _last: TileJob | None = field(default=None, init=False)  # the tile that another one may follow
    _strips: list[int | None] = field(init=False)  # its number for each method that keeps rows of it
    _begun: deque[tuple[TileJob, list[Future[Numbers]]]] = field(default_factory=deque, init=False)

    def __post_init__(self) -> None:
        """Start without a kept strip."""
        self._strips = [None] * len(self.runners)

    def __len__(self) -> int:
        """Return how many tiles it has."""
        return len(self._begun)

    @property
    def oldest(self) -> TileJob:
        """The tile that is finished next."""
        return self._begun[0][0]

    @property
    def awaited(self) -> list[Future[Numbers]]:
        """Unfinished futures of its oldest tile."""
        return [future for future in self._begun[0][1] if not future.done()] if self._begun else []

    @property
    def ready(self) -> bool:
        """Whether its oldest tile is finished, or has failed."""
        return bool(self._begun) and not self.awaited

    def request(self) -> list[Future[float]]:
        """Have the device compile what it needs, and return at once."""
        return [runner.load(self.device) for runner in self.runners]

    def load(self, poll: float | None) -> Generator[None, None, None]:
        """Wait until what the device needs is compiled, yielding None every ``poll`` seconds."""
        futures = self.request()
        compiled = all(future.done() for future in futures)
        for future in futures:
            while future not in wait([future], poll).done:
                yield None
            future.result()
        if not compiled:
            engine().release()  # memory that compiling takes is not counted as a tile's

    def begin(self, job: TileJob) -> None:
        """Read what a tile sees and hand it to the device.

        Raises
        ------
        FcnSegError, MemoryError
            If it cannot be read; the tile is not in the queue then.
        """
        futures: list[Future[Numbers]] = []
        if self._last is not None and not job.follows(self._last):
            self._let_go()
        above = self._strips
        self._last, self._strips = None, [None] * len(self.runners)
        try:
            for n, (runner, reader) in enumerate(zip(self.runners, job.readers, strict=True)):
                if runner.in_strips and self.device.takes_strips:
                    number = self._strips[n] = next(_numbers)
                    futures.append(runner.begin_strip(reader, job.region, self.device, number, above[n]))
                else:
                    futures.append(runner.begin(reader, job.region, self.device))
        except BaseException:
            for future in futures:
                future.cancel()
            self._let_go()
            raise
        self._last = job
        self._begun.append((job, futures))

    def _let_go(self) -> None:
        """Let go of the strip that was kept for a following one."""
        for runner, number in zip(self.runners, self._strips, strict=True):
            if number is not None:
                runner.end_strip(self.device, number)
        self._last, self._strips = None, [None] * len(self.runners)

    def take(self) -> list[Numbers]:
        """Return every method's numbers of the oldest tile, ``(*size, output)``, and take it from the queue.

        Raises
        ------
        FcnSegError
            If it failed; it stays in the queue then.
        """
        job, futures = self._begun[0]
        answers = [runner.finish(future.result()) for runner, future in zip(self.runners, futures, strict=True)]
        self._begun.popleft()
        if self.device.is_cpu:
            self.memory_budget.learn(job.size, [usage_of(future) for future in futures])
        return answers

    def withdraw(self) -> list[TileJob]:
        """Take back every tile, the oldest first."""
        jobs = []
        self._let_go()
        while self._begun:
            job, futures = self._begun.popleft()
            jobs.append(job)
            for future in futures:
                future.cancel()
        return jobs
