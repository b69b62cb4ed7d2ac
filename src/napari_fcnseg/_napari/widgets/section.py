"""A part of the dock that can be folded away."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget


class Section(QWidget):
    """A heading that shows and hides what is below it.

    Parameters
    ----------
    title : str
        The heading.
    part : QWidget
        What is below it.
    tooltip : str
        Of the heading.
    """

    def __init__(self, title: str, part: QWidget, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setToolTip(f"<p>{tooltip}</p>")
        self.heading.setAccessibleName(title)
        self.heading.setCheckable(True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setAutoRaise(True)
        self.heading.toggled.connect(self.unfold)
        self._part = part
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.heading)
        layout.addWidget(part)
        self.unfold(False)

    def unfold(self, open_: bool = True) -> None:
        """Show what is below the heading, or hide it."""
        self.heading.setChecked(open_)
        self.heading.setArrowType(Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow)
        self._part.setVisible(open_)
