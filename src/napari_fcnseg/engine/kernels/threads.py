"""Work of compiled functions, shared among the processor's cores."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ALIGNMENT = 64  # bytes; what TensorFlow asks of an array that it takes over as it is
_BEYOND = 64  # numbers
_PIECES = 4  # per core, for cores are not equally busy


def in_threads(function: Callable[[npt.NDArray[Any]], object], jobs: npt.NDArray[Any]) -> None:
    """Call a function that releases the interpreter's lock with parts of an array of jobs, until all are done."""
    parts = np.array_split(jobs, min(len(jobs), _PIECES * cores()))
    for done in [_pool().submit(function, part) for part in parts]:
        done.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "convolution")


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def aligned(shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return an array with unspecified contents that TensorFlow takes over without a copy.

    There are some numbers beyond its end that may be read, as much as a panel of a product has.
    """
    size = int(np.prod(shape))
    raw = np.empty(size + _ALIGNMENT // 4 + _BEYOND, np.float32)
    first = -raw.ctypes.data % _ALIGNMENT // 4
    return raw[first : first + size].reshape(shape)


def below(above: npt.NDArray[np.float32] | None, shape: Sequence[int]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return an array that begins with some rows, and the part below them, which has a shape and is yet unspecified."""
    if above is None:
        whole = aligned(shape)
        return whole, whole
    rows = above.shape[1]
    whole = aligned((1, rows + shape[1], *shape[2:]))
    whole[:, :rows] = above
    return whole, whole[:, rows:]
