"""The table of objects as Qt sees it: sorted and filtered by numbers of rows, whatever their number."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.instances.measuring import ObjectTable

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
_CONDITION = re.compile(r"\s*(.+?)\s*(>=|<=|!=|>|<|=)\s*(-?[\d.]+(?:e-?\d+)?)\s*", re.IGNORECASE)


class ObjectModel(QAbstractTableModel):
    """Shows objects.

    Attributes
    ----------
    table : ObjectTable or None
        All of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table: ObjectTable | None = None
        self._columns: list[npt.NDArray[Any]] = []
        self._names: list[str] = []
        self._rows: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._by: tuple[int, bool] | None = None
        self._filter = ""

    def show_table(self, table: ObjectTable | None) -> None:
        """Show other objects, sorted and filtered as those before where that can be."""
        self.beginResetModel()
        self.table = table
        self._columns = list(table.columns.values()) if table is not None else []
        self._names = list(table.columns) if table is not None else []
        try:
            self._order()
        except SettingsError:
            self._filter = ""
            self._order()
        self.endResetModel()

    def filter(self, text: str) -> None:
        """Show the objects that fulfil conditions such as ``area > 50, eccentricity < 0.9``.

        Raises
        ------
        SettingsError
            If it is no such text.
        """
        before, self._filter = self._filter, text
        self.beginResetModel()
        try:
            self._order()
        except SettingsError:
            self._filter = before
            raise
        finally:
            self.endResetModel()

    def place_of(self, row: int) -> int:
        """Return which object of the whole table a row shows."""
        return int(self._rows[row])

    def row_of(self, label: int) -> int:
        """Return the row that shows an object; -1 if none does."""
        if not self._columns:
            return -1
        found = np.flatnonzero(self._columns[0][self._rows] == label)
        return int(found[0]) if len(found) else -1

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return how many objects are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Return how much is measured of each."""
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a number as text."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole or not index.isValid():
            return None
        value = self._columns[index.column()][self._rows[index.row()]]
        return f"{value:,}" if isinstance(value, np.integer) else f"{value:.4g}"

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a heading."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._names[section] if section < len(self._names) else None
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; by -1 as they were."""
        self.layoutAboutToBeChanged.emit()
        self._by = (column, order == Qt.SortOrder.DescendingOrder) if 0 <= column < len(self._columns) else None
        self._order()
        self.layoutChanged.emit()

    def _order(self) -> None:
        count = len(self._columns[0]) if self._columns else 0
        rows = np.flatnonzero(self._fulfilled(count))
        if self._by is not None and self._by[0] < len(self._columns):
            column, down = self._by
            values = self._columns[column][rows]
            rows = rows[np.argsort(-values if down else values, kind="stable")]
        self._rows = rows

    def _fulfilled(self, count: int) -> npt.NDArray[np.bool_]:
        shown = np.ones(count, bool)
        for text in filter(None, map(str.strip, self._filter.split(","))):
            match = _CONDITION.fullmatch(text)
            name = match[1].casefold() if match else ""
            column = next((i for i, each in enumerate(self._names) if each.casefold() == name), None)
            if column is None:
                column = next((i for i, each in enumerate(self._names) if each.casefold().startswith(name)), None)
            if match is None or column is None:
                raise SettingsError(f"Filter: {text!r} is no condition. Write for example: area (px) > 50.")
            shown &= _COMPARE[match[2]](self._columns[column], float(match[3]))
        return shown


def view_of(model: ObjectModel) -> QTableView:
    """Return a table that shows the objects, in their order until somebody sorts it."""
    view = QTableView()
    view.setModel(model)
    view.setSortingEnabled(True)
    view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setTabKeyNavigation(False)
    view.setAccessibleName("Objects")
    if (numbers := view.verticalHeader()) is not None:
        numbers.hide()
    return view
