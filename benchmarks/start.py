"""What a person waits for before any pixel is computed: ``make bench-start``, or with ``tools/with_display.py``.

Each row is a process of its own, from its start to its end or from the click to the labels; all in turns, the median
of the rounds. The sample image of cells and its model; the disk is warm. Beside them what is least: a script that loads
the same dense network, which ``convert(model).save("dense.onnx")`` wrote, and runs it once on the same image.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg import convert
from napari_fcnseg.preprocess import parse
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = SAMPLES["cells"]
_WINDOW = """
import sys, time
import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QAbstractButton, QApplication
viewer = napari.Viewer()
viewer.open_sample("napari-fcnseg", "cells")
def wait(condition):
    end = time.monotonic() + 120
    while not condition():
        QApplication.processEvents()
        time.sleep(0.002)
        assert time.monotonic() < end, dock.run.message.text()
dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
wait(lambda: dock.models and dock.ready)
found = []
for _ in range(2):
    before, click = set(viewer.layers), time.perf_counter()
    dock.run.run.click()
    wait(lambda: not dock.controller.running)
    assert dock.run.message.text().startswith("Done"), dock.run.message.text()
    found.append(time.perf_counter() - click)
print("seconds", *found)
viewer.close()
"""
_ONNX = """
import sys, numpy as np, onnxruntime
image = np.load(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
np.save(sys.argv[3], session.run(None, {session.get_inputs()[0].name: image})[0])
"""
_OPENVINO = """
import sys, numpy as np, openvino
image = np.load(sys.argv[2])
core = openvino.Core()
compiled = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
np.save(sys.argv[3], compiled(image)[0])
"""


def main() -> int:
    """Measure, and print as a table and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fcnseg-bench-") as name:
        rows = _rows(_prepared(Path(name)))
        seconds: dict[str, list[float]] = {}
        for number in range(chosen.rounds + 1):
            for what, measure in rows.items():
                figures = measure()
                if number:  # the first round warms the disk
                    for row, value in figures.items():
                        seconds.setdefault(what + row, []).append(value)
    medians = {what: statistics.median(times) for what, times in seconds.items()}
    for what, median in medians.items():
        print(f"{median:6.2f} s  {what}")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"rounds": chosen.rounds, "medians": medians}, indent=1) + "\n")
    return 0


def _prepared(folder: Path) -> Path:
    """Write image, dense network and what goes into it into a folder."""
    import tifffile

    from napari_fcnseg import load_model
    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.run.run import Run

    tifffile.imwrite(folder / "cells.tif", np.moveaxis(SAMPLE.image(), -1, 0), metadata={"axes": "CYX"})
    convert(SAMPLE.model_path).save(folder / "dense.onnx")
    settings = RunSettings(preprocess=tuple(map(str, parse(SAMPLE.preprocess))))
    plan = make_plan(SAMPLE.image(), [load_model(SAMPLE.model_path)], settings)
    source = Run(plan).source(())
    whole = tuple((0, n) for n in source.shape[:-1])
    np.save(folder / "image.npy", source.read(whole)[None])
    return folder


def _rows(folder: Path) -> dict[str, Callable[[], dict[str, float]]]:
    """Return what is measured: functions that return seconds by the rest of a row's name."""
    out = str(folder / "out.npy")
    graph = (str(folder / "dense.onnx"), str(folder / "image.npy"), out)
    segment = (
        *("-m", "napari_fcnseg.cli.main", "segment", str(folder / "cells.tif"), "--model", str(SAMPLE.model_path)),
        *("-o", str(folder / "labels.tif"), "--overwrite", "--quiet"),
    )
    home, numbers = folder / "home", itertools.count()

    def fresh() -> Path:
        return folder / f"fresh-{next(numbers)}"

    return {
        "napari-fcnseg segment, a new process": lambda: {"": _timed(segment, home)},
        "the same for the first time on a computer": lambda: {"": _timed(segment, fresh())},
        "window: from the click to the labels, ": lambda: _window(home),
        "the same for the first time on a computer, ": lambda: _window(fresh()),
        "least script, ONNX Runtime": lambda: {"": _timed(("-c", _ONNX, *graph), home)},
        "least script, OpenVINO": lambda: {"": _timed(("-c", _OPENVINO, *graph), home)},
    }


def _timed(arguments: tuple[str, ...], home: Path) -> float:
    start = time.perf_counter()
    _run(arguments, home)
    return time.perf_counter() - start


def _window(home: Path) -> dict[str, float]:
    said = _run(("-c", _WINDOW), home)
    line = next(line for line in said.splitlines() if line.startswith("seconds"))
    first, second = map(float, line.split()[1:])
    return {"first run": first, "second run": second}


def _run(arguments: tuple[str, ...], home: Path) -> str:
    """Run Python with a folder for what is kept: settings, compiled kernels, measurements."""
    home.mkdir(exist_ok=True)
    kept = dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "NUMBA_CACHE_DIR"), str(home))
    done = subprocess.run(
        [sys.executable, *arguments], env=os.environ | kept, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
