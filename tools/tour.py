"""Make the tour from the real window: ``python tools/with_display.py python tools/tour.py``, or ``make tour``.

It goes through the steps of ``tour_steps.py`` as a person does and leaves, under ``docs``, a picture of each, an
animation, the page ``tour.md``, and ``tour.json`` with what the dock said: a test compares that with the dock of today.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tour_stage import Stage
    from tour_steps import Step

ROOT = Path(__file__).resolve().parent.parent
ANIMATION = "tour.gif"
RECORD = "tour.json"
_COMMON, _RARE = 128, 127  # colours of a picture
_FILM_WIDTH, _BAR_HEIGHT, _FONT_SIZE = 800, 30, 16
_STEP_MILLISECONDS, _CLICK_MILLISECONDS, _LIVE_MILLISECONDS = 2200, 900, 350
_MOST_LIVE = 5  # frames of one step


def main() -> None:
    """Go through the tour and write it."""
    parser = argparse.ArgumentParser(description="Make the tour's pictures and page from the real window.")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder for the page and its pictures")
    folder = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="napari-fcnseg-tour-") as fresh:
        os.environ["NAPARI_CONFIG"] = str(Path(fresh) / "settings.yaml")  # the tour is that of a new user
        os.environ["NAPARI_FCNSEG_CACHE"] = str(Path(fresh) / "cache")
        os.environ["NAPARI_FCNSEG_DATA"] = str(Path(fresh) / "data")
        record(folder)


def record(folder: Path) -> None:
    """Drive the window through all steps, and write what was seen and said."""
    import napari
    from tour_stage import Stage, settle, shown
    from tour_steps import STEPS

    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    stage = Stage(viewer)
    film = Film(stage)
    entries, taken = [], {}  # written at the end: a run would go on meanwhile
    for step in STEPS:
        film.begin(step)
        step.act(stage)
        said = shown(stage)
        settle(0.05 if getattr(stage.dock.controller, "running", False) else 1)  # until the canvas is drawn
        close_notifications(stage)
        taken[picture_name(step, STEPS)] = grab(stage, step)
        film.end()
        if step.leave is not None:
            step.leave(stage)
        entries.append({"name": step.name, "title": step.title, "caption": step.caption, "shows": said})
        print(f"{step.name}: {stage.said()}")
    viewer.close()
    for name, image in taken.items():
        save(image, pictures / name)
    film.save(pictures / ANIMATION)
    (pictures / RECORD).write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "tour.md").write_text(page(STEPS), encoding="utf-8")
    for path in sorted(pictures.iterdir()):
        print(f"{path.stat().st_size / 1000:7.0f} kB  {path.name}")


def picture_name(step: Step, steps: Sequence[Step]) -> str:
    """Return the name of a step's picture."""
    return f"{steps.index(step) + 1:02}-{step.name}.png"


def page(steps: Sequence[Step]) -> str:
    """Return the tour as Markdown."""
    parts = [
        "# A tour of the docks",
        "`make tour` makes this page, its pictures and the animation, by clicking through the real window; the tests "
        "fail when the dock says something else than they show.",
        f"![the tour, animated](pictures/{ANIMATION})",
    ]
    for number, step in enumerate(steps, 1):
        picture = f"![{step.title}](pictures/{picture_name(step, steps)})"
        parts += [f"## {number}. {step.title}", step.caption, picture]
    return "\n\n".join(parts) + "\n"


def close_notifications(stage: Stage) -> None:
    """Close what napari has popped up over the canvas: the dock says the same."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    for notification in stage.window.findChildren(NapariQtNotification):
        notification.hide()  # at once; closing would fade it out
        notification.close()


def grab(stage: Stage, step: Step | None = None) -> Image.Image:
    """Return what the window shows, with an open menu; for a step, the part of it that the step is about."""
    from qtpy.QtCore import QPoint, QRect
    from qtpy.QtGui import QPainter, QPixmap
    from qtpy.QtWidgets import QDialog
    from tour_stage import popup

    part = step.part(stage) if step is not None and step.part is not None else stage.window
    if isinstance(part, QDialog):
        return as_image(part.grab())
    pixmap: QPixmap = stage.window.grab()
    seen = QRect(part.mapTo(stage.window, QPoint(0, 0)), part.size())
    menu = popup()
    if menu is not None:
        corner = stage.window.mapFromGlobal(menu.mapToGlobal(QPoint(0, 0)))
        painter = QPainter(pixmap)
        painter.drawPixmap(corner, menu.grab())
        painter.end()
        seen = seen.united(QRect(corner, menu.size()))
    return as_image(pixmap.copy(seen.intersected(pixmap.rect())))


def as_image(pixmap: Any) -> Image.Image:
    """Return what Qt has drawn as an image of Pillow."""
    from qtpy.QtGui import QImage

    drawn = pixmap.toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    pointer = drawn.constBits()
    if hasattr(pointer, "setsize"):  # of PyQt
        pointer.setsize(drawn.sizeInBytes())
    return Image.frombytes("RGBA", (drawn.width(), drawn.height()), bytes(pointer)).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """Write a picture with as many colours as one byte has."""
    image.quantize(palette=palette_of(image), dither=Image.Dither.NONE).save(path, optimize=True)


def palette_of(image: Image.Image) -> Image.Image:
    """Return a palette: for the most part of what there is much of, and of what is rare, as the classes' colours."""
    colours: list[int] = []
    for method, number in ((Image.Quantize.MEDIANCUT, _COMMON), (Image.Quantize.MAXCOVERAGE, _RARE)):
        colours += (image.quantize(number, method).getpalette() or [])[: 3 * number]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette


class Film:
    """Collects the frames of the animation.

    Parameters
    ----------
    stage : Stage
        What is filmed; it calls when something may have changed.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._step: Step | None = None
        self._frames: list[tuple[Image.Image, str, int]] = []
        self._controller, self._done = 0, -1
        stage.look = self._look

    def begin(self, step: Step) -> None:
        """Film a step."""
        self._step, self._controller, self._done = step, 0, -1

    def end(self) -> None:
        """Film what a step has come to."""
        if self._step is not None and self._step.film:
            self._take(_STEP_MILLISECONDS)

    def _look(self) -> None:
        """Film each click, and a run whenever an eighth of its tiles has been added."""
        dock = self._stage.dock
        if self._step is None or not self._step.film or dock is None:
            return
        if self._stage.pointer is not None:
            self._take(_CLICK_MILLISECONDS)
            return
        if not dock.controller.running:
            return
        eighth = dock.run.bar.value() * 8 // max(dock.run.bar.maximum(), 1)
        labels = any("·" in layer.name for layer in self._stage.viewer.layers)
        if labels and eighth > self._done and self._controller < _MOST_LIVE and dock.run.bar.isVisible():
            self._done, self._controller = eighth, self._controller + 1
            self._take(_LIVE_MILLISECONDS)

    def _take(self, milliseconds: int) -> None:
        assert self._step is not None, "begun before"
        close_notifications(self._stage)
        picture = grab(self._stage)
        if self._stage.pointer is not None:
            x, y = self._stage.pointer.x(), self._stage.pointer.y()
            ImageDraw.Draw(picture).ellipse((x - 14, y - 14, x + 14, y + 14), outline="#ff4040", width=4)
        self._frames.append((picture, self._step.title, milliseconds))

    @staticmethod
    def _frame(picture: Image.Image, title: str) -> Image.Image:
        """Return a frame: a smaller picture with its title below."""
        frame = picture.resize(
            (_FILM_WIDTH, round(_FILM_WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS
        )
        whole = Image.new("RGB", (frame.width, frame.height + _BAR_HEIGHT), "#262930")
        whole.paste(frame, (0, 0))
        font = ImageFont.load_default(_FONT_SIZE)
        ImageDraw.Draw(whole).text((12, frame.height + 5), title, "white", font)
        return whole

    def save(self, path: Path) -> None:
        """Write the animation; all frames have the same colours, so that only what changes is kept."""
        images = [self._frame(picture, title) for picture, title, _ in self._frames]
        width, height = images[0].size
        sheet = Image.new("RGB", (width, height * len(images)))
        for number, image in enumerate(images):
            sheet.paste(image, (0, height * number))
        palette = palette_of(sheet)
        frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
        frames[0].save(
            path, save_all=True, append_images=frames[1:], loop=0, optimize=True, disposal=1,
            duration=[milliseconds for _, _, milliseconds in self._frames],
        )  # fmt: skip


if __name__ == "__main__":
    main()
