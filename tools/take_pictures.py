"""Take the README's pictures from the real window: ``python tools/with_display.py python tools/take_pictures.py``.

The window is driven the way a user drives it: open a sample, open the dock, press Run, press Verify.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg._napari.dock import DenseSegmentation

ROOT = Path(__file__).resolve().parent.parent
SIZE = (1200, 800)
DOCK_WIDTH = 360
TIMEOUT = 180


def main() -> None:
    """Take the four pictures, and on request one of the dock at a given width."""
    parser = argparse.ArgumentParser(description="Take the README's pictures from the real window.")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "pictures", help="folder for the pictures")
    parser.add_argument("--sample", default="cells", help="the sample to show")
    parser.add_argument("--dock-only", type=int, metavar="WIDTH", help="also picture the dock alone at this width")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(*SIZE)  # napari's proxy-free way to a fixed size
    settle()
    viewer.open_sample("napari-fcnseg", arguments.sample)
    viewer.reset_view()
    picture(viewer, arguments.output / "1-image.png")
    dock_widget, dock = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")
    viewer.window._qt_window.resizeDocks([dock_widget], [DOCK_WIDTH], _horizontal())
    wait(lambda: bool(dock.models) and "ready" in dock.engine.text(), "the model and the engine")
    settle(2)
    viewer.reset_view()
    picture(viewer, arguments.output / "2-model.png")
    dock.run.run.click()
    finish(dock)
    picture(viewer, arguments.output / "3-result.png")
    dock.run.verify.click()
    finish(dock)
    picture(viewer, arguments.output / "4-verify.png")
    if arguments.dock_only:
        dock_widget.setFloating(True)
        dock_widget.resize(arguments.dock_only, 740)
        settle()
        dock_widget.grab().save(str(arguments.output / f"dock-{arguments.dock_only}.png"))
    viewer.close()
    print(f"Pictures are in {arguments.output}.")


def _horizontal() -> object:
    from qtpy.QtCore import Qt

    return Qt.Orientation.Horizontal


def picture(viewer: napari.Viewer, path: Path) -> None:
    """Save what the window shows, without the pop-ups of a moment ago."""
    settle()
    viewer.window.screenshot(str(path), canvas_only=False, flash=False)


def finish(dock: DenseSegmentation) -> None:
    """Wait until the dock takes orders again; stop if it complains."""
    wait(lambda: not dock.live.running, "the run")
    settle()
    if not dock.run.message.text().startswith(("Done", "Verified")):
        raise SystemExit(dock.run.message.text())


def wait(condition: Callable[[], bool], what: str) -> None:
    """Let the window live until something holds."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"Waited {TIMEOUT} s for {what} in vain.")
        settle(0.05)


def settle(seconds: float = 0.5) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main()
