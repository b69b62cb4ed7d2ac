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
_MOST = 10.0


@cache
def patience() -> float:
    """Return how many times as slow this machine is, by the clock and with all that goes on there; 1 at least."""
    if chosen := os.environ.get(VARIABLE):
        return float(chosen)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        sum(i * i for i in range(500_000))
        times.append(time.perf_counter() - start)
    return min(max(sorted(times)[2] / _USUAL, 1.0), _MOST)
