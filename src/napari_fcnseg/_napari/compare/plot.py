"""A plot in the colours of the window, drawn in a worker: matplotlib takes longer than a window can stand still."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtGui import QImage, QPalette, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_fcnseg._napari.compare.latest_task import LatestTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from qtpy.QtGui import QResizeEvent, QShowEvent

    Draw = Callable[[Figure, str], None]

_STILL = 100  # milliseconds after the last change of size
_DPI = 96
_LINES = 14  # of text that it is high at least
#: matplotlib's font cache is not thread-safe.
_ONE = threading.Lock()


class Plot(QLabel):
    """Shows what a function draws on a matplotlib figure; drawn anew when its size or the theme changes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draw: Draw | None = None
        self._latest = LatestTask(self)
        self._latest.done.connect(self._take)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL)
        self._timer.timeout.connect(self._ask)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing())
        self.setAccessibleName("Plot")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size hint without a width of its own."""
        return QSize(10, self.minimumHeight())

    def show_drawing(self, draw: Draw | None) -> None:
        """Show what a function draws on a figure, given the colour of text; None clears the plot."""
        self._draw = draw
        if draw is None:
            self._latest.give_up()
            self.clear()
        else:
            self._timer.start()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw for the new size."""
        super().resizeEvent(event)
        self._timer.start()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw what was put off until the plot is visible."""
        super().showEvent(event)
        self._timer.start()

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw in the colours of another theme."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._timer.start()

    def _ask(self) -> None:
        if self._draw is None or not self.isVisible() or self.width() < 20:
            return
        ink = self.palette().color(QPalette.ColorRole.WindowText).name()
        size, ratio = (self.width(), self.height()), self.devicePixelRatioF()
        draw = self._draw
        self._latest.ask(lambda _: _drawn(draw, ink, size, ratio))

    def _take(self, image: QImage) -> None:
        self.setPixmap(QPixmap.fromImage(image))


def _drawn(draw: Draw, ink: str, size: tuple[int, int], ratio: float) -> QImage:
    """Return a picture of a figure; its pixels are those of the screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _ONE:
        figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI * ratio)
        canvas = FigureCanvasAgg(figure)
        draw(figure, ink)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = bytes(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        width, height = canvas.get_width_height(physical=True)
    image = QImage(pixels, width, height, QImage.Format.Format_RGBA8888).copy()  # it owns its pixels then
    image.setDevicePixelRatio(ratio)
    return image
