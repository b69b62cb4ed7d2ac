"""A moving window over a cluster: each worker has a constant number of jobs, whatever there is still to do.

Which worker gets a job is decided here, and not by the scheduler, which then never holds more than the jobs in work: a
worker that comes late is given the next ones, and what a lost one had is given to another.
"""

from __future__ import annotations

import itertools
import queue
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import ClusterError, FcnSegError, ImageError
from napari_fcnseg.run.cluster.address import PER_WORKER, reason_of
from napari_fcnseg.run.cluster.job import GIVEN_UP, VERDICT, Job, Words
from napari_fcnseg.run.cluster.submissions import Submissions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    Key = tuple[str, int]

_LOOK: Final = 1.0  # seconds between two looks at which workers there are
_FETCH: Final = 20  # seconds for an answer of a few bytes
_TRIES: Final = 3  # of one job
_SOME: Final = 30.0  # seconds that the others are waited for, once a worker is ready
_KEYS: Final = 4096  # names of jobs, given again and again: a scheduler remembers the last hundred thousand it has seen


@dataclass
class _Worker:
    """A worker of the cluster: greeted, then in use or not."""

    state: str = "new"  # "greeted", "in use", "refused"
    jobs: set[Key] = field(default_factory=set)


class Window:
    """Hands out jobs.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    greet : callable
        Returns the job that makes a worker ready, given its address.
    admit : callable
        Given a worker's address and its answer to that job: whether it is in use from now on; or another job for it.
    tell : callable
        Called with a sentence whenever something happens that the user should know.
    words : Words
        What is said of an early end.
    """

    def __init__(
        self, client: Any, greet: Callable[[str], Job], admit: Callable[[str, dict[str, Any]], bool | Job],
        tell: Callable[[str], object], words: Words = Words(),  # noqa: B008  # it cannot be changed
    ) -> None:  # fmt: skip
        self._client, self._greet, self._admit, self._tell, self._words = client, greet, admit, tell, words
        self._ending = False  # what was told to stop is not done again
        self._workers: dict[str, _Worker] = {}
        self._flying: dict[Key, tuple[Job, str, Any]] = {}  # by the future's key
        self._submissions = Submissions(client)
        self._landed: queue.SimpleQueue[Key] = queue.SimpleQueue()
        self._again: list[Job] = []
        self._given_up: list[tuple[Job, dict[str, Any]]] = []
        self._looked = 0.0
        name = f"fcnseg-{uuid.uuid4().hex[:12]}"  # all of one group, or the scheduler would remember a group for each
        self._keys: Iterator[Key] = itertools.cycle((name, number) for number in range(_KEYS))
        self._problem: FcnSegError | None = None
        self._alone = True  # no worker is there; nobody is told before the first was
        self.address = str(client.scheduler.address)
        self.most = 0  # workers that were in use at the same time

    @property
    def in_use(self) -> list[str]:
        """Addresses of the workers that compute."""
        return [address for address, worker in self._workers.items() if worker.state == "in use"]

    @property
    def waiting(self) -> bool:
        """Whether there are workers that have not answered the greeting yet."""
        return any(worker.state in ("new", "greeted") for worker in self._workers.values())

    @property
    def _busy(self) -> bool:
        return any(not job.worker for job, *_ in self._flying.values())

    def refuse(self, address: str) -> None:
        """Give a worker nothing more."""
        self._workers[address].state = "refused"

    def gather(self) -> Iterator[None]:
        """Greet the workers that there are, and wait until all have answered, or most of them for long enough.

        Yields
        ------
        None
            While it waits, so that the caller can stop.

        Raises
        ------
        ClusterError
            If the scheduler is lost.
        """
        ready, told = 0.0, False
        while True:
            self._look()
            if not self._workers and not told:
                told = True
                self._tell(f"The scheduler at {self.address} has no workers: waiting for one.")
            answered = [worker for worker in self._workers.values() if worker.state in ("in use", "refused")]
            ready = ready or (time.monotonic() if answered else 0.0)
            if answered and (not self.waiting or time.monotonic() - ready > _SOME):
                return
            for _ in self._land(0.2):
                pass
            yield None

    def answers(
        self, jobs: Iterator[Job | None], poll: float | None
    ) -> Generator[tuple[Job, dict[str, Any]] | None, None, None]:
        """Have jobs computed.

        Parameters
        ----------
        jobs : iterator of Job or None
            None says that the next one can be given only after another is done.
        poll : float, optional
            Seconds after which None is yielded while no job is done.

        Yields
        ------
        (Job, dict) or None
            Each finished job with its answer.

        Raises
        ------
        ClusterError
            If the scheduler is lost; or if a job has failed three times that is not for itself, once everything else in
            work is finished.
        """
        exhausted = False
        try:
            while True:
                self._look()
                yield from self._without_hope()
                if self._problem is None:
                    exhausted = self._fill(jobs, exhausted)
                if not self._busy and (self._problem is not None or (exhausted and not self._again)):
                    break
                landed = list(self._land(_LOOK / 2 if poll is None else min(poll, _LOOK / 2)))
                yield from landed
                yield from self._without_hope()
                if not landed and poll is not None:
                    yield None
        except ClusterError:
            self._withdraw()
            raise
        self._withdraw()
        if self._problem is not None:
            raise self._problem

    def settle(self, seconds: float) -> list[tuple[Job, dict[str, Any]]]:
        """Wait for what is in work at most so long, after the workers were told to stop; return what is answered."""
        self._ending = True
        end, found = time.monotonic() + seconds, list[tuple[Job, dict[str, Any]]]()
        with suppress(ClusterError):
            while self._busy and time.monotonic() < end and self._client.status == "running":
                found += self._land(0.1)
        self._withdraw()
        return found

    def _fill(self, jobs: Iterator[Job | None], exhausted: bool) -> bool:
        """Give every worker what it may have, the idlest first; return whether there is nothing more to give."""
        for depth in range(PER_WORKER):
            for address in self.in_use:
                if len(self._workers[address].jobs) > depth:
                    continue
                job: Job | None = None
                if self._again:
                    job = self._again.pop()
                elif not exhausted:
                    try:
                        job = next(jobs)
                    except StopIteration:
                        exhausted = True
                if job is None:
                    return exhausted
                self._submit(job, address)
        return exhausted

    def _submit(self, job: Job, address: str) -> None:
        key = next(key for key in self._keys if key not in self._flying)
        try:
            with self._submissions.one():
                future = self._client.submit(
                    job.function, *job.arguments, key=key, workers=[address], allow_other_workers=False, pure=False,
                    retries=0,
                )  # fmt: skip
        except Exception as error:
            raise self._lost(error) from None
        self._flying[key] = (job, address, future)
        self._workers[address].jobs.add(key)
        future.add_done_callback(lambda done: self._landed.put(done.key))

    def _land(self, seconds: float) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Yield what is finished; wait for the first at most so long."""
        keys = []
        with suppress(queue.Empty):
            keys.append(self._landed.get(timeout=seconds))
            while True:
                keys.append(self._landed.get_nowait())
        here = [key for key in keys if key in self._flying]
        answers = self._fetched([key for key in here if self._flying[key][2].status == "finished"])
        for key in here:
            if key in self._flying:
                yield from self._take(key, answers.get(key))

    def _fetched(self, keys: Sequence[Key]) -> dict[Key, Any]:
        """Fetch the answers of several jobs at once; none where one of them cannot be had, and each is asked for."""
        if len(keys) < 2:
            return {}
        futures = [self._flying[key][2] for key in keys]
        with suppress(Exception):
            found = self._client.sync(self._client._gather, futures, callback_timeout=_FETCH)
            return dict(zip(keys, found, strict=True))
        return {}

    def _take(self, key: Key, answer: dict[str, Any] | None) -> Iterator[tuple[Job, dict[str, Any]]]:
        job, address, future = self._flying.pop(key)
        worker = self._workers.get(address)
        if worker is not None:
            worker.jobs.discard(key)
        try:
            answer = answer if answer is not None else dict(future.result(timeout=_FETCH))
            trouble = str(answer.get("trouble", ""))
        except Exception as error:
            if self._client.status != "running":
                raise self._lost(error) from None
            answer, trouble = {}, f"{type(error).__name__}: {reason_of(error)}"
        finally:
            future.release()
        if job.worker:
            self._greeted(address, answer if answer else {"trouble": trouble})
        elif VERDICT in answer:
            self._problem = self._problem or ImageError(str(answer[VERDICT]))
        elif trouble:
            self._failed(job, f"{trouble} (worker {address})")
        else:
            yield job, answer

    def _greeted(self, address: str, answer: dict[str, Any]) -> None:
        worker = self._workers.get(address)
        if worker is None:
            return
        verdict = self._admit(address, answer)
        if isinstance(verdict, Job):
            self._submit(replace(verdict, worker=address), address)
            return
        worker.state = "in use" if verdict else "refused"
        self.most = max(self.most, len(self.in_use))

    def _without_hope(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        while self._given_up:
            yield self._given_up.pop()

    def _failed(self, job: Job, why: str) -> None:
        if self._ending:
            return
        if self._again_unless(job, f", at last: {why} {self._words.kept}Put that right, then run again."):
            self._tell(f"{job.what} failed: {why}. It is computed again.")

    def _again_unless(self, job: Job, how: str) -> bool:
        """Have a job that failed computed again; False if it has failed too often, ``how`` being said then."""
        job.failures += 1
        if job.failures < _TRIES:
            self._again.append(job)
            return True
        said = f"{job.what} failed {_TRIES} times{how}"
        if job.alone:
            self._given_up.append((job, {GIVEN_UP: said}))
        else:
            self._problem = self._problem or ClusterError(said)
        return False

    def _look(self) -> None:
        """Find out which workers there are: greet new ones, and take back what lost ones had."""
        if self._client.status != "running":
            raise self._lost(None)
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        try:
            there = set(self._client.nthreads())
        except Exception as error:
            raise self._lost(error) from None
        for address in set(self._workers) - there:
            self._leave(address)
        for address in sorted(there - set(self._workers)):
            self._workers[address] = _Worker("greeted")
            self._submit(replace(self._greet(address), worker=address), address)
        if not self.in_use and not self.waiting:
            if not self._alone:
                self._tell(f"No worker at {self.address} can go on with this run: waiting for one.")
            self._alone = True
        else:
            self._alone = False

    def _leave(self, address: str) -> None:
        worker = self._workers.pop(address)
        lost = [self._flying.pop(key) for key in worker.jobs if key in self._flying]
        jobs = [job for job, *_ in lost if not job.worker]
        if jobs and not self._ending:
            self._tell(f"The worker at {address} is gone. What it had in work is computed again.")
        for job, _, future in lost:
            future.release()
            if not job.worker:
                self._again_unless(
                    job,
                    f": each time its worker ended, at last {address}, perhaps for want of memory. {self._words.kept}"
                    f"{self._words.memory}",
                )

    def _withdraw(self) -> None:
        for _, _, future in self._flying.values():
            with suppress(Exception):
                future.release()
        self._flying.clear()
        for worker in self._workers.values():
            worker.jobs.clear()

    def _lost(self, error: BaseException | None) -> ClusterError:
        why = f" ({reason_of(error)})" if error is not None else ""
        return ClusterError(f"The scheduler at {self.address} is gone{why}. {self._words.gone}")
