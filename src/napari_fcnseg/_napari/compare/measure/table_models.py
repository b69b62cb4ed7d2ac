"""Tables of scores for Qt: they show a sheet, or a confusion matrix, and hold nothing of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_fcnseg._napari.compare.measure.sheets import Sheet, cell_tip, number
from napari_fcnseg.comparison.metrics.classes import confusion

if TYPE_CHECKING:
    from napari_fcnseg.comparison import Study, StudyEntry

_ROLE = Qt.ItemDataRole
_NOWHERE = QModelIndex()
#: Darkest shade of a cell of the confusion matrix: right ones and wrong ones, colour-blind safe.
_RIGHT, _WRONG = (0, 114, 178), (213, 94, 0)
_SHADE = 200


class SheetModel(QAbstractTableModel):
    """Shows a sheet, in an order that a click on a heading chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet(())
        self._order: list[int] = []
        self._by: tuple[int, bool] | None = None  # column, and whether the largest is first

    def show(self, sheet: Sheet) -> None:
        """Show another sheet, in the order that was chosen for the one before."""
        self.beginResetModel()
        self.sheet = sheet
        self._order = self._ordered()
        self.endResetModel()

    def source_row(self, row: int) -> int:
        """Return the line of the sheet that a row shows."""
        return self._order[row]

    def row_of(self, source: int) -> int:
        """Return the row that shows a line of the sheet."""
        return self._order.index(source)

    def text(self) -> str:
        """Return the sheet as text, in the order shown."""
        return self.sheet.text(self._order)

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self.sheet)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.sheet.columns)

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        """Return the text, tooltip, colour or alignment of a cell."""
        column, row = self.sheet.columns[index.column()], self._order[index.row()]
        if role == _ROLE.DisplayRole:
            return column.text(column.values[row])
        if role == _ROLE.ToolTipRole:
            return f"<p>{_escaped(column.tip_of(row))}</p>"
        if role == _ROLE.DecorationRole and index.column() == 0 and self.sheet.colors and self.sheet.colors[row]:
            return QColor(self.sheet.colors[row])
        if role == _ROLE.TextAlignmentRole and not isinstance(column.values[row], str):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return a heading or its tooltip."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.sheet.columns):
            return None
        column = self.sheet.columns[section]
        if role == _ROLE.DisplayRole:
            return column.title
        return f"<p>{_escaped(column.tip)}</p>" if role == _ROLE.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column; those without a value are last either way. What is selected stays so."""
        self._by = (column, order == Qt.SortOrder.DescendingOrder) if column >= 0 else None
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        lines = [self._order[index.row()] for index in kept]
        self._order = self._ordered()
        where = {line: row for row, line in enumerate(self._order)} if kept else {}
        moved = [self.index(where[line], index.column()) for line, index in zip(lines, kept, strict=True)]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    def _ordered(self) -> list[int]:
        rows = range(len(self.sheet))
        if self._by is None or self._by[0] >= len(self.sheet.columns):
            return list(rows)
        values = self.sheet.columns[self._by[0]].values
        known = [row for row in rows if values[row] is not None]
        known.sort(key=values.__getitem__, reverse=self._by[1])
        return known + [row for row in rows if values[row] is None]


class ConfusionModel(QAbstractTableModel):
    """Shows a confusion matrix: rows are the truth, columns the mask, shaded by the share of the row."""

    def __init__(self) -> None:
        super().__init__()
        self._study: Study | None = None
        self._entry: StudyEntry | None = None
        self._matrix = np.zeros((0, 0), np.int64)
        self._names: list[str] = []
        self._sums = self._matrix.sum(1), self._matrix.sum(0)
        self.unit = "pixels"

    def show(self, study: Study | None, entry: StudyEntry | None) -> None:
        """Show the matrix of another mask."""
        self.beginResetModel()
        self._study, self._entry = study, entry
        labels = () if entry is None else entry.comparison.labels
        # From the table of overlaps: thousands of labels are millions of plain numbers to read.
        self._matrix = np.zeros((0, 0), np.int64) if entry is None else confusion(entry.table, np.array(labels, int))
        names = {} if study is None else study.class_names
        self._names = [names.get(label, str(label)) for label in labels]
        self._sums = self._matrix.sum(1), self._matrix.sum(0)
        self.endResetModel()

    def set_unit(self, unit: str) -> None:
        """Show pixels, or per cent of the row or of the column."""
        self.unit = unit
        if self._names:
            last = len(self._names) - 1
            self.dataChanged.emit(self.index(0, 0), self.index(last, last))

    def labels(self, index: QModelIndex) -> tuple[int, int]:
        """Return the truth's label and the mask's that a cell stands for."""
        assert self._entry is not None, "there are no cells without"
        known = self._entry.comparison.labels
        return known[index.row()], known[index.column()]

    def text(self) -> str:
        """Return the matrix as text, with headings."""
        lines = ["\t".join(["A \\ B", *self._names])]
        for i, name in enumerate(self._names):
            lines.append("\t".join([name, *(self._shown(i, j) for j in range(len(self._names)))]))
        return "\n".join(lines) + "\n"

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of labels."""
        return 0 if parent.isValid() else len(self._names)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:  # noqa: N802 - Qt's name
        """Return the number of labels."""
        return 0 if parent.isValid() else len(self._names)

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        """Return the text, shade or tooltip of a cell."""
        row, column = index.row(), index.column()
        if role == _ROLE.DisplayRole:
            return self._shown(row, column)
        if role == _ROLE.BackgroundRole and self._matrix[row, column]:
            share = math.sqrt(self._share(row, column))  # a few wrong pixels must not vanish
            return QColor(*(_RIGHT if row == column else _WRONG), round(_SHADE * share))
        if role == _ROLE.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == _ROLE.ToolTipRole and self._study is not None and self._entry is not None:
            return f"<p>{_escaped(cell_tip(self._study, self._entry, row, column))}</p>"
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        """Return the name of a label, and whose it is."""
        if section >= len(self._names) or role not in (_ROLE.DisplayRole, _ROLE.ToolTipRole):
            return None
        across = orientation == Qt.Orientation.Horizontal
        if role == _ROLE.DisplayRole:
            return f"{'B' if across else 'A'}: {self._names[section]}"
        whole = self._sums[across][section]
        name = _escaped(self._names[section])
        return f"<p>{number(int(whole))} pixels are {name} in {'B, the mask' if across else 'A, the truth'}.</p>"

    def _shown(self, row: int, column: int) -> str:
        if self.unit == "pixels":
            return number(int(self._matrix[row, column]))
        whole = self._sums["column" in self.unit][column if "column" in self.unit else row]
        return f"{100 * self._matrix[row, column] / whole:.3g} %" if whole else "–"

    def _share(self, row: int, column: int) -> float:
        """Return the share of its row that a cell has."""
        return float(self._matrix[row, column] / self._sums[0][row])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
