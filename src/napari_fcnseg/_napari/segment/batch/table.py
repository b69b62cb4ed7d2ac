"""The files of a batch as a table that fills in while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_fcnseg._napari.widgets.style import ERROR_COLOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtCore import QObject
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg.batch import ReportLine

_HEADINGS = ("File", "Status", "What happened")
_WORDS = {"done": "Done", "kept": "Done before", "skipped": "Left out", "failed": "Failed"}
_WAITING, _WORKING, _NOT_DONE = "Waiting", "Working…", "Not done"


class BatchModel(QAbstractTableModel):
    """What is in the table: a row per file; of thousands of rows only those in sight cost time."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._rows: dict[str, int] = {}
        self._lines: dict[int, ReportLine] = {}
        self._working: tuple[int, ...] = ()
        self._ended = False

    def begin(self, names: Sequence[str]) -> None:
        """Show these files, of which none is done."""
        self.beginResetModel()
        self._names, self._lines, self._working, self._ended = tuple(names), {}, (), False
        self._rows = {name: row for row, name in enumerate(names)}
        self.endResetModel()

    def work_on(self, *names: str) -> int:
        """Show that files are being worked on; return the row of the first."""
        rows = tuple(self._rows[name] for name in names)
        before, self._working = self._working, rows
        for row in sorted(set(before) ^ set(rows)):
            self._tell(row)
        return rows[0]

    def take(self, line: ReportLine) -> None:
        """Show what became of a file."""
        row = self._rows[line.input]
        self._lines[row] = line
        self._tell(row)

    def end(self) -> None:
        """Show that files without a line are not done."""
        self._ended = True
        self.dataChanged.emit(self.index(0, 0), self.index(len(self._names) - 1, len(_HEADINGS) - 1))

    def line(self, row: int) -> ReportLine | None:
        """Return what became of a file; None as long as it is not known."""
        return self._lines.get(row)

    @property
    def lines(self) -> list[ReportLine]:
        """What became of the files, of those that came to an end."""
        return list(self._lines.values())

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return the number of files."""
        return 0 if parent.isValid() else len(self._names)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008, N802 - Qt's
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        """Return the heading of a column, or the number of a row."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return _HEADINGS[section] if orientation == Qt.Orientation.Horizontal else section + 1

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell, which is its tooltip too, and its colour."""
        texts = self._texts(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return texts[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return texts[2] or texts[index.column()]
        line = self._lines.get(index.row())
        if role == Qt.ItemDataRole.ForegroundRole and line is not None:
            bad = line.status == "failed" or line.verified is False
            return QColor(ERROR_COLOR) if bad else None
        return None

    def _texts(self, row: int) -> tuple[str, str, str]:
        line = self._lines.get(row)
        if line is not None:
            return self._names[row], _WORDS.get(line.status, line.status), line.sentence
        return self._names[row], _NOT_DONE if self._ended else _WORKING if row in self._working else _WAITING, ""

    def _tell(self, row: int) -> None:
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(_HEADINGS) - 1))


def batch_view(model: BatchModel, parent: QWidget | None = None) -> QTableView:
    """Return the table."""
    view = QTableView(parent)
    view.setModel(model)
    view.setAccessibleName("Files of the batch")
    view.setToolTip("<p>One row per file. Double-click one that is done, or press Enter, to see its labels.</p>")
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setTabKeyNavigation(False)  # Tab leads on
    view.setWordWrap(False)
    header, rows = view.horizontalHeader(), view.verticalHeader()
    if header is not None and rows is not None:
        letter = view.fontMetrics().averageCharWidth()
        header.resizeSection(0, 24 * letter)
        header.resizeSection(1, 14 * letter)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        rows.hide()
    return view
