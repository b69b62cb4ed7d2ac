"""The conversion report as a table: each layer of a model, or the one that it was refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QGuiApplication, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_fcnseg._napari.widgets.style import ERROR_COLOR
from napari_fcnseg._napari.widgets.text_dialog import button

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent

    from napari_fcnseg._napari.segment.models.model_text import LayerTable

_BECAME = 2  # the column
_WIDEST = 45  # letters of a column before its text is wrapped


class ReportDialog(QDialog):
    """The tables of one or more models.

    Parameters
    ----------
    sheets : sequence of LayerTable
        One per model.
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(self, sheets: Sequence[LayerTable], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("What became of the model")
        self.sheets = tuple(sheets)
        self.pages = [_Page(sheet) for sheet in sheets]
        self.copy = button("Copy", "Copy the whole table, as text that a spreadsheet takes.")
        self.copy.clicked.connect(self.copy_all)
        close = button("Close", "Close this window.")
        close.clicked.connect(self.close)
        self.message = QLabel()
        row = QHBoxLayout()
        row.addWidget(self.message, 1)
        row.addWidget(self.copy)
        row.addWidget(close)
        layout = QVBoxLayout(self)
        if len(self.pages) == 1:
            layout.addWidget(self.pages[0])
        else:
            tabs = QTabWidget()
            for page, sheet in zip(self.pages, sheets, strict=True):
                tabs.addTab(page, sheet.name.replace("&", "&&"))
            layout.addWidget(tabs)
        layout.addLayout(row)
        letter = self.fontMetrics().averageCharWidth()
        self.resize(150 * letter, 75 * letter)

    def copy_all(self) -> None:
        """Copy all tables with what is said above them."""
        _copy("\n\n".join(sheet.as_text(_headings()) for sheet in self.sheets))
        self.message.setText("Copied.")


class _Page(QWidget):
    """What is said of a model, and its table."""

    def __init__(self, sheet: LayerTable) -> None:
        super().__init__()
        text = QLabel(f"{sheet.name}: {sheet.text}")
        text.setTextFormat(Qt.TextFormat.PlainText)  # names in files may look like markup
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = _table(sheet)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(self.table, 1)


class _Table(QTableWidget):
    """A table of which Ctrl+C copies all selected cells, and not the one with the focus alone."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Copy what is selected, row by row with tabs between the cells."""
        if event is None or not event.matches(QKeySequence.StandardKey.Copy):
            super().keyPressEvent(event)
            return
        rows: dict[int, list[str]] = {}
        for row, column in sorted((index.row(), index.column()) for index in self.selectedIndexes()):
            item = self.item(row, column)
            rows.setdefault(row, []).append(item.text() if item is not None else "")
        _copy("\n".join("\t".join(row) for row in rows.values()))


def _headings() -> tuple[str, ...]:
    from napari_fcnseg.conversion.report import COLUMNS  # a model was read by now, and the dock opens without it

    return COLUMNS


def _table(sheet: LayerTable) -> QTableWidget:
    headings = _headings()
    table = _Table(len(sheet.rows), len(headings))
    table.setAccessibleName(f"Layers of {sheet.name}")
    table.setToolTip("<p>Mark cells and press Ctrl+C to copy them.</p>")
    table.setHorizontalHeaderLabels(headings)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)  # Tab leads on to the buttons, arrows from cell to cell
    if (numbers := table.verticalHeader()) is not None:
        numbers.hide()
    for r, row in enumerate(sheet.rows):
        for c, text in enumerate(row):
            item = QTableWidgetItem(text)
            if r == sheet.refused:
                item.setForeground(QColor(ERROR_COLOR))
                bold = item.font()
                bold.setBold(True)
                item.setFont(bold)
            table.setItem(r, c, item)
    table.resizeColumnsToContents()
    widest = _WIDEST * table.fontMetrics().averageCharWidth()
    for column in (0, _BECAME):
        table.setColumnWidth(column, min(table.columnWidth(column), widest))
    table.resizeRowsToContents()
    if sheet.refused is not None:
        table.setCurrentCell(sheet.refused, _BECAME)
        table.clearSelection()  # what is selected has a colour of its own
    return table


def _copy(text: str) -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None and text:
        clipboard.setText(text)
