"""The axes of an image as a drawn strip: one segment per axis, coloured by what it is for the model."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractButton, QGridLayout, QMenu, QSizePolicy, QWidget

from napari_fcnseg._napari.layers.axes import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent, QPaintEvent

    from napari_fcnseg._napari.segment.image.axis_segments import AxisSegment

_SKY, _ORANGE, _GREY = "#56b4e9", "#e69f00", "#a6a6a6"  # colour-blind safe, and black is legible on all
_COLOURS = {
    Role.FRAMES: _GREY,
    Role.CHANNELS: _ORANGE,
    Role.COLOURS: _ORANGE,
    Role.PLANES: _SKY,
    Role.ROWS: _SKY,
    Role.COLUMNS: _SKY,
}
#: In a narrow dock more axes go into another row.
_PER_ROW = 5
_SMALL = 0.85  # of the font, what is below a segment
_LEFT, _RIGHT = (Qt.Key.Key_Left, Qt.Key.Key_Up), (Qt.Key.Key_Right,)
_OPEN = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Down, Qt.Key.Key_Menu)


class SegmentButton(QAbstractButton):
    """One axis: its letter and its length in a coloured box, what it is below.

    Parameters
    ----------
    segment : AxisSegment
        What it shows.
    """

    #: Emitted with -1 or 1 for the segment before or after this one.
    moved = Signal(int)

    def __init__(self, segment: AxisSegment, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segment = segment
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"Axis {segment.letter}: {segment.role.value or 'no model yet'}")
        self.setAccessibleDescription(segment.words)
        self.setToolTip(f"<p>{segment.words}</p>")
        if segment.options:
            self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the height of three lines; as wide as there is room."""
        metrics = QFontMetrics(self._font(1, bold=True))
        return QSize(
            metrics.horizontalAdvance("columns"), self._box_height() + QFontMetrics(self._font(_SMALL)).height() + 2
        )

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return that a segment can be narrow."""
        return QSize(QFontMetrics(self.font()).horizontalAdvance("00"), self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Open the menu, or go to a neighbour."""
        if event is None:
            return
        key = event.key()
        if key in _OPEN:
            self.click()
        elif key in _LEFT or key in _RIGHT:
            self.moved.emit(1 if key in _RIGHT else -1)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the box, what is in it, and what is below it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        box = QRectF(1.5, 1.5, self.width() - 3, self._box_height() - 3)
        inside = self._draw_box(painter, box, text)
        segment = self.segment
        painter.setPen(QColor("black") if segment.role in _COLOURS else text)
        self._write(painter, inside.adjusted(0, 2, 0, -inside.height() / 2), segment.letter, self._font(1.1, bold=True))
        self._write(painter, inside.adjusted(0, inside.height() / 2, 0, -2), f"{segment.length:,}", self._font(_SMALL))
        painter.setPen(text)
        below = QRectF(0, self._box_height(), self.width(), self.height() - self._box_height())
        self._write(painter, below, segment.role.value, self._font(_SMALL))
        if segment.options:  # a small arrow says that there is a menu
            self._draw_arrow(painter, inside, QColor("black") if segment.role in _COLOURS else text)

    def _draw_box(self, painter: QPainter, box: QRectF, text: QColor) -> QRectF:
        """Draw the box; several behind each other where each channel is a layer. Return the one in front."""
        fill = QColor(_COLOURS.get(self.segment.role, "transparent"))
        edge = QColor(text)
        edge.setAlphaF(1.0 if self.hasFocus() or self.underMouse() else 0.4)
        pen = QPen(edge, 2.5 if self.hasFocus() else 1.2)
        if self.segment.role is Role.PERHAPS:
            pen = QPen(QColor(_ORANGE), 2.5, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(fill)
        step = box.height() / 10
        behind = min(self.segment.layers, 3) - 1 if self.segment.layers else 0
        front = box.adjusted(0, step * behind, -step * behind, 0)
        for place in range(behind, -1, -1):
            painter.drawRoundedRect(front.translated(step * place, -step * place), 3, 3)
        return front

    def _draw_arrow(self, painter: QPainter, box: QRectF, color: QColor) -> None:
        size = box.height() / 12
        corner = QPointF(box.right() - 3 * size, box.bottom() - 2.5 * size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(QPolygonF([corner, corner + QPointF(2 * size, 0), corner + QPointF(size, 1.3 * size)]))

    def _write(self, painter: QPainter, box: QRectF, text: str, font: QFont) -> None:
        painter.setFont(font)
        short = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(box.width()))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), short)

    def _font(self, factor: float, *, bold: bool = False) -> QFont:
        font = QFont(self.font())
        if font.pixelSize() > 0:
            font.setPixelSize(max(1, round(font.pixelSize() * factor)))
        else:
            font.setPointSizeF(font.pointSizeF() * factor)
        font.setBold(bold)
        return font

    def _box_height(self) -> int:
        return round(2.7 * QFontMetrics(self.font()).height())


class AxisStrip(QWidget):
    """Shows what each axis of an image is, and lets the user change it."""

    #: Emitted with the :class:`AxisChoice` that the user made.
    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Axes of the image")
        self.buttons: list[SegmentButton] = []
        self.menu: QMenu | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)

    @property
    def segments(self) -> tuple[AxisSegment, ...]:
        """What is shown."""
        return tuple(button.segment for button in self.buttons)

    def show_segments(self, segments: Sequence[AxisSegment]) -> None:
        """Show segments; the keyboard stays where it was."""
        if tuple(segments) == self.segments:
            return
        focused = next((place for place, button in enumerate(self.buttons) if button.hasFocus()), None)
        for button in self.buttons:
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = [SegmentButton(segment, self) for segment in segments]
        for before, after in itertools.pairwise((self, *self.buttons)):  # new widgets are the last ones otherwise
            QWidget.setTabOrder(before, after)
        per_row = -(-len(segments) // -(-len(segments) // _PER_ROW)) if segments else 1
        for place, button in enumerate(self.buttons):
            self._grid.addWidget(button, *divmod(place, per_row))
            button.clicked.connect(self._open)
            button.moved.connect(self._move)
        if focused is not None and self.buttons:
            self.buttons[min(focused, len(self.buttons) - 1)].setFocus()

    def _open(self) -> None:
        button = self.sender()
        if not isinstance(button, SegmentButton) or not button.segment.options:
            return
        self.menu = QMenu(self)
        self.menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for option in button.segment.options:
            action = self.menu.addAction(option.text)
            if action is not None:
                action.setCheckable(True)
                action.setChecked(option.chosen)
                action.setData(option.choice)
        self.menu.triggered.connect(self._choose)
        self.menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _choose(self, action: object) -> None:
        self.chosen.emit(action.data())  # type: ignore[attr-defined]

    def _move(self, step: int) -> None:
        here = next((place for place, button in enumerate(self.buttons) if button is self.sender()), None)
        if here is not None:
            self.buttons[(here + step) % len(self.buttons)].setFocus(Qt.FocusReason.TabFocusReason)
