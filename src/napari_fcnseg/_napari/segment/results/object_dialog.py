"""The table of objects: to sort, to filter, to see, to correct and to hand on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import QItemSelectionModel, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
)

from napari_fcnseg._napari.compare.see.camera import go_to
from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.segment.results.object_model import ObjectModel, view_of
from napari_fcnseg._napari.segment.results.object_tools import ClickTool, LineTool, show_sizes, split_along
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_events import LayerEvents
from napari_fcnseg._napari.widgets.layer_watch import disconnect
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError, SettingsError
from napari_fcnseg.system.saving import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from napari.layers import Labels
    from napari.viewer import Viewer
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.instances.measuring import ObjectTable

_STILL_MILLISECONDS = 300
_OUTLINES = "ImageJ ROIs (*.zip);;GeoJSON for QuPath (*.geojson)"


class ObjectDialog(QDialog):
    """Shows the objects of a layer, and follows it.

    Parameters
    ----------
    viewer : Viewer
        Where the objects are seen.
    layer : Labels
        The objects.
    measure : callable
        Of the objects' data, returns the table; it takes its time, so it is called in a worker.
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(
        self, viewer: Viewer, layer: Labels, measure: Callable[[Any], ObjectTable], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Objects of {layer.name}")
        self._viewer, self._layer, self._measure = viewer, layer, measure
        self._number = 0
        self._edited = False
        self.model = ObjectModel()
        self.view = view_of(self.model)
        self.condition = QLineEdit()
        self.condition.setPlaceholderText("Filter, e.g. area (px) > 50, eccentricity < 0.9")
        self.condition.setAccessibleName("Filter")
        self.condition.setClearButtonEnabled(True)
        self.message = WrappingLabel()
        self.delete = button("Delete", "Delete the selected objects; Ctrl+Z over the image brings them back.")
        self.merge = button("Merge", "Make the selected objects one; Ctrl+Z over the image undoes it.")
        self.split = button("Split", "Draw a line through an object to cut it; Ctrl+Z over the image undoes it.")
        self.split.setCheckable(True)
        self.csv = button("Save CSV…", "Save the whole table.")
        self.rois = button("Export outlines…", "Save outlines for ImageJ (.zip) or QuPath (.geojson).")
        self.line = LineTool(viewer, layer, self)
        self._clicks = ClickTool(layer, self)
        self._events = LayerEvents(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._arrange()
        self._connect()
        self._say("Measuring…")
        self.refresh()

    def _arrange(self) -> None:
        row = QHBoxLayout()
        for each in (self.delete, self.merge, self.split, self.csv, self.rois):
            row.addWidget(each)
            each.setAutoDefault(False)  # Enter in the filter deletes nothing
        layout = QVBoxLayout(self)
        for part in (self.condition, self.view):
            layout.addWidget(part)
        layout.addLayout(row)
        layout.addWidget(self.message)
        letter = self.fontMetrics().averageCharWidth()
        self.resize(100 * letter, 60 * letter)

    def _connect(self) -> None:
        self.view.clicked.connect(lambda index: self.see(index.row()))
        self.condition.editingFinished.connect(self._filter)
        self.condition.textEdited.connect(lambda _: self._filter(whole=False))
        undo = QShortcut(QKeySequence.StandardKey.Undo, self)
        undo.activated.connect(self._undo)
        self.delete.clicked.connect(self.delete_selected)
        self.merge.clicked.connect(self.merge_selected)
        self.split.clicked.connect(self._split_pressed)
        self.csv.clicked.connect(self._choose_csv)
        self.rois.clicked.connect(self._choose_outlines)
        self.line.drawn.connect(self.split_by)
        self.line.ended.connect(self._line_ended)
        self._clicks.clicked.connect(self._clicked)
        self._timer.timeout.connect(self.refresh)
        self._events.changed.connect(lambda data: self._note_edit() if data else None)
        self._events.listen_to([self._layer])
        redrawn = [(self._layer.events.set_data, self._on_redraw)]  # all that napari's undo tells
        redrawn[0][0].connect(redrawn[0][1])
        at_end(self, partial(disconnect, redrawn))

    def refresh(self) -> None:
        """Measure again; the latest request counts."""
        self._number += 1
        number, data, measure = self._number, self._layer.data, self._measure

        def work() -> tuple[int, ObjectTable]:
            return number, measure(data)

        create_worker(in_worker, work, _connect={"returned": self._take}, _ignore_errors=True)

    def selected(self) -> list[int]:
        """Return the labels of the selected objects."""
        table, chosen = self.model.table, self.view.selectionModel()
        if table is None or chosen is None:
            return []
        labels = table.columns["label"]
        return [int(labels[self.model.place_of(index.row())]) for index in chosen.selectedRows()]

    def select(self, *labels: int) -> None:
        """Select objects."""
        chosen = self.view.selectionModel()
        if chosen is None:
            return
        flags = QItemSelectionModel.SelectionFlag
        chosen.clearSelection()
        for label in labels:
            if (row := self.model.row_of(label)) >= 0:
                chosen.select(self.model.index(row, 0), flags.Select | flags.Rows)

    def see(self, row: int) -> None:
        """Have the view show an object, in the middle."""
        table = self.model.table
        if table is None or not 0 <= row < self.model.rowCount():
            return
        place, layer = self.model.place_of(row), self._layer
        first, after = table.boxes[place]
        low, high = (np.asarray(layer.data_to_world(corner), float) for corner in (first - 0.5, after - 0.5))
        pixel = np.abs(np.asarray(layer.data_to_world(np.ones(layer.ndim))) - layer.data_to_world(np.zeros(layer.ndim)))
        go_to(self._viewer, (low + high) / 2, np.abs(high - low), pixel)
        layer.selected_label = int(table.columns["label"][place])

    def delete_selected(self) -> None:
        """Delete the selected objects."""
        self._change(0, self.selected())

    def merge_selected(self) -> None:
        """Make the selected objects one, that with the smallest label."""
        labels = sorted(self.selected())
        if len(labels) < 2:
            self._say(
                "Select two or more objects to merge: click them here or in the view, holding Shift.", ERROR_STYLE
            )
            return
        self._change(labels[0], labels[1:])

    def split_by(self, line: npt.NDArray[Any]) -> None:
        """Split the selected object along a line in the layer's pixels; without one the first that the line meets."""
        chosen = self.selected()
        try:
            split_along(self._layer, line, self.line.plane(), chosen[0] if chosen else None)
        except SettingsError as error:
            self._say(str(error), ERROR_STYLE)
            return
        self._note_edit()

    def done(self, result: int) -> None:
        """Close, as Esc asks for; while a line is waited for, that is given up first."""
        if self.line.active:
            self.line.end()
            return
        super().done(result)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take the line away, too."""
        self.line.end()
        super().closeEvent(event)

    def save_csv(self, path: str, *, replace: bool = False) -> None:
        """Save the table; say where, or why not."""
        table = self.model.table
        if table is not None:
            shown = self.model.rowCount()
            note = f"All {len(table):,} objects, not the {shown:,} of the filter. " * (shown < len(table))
            self._write(path, lambda target: table.save(target, overwrite=replace), replace, note)

    def save_outlines(self, path: str, *, replace: bool = False) -> None:
        """Save the outlines; say where, or why not."""
        table, data = self.model.table, self._layer.data

        def save(target: Path) -> None:
            from napari_fcnseg.instances.outlines import save_outlines

            if table is not None:
                save_outlines(target, data, table, overwrite=replace)

        self._write(path, save, replace)

    def _write(self, path: str, save: Callable[[Path], object], replace: bool, note: str = "") -> None:
        plan = Plan((Path(path),), in_use(), overwrite=replace, advice="")

        def work() -> str:
            with plan.claim():
                save(Path(path))
            return f"{note}Saved as {path}."

        create_worker(in_worker, work, _connect={"returned": self._saved}, _ignore_errors=True)

    def _saved(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._say(error_sentence(outcome.error), ERROR_STYLE)
        else:
            self._say(str(outcome.value))

    def _take(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._say(error_sentence(outcome.error), ERROR_STYLE)
        elif outcome.value is not None and outcome.value[0] == self._number:
            kept = self.selected()
            self.model.show_table(outcome.value[1])
            self.view.resizeColumnsToContents()
            self.select(*kept)
            if self._edited:
                show_sizes(self._layer, outcome.value[1])
            if not self.line.active:
                self._count()

    def _note_edit(self) -> None:
        self._edited = True
        self._timer.start()

    def _on_redraw(self, _: Any) -> None:
        if self._edited:
            self._timer.start()

    def _count(self) -> None:
        shown, table = self.model.rowCount(), self.model.table
        count = len(table) if table is not None else 0
        objects = "1 object" if count == 1 else f"{count:,} objects"
        self._say(f"{objects}." if shown == count else f"{shown:,} of {objects}.")

    def _filter(self, *, whole: bool = True) -> None:
        """Show what fits the condition; one that is not written to its end is waited for."""
        try:
            self.model.filter(self.condition.text())
        except FcnSegError as error:
            self._say(str(error) if whole else "Press Enter to see what is wrong with the filter.", ERROR_STYLE * whole)
            return
        self._count()

    def _undo(self) -> None:
        """Undo the last change of the objects, as napari's own key does over the image."""
        self._layer.undo()
        self._note_edit()

    def _change(self, label: int, labels: list[int]) -> None:
        """Give objects another label, as napari's own tools do: with its undo."""
        if not labels:
            self._say("Select objects in the table first.", ERROR_STYLE)
            return
        where = np.nonzero(np.isin(self._layer.data, labels))
        self._layer.data_setitem(where, label)
        self._note_edit()

    def _split_pressed(self, wanted: bool) -> None:
        if not wanted:
            self.line.end()
            return
        try:
            if len(self.selected()) > 1:
                raise SettingsError("Select one object to split, or none: then the line's first object is split.")
            self.line.begin()
        except SettingsError as error:
            self.split.setChecked(False)
            self._say(str(error), ERROR_STYLE)
            return
        self._say("Draw a line through the object. Esc cancels.")

    def _line_ended(self) -> None:
        self.split.setChecked(False)
        self._count()

    def _clicked(self, label: int, adding: bool) -> None:
        """Select the object that was clicked in the view."""
        self.select(*(self.selected() if adding else []), label)

    def _choose_csv(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the table", str(Path.home() / "objects.csv"), "CSV (*.csv)")
        if path:
            self.save_csv(path, replace=True)

    def _choose_outlines(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export outlines", str(Path.home() / "objects.zip"), _OUTLINES)
        if path:
            self.save_outlines(path, replace=True)

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
