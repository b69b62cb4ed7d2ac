"""What runs on a worker: plain data in, plain data out, and what a person can cause comes out as a sentence."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from napari_fcnseg.errors import FcnSegError, OutOfMemoryError
from napari_fcnseg.run.cluster.order import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_fcnseg.run.cluster.order_bench import OrderBench

B = TypeVar("B", bound="OrderBench")

_KEPT: Final = 2  # orders that a process stays ready for
#: What glibc comes to by itself for a process that works with large arrays, by the numbers of its settings (malloc.h).
_MALLOC: Final = ((-3, 2**25), (-1, 2**26))  # the threshold of mmap, that of trimming
_benches: OrderedDict[str, OrderBench] = OrderedDict()
_lock = threading.Lock()


def greet(order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]], cores: Sequence[int]) -> dict[str, Any]:
    """Make a worker ready for an order, and return what it is.

    Parameters
    ----------
    order : mapping
        As :func:`napari_fcnseg.run.cluster.order.make_order` returns it, of one image.
    files : mapping of int to mapping of str to bytes
        The files of models that it does not see, by the models' numbers.
    cores : sequence of int
        Processor cores to use, where it is one of several of this run on one computer; empty for what it has.

    Returns
    -------
    dict
        ``host``, ``pid``; ``kind``, what its numbers depend on; ``missing``, numbers of models that it does not see;
        ``trouble``, why it cannot take part, as a sentence.
    """
    from napari_fcnseg.run.cluster.bench import Bench

    return made_ready(Bench, order, files, cores)


def made_ready(
    make: Callable[[Mapping[str, Any], Mapping[int, Mapping[str, bytes]]], B], order: Mapping[str, Any],
    files: Mapping[int, Mapping[str, bytes]], cores: Sequence[int],
) -> dict[str, Any]:  # fmt: skip
    """Make a worker ready for an order of some kind (:func:`greet`), with what ``make`` makes of the order."""
    from napari_fcnseg.run.cluster.model_bench import MissingModelError

    about = {"host": socket.gethostname(), "pid": os.getpid(), "trouble": "", "missing": []}
    try:
        if cores and hasattr(os, "sched_setaffinity"):
            for thread in os.listdir("/proc/self/task"):
                os.sched_setaffinity(int(thread), cores)
        _keep_memory()
        key = key_of(order)
        with _lock:
            if key not in _benches:
                _benches[key] = make(order, files)
                while len(_benches) > _KEPT:
                    _benches.popitem(last=False)[1].close()
            _benches.move_to_end(key)
            bench = _benches[key]
        bench.stopped.clear()
        return {**about, "kind": bench.kind()}
    except MissingModelError as error:
        return {**about, "missing": error.numbers}
    except Exception as error:
        return {**about, "trouble": sentence_of(error)}


def look_at_frame(
    key: str, tile: Sequence[int], index: Sequence[int], known: Sequence[Any], name: str, argument: Any, part: int,
    parts: int,
) -> dict[str, Any]:  # fmt: skip
    """Look at a part of a frame for a statistic (:func:`napari_fcnseg.preprocess.statistics.look`).

    Parameters
    ----------
    key, tile
        As for :func:`compute_block`.
    index : sequence of int
        The frame.
    known : sequence
        The numbers of the steps before the one that asks.
    name, argument
        What is asked.
    part, parts : int
        Which of how many parts of the frame.

    Returns
    -------
    dict
        ``part``, or ``trouble``.
    """
    from napari_fcnseg.run.cluster.bench import Bench

    try:
        plan = bench_of(key, Bench).plan_for(tile)
        return {"part": plan.look(tuple(index), known, name, argument, part, parts)}
    except Exception as error:
        return {"trouble": sentence_of(error)}


def compute_block(
    key: str,
    tile: Sequence[int],
    number: int,
    numbers: Any,
    outputs: Mapping[str, Any],
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute a block and write it.

    Parameters
    ----------
    key : str
        Of the order.
    tile : sequence of int
        The run's tile.
    number : int
        Of the block.
    numbers : optional
        What its frame's preprocessing needs, as far as that was taken before; None where the worker looks for itself.
    outputs : mapping of str to mapping
        Where the results grow, by their kinds.
    asked : mapping, optional
        The pixels whose numbers are wanted (:meth:`napari_fcnseg.run.witnesses.Witnesses.of_block`).

    Returns
    -------
    dict
        ``sums``, the checksums of its numbers; ``counts``, pixels by label; ``seconds``; ``seen``, the pixels that were
        asked for, and their numbers; or ``trouble``.
    """
    from napari_fcnseg.run.cluster.bench import Bench

    try:
        bench = bench_of(key, Bench)
        with bench.turn:
            return bench.plan_for(tile).compute(number, numbers, outputs, asked)
    except Exception as error:
        return {"trouble": sentence_of(error)}


async def stop(key: str) -> None:
    """Have what is in work of an order end early; what is finished of it is not noted.

    It is a coroutine because Dask runs nothing else on workers without waiting for the answer.
    """
    bench = _benches.get(key)
    if bench is not None:
        bench.stopped.set()


def _keep_memory() -> None:
    """Have arrays use again what earlier ones had: Dask starts workers so that all goes back to the system each time.

    A worker's system calls took a quarter of its time.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in _MALLOC:
            mallopt(name, value)


def bench_of(key: str, kind: type[B]) -> B:
    """Return what an order was made ready with.

    Raises
    ------
    FcnSegError
        If it was not, in this process.
    """
    bench = _benches.get(key)
    if not isinstance(bench, kind):
        raise FcnSegError("The worker was started anew.")
    return bench


def sentence_of(error: Exception) -> str:
    """Return what went wrong, as a sentence."""
    if isinstance(error, OutOfMemoryError):
        return f"{error} On a cluster every tile is computed as it was planned: choose a smaller --tile."
    return str(error) if isinstance(error, FcnSegError) else f"{type(error).__name__}: {error}"
