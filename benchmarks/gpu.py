"""How fast the dense network is on an accelerator, and how exact: ``make bench-gpu``, or ``python benchmarks/gpu.py``.

DeepCell's networks on 1040 × 1392 pixels, in every precision the device has: seconds, share of the device's own
measured peak (a large matrix product in float32, and in TF32), and the agreement with the patch network itself on the
CPU in float32 at a sample of pixels. It runs on whichever of TensorFlow, JAX and PyTorch is installed beside Keras.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "src"))  # where the program itself is not installed

import turns
from cases import CASES, image_for, save_random
from contender import patches_of
from ours import EngineOnly, rest

from napari_fcnseg import iter_segment, load_model
from napari_fcnseg.engine import engine
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from napari_fcnseg.engine import Device
    from napari_fcnseg.model.patch_model import PatchModel

HERE = Path(__file__).parent
_POINTS = 1024  # pixels that are compared
_BATCH = 256


def main() -> int:
    """Measure and print; return 1 where there is nothing to measure on."""
    chosen = _arguments()
    try:
        device = engine().device(chosen.device or ("CPU" if chosen.cpu else None))
    except FcnSegError as error:
        print(f"bench-gpu: {error}", file=sys.stderr)
        return 1
    if device.is_cpu and not chosen.cpu:
        print(
            f"bench-gpu: there is no accelerator here that {device.backend} can use, only {device}. "
            "`napari-fcnseg doctor` says why, and what to install; --cpu measures the processor.",
            file=sys.stderr,
        )
        return 1
    size = chosen.matrix or (4096 if device.is_cpu else 8192)
    precisions = [p for p in device.precisions if p in ("float32", *chosen.precision)]
    peaks = {p: engine().measure_peak(_in(device, p), size) for p in precisions}
    print(f"{device}, {device.backend}: " + ", ".join(f"{p} {f / 1e12:.3g} TFLOP/s" for p, f in peaks.items()))
    print(f"(peaks: the best product of two {size}² matrices, in each precision)\n\n{_HEADER}", flush=True)
    found = []
    with tempfile.TemporaryDirectory(prefix="fcnseg-bench-") as folder:
        for name in chosen.network:
            found += measure(name, tuple(chosen.shape), device, peaks, chosen.rounds, Path(folder))
    if chosen.write:
        _write(device, peaks, found)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    networks = [name for name, case in CASES.items() if len(case.image) == 2]
    add("--device", help='for example "GPU:1" or "torch:GPU" (the fastest)')
    add("--cpu", action="store_true", help="go on where there is no accelerator")
    add("--network", choices=networks, nargs="+", default=["DeepCell-31", "DeepCell-61"])
    add(
        "--precision",
        nargs="+",
        default=["float32", "tf32", "bfloat16", "float16"],
        help="which beside float32, of those it has",
    )
    add("--shape", type=int, nargs=2, default=(1040, 1392), help="rows and columns of the image")
    add("--rounds", type=int, default=5, help="the best counts (5)")
    add("--matrix", type=int, help="size of the matrices for the peak (8192; 4096 on a CPU)")
    add("--write", action="store_true", help="write benchmarks/gpu.json")
    return parser.parse_args()


_HEADER = (
    "| network | precision | segment() s | engine s | Mpx/s | TFLOP/s | of its peak | of float32 peak | "
    "largest difference | same labels |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def measure(
    name: str, shape: tuple[int, ...], device: Device, peaks: dict[str, float], rounds: int, folder: Path
) -> list[dict[str, Any]]:
    """Measure a network in each precision; the precisions take turns in each round."""
    path, case = str(folder / f"{name}.keras"), CASES[name]
    turns.in_a_process(save_random, case, path, backend=_framework())
    model, image = load_model(path), image_for(case, shape)
    points = np.random.default_rng(0).integers(0, shape, (_POINTS, 2))
    truth = reference(model, image, points, device)
    ways = {precision: Way(model, image, device, precision) for precision in peaks}
    for number in range(rounds + 1):  # the first round is not counted: it compiles
        for way in ways.values():
            way.turn(counted=number > 0)
    figures = [_figures(name, way, peaks, points, truth) for way in ways.values()]
    for figure in figures:
        print(_row(figure), flush=True)
    return figures


class Way:
    """A network on a device in one precision."""

    def __init__(self, model: PatchModel, image: np.ndarray, device: Device, precision: str) -> None:
        self.model, self.image, self.precision, self.key = model, image, precision, device.key
        self.network = model.fcn.network
        self.only = EngineOnly(image, model, device=device.key, precision=precision)
        self.scores = np.empty((*image.shape[:2], self.network.outputs), np.float32)
        self.whole = self.engine = float("inf")

    def turn(self, *, counted: bool) -> None:
        """Segment the image, and run the same tiles through the engine alone."""
        options: dict[str, Any] = {"channel_axis": -1, "method": "dense", "device": self.key}
        rest()
        start = time.perf_counter()
        for tile in iter_segment(self.image, self.model, precision=self.precision, **options):
            self.scores[tile.where] = tile.scores
        whole = time.perf_counter() - start
        rest()
        start = time.perf_counter()
        self.only.scores()
        if counted:
            self.whole = min(self.whole, whole)
            self.engine = min(self.engine, time.perf_counter() - start)


def reference(model: PatchModel, image: np.ndarray, points: np.ndarray, device: Device) -> np.ndarray:
    """Return the patch network's own answers at points, computed on the CPU in float32."""
    cpu = engine().device(f"{device.backend}:CPU")
    patches = np.ascontiguousarray(patches_of(image, model.patch_shape)[tuple(points.T)])
    answers = [engine().run(model.network, cpu, patches[n : n + _BATCH]) for n in range(0, len(patches), _BATCH)]
    return np.concatenate([answer.result() for answer in answers]).reshape(len(points), -1)


def _figures(name: str, way: Way, peaks: dict[str, float], points: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    mine = way.scores[tuple(points.T)]
    pixels = float(np.prod(way.image.shape[:2]))
    flops = pixels * way.network.report.flop_per_pixel / way.engine
    return {
        "network": name, "shape": list(way.image.shape), "precision": way.precision, "seconds": way.whole,
        "engine_seconds": way.engine, "pixels_per_second": pixels / way.engine, "flops": flops,
        "share_of_its_peak": flops / peaks[way.precision], "share_of_float32_peak": flops / peaks["float32"],
        "difference": float(np.abs(mine - truth).max()),
        "labels_agree": float((mine.argmax(-1) == truth.argmax(-1)).mean()),
    }  # fmt: skip


def _row(f: dict[str, Any]) -> str:
    return (
        f"| {f['network']} | {f['precision']} | {f['seconds']:.3f} | {f['engine_seconds']:.3f} | "
        f"{f['pixels_per_second'] / 1e6:.3g} | {f['flops'] / 1e12:.3g} | {f['share_of_its_peak']:.2f} | "
        f"{f['share_of_float32_peak']:.2f} | {f['difference']:.0e} | {f['labels_agree']:.2%} |"
    )


def _in(device: Device, precision: str) -> Device:
    return engine().device(device.key, precision)


def _framework() -> str:
    """Return a backend of Keras that is installed, to write the models with."""
    return next(name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name) is not None)


def _write(device: Device, peaks: dict[str, float], found: list[dict[str, Any]]) -> None:
    file = HERE / "gpu.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known[f"{device.name}, {device.backend}"] = {
        "measured": str(datetime.datetime.now(tz=datetime.UTC).date()), "machine": turns.machine(device.name),
        "peak_flops": peaks, "results": found,
    }  # fmt: skip
    file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
