"""How long the window stands still, phase by phase: ``python tools/with_display.py python benchmarks/window_gaps.py``.

A timer ticks every 10 ms on the window's own thread; the time between two ticks is the gap a user feels. A second
thread looks at the window's thread while it is late and notes what it was doing, and for how long it was in this
program's own code. What napari itself costs is measured the same way: the same dock without content, the same layers
added, redrawn and moved by plain calls. ``--size 4096 4096 --tile 256`` is a large image with many live tiles.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.utils import cancelable_progress
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.viewer import Viewer

TICK_MS = 10
LATE = 0.03  # seconds without a tick after which somebody looks why
ALLOWED = 0.1
TIMEOUT = 600
MOVES = 20


@dataclass
class Gap:
    """A time without a tick.

    Attributes
    ----------
    seconds : float
        How long.
    seen : list of (bool, str)
        What the window's thread was doing, and whether that was this program's.
    """

    seconds: float = 0.0
    seen: list[tuple[bool, str]] = field(default_factory=list)

    @property
    def ours(self) -> float:
        """Seconds of it in this program's own code."""
        return self.seconds * sum(mine for mine, _ in self.seen) / max(len(self.seen), 1)

    def __str__(self) -> str:
        common = Counter(text for _, text in self.seen).most_common(1)
        return f"{self.seconds * 1000:6.0f} {self.ours * 1000:6.0f}   {common[0][0] if common else ''}"


class Ticks:
    """Ticks on the main thread, and what that thread does when they fail to come."""

    def __init__(self) -> None:
        self.main = threading.get_ident()
        self.last = time.perf_counter()
        self.gaps: list[Gap] = []
        self.now: list[tuple[bool, str]] = []
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)
        self.timer.start(TICK_MS)
        threading.Thread(target=self.watch, daemon=True).start()

    def tick(self) -> None:
        """Note the time since the last tick."""
        now = time.perf_counter()
        gap, self.last = now - self.last, now
        seen, self.now = self.now, []
        self.gaps.append(Gap(gap, seen))

    def watch(self) -> None:
        """Look at the main thread while it is late."""
        while True:
            time.sleep(TICK_MS / 1000)
            if time.perf_counter() - self.last > LATE and self.main in sys._current_frames():
                self.now.append(where(self.main))

    def reset(self) -> None:
        """Begin a phase."""
        self.last = time.perf_counter()
        self.gaps, self.now = [], []


def where(thread: int) -> tuple[bool, str]:
    """Return whether a thread is in this program's code, and what it is doing: the innermost of ours, and of all."""
    stack = traceback.extract_stack(sys._current_frames()[thread])
    ours = [f for f in stack if "napari_fcnseg" in f.filename]
    theirs = [f for f in stack if f"{Path('napari')}/" in f.filename]
    frames = [found[-1] for found in (ours, theirs) if found] + [stack[-1]]
    names = dict.fromkeys(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return bool(ours), " > ".join(names)


def phase(
    ticks: Ticks,
    name: str,
    action: Callable[[], object],
    done: Callable[[], bool] = lambda: True,
    rest: float = 0.3,
    every: bool = False,
) -> float:
    """Do something from the event loop, wait for its end, print the gaps, and return how long it took.

    The longest is printed, and with ``every`` each that is longer than what is allowed.
    """
    finished: list[object] = []
    settle(0.3)
    ticks.reset()
    begin = time.perf_counter()
    QTimer.singleShot(0, lambda: finished.append(action()))
    end = time.monotonic() + TIMEOUT
    while not (finished and done()):
        if time.monotonic() > end:
            raise SystemExit(f"{name}: waited {TIMEOUT} s in vain")
        QApplication.processEvents()
        time.sleep(0.001)
    took = time.perf_counter() - begin
    settle(rest)
    gaps = sorted(ticks.gaps, key=lambda gap: gap.seconds, reverse=True)
    long = [gap for gap in gaps if gap.seconds > ALLOWED]
    print(f"{name:<50} {took:6.1f} s {len(long):4d} {gaps[0]}", flush=True)
    for gap in long[1:] if every else ():
        print(f"{'':<64} {gap}", flush=True)
    return took


def settle(seconds: float) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.001)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Have as many processes compute as there are cores."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        settle(0.5)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def moving(viewer: Viewer, shape: tuple[int, int], zoom: float) -> tuple[Callable[[], None], Callable[[], bool]]:
    """Return what begins to move the view over an image, ten times a second, and whether that has ended."""
    camera = getattr(viewer, "scene", viewer).camera
    places = [np.array(shape) * (0.3 + 0.4 * number / MOVES) for number in range(MOVES)]
    timer = QTimer()
    timer.setInterval(100)

    def move() -> None:
        if places:
            camera.center = tuple(places.pop())
        else:
            timer.stop()

    def begin() -> None:
        camera.zoom = zoom
        timer.start()

    timer.timeout.connect(move)
    return begin, lambda: not timer.isActive()


def napari_alone(viewer: Viewer, ticks: Ticks, shape: tuple[int, int], every: bool) -> None:
    """Measure the same without this program."""
    window = viewer.window
    plain = QWidget()
    phase(ticks, "napari alone: an empty dock", lambda: window.add_dock_widget(plain, name="empty"))
    window.remove_dock_widget(plain)
    alone = [viewer.add_labels(np.ones(shape, np.uint8))]
    settle(1)
    viewer.layers.remove(alone.pop())
    labels = np.zeros(shape, np.uint8)
    phase(ticks, "napari alone: a Labels layer", lambda: alone.append(viewer.add_labels(labels)))
    phase(ticks, "napari alone: it is redrawn", lambda: alone[0].refresh(thumbnail=False))
    phase(ticks, "napari alone: the same with its thumbnail", lambda: alone[0].refresh())
    phase(ticks, "napari alone: the view moves", *moving(viewer, shape, 2), every=every)
    viewer.reset_view()
    with busy_cores():
        phase(ticks, "the same while all cores compute: redrawn", alone[0].refresh, every=every)
        phase(ticks, "the same while all cores compute: moves", *moving(viewer, shape, 2), every=every)
        viewer.reset_view()
        phase(ticks, "the same while all cores compute: another layer", lambda: alone.append(viewer.add_labels(labels)))
        phase(ticks, "the same while all cores compute: it is removed", lambda: viewer.layers.remove(alone.pop()))
        bars: list[Any] = []
        phase(ticks, "the same: a bar in its activity area", lambda: bars.append(cancelable_progress(total=9)))
        phase(ticks, "the same: redrawn, and the bar moves", lambda: (alone[0].refresh(), bars[0].update(1)))
        bars[0].close()
    phase(ticks, "napari alone: it is removed", lambda: viewer.layers.remove(alone[0]))


def with_dock(dock: Any, viewer: Viewer, ticks: Ticks, shape: tuple[int, int], every: bool) -> None:
    """Measure what a person does with the dock."""

    def idle() -> bool:
        return not dock.controller.running

    def tiles(number: int) -> Callable[[], bool]:
        return lambda: dock.run.bar.value() >= number or idle()

    phase(ticks, "Run, first time, until the labels are done", dock.run.run.click, idle, every=every)
    phase(ticks, "Run again, until there are some tiles", dock.run.run.click, tiles(3), every=every)
    phase(ticks, "Cancel, until the dock is ready", dock.run.cancel.click, idle, every=every)
    if dock.controller.resumable:
        phase(ticks, "Resume, until there are some more", dock.run.resume.click, tiles(6), every=every)
        phase(ticks, "Cancel, until the dock is ready", dock.run.cancel.click, idle, every=every)
        phase(ticks, "Resume, until the labels are done", dock.run.resume.click, idle, every=every)
    phase(ticks, "Verify", dock.run.verify.click, idle, every=every)
    phase(ticks, "Remove the result with Ctrl+Z", dock.undo.undo, lambda: not dock.undo.busy, every=every)
    phase(ticks, "Put it back", dock.undo.redo, lambda: not dock.undo.busy, every=every)
    phase(ticks, "Follow the view, switched on", dock.where.follow.click, idle, every=every)
    phase(ticks, "Follow the view, which moves", *moving(viewer, shape, 2), rest=3, every=every)
    phase(ticks, "Follow the view, switched off", dock.where.follow.click, idle, every=every)
    viewer.reset_view()
    dock.settings.probabilities.value = True
    phase(ticks, "Run with probability layers", dock.run.run.click, idle, every=every)
    phase(ticks, "Remove them with Ctrl+Z", dock.undo.undo, lambda: not dock.undo.busy, every=every)
    dock.settings.probabilities.value = False


def main() -> None:
    """Measure from opening the dock to the labels, their verification, and following the view."""
    parser = argparse.ArgumentParser(description="Measure how long the window stands still.")
    parser.add_argument("--size", type=int, nargs=2, default=(1040, 1392), help="rows and columns of the image")
    parser.add_argument("--tile", type=int, default=0, help="tile in pixels; 0 chooses by memory")
    parser.add_argument("--every", action="store_true", help=f"print each gap over {ALLOWED * 1000:.0f} ms")
    arguments = parser.parse_args()
    shape, every = tuple(arguments.size), arguments.every
    viewer = napari.Viewer()
    ticks = Ticks()
    settle(2)
    from napari_fcnseg._napari.segment.models.sample_data import sample_layers

    for data, options, _ in sample_layers("cells"):
        repeats = [-(-n // m) for n, m in zip(shape, data.shape, strict=True)]
        viewer.add_image(np.tile(data, repeats)[: shape[0], : shape[1]], **options)
    settle(2)
    print(f"image {shape[0]} × {shape[1]} × 2; gaps over {ALLOWED * 1000:.0f} ms, the longest gap, ours of it, in ms")
    print(f"{'phase':<50} {'time':>8} {'gaps':>4} {'gap':>6} {'ours':>6}   what the window's thread was doing")
    napari_alone(viewer, ticks, shape, every)
    opened: list[Any] = []
    phase(
        ticks,
        "open the dock; engine starts; model is read",
        lambda: opened.append(viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]),
        lambda: bool(opened and opened[0].models and "ready" in opened[0].engine.text()),
        rest=2,
        every=every,
    )
    dock = opened[0]
    dock.settings.tile.setValue(arguments.tile)
    dock.settings.probabilities.value = False
    settle(3)
    with_dock(dock, viewer, ticks, shape, every)
    print(f"allowed: {ALLOWED * 1000:.0f} ms that come from us")
    viewer.close()


if __name__ == "__main__":
    main()
