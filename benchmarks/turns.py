"""The parent's side: one process per contender, turns handed around, memory watched."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import contender
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from contender import Job

T = TypeVar("T")

_LOOK = 0.05  # seconds between two looks at the memory


@dataclass
class Row:
    """What is known of one way.

    Attributes
    ----------
    way : str
        Its name.
    settings : str
        What its contender chose.
    seconds : list of float
        One per round.
    idle, peak : float
        Memory of the contender's processes in MiB, with everything imported before it computed anything, and at most
        while it computed.
    scores : str
        File with what it computed; empty if there is none.
    """

    way: str
    settings: str = ""
    seconds: list[float] = field(default_factory=list)
    idle: float = 0.0
    peak: float = 0.0
    scores: str = ""


class Process:
    """A contender in a process of its own."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._log = Path(job.path(f"{name}.log"))
        self._pool = process_pool(job.threads, self._log)
        self._root: psutil.Process | None = None
        self.rows: list[Row] = []

    def begin(self, job: Job) -> None:
        """Have it import what it needs, and note the memory that takes."""
        pid, ways = self.call(contender.begin, self.name, job)
        self._root = psutil.Process(pid)
        self.rows = [Row(way) for way in ways]
        for row in self.rows:
            row.idle = self._memory(self._tree())

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Run a function in the process.

        Raises
        ------
        ContenderError
            With what it said, whatever happened to it.
        """
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise ContenderError(f"{self.name}: its process ended; {self._last_words()}") from None
        except Exception as error:  # whatever a framework raises, the others are measured all the same
            lines = str(error).strip().splitlines() or [""]
            raise ContenderError(f"{self.name}: {type(error).__name__}: {lines[0][:200]}") from None

    def tune(self) -> str:
        """Have it choose its settings."""
        words = self.call(contender.tune)
        for row in self.rows:
            row.settings = words
        return words

    def turn(self, row: Row) -> None:
        """Give it its turn, and note the time and the memory."""
        tree = self._tree()
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK):
                row.peak = max(row.peak, self._memory(tree))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            seconds, scores = self.call(contender.turn, row.way, not row.seconds)
        finally:
            done.set()
            watcher.join()
            row.peak = max(row.peak, self._memory(tree))
        row.seconds.append(seconds)
        row.scores = scores or row.scores

    def measure_peak(self) -> float:
        """Return the machine's peak in FLOP/s."""
        return self.call(contender.measure_peak)

    def end(self) -> None:
        """End the process, be it busy or not; there is nothing in it to keep."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._root is not None:
            with suppress(psutil.NoSuchProcess):
                self._root.kill()

    def _tree(self) -> list[psutil.Process]:
        if self._root is None or not self._root.is_running():
            return []
        return [self._root, *self._root.children(recursive=True)]

    @staticmethod
    def _memory(tree: list[psutil.Process]) -> float:
        """Return the resident memory of some processes in MiB."""
        total = 0
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 2**20

    def _last_words(self) -> str:
        said = self._log.read_text(errors="replace").strip().splitlines()
        return f"it last said: {said[-1]}" if said else "the system may have run out of memory"


class ContenderError(Exception):
    """A contender cannot compute this; the message says why."""


def in_a_process(function: Callable[..., T], *arguments: object, backend: str = "tensorflow") -> T:
    """Run a function in a process of its own, for what needs a framework once."""
    with process_pool(threads(), Path(os.devnull), backend) as pool:
        return pool.submit(function, *arguments).result()


def threads() -> int:
    """Return how many cores this process may use; every contender gets as many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def take_turns(processes: list[Process], rounds: int, say: Callable[[str], None]) -> tuple[float, dict[str, str]]:
    """Let each way of each process compute once per round, every second round in the opposite order.

    Returns
    -------
    peak : float
        The best of the peaks measured before, between and after the rounds, in FLOP/s.
    failed : dict of str to str
        Contenders that failed in the midst of it, and what they said.
    """
    failed: dict[str, str] = {}
    peaks = [_peak(processes)]
    for number in range(rounds):
        start = time.perf_counter()
        for process in processes[:: -1 if number % 2 else 1]:
            for row in process.rows[:: -1 if number % 2 else 1]:
                if process.name in failed:
                    continue
                try:
                    process.turn(row)
                except ContenderError as error:
                    failed[process.name] = str(error)
        peaks.append(_peak(processes))
        say(f"round {number + 1} of {rounds}: {time.perf_counter() - start:.0f} s")
    return max(peaks), failed


def _peak(processes: list[Process]) -> float:
    return next((p.measure_peak() for p in processes if p.name == "ours"), 0.0)


#: What each library is told, so that it computes with AVX2 at most.
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2", "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+cx16,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,+sse,"
    "+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave",
}  # fmt: skip


def process_pool(count: int, log: Path, backend: str = "tensorflow") -> ProcessPoolExecutor:
    """Return a process on the CPU with so many threads, what it says on standard error going into a file."""
    environment = {
        "OMP_NUM_THREADS": str(count), "TF_NUM_INTRAOP_THREADS": str(count), "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1",
    }  # fmt: skip
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare, (environment, sys.path, log))


def _prepare(environment: dict[str, str], path: list[str], log: Path) -> None:
    """Set up a contender's process before anything heavy is imported; the CPU is what is compared here."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    sys.path[:] = path


def machine(device: str) -> dict[str, Any]:
    """Return what the figures were measured on."""
    import importlib.metadata
    import platform

    versions = {}
    for name in ("tensorflow", "keras", "torch", "openvino", "onnxruntime", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": device, "cores": threads(), "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(), "python": platform.python_version(), "versions": versions,
    }  # fmt: skip
