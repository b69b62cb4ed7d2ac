"""Whether a large image takes more memory, or more time per pixel, than a small one.

For each side a fresh process segments a square Zarr image of random numbers into a Zarr file, while the memory of that
process and of all its children is watched. The network is small, so that reading and writing are not hidden behind
computing: three 3 × 3 convolutions with 8, 16 and 16 channels, a pool after the first two, on 15 × 15 patches.

``python benchmarks/huge.py --side 2048 8192 --limit 2GiB`` prints a line of JSON per side.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1024
_LOOK = 0.05  # seconds between two looks at the memory
_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_MODEL = """
import sys
import keras
from keras import layers
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((15, 15, 1)),
    layers.Rescaling(1 / 65535),
    layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(),
    layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(),
    layers.Conv2D(16, 2, activation="relu"),
    layers.Flatten(), layers.Dense(3, activation="softmax"),
])
model.save(sys.argv[1])
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, nargs="+", default=[2048, 8192], help="pixels along an axis")
    parser.add_argument("--limit", type=_bytes, default="2GiB", help="memory limit of the run (2GiB)")
    parser.add_argument(
        "--preprocess", nargs="*", default=[], metavar="STEP", help="steps, for example divide_by_median"
    )
    parser.add_argument("--folder", type=Path, help="for images and results (a temporary one)")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one is not None:
        print(json.dumps(measure(chosen.folder, chosen.one, chosen.limit, chosen.preprocess)))
        return 0
    with tempfile.TemporaryDirectory(prefix="fcnseg-huge-", dir=chosen.folder) as folder:
        subprocess.run([sys.executable, "-c", _MODEL, f"{folder}/model.keras"], check=True)
        for side in chosen.side:
            make_image(Path(folder, "image.zarr"), side)
            command = [sys.executable, __file__, "--one", str(side), "--limit", str(chosen.limit), "--folder", folder]
            subprocess.run([*command, "--preprocess", *chosen.preprocess], check=True)
            shutil.rmtree(Path(folder, "labels.zarr"))
    return 0


def measure(folder: Path, side: int, limit: int, steps: list[str]) -> dict[str, Any]:
    """Segment the image in a folder and return what it took."""
    import zarr

    import napari_fcnseg as fcn

    model = fcn.load_model(folder / "model.keras")
    image = zarr.open_array(folder / "image.zarr", mode="r")
    corner = min(side, 2 * CHUNK)
    fcn.segment(image[:corner, :corner], model, memory_limit=limit)  # the engine is started and the network compiled
    marks: list[tuple[int, float]] = []
    with _watched() as peak:
        start, cpu = time.perf_counter(), _cpu_seconds()
        result = fcn.segment(
            image, model, memory_limit=limit, preprocess=steps, out=folder / "labels.zarr",
            progress=lambda done, _: marks.append((done, peak["rss"])),
        )  # fmt: skip
        seconds = time.perf_counter() - start
        cpu = {name: spent - cpu[name] for name, spent in _cpu_seconds().items()}
    labelled = int(sum(np.count_nonzero(result.labels[row : row + CHUNK]) for row in range(0, side, CHUNK)))
    assert labelled == side * side, f"{side * side - labelled} pixels have no label"
    halves = [round(mark / 2**20) for _, mark in marks[:: max(1, len(marks) // 8)]]
    return {
        "side": side, "limit_mib": round(limit / 2**20), "seconds": round(seconds, 2),
        "nanoseconds_per_pixel": round(seconds / side**2 * 1e9, 1),
        "cpu_nanoseconds_per_pixel": {name: round(spent / side**2 * 1e9, 1) for name, spent in cpu.items()},
        "tile": result.provenance["tile"],
        "steps": steps, "notes": result.provenance["notes"],
        "peak_rss_mib": round(peak["rss"] / 2**20), "peak_pss_mib": round(peak["pss"] / 2**20),
        "peak_rss_mib_over_time": halves,
        "peak_rss_mib_of_each": {name: round(n / 2**20) for name, n in peak.items() if name not in ("rss", "pss")},
    }  # fmt: skip


def _cpu_seconds() -> dict[str, float]:
    """Return the processor time that this process, and each of its children, has taken."""
    root = psutil.Process()
    tree = {"parent": root} | {f"child {n}": child for n, child in enumerate(root.children(recursive=True), 1)}
    return {name: sum(process.cpu_times()[:2]) for name, process in tree.items()}


def make_image(path: Path, side: int) -> None:
    """Write a square image of random numbers of 16 bits."""
    import zarr

    random = np.random.default_rng(0)
    array = zarr.create_array(path, shape=(side, side), chunks=(CHUNK, CHUNK), dtype="uint16", overwrite=True)
    for row in range(0, side, CHUNK):
        for column in range(0, side, CHUNK):
            size = (min(CHUNK, side - row), min(CHUNK, side - column))
            array[row : row + CHUNK, column : column + CHUNK] = random.integers(0, 2**16, size, np.uint16)


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """Watch this process and its children; yield the most that they took together, in bytes."""
    peak: dict[str, float] = {"rss": 0.0, "pss": 0.0}
    root, done = psutil.Process(), threading.Event()

    def watch() -> None:
        looks = 0
        while not done.wait(_LOOK):
            tree = [root, *root.children(recursive=True)]
            rss = pss = 0
            for number, process in enumerate(tree):
                with suppress(psutil.NoSuchProcess):
                    own = process.memory_info().rss
                    rss += own
                    name = "parent" if number == 0 else f"child {number}"
                    peak[name] = max(peak.get(name, 0.0), own)
                    pss += _pss(process.pid) if looks % 10 == 0 else 0
            peak["rss"], peak["pss"] = max(peak["rss"], rss), max(peak["pss"], pss)
            looks += 1

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _pss(pid: int) -> int:
    """Return a process's memory with what it shares counted in part, on Linux."""
    with suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)\s*([A-Za-z]*)", text).groups()
    return int(float(number) * _UNITS[unit.upper()])


if __name__ == "__main__":
    sys.exit(main())
