"""What became of each layer of a model, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QDialog, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg.conversion.report import ConversionReport


class ReportDialog(QDialog):
    """The conversion report of one or more models.

    Parameters
    ----------
    reports : sequence of (str, ConversionReport)
        Name and report of each model.
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(self, reports: Sequence[tuple[str, ConversionReport]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("What became of the model")
        layout = QVBoxLayout(self)
        for name, report in reports:
            heading = QLabel(f"<b>{name}</b>  {report.summary()} {' '.join(report.notes)}")
            heading.setWordWrap(True)
            layout.addWidget(heading)
            layout.addWidget(_table(report))
        self.resize(900, 500)


def _table(report: ConversionReport) -> QTableWidget:
    from napari_fcnseg.conversion.report import COLUMNS  # a model was read by now, and the dock opens without it

    rows = report.rows()
    table = QTableWidget(len(rows), len(COLUMNS))
    table.setHorizontalHeaderLabels(COLUMNS)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    if (numbers := table.verticalHeader()) is not None:
        numbers.hide()
    for r, row in enumerate(rows):
        for c, text in enumerate(row):
            table.setItem(r, c, QTableWidgetItem(text))
    table.resizeColumnsToContents()
    return table
