"""The demo in a real window: open a sample, run its model, verify, and take the pictures.

Run as ``python -m napari_fcnseg._napari.segment.demo SAMPLE FOLDER`` by :mod:`napari_fcnseg.cli.demo`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from qtpy.QtCore import QTimer

from napari_fcnseg.cli import demo
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from napari_fcnseg._napari.segment.dock import DenseSegmentation

_LOOK = 100  # milliseconds between two looks at how far the dock is
_DRAW = 500  # milliseconds for the window to lay out and draw what was said last
_SIZE = (1200, 800)


class Demo:
    """Presses the dock's buttons as a person would, one after the other.

    Parameters
    ----------
    name : str
        Of the sample.
    folder : Path
        For the pictures.
    unattended : bool
        Whether to close the window at the end.
    """

    def __init__(self, name: str, folder: Path, *, unattended: bool) -> None:
        self._sample = SAMPLES[name]
        self._folder = folder
        self._unattended = unattended
        self._viewer = napari.Viewer()
        self._viewer.window.resize(*_SIZE)
        self.code = 1  # until there is a verified result
        self._start = time.perf_counter()
        _, self._dock = self._viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")
        self._dock.choice.choose_sample(name)
        self._timer = QTimer()
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._begin)
        self._timer.start()

    def _begin(self) -> None:
        """Press Verify, which runs first, once image and model are there."""
        if self._dock.ready:
            self._timer.timeout.disconnect()
            self._timer.timeout.connect(self._end)
            self._dock.run.verify.click()

    def _end(self) -> None:
        """Leave the results once the dock is ready again and drawn."""
        if not self._dock.controller.running:
            self._timer.stop()
            QTimer.singleShot(_DRAW, self._finish)

    def _finish(self) -> None:
        self.code = self._leave_results(self._dock)
        if self._unattended:
            self._viewer.close()

    def _leave_results(self, dock: DenseSegmentation) -> int:
        segmented, verification = dock.controller.last, dock.controller.verification
        if segmented is None or verification is None:
            print(f"The demo did not come to its end: {dock.run.message.text()}", file=sys.stderr)
            return 1
        seconds = time.perf_counter() - self._start
        code = demo.leave_results(
            self._folder,
            self._sample,
            self._sample.image(),
            segmented.labels,
            segmented.sampler.run,
            verification,
            seconds,
        )
        window = self._viewer.window
        demo.save_picture(
            self._folder, demo.WINDOW, self._sample,
            lambda part: window.screenshot(str(part), canvas_only=False, flash=False),
        )  # fmt: skip
        return code


def main() -> int:
    """Run the demo and return its exit code."""
    name, folder = sys.argv[1:]
    shown = Demo(name, Path(folder), unattended=bool(os.environ.get(demo.UNATTENDED)))
    napari.run()
    return shown.code


if __name__ == "__main__":
    sys.exit(main())
