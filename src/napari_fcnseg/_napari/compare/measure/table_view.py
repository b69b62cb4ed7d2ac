"""A table to read, to sort, to copy and to choose from, with the mouse or the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_fcnseg._napari.compare.measure.table_models import ConfusionModel, SheetModel

if TYPE_CHECKING:
    from qtpy.QtGui import QKeyEvent
    from qtpy.QtWidgets import QWidget

_MEASURED_ROWS = 50  # that decide how wide a column is
_MEASURED_COLUMNS = 40  # that are measured; of the many of a large matrix all are equally wide


class Table(QTableView):
    """Shows a model of scores.

    Parameters
    ----------
    model : SheetModel or ConfusionModel
        What is shown.
    name : str
        For those who do not see it.
    rows : int
        That are seen at once, at least.
    """

    #: Emitted with the cell that was clicked, or on which Enter was pressed.
    chosen = Signal(QModelIndex)

    def __init__(
        self, model: SheetModel | ConfusionModel, name: str, rows: int = 6, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._shown = model
        self.setModel(model)
        self.setAccessibleName(name)
        self.setTabKeyNavigation(False)  # Tab goes on to the next part; arrows go from cell to cell
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        line = self.fontMetrics().lineSpacing() * 3 // 2
        below = self.verticalHeader()
        assert below is not None, "a table has one"
        below.setDefaultSectionSize(line)
        below.setMinimumSectionSize(line)
        if isinstance(model, SheetModel):
            below.hide()
            self.setSortingEnabled(True)
            self.sortByColumn(-1, Qt.SortOrder.DescendingOrder)
            self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setMinimumHeight((rows + 2) * line)
        model.modelReset.connect(self._fit)
        self.clicked.connect(self.chosen)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Copy the table, choose a cell, or do what Qt does."""
        if event is None:
            return
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.chosen.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def copy(self) -> None:
        """Copy the whole table with headings, tab-separated."""
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._shown.text())

    def _fit(self) -> None:
        header = self.horizontalHeader()
        if header is not None:
            header.setResizeContentsPrecision(_MEASURED_ROWS)
            if self._shown.columnCount() <= _MEASURED_COLUMNS:
                self.resizeColumnsToContents()
            else:
                header.setDefaultSectionSize(12 * self.fontMetrics().averageCharWidth())
            header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
