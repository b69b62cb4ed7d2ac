"""The windows that the dock opens, and the buttons of those that belong to no step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_fcnseg._napari.layers.edits import may_be_edited, pixels_in
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.segment.doctor_dialog import DoctorDialog, examine
from napari_fcnseg._napari.segment.models.export_dialog import Export, ExportDialog
from napari_fcnseg._napari.segment.models.naming import entries_of
from napari_fcnseg._napari.segment.models.naming_dialog import NamingDialog
from napari_fcnseg._napari.segment.results.certificate_dialog import CertificateDialog
from napari_fcnseg._napari.segment.run.result_layers import result_name
from napari_fcnseg._napari.widgets.entry import more_button
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.viewer import Viewer
    from qtpy.QtGui import QAction

    from napari_fcnseg._napari.segment.batch.dialog import BatchDialog
    from napari_fcnseg._napari.segment.image.image_box import ImageBox
    from napari_fcnseg._napari.segment.model_choice import ModelChoice
    from napari_fcnseg._napari.segment.results.instance_form import InstanceForm
    from napari_fcnseg._napari.segment.run.controller import RunController
    from napari_fcnseg._napari.segment.run.region_box import RegionBox
    from napari_fcnseg._napari.segment.run.run_box import RunBox
    from napari_fcnseg._napari.segment.run.settings_box import SettingsBox


class Dialogs(QObject):
    """Opens the windows of a dock: batch, doctor, names and colours, certificate.

    Parameters
    ----------
    dock : QWidget
        The dock, over which they open.
    viewer : napari.viewer.Viewer
        The viewer.
    choice, settings, where, run, live
        Parts of the dock.
    """

    def __init__(
        self, dock: QWidget, viewer: Viewer, choice: ModelChoice, settings: SettingsBox, where: RegionBox,
        run: RunBox, controller: RunController, objects: InstanceForm,
    ) -> None:  # fmt: skip
        super().__init__(dock)
        self._dock, self._viewer, self._choice, self._settings = dock, viewer, choice, settings
        self._where, self._run, self._controller, self._objects = where, run, controller, objects
        self._batch: BatchDialog | None = None
        self.batch = button("Batch…", "Segment a folder of images, or several layers, with this model and settings.")
        self.doctor = button("Diagnostics…", "What there is to compute with, how fast it is, and why there is no GPU.")
        self.buttons = QWidget()
        self._row = QHBoxLayout(self.buttons)
        self._row.setContentsMargins(0, 0, 0, 0)
        for each in (self.batch, self.doctor):
            self._row.addWidget(each)
        self.batch.clicked.connect(self.open_batch)
        self.doctor.clicked.connect(self.open_doctor)
        controller.begun.connect(self._hold)
        controller.ended.connect(self._release)

    def add_entries(self, entries: Sequence[QAction]) -> None:
        """Add a menu of further things to do."""
        self._row.addWidget(more_button("More", entries))

    def open_batch(self) -> None:
        """Open the batch, with the models and settings of the dock."""
        from napari_fcnseg._napari.segment.batch.dialog import BatchDialog
        from napari_fcnseg._napari.segment.batch.search import BatchSearch

        models = self._choice.models
        try:
            if not models:
                raise SettingsError("No model was chosen. Choose one under Model: the batch runs it on every image.")
            settings = self._settings.settings()
        except FcnSegError as error:
            self._controller.report_problem(error)
            return
        if self._batch is not None and self._batch.busy:
            self._batch.raise_()
            return
        hints = self._choice.hints
        objects = BatchSearch.of(self._objects, models[0], hints)
        self._batch = BatchDialog(self._viewer, models, settings, hints, self._dock, objects)
        self._batch.running.connect(self._batch_runs)
        self._batch.destroyed.connect(self._forget_batch)
        if self._controller.running:
            self._batch.hold()
        self._batch.show()

    def open_doctor(self) -> None:
        """Have the computer looked at; what it times would disturb a run."""
        if self._controller.running:
            problem = "The doctor measures how fast each device is. Wait until the run has ended, or stop it."
            self._controller.report_problem(SettingsError(problem))
            return
        self._let_run(False)
        dialog = DoctorDialog(self._dock)
        dialog.show()
        slots = {"returned": dialog.take, "finished": self._let_run}
        create_worker(in_worker, examine, _connect=slots, _ignore_errors=True)

    def open_naming(self, *, guess: bool = False) -> None:
        """Open the editor of what is kept beside the model; a ``guess`` of the normalisation is no fact to be kept."""
        models, choice = self._choice.models, self._choice
        entries = entries_of(models[0], choice.hints, "" if guess else self._settings.preprocess.value)
        dialog = NamingDialog(models, entries, self._viewer.layers, self._dock, hidden=choice.hidden)
        dialog.written.connect(lambda: choice.read_again(forget_steps=not guess))
        dialog.show()

    def open_export(self, image: ImageBox) -> None:
        """Open the form for a package of the model, tested on the image that is chosen."""
        try:
            steps = self._settings.settings().preprocess or ()
        except FcnSegError as error:
            self._controller.report_problem(error)
            return
        source = None
        with suppress(FcnSegError):  # without an image, random numbers do
            source = image.source()
        chosen = Export(self._choice.models[0], self._choice.hints, steps, source)
        ExportDialog(chosen, self._dock).show()

    def choose_saved(self, act: Callable[[str], object]) -> None:
        """Have the user choose a saved result, and do something with it."""
        path, _ = QFileDialog.getOpenFileName(self._dock, "Resume a saved result", str(Path.home()))
        if path:
            act(path)

    def open_certificate(self) -> None:
        """Show the certificate of the last verification."""
        verification, last = self._controller.verification, self._controller.last
        if verification is not None and last is not None:
            name = f"{result_name(last.request)}.certificate.json".replace("/", "-").replace(" · ", ".")
            edited = sum(pixels_in(layer.metadata.get(METADATA, {})) for layer in last.layers if may_be_edited(layer))
            certificate = replace(verification.certificate, edited_pixels=edited)
            CertificateDialog(certificate, name, self._dock).show()

    def _batch_runs(self, busy: bool) -> None:
        if busy:
            self._where.follow.setChecked(False)
        self._let_run(not busy)

    def _forget_batch(self) -> None:
        self._batch = None

    def _hold(self) -> None:
        if self._batch is not None:
            self._batch.hold()

    def _release(self) -> None:
        if self._batch is not None:
            self._batch.release()

    def _let_run(self, may: bool = True) -> None:
        """Allow runs and examinations, or neither while one goes on."""
        for part in (self._run, self.doctor):
            part.setEnabled(may)
