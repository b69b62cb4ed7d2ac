"""The tab of single objects: the IoU threshold, scores, and a table of the objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.measure.sheets import FILTERS, matching, objects
from napari_fcnseg._napari.compare.measure.table_models import SheetModel
from napari_fcnseg._napari.compare.measure.table_view import Table
from napari_fcnseg._napari.widgets.form import QuietCombo

if TYPE_CHECKING:
    from napari_fcnseg.comparison import ObjectRow, Study, StudyEntry

_DEBOUNCE = 150  # milliseconds after the last change
_IOU = (
    "From which overlap on an object of the mask is taken for one of the truth: shared pixels over the pixels of "
    "either (IoU). 0.5 is usual; 0.7 and more asks for outlines that fit."
)


class ObjectsTab(QWidget):
    """Shows the objects of a mask."""

    #: Emitted with an ObjectRow that was clicked.
    object_clicked = Signal(object)
    #: Emitted with the threshold a moment after it was changed.
    threshold_changed = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entry: StudyEntry | None = None
        self._rows: list[ObjectRow] = []
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(5, 95)
        self.slider.setSingleStep(5)
        self.slider.setPageStep(10)
        self.slider.setValue(50)
        self.spin = QDoubleSpinBox()
        self.spin.setRange(0.05, 0.95)
        self.spin.setSingleStep(0.05)
        self.spin.setDecimals(2)
        self.spin.setValue(0.5)
        for widget, name in ((self.slider, "IoU threshold"), (self.spin, "IoU threshold as a number")):
            widget.setToolTip(f"<p>{_IOU}</p>")
            widget.setAccessibleName(name)
        self.scores, self.objects = SheetModel(), SheetModel()
        self.score_table = Table(self.scores, "Scores of objects", rows=5)
        self.filter = QuietCombo("Which objects", "Which objects are listed.")
        self.filter.addItems(list(FILTERS))
        self.table = Table(self.objects, "Objects", rows=7)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE)
        self._timer.timeout.connect(lambda: self.threshold_changed.emit(self.spin.value()))
        self._arrange()
        self.slider.valueChanged.connect(lambda value: self.spin.setValue(value / 100))
        self.spin.valueChanged.connect(self._change)
        self.filter.currentTextChanged.connect(self._list)
        self.table.chosen.connect(self._choose)

    def _arrange(self) -> None:
        row = QHBoxLayout()
        label = QLabel("IoU")
        label.setToolTip(self.slider.toolTip())
        label.setBuddy(self.slider)
        for widget in (label, self.slider, self.spin):
            row.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        for part in (self.score_table, self.filter, self.table):
            layout.addWidget(part)

    def show_entry(self, study: Study, entry: StudyEntry) -> None:
        """Show the objects of a mask."""
        self._entry = entry
        if not self._timer.isActive():
            self._set(study.settings.threshold)
        found = entry.comparison.instances
        assert found is not None, "called for objects"
        self.scores.show(matching(found))
        self._list()

    def _set(self, threshold: float) -> None:
        with QSignalBlocker(self.spin), QSignalBlocker(self.slider):
            self.spin.setValue(threshold)
            self.slider.setValue(round(100 * threshold))

    def _change(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(100 * value))
        self._timer.start()

    def _list(self) -> None:
        if self._entry is None:
            return
        sheet, self._rows = objects(self._entry, self.filter.currentText())
        self.objects.show(sheet)

    def _choose(self, index: QModelIndex) -> None:
        self.object_clicked.emit(self._rows[self.objects.source_row(index.row())])
