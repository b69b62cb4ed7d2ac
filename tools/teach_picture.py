"""Make the picture of teaching: ``python tools/with_display.py python tools/teach_picture.py [--theme light] [FILE]``.

It opens the sample, paints strokes along its truth with the mouse, and takes the picture of the window that
``docs/how-to/teach.md`` shows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from tour_stage import Stage

ROOT = Path(__file__).resolve().parent.parent
_STEPS, _FAR = 14, 7


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description="Make the picture of teaching from the real window.")
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "docs" / "screens" / "teach.png")
    parser.add_argument("--theme", default="dark")
    parser.add_argument("--size", type=int, nargs=2, default=(1200, 800))
    parser.add_argument("--strokes", type=int, default=12)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="napari-fcnseg-teach-") as fresh:
        os.environ["NAPARI_CONFIG"] = str(Path(fresh) / "settings.yaml")
        os.environ["NAPARI_FCNSEG_CACHE"] = str(Path(fresh) / "cache")
        take(chosen.file, chosen.theme, tuple(chosen.size), chosen.strokes)


def take(path: Path, theme: str, size: tuple[int, int], strokes: int) -> None:
    """Teach with some strokes and write the picture."""
    import napari
    from tour import palette_of
    from tour_stage import Stage, settle
    from tour_steps import _take_sample

    viewer = napari.Viewer()
    viewer.theme = theme
    stage = Stage(viewer)
    stage.window.resize(*size)
    stage.open_dock()
    _take_sample(stage)
    teach = stage.dock.teach
    stage.click(teach.parent().heading)
    stage.click(teach.start)
    stage.wait(lambda: teach.teacher.active is not None, "the strokes")
    stage.wait(lambda: not teach.teacher.jobs.busy, "what is to be known of the view")
    for number, stroke in enumerate(strokes_along_the_truth(strokes)):
        teach.classes.rows.setCurrentRow(number % 3)
        paint(stage, stroke)
    stage.wait(lambda: "Held-out" in teach.message.text() and not teach.teacher.jobs.busy, "what was learned")
    stage.top(teach)
    settle(1)
    stage.window.grab().save(str(path))
    picture = Image.open(path).convert("RGB")
    picture.quantize(palette=palette_of(picture)).save(path, optimize=True)
    viewer.close()


def strokes_along_the_truth(count: int) -> list[list[Any]]:
    """Return the pixels of strokes, of the classes in turn."""
    from napari_fcnseg.samples import SAMPLES

    truth, random, found = SAMPLES["cells"].truth(), np.random.default_rng(1), []
    for number in range(count):
        inside = ndimage.distance_transform_edt(truth == number % 3 + 1)
        good = np.argwhere(inside >= min(3, inside.max() * 0.6))
        stroke = [good[random.integers(len(good))]]
        for _ in range(_STEPS):
            near = good[np.abs(good - stroke[-1]).max(axis=1) < _FAR]
            stroke.append(near[random.integers(len(near))])
        found.append(stroke)
    return found


def paint(stage: Stage, stroke: list[Any]) -> None:
    """Paint a stroke with the mouse."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest
    from tour_stage import settle

    canvas = stage.viewer.window._qt_viewer.canvas.native
    camera = getattr(stage.viewer, "scene", stage.viewer).camera

    def at(pixel: Any) -> QPoint:
        world = stage.dock.teach.teacher.active.data_to_world(pixel)
        row, col = (np.asarray(world) - camera.center[-2:]) * camera.zoom
        return QPoint(round(canvas.width() / 2 + col), round(canvas.height() / 2 + row))

    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=at(stroke[0]))
    for pixel in stroke[1:]:
        QTest.mouseMove(canvas, at(pixel))
        settle(0.01)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=at(stroke[-1]))


if __name__ == "__main__":
    main()
