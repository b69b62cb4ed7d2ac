"""How long tests wait: limits are meant for two slow cores, and grow on a machine that is slower still.

A limit only ends what has gone wrong, so it may be generous; how fast something is belongs in ``benchmarks/``.
"""

from __future__ import annotations

import os
import time
from functools import cache

#: Times all limits, instead of what is measured.
VARIABLE = "NAPARI_FCNSEG_PATIENCE"
_USUAL = 0.04  # seconds of the sum below on two slow cores with two tests at a time
_USUAL_LOAD = 2.0  # per processor: two tests at a time, each with a computing process
_MOST = 10.0


def patience() -> float:
    """Return how many times as slow this machine is now, by the clock and with all that goes on there; 1 at least."""
    if chosen := os.environ.get(VARIABLE):
        return float(chosen)
    return min(max(_slowness() * _crowd(), 1.0), _MOST)


@cache
def _slowness() -> float:
    """Return how many times as slow as usual a short sum is."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        sum(i * i for i in range(500_000))
        times.append(time.perf_counter() - start)
    return max(sorted(times)[2] / _USUAL, 1.0)


def _crowd() -> float:
    """Return how many programs want each processor. A sum is too short to meet them: who has slept goes first."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 1.0
    return max(os.getloadavg()[0] / (os.cpu_count() or 1) / _USUAL_LOAD, 1.0)
