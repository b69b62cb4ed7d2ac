"""Every score of two maps of 10,000 × 10,000 pixels with 20,000 objects, beside other libraries' share of them.

Each way has a process of its own per round, in turns; a process makes the same maps first, notes what memory they take,
and then computes. ``python benchmarks/compare.py [--side 10000] [--rounds 3]`` prints a table. StarDist is left out
where it is not installed; its scores are of one threshold, ours of eleven, with the table of all objects.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Labels = np.ndarray

_OBJECTS = 20_000
_SHIFT = 3  # pixels that the second map's objects are off


def maps(side: int) -> tuple[Labels, Labels]:
    """Return discs on a grid, and the same discs a little off, some of them missing and all with other numbers."""
    columns = int(np.ceil(np.sqrt(_OBJECTS)))
    step = side // columns
    y, x = np.mgrid[:step, :step] - step // 2
    disc = np.hypot(y, x) < 0.4 * step
    a, b = np.zeros((side, side), np.int32), np.zeros((side, side), np.int32)
    names = np.random.default_rng(0).permutation(_OBJECTS) + 1
    for k in range(_OBJECTS):
        top, left = (k // columns) * step, (k % columns) * step
        a[top : top + step, left : left + step][disc] = k + 1
        if k % 10:
            low, right = top + k % _SHIFT, left + k % (_SHIFT + 1)
            part = b[low : low + step, right : right + step]
            part[disc[: part.shape[0], : part.shape[1]]] = names[k]
    return a, b


def _ours(a: Labels, b: Labels) -> dict[str, float]:
    from napari_fcnseg.comparison import compare

    found = compare(a, b, instances=True)
    assert found.instances is not None, "asked for"
    overall, at = found.overall, found.instances.at
    return {
        "rand error": overall.rand_error or 0.0, "information": overall.variation_of_information or 0.0,
        "found": at.found, "panoptic": at.panoptic_quality or 0.0,
    }  # fmt: skip


def _skimage_overlaps(a: Labels, b: Labels) -> dict[str, float]:
    from skimage.metrics import contingency_table

    return {"pairs": contingency_table(a, b).nnz}


def _skimage(a: Labels, b: Labels) -> dict[str, float]:
    from skimage.metrics import adapted_rand_error, variation_of_information

    return {"rand error": float(adapted_rand_error(a, b)[0]), "information": float(sum(variation_of_information(a, b)))}


def _stardist(a: Labels, b: Labels) -> dict[str, float]:
    from stardist.matching import matching

    found = matching(a, b, 0.5)
    return {"found": int(found.tp), "panoptic": float(found.panoptic_quality)}


#: What a library computes, its package, and how.
WAYS: dict[str, tuple[str, Callable[[Labels, Labels], dict[str, float]]]] = {
    "ours, every score": ("napari_fcnseg", _ours),
    "scikit-image, table of overlaps": ("skimage", _skimage_overlaps),
    "scikit-image, Rand error and information": ("skimage", _skimage),
    "StarDist, one threshold": ("stardist", _stardist),
}


def _peak() -> float:
    """Return the most memory this process has had, in MiB."""
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kibibytes / (2**20 if sys.platform == "darwin" else 2**10)


def _turn(way: str, side: int) -> None:
    """Compute once, in this process, and print what it took as JSON."""
    compute = WAYS[way][1]
    compute(np.eye(9, dtype=np.int32), np.eye(9, dtype=np.int32))  # what is imported late
    a, b = maps(side)
    start = time.perf_counter()
    scores = compute(a, b)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak": _peak(), "scores": scores}))


def main() -> None:
    """Give each way its turns and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="compute once, in this process")
    chosen = parser.parse_args()
    if chosen.way is not None:
        _turn(chosen.way, chosen.side)
        return
    ways = [way for way, (package, _) in WAYS.items() if importlib.util.find_spec(package) is not None]
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    scores: dict[str, dict[str, float]] = {}
    for number in range(chosen.rounds):
        for way in ways[:: -1 if number % 2 else 1]:
            line = [sys.executable, __file__, "--side", str(chosen.side), "--way", way]
            turn = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            turns[way].append(turn)
            scores[way] = turn["scores"]
    ours = statistics.median(turn["seconds"] for turn in turns[ways[0]])
    print(f"{chosen.side:,} × {chosen.side:,} pixels, {_OBJECTS:,} objects; medians of {chosen.rounds}\n")
    print("| way | seconds | of ours | peak, MiB | it says |\n|---|---:|---:|---:|---|")
    for way in ways:
        seconds = statistics.median(turn["seconds"] for turn in turns[way])
        peak = max(turn["peak"] for turn in turns[way])
        said = ", ".join(f"{name} {value:.10g}" for name, value in scores[way].items())
        print(f"| {way} | {seconds:.1f} | {seconds / ours:.2f} | {peak:,.0f} | {said} |")


if __name__ == "__main__":
    main()
