"""The part of a dock that scrolls, up and down only: it is never narrower than what is in it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget

_SPARE = 4  # pixels: a style may draw the bar wider than it says


class PanelScroll(QScrollArea):
    """Scrolls a column of parts, and asks for the width that they need, whenever that changes.

    Parameters
    ----------
    column : QWidget
        The parts.
    """

    def __init__(self, column: QWidget) -> None:
        super().__init__()
        self.setWidget(column)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Notice that the parts need another width."""
        if event is not None and watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.fit()
        return super().eventFilter(watched, event)

    def fit(self) -> None:
        """Ask for the width that is needed, the bar for scrolling among it."""
        column, bar = self.widget(), self.verticalScrollBar()
        if column is None or bar is None:
            return
        width = column.minimumSizeHint().width() + max(bar.sizeHint().width(), bar.width() * bar.isVisible()) + _SPARE
        if width != self.minimumWidth():
            self.setMinimumWidth(width)
