"""The classes that are painted: a click takes one for the brush, a double click names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QHBoxLayout, QListWidget, QListWidgetItem, QToolButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

_ICON = 12
_ROWS = 5  # that are seen at once


class ClassList(QWidget):
    """A row per class, with its colour."""

    #: Emitted with the label of the class that the brush is to paint.
    picked = Signal(int)
    #: Emitted with a label, and what its class is called from now on.
    renamed = Signal(int, str)
    #: Emitted with a label, and the colour of its class from now on.
    recoloured = Signal(int, str)
    #: Emitted to add a class, and with the label of one to delete.
    added = Signal()
    deleted = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.rows = QListWidget()
        self.rows.setAccessibleName("Classes to paint")
        self.rows.setToolTip("<p>Click a class to paint it, double-click to rename it, right-click to colour it.</p>")
        self.colour = QAction("Colour…", self.rows)
        self.colour.triggered.connect(lambda _=False: self._choose_colour())
        self.rows.addAction(self.colour)
        self.rows.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.rows.setIconSize(QSize(_ICON, _ICON))
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.add, self.delete = QToolButton(), QToolButton()
        for button, text, name in ((self.add, "+", "Add a class"), (self.delete, "−", "Delete this class")):
            button.setText(text)
            button.setToolTip(f"<p>{name}.</p>")
            button.setAccessibleName(name)
        beside = QVBoxLayout()
        for button in (self.add, self.delete):
            beside.addWidget(button)
        beside.addStretch()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.rows, 1)
        layout.addLayout(beside)
        self.rows.currentRowChanged.connect(lambda row: self.picked.emit(row + 1) if row >= 0 else None)
        self.rows.itemChanged.connect(self._changed)
        self.add.clicked.connect(self.added)
        self.delete.clicked.connect(lambda: self.deleted.emit(self.rows.currentRow() + 1))

    def show_classes(self, names: Sequence[str], colors: Sequence[str], label: int) -> None:
        """Show classes, one of them picked; rows that are right stay, for one may be being renamed."""
        if (tuple(names), tuple(colors)) == self._shown:
            self.pick(label)
            return
        self._shown = tuple(names), tuple(colors)
        self.rows.blockSignals(True)
        self.rows.clear()
        for name, color in zip(names, colors, strict=True):
            pixmap = QPixmap(_ICON, _ICON)
            pixmap.fill(QColor(color))
            item = QListWidgetItem(QIcon(pixmap), name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            item.setToolTip(name)
            self.rows.addItem(item)
        self.rows.setCurrentRow(label - 1)
        self.rows.blockSignals(False)
        self.delete.setEnabled(len(names) > 2)
        height = max(self.rows.sizeHintForRow(0), 18) * min(len(names), _ROWS) + 2 * self.rows.frameWidth() + 4
        buttons = self.add.sizeHint().height() + self.delete.sizeHint().height() + 6
        self.rows.setFixedHeight(max(height, buttons))

    def pick(self, label: int) -> None:
        """Show which class the brush paints."""
        if 0 < label <= self.rows.count() and label != self.rows.currentRow() + 1:
            self.rows.blockSignals(True)
            self.rows.setCurrentRow(label - 1)
            self.rows.blockSignals(False)

    def _choose_colour(self) -> None:
        label, colors = self.rows.currentRow() + 1, self._shown[1]
        if 0 < label <= len(colors):
            color = QColorDialog.getColor(QColor(colors[label - 1]), self, f"Colour of {self._shown[0][label - 1]}")
            if color.isValid():
                self.recoloured.emit(label, color.name())

    def _changed(self, item: QListWidgetItem) -> None:
        self._shown = ((), ())  # a name that is not taken is taken back
        self.renamed.emit(self.rows.row(item) + 1, item.text().strip())
