"""How fast the dense network is, side by side with every other way on this machine in one run.

``python benchmarks/run.py`` measures and prints; ``--write`` also puts the table into ``benchmarks/RESULTS.md``. Times
are the best of some rounds, and the contenders take turns in each round, so that a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import contenders

from napari_fcnseg import load_model, segment
from napari_fcnseg.engine import engine
from napari_fcnseg.run import Run
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
BATCHES = (64, 256, 1024)


def main() -> None:
    """Measure, print, and where asked write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = tuple(contenders.CASES)
    parser.add_argument("--network", choices=names, nargs="+", default=names, help="which networks")
    parser.add_argument("--shape", type=int, nargs=2, help="rows and columns of the image, for all of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md and results.json")
    chosen = parser.parse_args()
    results = {
        name: measure(name, tuple(chosen.shape or contenders.CASES[name].image), chosen.rounds)
        for name in chosen.network
    }
    print("\n\n".join(map(as_table, results.values())))
    if chosen.write:
        write(results)


def write(results: dict[str, dict[str, Any]]) -> None:
    """Put results into ``results.json``, beside those of networks not measured this time, and all into a table."""
    file = HERE / "results.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known |= results
    file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    header = "# Results\n\nWritten by `python benchmarks/run.py --write`; the newest figures of each network."
    (HERE / "RESULTS.md").write_text("\n\n".join([header, *map(as_table, known.values())]) + "\n", encoding="utf-8")


def measure(name: str, shape: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Measure every contender on one network."""
    case = contenders.CASES[name]
    image = np.random.default_rng(0).standard_normal((*shape, case.patch[-1])).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / f"{name}.keras")
        contenders.save_random(case.layers, case.patch, path)
        model = load_model(path)
        network = model.fcn.network
        run = Run(image, (model,), RunSettings(channel_axis=-1))
        ways: dict[str, Callable[[], np.ndarray | None]] = {
            "ours: segment(), engine warm": lambda: (
                segment(image, model, channel_axis=-1, probabilities=True).probabilities
            )
        }
        if case.chain:
            native = contenders.by_hand(network, contenders.native)
            blog = contenders.by_hand(network, contenders.blog)
            pieces = contenders.four_pieces(shape)
            ways["bare loop of tf.nn.conv2d(dilations), same tiles"] = lambda: contenders.over_tiles(
                native, network, image, run.tiles
            )
            ways["blog post: tf.nn.convolution, four pieces"] = lambda: contenders.over_tiles(
                blog, network, image, pieces
            )
        engine().load(network, engine().device()).result()
        seconds, scores = take_turns(ways, rounds)
        peak = max(engine().measure_peak() for _ in range(rounds))
        pixels = shape[0] * shape[1]
        patch = {
            batch: contenders.patch_by_patch(path, image, network.patch_shape, batch, max(4 * batch, 100))
            for batch in (1, *BATCHES)
        }
    ours, *others = scores.values()
    best = max(BATCHES, key=lambda batch: patch[batch])
    seconds[f"patch by patch, batches of {best} (best; extrapolated from a sample)"] = pixels / patch[best]
    seconds["patch by patch, one at a time (extrapolated from a sample)"] = pixels / patch[1]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    return {
        "network": name, "channels": case.patch[-1], "measured": f"{today}, {machine()} Best of {rounds} rounds.",
        "shape": list(shape), "tile": list(run.tile), "seconds": seconds,
        "flop_per_pixel": network.report.flop_per_pixel, "ceiling": network.report.speedup_ceiling,
        "peak_flops": peak, "largest_difference": max((float(np.abs(ours - o).max()) for o in others), default=None),
    }  # fmt: skip


def take_turns(
    ways: dict[str, Callable[[], np.ndarray | None]], rounds: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return each way's best time and its result; a first round is not counted."""
    seconds = dict.fromkeys(ways, float("inf"))
    results: dict[str, Any] = {}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            results[name] = way()
            if number:
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds, results


def as_table(result: dict[str, Any]) -> str:
    """Return a result as a Markdown table."""
    rows, columns = result["shape"]
    ours = result["seconds"]["ours: segment(), engine warm"]
    known = result["largest_difference"]
    lines = [
        f"## {result['network']}, {rows} × {columns} × {result.get('channels', 2)}, float32, tile {result['tile']}",
        "",
        f"Measured {result['measured']}",
        "",
        "| way | seconds | kpx/s | GFLOP/s | share of peak | ours is faster by |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, seconds in result["seconds"].items():
        speed = rows * columns / seconds
        flops = speed * result["flop_per_pixel"]
        dense = "patch by patch" not in name
        work = f"{flops / 1e9:.0f} | {flops / result['peak_flops']:.2f}" if dense else " | "
        lines.append(f"| {name} | {seconds:,.2f} | {speed / 1e3:,.3g} | {work} | {seconds / ours:,.2f} × |")
    lines += [
        "",
        f"Ceiling of the speed-up by arithmetic alone: {result['ceiling']:.0f} ×. Peak: "
        f"{result['peak_flops'] / 1e9:.0f} GFLOP/s (float32 product of two 4096² matrices in TensorFlow). GFLOP/s "
        "count the network's own arithmetic without the halo of the tiles."
        + (f" Largest difference between ours and the other dense ways: {known:.1g}." if known is not None else ""),
    ]
    return "\n".join(lines)


def machine() -> str:
    """Name the machine and the versions."""
    import importlib.metadata

    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("tensorflow", "keras", "numpy"))
    return f"{engine().device()}, {os.cpu_count()} cores, {platform.system()}, Python " + (
        f"{platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    main()
