"""The window of a batch: which images, where to, a row per file, and Stop."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDialog, QHBoxLayout, QProgressBar, QVBoxLayout

from napari_fcnseg._napari.files_in_use import paths_in_use
from napari_fcnseg._napari.layers.channels import InputSpec
from napari_fcnseg._napari.segment.batch.form import BatchForm, sentence
from napari_fcnseg._napari.segment.batch.layers import layer_image, result_layer
from napari_fcnseg._napari.segment.batch.search import BatchSearch
from napari_fcnseg._napari.segment.batch.table import BatchModel, batch_view
from napari_fcnseg._napari.segment.batch.worker import BatchFiles, BatchRequest, batch_worker, import_ahead
from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.models.naming import models_name
from napari_fcnseg._napari.segment.models.preferences import preferred
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.imagefile import ZARR
from napari_fcnseg.run.provenance_file import report_folder
from napari_fcnseg.system.background import in_background
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer
    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.segment.batch.layers import LabelsGeometry
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.batch import BatchProgress, ReportLine
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

_FINE = 100  # steps of the bar for each file
_START = "Segment all images. What an earlier batch did with the same settings is kept."
_BUSY = "A run is going on in the dock. Wait until it has ended, or stop it."


class BatchDialog(QDialog):
    """Segments many images with the dock's models and settings.

    Parameters
    ----------
    viewer : Viewer
        Where layers come from, and results are shown.
    models : sequence of PatchModel
        The ensemble.
    settings : RunSettings
        For every image.
    hints : ModelHints
        What the classes are called.
    parent : QWidget, optional
        The window it belongs to; the batch stops when that ends.
    search : BatchSearch
        The objects that may be found.

    Attributes
    ----------
    busy : bool
        Whether a batch goes on.
    """

    #: Emitted with whether a batch goes on, when one has begun and when it has ended.
    running = Signal(bool)

    def __init__(
        self,
        viewer: Viewer,
        models: Sequence[PatchModel],
        settings: RunSettings,
        hints: ModelHints = ModelHints(),  # noqa: B008 - it is frozen
        parent: QWidget | None = None,
        search: BatchSearch = BatchSearch(),  # noqa: B008 - it is frozen
    ) -> None:
        super().__init__(parent)
        self._search = search
        self._viewer, self._models, self._settings, self._hints = viewer, tuple(models), settings, hints
        self._need = InputSpec(models[0].channels, len(models[0].patch_shape))
        self.busy, self._closing, self._held = False, False, False
        self._outcome: Outcome | None = None
        self._spots: dict[str, LabelsGeometry] = {}
        self._stops = [threading.Event()]  # of what runs; in a list, which outlives this object
        stops = self._stops
        at_end(self, lambda: stops[-1].set())
        self.setWindowTitle("Batch")
        self.form = BatchForm(self._need, settings, len(self._models), search)
        self.start = button("Start", _START)
        self.stop = button("Stop", "Stop now. Files that are done stay; start again to go on.")
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the batch")
        self.message, self.details = sentence("What the batch does"), sentence("What happened to the chosen file")
        self.files = BatchModel(self)
        self.table = batch_view(self.files)
        self.show_labels = button("Show labels", "Open the labels of the chosen file in napari.")
        self.open_folder = button("Open folder", "Show the folder with the results and report.csv.")
        self.leave = button("Close", "Close this window. A batch that goes on is stopped; files that are done stay.")
        self._arrange()
        self._connect()
        in_background(import_ahead, "napari-fcnseg-warm")
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._offer)
        self._offer()
        self._set_busy(False)
        steps = ", ".join(self._settings.preprocess or ()) or "none"
        where = f" Images of a folder are segmented at {preferred().cluster}." if preferred().cluster else ""
        model = models_name(self._models)
        self._say(f"Model: {model}. Normalisation: {steps}. All else is as the dock's settings say.{where}")

    def hold(self) -> None:
        """Begin no batch from now on: a run has begun in the dock."""
        self._hold(True, _BUSY)

    def release(self) -> None:
        """Let batches begin again."""
        self._hold(False, _START)

    def begin(self) -> None:
        """Start a batch; say what is missing otherwise."""
        if self.busy or self._held:
            return
        try:
            request = self._request()
        except FcnSegError as error:
            self._complain(error)
            return
        self._stops[-1] = request.stop
        self._outcome = None
        self.files.begin(())
        self.details.clear()
        self._say("Looking what there is…")
        self.bar.setRange(0, 0)
        self._set_busy(True)
        slots = {"yielded": self._take, "returned": self._note_outcome, "finished": self._conclude}
        create_worker(batch_worker, request, _connect=slots, _ignore_errors=True)

    def halt(self) -> None:
        """Stop the batch; files that are done stay."""
        self._stops[-1].set()
        if self.busy:
            self.stop.setEnabled(False)
            self._say("Stopping…")

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Stop what goes on, and end with it."""
        self._closing = True
        self.halt()
        if not self.busy:
            self.deleteLater()
        if event is not None:
            event.accept()

    def reject(self) -> None:
        """Close, as Esc asks for, unless that would stop a batch."""
        if not self.busy:
            self.close()

    def _hold(self, held: bool, why: str) -> None:
        self._held = held
        self.start.setEnabled(not held and not self.busy)
        self.start.setToolTip(f"<p>{why}</p>")

    def _request(self) -> BatchRequest:
        self.form.check()
        form, need = self.form, self._need
        extras: dict[str, Any] = {name: box.isChecked() for name, box in form.extras.items()}
        settings = replace(self._settings, **extras)
        layers = form.chosen_layers() if form.takes_layers else []
        found = {layer.name: layer_image(layer, need, settings.every) for layer in layers}
        self._spots = {name: spot for name, (_, spot) in found.items() if spot is not None}
        images = tuple((name, image) for name, (image, _) in found.items())
        folder = "" if form.takes_layers else form.folder.folder
        return BatchRequest(
            folder, form.subfolders.isChecked(), images, form.results.folder, form.form.currentData(), self._models,
            settings, form.overwrite.isChecked(), paths_in_use(),
            self._search.settings if form.objects.isChecked() else None, self._search.volume,
            preferred().cluster if folder else "",
        )  # fmt: skip

    def _take(self, news: tuple[BatchFiles | ReportLine | BatchProgress, ...]) -> None:
        from napari_fcnseg.batch import BatchProgress

        for entry in news:
            if isinstance(entry, BatchFiles):
                self.files.begin(entry.names)
            elif isinstance(entry, BatchProgress):
                self._advance(entry)
            else:
                self.files.take(entry)
        if news:
            self._show_details()

    def _advance(self, standing: BatchProgress) -> None:
        row = self.files.work_on(standing.name, *standing.others)
        if not self.table.currentIndex().isValid():  # who looks at a row keeps it in sight
            self.table.scrollTo(self.files.index(row, 0))
        share = standing.done / standing.total if standing.total else 0
        self.bar.setRange(0, _FINE * standing.count)
        self.bar.setValue(round(_FINE * (standing.number + share)))
        if not self._stops[-1].is_set():
            left = f" About {format_duration(standing.seconds_left)} left." if standing.seconds_left is not None else ""
            self._say(f"{standing}.{left}")

    def _note_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _conclude(self) -> None:
        """Leave the window ready, however the worker ended; without an outcome napari has stopped it."""
        self.files.end()
        self._set_busy(False)
        if self._closing:
            self.deleteLater()
        elif self._outcome is not None and self._outcome.error is not None:
            self._complain(self._outcome.error)
        else:
            from napari_fcnseg.batch import summary

            report = f" Report: {self._outcome.value}" if self._outcome is not None else ""
            again = " Start again to go on." if self._stops[-1].is_set() else ""
            self._say(f"{summary(self.files.lines, self.files.rowCount())}{again}{report}")
        self._show_details()

    def _set_busy(self, busy: bool) -> None:
        changed, self.busy = self.busy != busy, busy
        self.form.setEnabled(not busy)
        self.start.setEnabled(not busy and not self._held)
        self.stop.setEnabled(busy)
        self.bar.setVisible(busy)
        if changed:
            self.running.emit(busy)

    def _offer(self) -> None:
        self.form.offer(self._viewer.layers)

    def _chosen(self) -> ReportLine | None:
        return self.files.line(self.table.currentIndex().row())

    def _show_details(self) -> None:
        """Show the chosen row's sentence in full."""
        line = self._chosen()
        self.details.setText(f"{line.input}: {line.sentence}" if line is not None else "")
        self.show_labels.setEnabled(line is not None and line.output is not None)
        self.open_folder.setEnabled(bool(self.files.lines))

    def _show_result(self, _: QModelIndex | bool | None = None) -> None:
        """Open the labels of the chosen file; they are read in a worker."""
        line = self._chosen()
        if line is None or line.output is None:
            return
        path, hints, spot = line.output, self._hints, self._spots.get(line.input)
        classes, name = self._models[0].classes, line.input if not path.suffix else ""  # of a plate, its field
        slots = {"returned": self._show_layer}
        create_worker(
            in_worker, lambda: result_layer(path, hints, classes, spot, name), _connect=slots, _ignore_errors=True
        )

    def _show_layer(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._complain(outcome.error)
        elif outcome.value is not None:
            self._viewer.add_layer(outcome.value)

    def _show_folder(self) -> None:
        folder = Path(self.form.results.folder)
        folder = report_folder(folder) if folder.suffix == ZARR else folder
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder.resolve())))

    def _say(self, text: str) -> None:
        self.message.setStyleSheet("")
        self.message.setText(text)

    def _complain(self, error: Exception) -> None:
        self.message.setStyleSheet(ERROR_STYLE)
        self.message.setText(error_sentence(error))

    def _connect(self) -> None:
        self.start.clicked.connect(self.begin)
        self.stop.clicked.connect(self.halt)
        self.leave.clicked.connect(self.close)
        self.show_labels.clicked.connect(self._show_result)
        self.open_folder.clicked.connect(self._show_folder)
        self.table.activated.connect(self._show_result)
        selection = self.table.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._show_details)

    def _arrange(self) -> None:
        first, last = QHBoxLayout(), QHBoxLayout()
        rows = ((first, (self.start, self.stop)), (last, (self.show_labels, self.open_folder, self.leave)))
        for row, buttons in rows:
            for each in buttons:
                row.addWidget(each)
                each.setAutoDefault(False)  # Enter in a line of text starts nothing
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addLayout(first)
        for part in (self.bar, self.message, self.table, self.details):
            layout.addWidget(part, 1 if part is self.table else 0)
        layout.addLayout(last)
        letter = self.fontMetrics().averageCharWidth()
        self.resize(90 * letter, 90 * letter)
