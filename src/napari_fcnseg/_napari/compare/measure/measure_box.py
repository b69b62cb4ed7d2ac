"""Show scores of masks: the result in a sentence, and tables with tooltips."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.measure import sheets
from napari_fcnseg._napari.compare.measure.objects_tab import ObjectsTab
from napari_fcnseg._napari.compare.measure.table_models import ConfusionModel, SheetModel
from napari_fcnseg._napari.compare.measure.table_view import Table
from napari_fcnseg._napari.compare.plot import Plot
from napari_fcnseg._napari.widgets.form import QuietCombo
from napari_fcnseg._napari.widgets.sentence import WrappingLabel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from napari_fcnseg.comparison import Study

_NOTHING = "Press Compare to see the scores."
_UNITS = ("pixels", "% of row (truth)", "% of column (mask)")


class MeasureBox(QWidget):
    """Shows a study: masks ranked, classes, confusion matrix, scores of the whole, objects, and their curve."""

    #: Emitted with a label of the truth and one of the mask whose cell was clicked.
    cell_clicked = Signal(int, int)
    #: Emitted with the ObjectRow that was clicked.
    object_clicked = Signal(object)
    #: Emitted with the IoU threshold that was chosen.
    threshold_changed = Signal(float)
    #: Emitted with the place in the study of a mask that was clicked.
    mask_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colors: Mapping[int, str] = {}
        self._ranked: list[int] = []
        self.headline = WrappingLabel()
        self.headline.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline.setAccessibleName("Result")
        self.tabs = QTabWidget()
        self.ranking, self.classes, self.overall = SheetModel(), SheetModel(), SheetModel()
        self.confusion = ConfusionModel()
        self.ranking_table = Table(self.ranking, "Masks, the best first")
        self.class_table = Table(self.classes, "Scores of classes")
        self.overall_table = Table(self.overall, "Scores of the whole")
        self.confusion_table = Table(self.confusion, "Confusion matrix: rows are the truth, columns the mask")
        self.unit = QuietCombo("Numbers of the confusion matrix", "What the numbers in the matrix are.")
        self.unit.addItems(list(_UNITS))
        self.objects = ObjectsTab()
        self.plot = Plot()
        matrix = QWidget()
        column = QVBoxLayout(matrix)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.unit)
        column.addWidget(self.confusion_table)
        for part, name, tip in (
            (self.ranking_table, "Masks", "All masks, the best first."),
            (self.class_table, "Classes", "Scores of each class."),
            (matrix, "Confusion", "Which labels are taken for which others. Click a cell to see its pixels."),
            (self.overall_table, "Overall", "Scores of the mask as a whole."),
            (self.objects, "Objects", "Single objects: found, missed, spurious. Click one to go there."),
            (self.plot, "Curve", "Scores of objects against the IoU threshold."),
        ):
            self.tabs.setTabToolTip(self.tabs.addTab(part, name), f"<p>{tip}</p>")
        self.tabs.setUsesScrollButtons(True)
        self.tabs.setAccessibleName("Scores")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.headline)
        layout.addWidget(self.tabs)
        self.ranking_table.chosen.connect(self._choose_mask)
        self.confusion_table.chosen.connect(self._choose_cell)
        self.unit.currentTextChanged.connect(self.confusion.set_unit)
        self.objects.object_clicked.connect(self.object_clicked)
        self.objects.threshold_changed.connect(self.threshold_changed)
        self.show_study(None)

    @property
    def threshold(self) -> float:
        """The IoU threshold that is chosen."""
        return self.objects.spin.value()

    def set_colors(self, colors: Mapping[int, str]) -> None:
        """Set the colours of the classes, as ``#rrggbb``."""
        self._colors = colors

    def show_study(self, study: Study | None, index: int = 0) -> None:
        """Show the scores of one mask of a study, and all masks ranked; None for nothing."""
        self.tabs.setVisible(study is not None)
        if study is None:
            self.headline.setText(_NOTHING)
            return
        entry = study.entries[index]
        self.headline.setText(sheets.headline(study, entry))
        self.overall.show(sheets.overall(entry))
        sheet, self._ranked = sheets.ranking(study)
        self.ranking.show(sheet)
        self.ranking_table.selectRow(self.ranking.row_of(self._ranked.index(index)))
        if study.single:
            self.objects.show_entry(study, entry)
            self.plot.show_drawing(partial(_draw_curve, study))
        else:
            self.classes.show(sheets.classes(entry, self._colors))
            self.confusion.show(study, entry)
        shown = {
            "Masks": len(study.entries) > 1, "Classes": not study.single, "Confusion": not study.single,
            "Objects": study.single, "Curve": study.single,
        }  # fmt: skip
        for tab in range(self.tabs.count()):
            self.tabs.setTabVisible(tab, shown.get(self.tabs.tabText(tab), True))

    def _choose_mask(self, index: QModelIndex) -> None:
        self.mask_chosen.emit(self._ranked[self.ranking.source_row(index.row())])

    def _choose_cell(self, index: QModelIndex) -> None:
        self.cell_clicked.emit(*self.confusion.labels(index))


def _draw_curve(study: Study, figure: Figure, ink: str) -> None:
    from napari_fcnseg.comparison.report.plots import scores_against_iou

    scores_against_iou(figure, ink, study)
