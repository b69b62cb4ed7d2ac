"""Draw random architectures and prove each exact: ``make prove N=5000``.

Every one is built with Keras, saved, read, converted, and our segmentation of a random image compared with Keras at
corners, borders, seams and random pixels. What fails is written as JSON, which ``--replay FILE`` runs again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from architectures.proof import Outcome

ROOT = Path(__file__).resolve().parent.parent
#: A process is replaced after so many, so that what TensorFlow keeps does not add up.
_PER_PROCESS = 150
_SECONDS = 600  # for one architecture
_GRADIENTS = 4  # of every so manieth the gradient is compared too
_RANKS = (1, 2, 2, 2, 2, 3, 3)
#: How convolutions are computed, which is plain in a run as small as these: mostly in the quicker ways.
WAY = "NAPARI_FCNSEG_CONVOLUTION"
WAYS = ("quickest", "quickest", "shared", "plain")
#: What may be refused, by a part of the sentence, and why. Everything else must convert.
REFUSALS: dict[str, str] = {}


@dataclass
class Tally:
    """What came of all architectures so far."""

    folder: Path
    ways: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    ranks: Counter[int] = field(default_factory=Counter)
    worst: float = 0.0
    rounded: int = 0
    rounding: float = 0.0
    error: float = 0.0
    disagreements: int = 0
    failed: int = 0
    flat: int = 0
    padded: int = 0
    graphs: int = 0
    points: int = 0
    gradients: int = 0
    steepest: float = 0.0
    compute: float = 0.0

    @property
    def drawn(self) -> int:
        """How many there were."""
        return self.ways.total()

    def add(self, number: int, case: dict[str, Any], outcome: Outcome | str) -> None:
        """Count one; ``outcome`` is a sentence where checking it ended with an unforeseen error."""
        self.ranks[len(case["spec"]["patch"])] += 1
        self.graphs += case["spec"]["kind"] == "Functional"
        if isinstance(outcome, str):
            self.ways["broken"] += 1
            self.broken[outcome[:150]] += 1
            self._fail(number, case, outcome)
            return
        self.ways[outcome.way] += 1
        self.compute += outcome.seconds
        if outcome.way == "refused":
            self.refusals[outcome.reason[:150]] += 1
            if not any(part in outcome.reason for part in REFUSALS):
                self._fail(number, case, outcome.reason)
            return
        if outcome.rounded:
            self.rounded += 1
            self.rounding, self.error = max(self.rounding, outcome.rounding), max(self.error, outcome.error)
        else:
            self.worst = max(self.worst, outcome.difference)
        if outcome.gradient is not None:
            self.gradients += 1
            self.steepest = max(self.steepest, outcome.gradient)
        self.disagreements += outcome.disagreements
        self.points += outcome.points
        self.flat += not outcome.telling
        self.padded += outcome.maps > 1
        if not outcome.passed:
            self._fail(number, case, str(outcome))

    def _fail(self, number: int, case: dict[str, Any], what: str) -> None:
        self.failed += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{number}.json").write_text(json.dumps({**case, "what": what}, indent=1))

    def table(self, seconds: float) -> str:
        """Return everything as a table."""
        rows: list[tuple[str, object]] = [
            ("drawn", self.drawn),
            *((f"  {rank}D", count) for rank, count in sorted(self.ranks.items())),
            ("  not Sequential", self.graphs),
            ("  with edge variants", self.padded),
            ("converted, dense", self.ways["dense"]),
            ("patch by patch only", self.ways["patchwise"]),
            ("refused", self.ways["refused"]),
            *((f"  {reason}", count) for reason, count in self.refusals.most_common()),
            ("ended with an error", self.ways["broken"]),
            *((f"  {reason}", count) for reason, count in self.broken.most_common()),
            ("answers the same at every pixel (prove little)", self.flat),
            ("pixels compared", self.points),
            ("largest difference", f"{self.worst:.2g}"),
            ("gradients compared, for teaching", self.gradients),
            ("  largest difference", f"{self.steepest:.2g}"),
            ("where Keras itself rounds more than 1e-5 off its double precision", self.rounded),
            ("  how far Keras is", f"{self.rounding:.2g}"),
            ("  how far ours is", f"{self.error:.2g}"),
            ("labels that differ", self.disagreements),
            ("seconds", f"{seconds:.0f}"),
            ("seconds for one", f"{self.compute / max(self.drawn, 1):.2f}"),
            ("WRONG", self.failed),
        ]
        return "\n".join(f"{value!s:>10}  {name}" for name, value in rows)


def draw(seed: int, number: int) -> dict[str, Any]:
    """Return case number ``number`` of a seed."""
    from architectures.draw import draw_architecture
    from architectures.proof import draw_case

    random = Random(f"{seed}-{number}")
    return draw_case(random, draw_architecture(random, random.choice(_RANKS)))


def checked(case: dict[str, Any], *, gradient: bool = True) -> Outcome | str:
    """Check a case in this process, which gets Keras; the gradient too, which takes as long again."""
    from architectures import keras_model
    from architectures.proof import check

    try:
        functions = (keras_model.make, keras_model.answers, keras_model.exact_answers)
        return check(case, *functions, keras_model.gradients if gradient else None)
    except Exception as error:  # whatever it is, it is counted and kept
        return f"{type(error).__name__}: {error}"
    finally:
        keras_model.forget()


def _work(seed: int, numbers: list[int], results: Connection) -> None:
    chosen = os.environ.get(WAY)
    for number in numbers:
        case = draw(seed, number)
        os.environ[WAY] = chosen or WAYS[number % len(WAYS)]
        results.send((number, case, None))
        results.send((number, case, checked(case, gradient=number % _GRADIENTS == 0)))
    results.close()


@dataclass
class _Worker:
    """A process, what it still has to do, and since when it does the first of it."""

    process: BaseProcess
    results: Connection
    waiting: list[int]
    since: float
    case: dict[str, Any] | None = None


def prove(seed: int, count: int, processes: int, tally: Tally) -> None:
    """Check ``count`` architectures in several processes and count what comes of them."""
    waiting = [list(range(start, min(start + _PER_PROCESS, count))) for start in range(0, count, _PER_PROCESS)]
    if len(waiting) < processes:
        waiting = [list(range(first, count, processes)) for first in range(min(processes, count))]
    workers: list[_Worker] = []
    start = shown = time.monotonic()
    while waiting or workers:
        while waiting and len(workers) < processes:
            workers.append(_begin(seed, waiting.pop(0)))
        connection.wait([w.results for w in workers], timeout=5)
        for worker in list(workers):
            if not _listen(worker, tally):
                workers.remove(worker)
                if worker.waiting:
                    waiting.insert(0, worker.waiting)
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            print(
                f"{tally.drawn} of {count} in {shown - start:.0f} s: {tally.failed} wrong, largest difference "
                f"{tally.worst:.2g}", flush=True,
            )  # fmt: skip


def _begin(seed: int, numbers: list[int]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    results, end = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(seed, numbers, end))
    process.start()
    end.close()
    return _Worker(process, results, list(numbers), time.monotonic())


def _listen(worker: _Worker, tally: Tally) -> bool:
    """Take what a worker sent; return whether it goes on."""
    problem = ""
    try:
        while worker.results.poll():
            number, worker.case, outcome = worker.results.recv()
            worker.since = time.monotonic()
            if outcome is not None:
                tally.add(number, worker.case, outcome)
                worker.waiting.remove(number)
    except EOFError:
        problem = "the process ended"
    if not problem and time.monotonic() - worker.since < _SECONDS:
        return True
    if not problem:
        problem = f"it took more than {_SECONDS} seconds"
        worker.process.kill()
    worker.process.join()
    if worker.waiting:
        number = worker.waiting.pop(0)
        tally.add(number, worker.case or draw(0, number), f"{problem} ({worker.process.exitcode})")
    return False


def main() -> int:
    """Run what the command line asks for; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--number", type=int, default=300, help="how many architectures")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 2, help="that work at once")
    parser.add_argument("--failures", type=Path, default=ROOT / "build" / "prove", help="folder for what fails")
    parser.add_argument("--replay", type=Path, help="check the one architecture in this file instead")
    chosen = parser.parse_args()
    if chosen.replay:
        os.environ.setdefault(WAY, WAYS[0])
        outcome = checked(json.loads(chosen.replay.read_text()))
        print(outcome)
        return int(isinstance(outcome, str) or not outcome.passed)
    tally = Tally(chosen.failures)
    start = time.monotonic()
    prove(chosen.seed, chosen.number, chosen.processes, tally)
    print(tally.table(time.monotonic() - start))
    if tally.failed:
        print(f"What failed is in {chosen.failures}; replay it with: {Path(sys.argv[0]).name} --replay FILE")
    return int(tally.failed > 0)


sys.path.insert(0, str(ROOT / "tests"))
# Several processes share the machine, and each of them has two that compute.
os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if __name__ == "__main__":
    sys.exit(main())
