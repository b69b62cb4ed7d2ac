"""A small picture of the values that reach the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    from napari_fcnseg.plan.input_check import InputLook

_BAR = "#56b4e9"
_LINES = 2.2  # of text, how high it is
_SMALL = 0.85


class Histogram(QWidget):
    """Draws how often each value reaches the model, from the lowest to the highest."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.look: InputLook | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.show_look(None)

    def show_look(self, look: InputLook | None) -> None:
        """Show what was seen; None for nothing."""
        self.look = look
        said = f"Values for the model: {look.range_in_words()}" if look is not None else "Values for the model"
        self.setAccessibleName(said)
        self.setToolTip(f"<p>{said}. From a part of the image, after normalisation.</p>")
        self.setVisible(look is not None)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a height of two lines."""
        return QSize(60, round((_LINES + 1) * self.fontMetrics().height()))

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the bars, and the ends below them."""
        look = self.look
        if look is None or not look.counts:
            return
        painter = QPainter(self)
        line = self.fontMetrics().height()
        height, width = self.height() - line - 2, self.width()
        most, step = max(look.counts) ** 0.5 or 1, width / len(look.counts)
        for place, count in enumerate(look.counts):
            bar = height * count**0.5 / most
            painter.fillRect(QRectF(place * step, height - bar, max(step - 0.5, 0.5), bar), QColor(_BAR))
        text = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(text)
        painter.drawLine(0, height, width, height)
        font = self.font()
        if font.pixelSize() > 0:
            font.setPixelSize(max(1, round(font.pixelSize() * _SMALL)))
        else:
            font.setPointSizeF(font.pointSizeF() * _SMALL)
        painter.setFont(font)
        low, high = look.ends_in_words()
        painter.drawText(0, self.height() - 4, low)
        painter.drawText(width - painter.fontMetrics().horizontalAdvance(high) - 1, self.height() - 4, high)
