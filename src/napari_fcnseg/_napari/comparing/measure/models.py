"""Tables of scores for Qt: they show a sheet, or a confusion matrix, and hold nothing of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_fcnseg._napari.comparing.measure.sheets import Sheet, cell_tip, number

if TYPE_CHECKING:
    from napari_fcnseg.comparison import Entry, Study

_ROLE = Qt.ItemDataRole
_NOWHERE = QModelIndex()
#: Darkest shade of a cell of the confusion matrix: right ones and wrong ones, told apart by colour-blind readers.
_RIGHT, _WRONG = (0, 114, 178), (213, 94, 0)
_SHADE = 200


class SheetModel(QAbstractTableModel):
    """Shows a sheet, in an order that a click on a heading chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.sheet = Sheet(())
        self._order: list[int] = []

    def show(self, sheet: Sheet) -> None:
        """Show another sheet."""
        self.beginResetModel()
        self.sheet, self._order = sheet, list(range(len(sheet)))
        self.endResetModel()

    def source_row(self, row: int) -> int:
        """Return which line of the sheet a row shows."""
        return self._order[row]

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
        """Return what stands in a cell, what explains it, and how it is written."""
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
        """Return a heading, and what explains it."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.sheet.columns):
            return None
        column = self.sheet.columns[section]
        if role == _ROLE.DisplayRole:
            return column.title
        return f"<p>{_escaped(column.tip)}</p>" if role == _ROLE.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column; those without a value are last either way."""
        if not 0 <= column < len(self.sheet.columns):
            return
        values = self.sheet.columns[column].values
        known = [row for row in range(len(self.sheet)) if values[row] is not None]
        unknown = [row for row in range(len(self.sheet)) if values[row] is None]
        known.sort(key=values.__getitem__, reverse=order == Qt.SortOrder.DescendingOrder)
        self.layoutAboutToBeChanged.emit()
        self._order = known + unknown
        self.layoutChanged.emit()


class ConfusionModel(QAbstractTableModel):
    """Shows a confusion matrix: rows are the truth, columns the mask, shaded by the share of the row."""

    def __init__(self) -> None:
        super().__init__()
        self._study: Study | None = None
        self._entry: Entry | None = None
        self._matrix = np.zeros((0, 0), np.int64)
        self._names: list[str] = []
        self._shares: tuple[np.ndarray, np.ndarray] = (self._matrix, self._matrix)
        self.unit = "pixels"

    def show(self, study: Study | None, entry: Entry | None) -> None:
        """Show the matrix of another mask."""
        self.beginResetModel()
        self._study, self._entry = study, entry
        labels = () if entry is None else entry.comparison.labels
        self._matrix = np.array(entry.comparison.confusion if entry is not None else (), np.int64).reshape(
            len(labels), len(labels)
        )
        names = {} if study is None else study.class_names
        self._names = [names.get(label, str(label)) for label in labels]
        sums = self._matrix.sum(1, keepdims=True), self._matrix.sum(0, keepdims=True)
        self._shares = tuple(self._matrix / np.maximum(total, 1) for total in sums)
        self.endResetModel()

    def set_unit(self, unit: str) -> None:
        """Show pixels, or per cent of the row or of the column."""
        self.unit = unit
        self.layoutChanged.emit()

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
        """Return what stands in a cell, its shade, and what it says in words."""
        row, column = index.row(), index.column()
        if role == _ROLE.DisplayRole:
            return self._shown(row, column)
        if role == _ROLE.BackgroundRole and self._matrix[row, column]:
            share = math.sqrt(self._shares[0][row, column])  # few wrong pixels are what one looks for
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
        whole = self._matrix.sum(0 if across else 1)[section]
        name = _escaped(self._names[section])
        return f"<p>{number(int(whole))} pixels are {name} in {'B, the mask' if across else 'A, the truth'}.</p>"

    def _shown(self, row: int, column: int) -> str:
        if self.unit == "pixels":
            return number(int(self._matrix[row, column]))
        return f"{100 * self._shares[0 if 'row' in self.unit else 1][row, column]:.3g} %"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
