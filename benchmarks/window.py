"""What the window costs: ``python tools/with_display.py python benchmarks/window.py``, or ``make bench-window``.

The same image and model, alternately in one run: ``iter_segment()`` in a script of its own, and Run in the dock of a
running napari window, whose labels are drawn as the tiles come; both with the coarse preview first, or both without.
While one computes the other does nothing. The time in the window is from the click until the dock is ready again.
Also: when the first labels and the first finished tile are there, and what the coarse preview takes of a whole run
(in the script).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import turns
from cases import CASES, image_for, save_random

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

_ALLOWED = 1.10
_LOOK_MILLISECONDS = 10
_TIMEOUT = 600  # seconds


def main() -> None:
    """Measure and print, as a table and as JSON."""
    chosen = _arguments()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # what is measured is how drawing and computing share the processor
    case = CASES[chosen.network]
    with tempfile.TemporaryDirectory(prefix="fcnseg-bench-") as folder:
        path = str(Path(folder) / "model.keras")
        turns.in_a_process(save_random, case, path)
        image = image_for(case, tuple(chosen.shape))
        np.save(Path(folder) / "image.npy", image)
        script = turns.process_pool(turns.threads(), Path(folder) / "script.log")
        window = Window(image, path)
        seconds: dict[str, list[float]] = {}
        for number in range(chosen.rounds + 1):
            figures = script.submit(scripted, folder, chosen.tile, chosen.preview).result()
            figures |= window.run(chosen.tile, chosen.preview)
            for name, value in figures.items():
                if number:  # the first round compiles
                    seconds.setdefault(name, []).append(value)
        script.shutdown()
        window.close()
    _report(seconds, chosen)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    networks = [name for name, case in CASES.items() if len(case.image) == 2]
    parser.add_argument("--network", choices=networks, default="DeepCell-61")
    parser.add_argument("--shape", type=int, nargs=2, default=(1040, 1392), help="rows and columns of the image")
    parser.add_argument("--tile", type=int, default=0, help="largest tile in pixels; 0 lets the program choose")
    parser.add_argument("--rounds", type=int, default=3, help="the best counts (3)")
    parser.add_argument("--no-preview", dest="preview", action="store_false", help="without the coarse preview")
    return parser.parse_args()


def _report(seconds: dict[str, list[float]], chosen: argparse.Namespace) -> None:
    best = {name: min(values) for name, values in seconds.items()}
    figures: dict[str, Any] = {
        "network": chosen.network, "shape": list(chosen.shape), "tile": chosen.tile, "seconds": seconds,
        "window_to_script": best["window"] / best["script"], "allowed": _ALLOWED,
    }  # fmt: skip
    if "preview" in best:
        figures["preview_to_whole"] = best["preview"] / (best["script"] - best["preview"])
    print("| what | best s | all rounds |\n|---|---:|---|")
    for name, values in seconds.items():
        print(f"| {name} | {best[name]:.2f} | {', '.join(f'{v:.2f}' for v in values)} |")
    print(f"\nwindow ÷ script: {figures['window_to_script']:.3f} (allowed: {_ALLOWED})")
    if "preview_to_whole" in figures:
        print(f"coarse preview ÷ rest of the run: {figures['preview_to_whole']:.3f}")
    print(json.dumps(figures))


_model: dict[str, Any] = {}  # of the script: it is read once


def scripted(folder: str, tile: int, preview: bool) -> dict[str, float]:
    """Segment in a script, and compute the preview alone; runs in a process of its own."""
    from napari_fcnseg import iter_segment, load_model, segment

    model = _model.setdefault("model", load_model(str(Path(folder) / "model.keras")))
    image = np.load(Path(folder) / "image.npy")
    middle = [n // 2 for n in image.shape[:-1]]
    start = time.perf_counter()
    for _ in iter_segment(image, model, focus=middle, preview=preview, channel_axis=-1, tile=tile or None):
        pass
    figures = {"script": time.perf_counter() - start}
    if preview and (every := _preview_step(image, model)):
        start = time.perf_counter()
        segment(image, model, channel_axis=-1, every=every)
        figures["preview"] = time.perf_counter() - start
    return figures


def _preview_step(image: np.ndarray, model: Any) -> int | None:
    """Return the pixels between those of the preview that the window would show, None where it shows none."""
    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.run.preview import coarse_pass
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.settings import RunSettings

    coarse = coarse_pass(Run(make_plan(image, (model,), RunSettings(channel_axis=-1))))
    return coarse.plan.settings.every if coarse is not None else None


class Window:
    """A napari window with the image and the dock, ready to run."""

    def __init__(self, image: np.ndarray, model: str) -> None:
        import napari

        self.viewer: Viewer = napari.Viewer()
        channels = [np.ascontiguousarray(image[..., channel]) for channel in range(image.shape[-1])]
        layers = [self.viewer.add_image(channel) for channel in channels]
        self.dock: Any = self.viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
        wait_for(lambda: "ready" in self.dock.engine.text(), "the engine")
        self.dock.choose_models([model])
        wait_for(lambda: bool(self.dock.models), "the model")
        for combo, layer in zip(self.dock.image.combos, layers, strict=True):
            combo.layer = layer
        wait_for(lambda: self.dock.ready, "image and model to fit")

    def run(self, tile: int, preview: bool) -> dict[str, float]:
        """Press Run and wait for its end; return seconds from the click."""
        from napari.layers import Labels

        for layer in [layer for layer in self.viewer.layers if isinstance(layer, Labels)]:
            self.viewer.layers.remove(layer)
        self.dock.settings.tile.setValue(tile)
        self.dock.settings.preview.value = preview
        times: dict[str, float] = {}
        start = time.perf_counter()

        def done() -> bool:
            now = time.perf_counter() - start
            if "window: first labels" not in times and any(isinstance(x, Labels) for x in self.viewer.layers):
                times["window: first labels"] = now
            return not self.dock.controller.running

        self.dock.run.run.click()
        wait_for(done, "the run")
        times["window"] = time.perf_counter() - start
        if self.dock.controller.last is None or not self.dock.controller.last.done:
            raise SystemExit(f"The run in the window did not end well: {self.dock.run.message.text()}")
        wait_for(lambda: time.perf_counter() - start > times["window"] + 1, "the window to rest")
        return times

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Run the window's event loop, as napari does, until something holds."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    end = time.monotonic() + _TIMEOUT

    def look() -> None:
        if condition() or time.monotonic() > end:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(_LOOK_MILLISECONDS)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    timer.stop()
    if not condition():
        raise SystemExit(f"waited {_TIMEOUT} s in vain for {what}")


if __name__ == "__main__":
    main()
