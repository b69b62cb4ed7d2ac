"""How fast the dense network is, side by side with every other way, on this machine in one run.

``python benchmarks/run.py`` measures and prints; ``--write`` also puts the figures into ``benchmarks/results.json``,
``RESULTS.md`` and ``results.svg``. Each contender has a process of its own with as many threads as there are cores;
they take turns in each round, so that a busy or throttled machine is so for all; the best of the rounds counts.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import pickle
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).parent))

import tables
import turns
from cases import CASES, image_for, quick_shape, save_random
from contender import CONTENDERS, Job

from napari_fcnseg import load_model

HERE = Path(__file__).parent


def main() -> None:
    """Measure, print, and where asked write."""
    chosen = _arguments()
    results: dict[str, Any] = {}
    start = time.perf_counter()
    for number, name in enumerate(chosen.network, 1):
        _say(f"{name} ({number} of {len(chosen.network)})")
        results[name] = measure(name, chosen)
        print(tables.as_table(results[name]) + "\n", flush=True)
        if chosen.write:
            write(results, chosen.write)
        minutes = (time.perf_counter() - start) / 60
        _say(f"{minutes:.0f} min so far, about {minutes / number * (len(chosen.network) - number):.0f} min to go")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=CASES, nargs="+", default=list(CASES), help="which networks (all)")
    parser.add_argument("--shape", type=int, nargs="+", help="of the image, for all networks; N for every axis")
    parser.add_argument("--rounds", type=int, default=3, help="turns each contender gets (3)")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=list(CONTENDERS), help="which contenders")
    parser.add_argument("--quick", action="store_true", help="small images, two rounds: a look in a few minutes")
    isa = "as on a processor without AVX-512; ONNX Runtime's own products cannot be told, and keep what there is"
    parser.add_argument("--avx2", action="store_true", help=isa)
    files = "write results.json, RESULTS.md and results.svg (benchmarks/)"
    parser.add_argument("--write", type=Path, nargs="?", const=HERE, metavar="FOLDER", help=files)
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    if chosen.avx2:
        os.environ |= turns.AVX2
    if chosen.quick:
        chosen.rounds = min(chosen.rounds, 2)
    chosen.only = ["ours", *(name for name in CONTENDERS if name in chosen.only and name != "ours")]  # the measure
    return chosen


def measure(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure every contender on one network."""
    case = CASES[name]
    with tempfile.TemporaryDirectory(prefix="fcnseg-bench-") as folder:
        job = Job(folder, turns.threads())
        turns.in_a_process(save_random, case, job.path("model.keras"))
        network = load_model(job.path("model.keras")).fcn.network
        shape = case.image
        if chosen.shape:
            shape = tuple(chosen.shape) if len(chosen.shape) > 1 else (chosen.shape[0],) * len(case.image)
            if len(shape) != len(case.image):
                raise SystemExit(f"--shape: {name} has {len(case.image)} axes. Choose --network too, or one number.")
        elif chosen.quick:
            shape = quick_shape(case, network.report.flop_per_pixel)
        _write_inputs(job, network, image_for(case, shape))
        processes, absent = _begin(chosen.only, job)
        try:
            if not processes or processes[0].name != "ours":
                raise SystemExit(f"There is nothing to compare with: {absent[0]}.")
            peak, failed = turns.take_turns(processes, chosen.rounds, _say)
            if "ours" in failed:
                raise SystemExit(f"There is nothing to compare with: {failed['ours']}.")
            rows = [row for process in processes if process.name not in failed for row in process.rows]
            figures = [_figures(row, rows) for row in rows]
        finally:
            for process in processes:
                process.end()
    return {
        "network": name, "what": case.what, "patch": list(case.patch), "shape": list(shape),
        "measured": str(datetime.datetime.now(tz=datetime.UTC).date()), "machine": turns.machine(_processor()),
        "rounds": chosen.rounds, "flop_per_pixel": network.report.flop_per_pixel,
        "ceiling": network.report.speedup_ceiling, "peak_flops": peak, "ways": figures,
        "absent": [*absent, *failed.values()],
    }  # fmt: skip


def _write_inputs(job: Job, network: Any, image: np.ndarray) -> None:
    Path(job.path("network.pickle")).write_bytes(pickle.dumps(network))
    np.save(job.path("image.npy"), image)
    axes = "C" + "ZYX"[-(image.ndim - 1) :]
    channels_first = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    tifffile.imwrite(job.path("image.tif"), channels_first, photometric="minisblack", metadata={"axes": axes})


def _begin(names: list[str], job: Job) -> tuple[list[turns.Process], list[str]]:
    """Start the contenders and have them choose their settings; return those that can, and why others cannot."""
    processes: list[turns.Process] = []
    absent: list[str] = []
    for name in names:
        package = CONTENDERS[name][2]
        if importlib.util.find_spec(package) is None:
            absent.append(f"{name}: {package} is not installed")
            continue
        start = time.perf_counter()
        process = turns.Process(name, job)
        try:
            process.begin(job)
            words = process.tune()
        except turns.ContenderError as error:
            absent.append(str(error))
            process.end()
            _say(str(error))
        else:
            processes.append(process)
            _say(f"{name}: {words} (ready after {time.perf_counter() - start:.0f} s)")
    return processes, absent


def _figures(row: turns.Row, rows: list[turns.Row]) -> dict[str, Any]:
    """Return a way's figures, with its largest difference from what our engine computed."""
    ours = np.load(next(r.scores for r in rows if r.way == "ours, engine only"))
    mine = np.load(row.scores)
    found: dict[str, Any] = {}
    if mine.dtype.kind == "u":  # labels
        found["labels_that_differ"] = int((mine != ours.argmax(-1) + 1).sum())
    elif mine.shape == ours.shape:
        found["difference"] = float(np.abs(mine - ours).max())
    else:  # the scores of a sample: coordinates, then numbers
        where, scores = mine[:, : ours.ndim - 1].astype(int), mine[:, ours.ndim - 1 :]
        found["difference"] = float(np.abs(ours[tuple(where.T)] - scores).max())
    return {
        "way": row.way, "settings": row.settings, "seconds": row.seconds, "idle_mib": row.idle, "peak_mib": row.peak,
    } | found  # fmt: skip


def write(results: dict[str, dict[str, Any]], folder: Path) -> None:
    """Put results into ``results.json``, beside those of networks not measured this time, a table and a plot."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known = {name: r for name in CASES if "ways" in (r := (known | results).get(name, {}))}
    file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(tables.as_page(known), encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is None:
        _say('No plot: matplotlib is not installed (pip install "napari-fcnseg[bench]").')
        return
    tables.plot(known, folder / "results.svg")


def _processor() -> str:
    from napari_fcnseg.engine.hardware import cpu_name

    return cpu_name() + ", with AVX2 alone" * (os.environ.items() >= turns.AVX2.items())


def _say(sentence: str) -> None:
    print(f"[{datetime.datetime.now():%H:%M:%S}] {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
