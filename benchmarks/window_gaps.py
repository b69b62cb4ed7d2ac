"""How long the window stands still, phase by phase: ``python tools/with_display.py python benchmarks/window_gaps.py``.

A timer ticks every 10 ms on the window's own thread; the longest time between two ticks is the gap a user feels. A
second thread looks at the window's thread while it is late and notes what it was doing. What napari itself costs is
measured the same way: the same dock without content, the same layers added by plain calls.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_MS = 10
LATE = 0.05  # seconds without a tick after which somebody looks why
ALLOWED = 0.1
TIMEOUT = 300


class Ticks:
    """Ticks on the main thread, and what that thread does when they fail to come."""

    def __init__(self) -> None:
        self.main = threading.get_ident()
        self.last = time.perf_counter()
        self.worst, self.cause, self.seen = 0.0, "", ""
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)
        self.timer.start(TICK_MS)
        threading.Thread(target=self.watch, daemon=True).start()

    def tick(self) -> None:
        """Note the time since the last tick."""
        now = time.perf_counter()
        gap, self.last = now - self.last, now
        if gap > self.worst:
            self.worst, self.cause = gap, self.seen
        self.seen = ""

    def watch(self) -> None:
        """Look at the main thread while it is late."""
        while True:
            time.sleep(TICK_MS / 1000)
            if time.perf_counter() - self.last > LATE and not self.seen:
                self.seen = where(self.main)

    def reset(self) -> None:
        """Begin a phase."""
        self.last = time.perf_counter()
        self.worst, self.cause, self.seen = 0.0, "", ""


def where(thread: int) -> str:
    """Return what a thread is doing: the innermost call, and the innermost of ours."""
    stack = traceback.extract_stack(sys._current_frames()[thread])
    ours = [f for f in stack if "napari_fcnseg" in f.filename]
    frames = ([ours[-1]] if ours else []) + [stack[-1]]
    return " > ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)


def phase(ticks: Ticks, name: str, action: Callable[[], object], done: Callable[[], bool], rest: float = 0.3) -> float:
    """Do something from the event loop, wait for its end, and print the longest gap."""
    finished: list[object] = []
    settle(0.3)
    ticks.reset()
    QTimer.singleShot(0, lambda: finished.append(action()))
    end = time.monotonic() + TIMEOUT
    while not (finished and done()):
        if time.monotonic() > end:
            raise SystemExit(f"{name}: waited {TIMEOUT} s in vain")
        QApplication.processEvents()
        time.sleep(0.001)
    settle(rest)
    print(f"{name:<44} {ticks.worst * 1000:6.0f} ms   {ticks.cause}", flush=True)
    return ticks.worst


def settle(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def main() -> None:
    """Measure from opening the dock to the labels and their verification."""
    parser = argparse.ArgumentParser(description="Measure how long the window stands still.")
    parser.add_argument("--size", type=int, nargs=2, default=(1040, 1392), help="rows and columns of the image")
    parser.add_argument("--tile", type=int, default=0, help="tile in pixels; 0 chooses by memory")
    arguments = parser.parse_args()
    shape = tuple(arguments.size)
    viewer = napari.Viewer()
    ticks = Ticks()
    settle(2)
    from napari_fcnseg._napari.sample_data import sample_layers

    for data, options, _ in sample_layers("cells"):
        repeats = [-(-n // m) for n, m in zip(shape, data.shape, strict=True)]
        viewer.add_image(np.tile(data, repeats)[: shape[0], : shape[1]], **options)
    settle(2)
    print(f"image {shape[0]} × {shape[1]} × 2\n{'phase':<44} {'gap':>9}   what the window's thread was doing")
    window = viewer.window
    plain = QWidget()
    phase(ticks, "napari alone: an empty dock", lambda: window.add_dock_widget(plain, name="empty"), lambda: True)
    window.remove_dock_widget(plain)
    opened: list[Any] = []
    phase(
        ticks,
        "open the dock; engine starts; model is read",
        lambda: opened.append(window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]),
        lambda: bool(opened and opened[0].models and "ready" in opened[0].engine.text()),
        rest=1,
    )
    dock = opened[0]
    dock.settings.tile.setValue(arguments.tile)
    phase(ticks, "Run, first time, until the labels are done", dock.run.run.click, lambda: not dock.live.running)
    phase(ticks, "Run again", dock.run.run.click, lambda: not dock.live.running)
    alone = "napari alone: a Labels layer of this size"
    phase(ticks, alone, lambda: viewer.add_labels(np.zeros(shape, np.uint8)), lambda: True)
    phase(ticks, "Verify", dock.run.verify.click, lambda: not dock.live.running)
    dock.settings.probabilities.value = True
    phase(ticks, "Run with probability layers", dock.run.run.click, lambda: not dock.live.running)
    print(f"allowed: {ALLOWED * 1000:.0f} ms that come from us")
    viewer.close()


if __name__ == "__main__":
    main()
