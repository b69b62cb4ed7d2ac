"""The windows that the dock opens, and the buttons of those that belong to no step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_fcnseg._napari.doctor_dialog import DoctorDialog, examine
from napari_fcnseg._napari.models.naming import entries_of
from napari_fcnseg._napari.models.naming_dialog import NamingDialog
from napari_fcnseg._napari.results.certificate_dialog import CertificateDialog
from napari_fcnseg._napari.results.result import result_name
from napari_fcnseg._napari.running.job import working
from napari_fcnseg._napari.text_dialog import button
from napari_fcnseg.errors import FcnSegError, SettingsError

if TYPE_CHECKING:
    from napari_fcnseg._napari.dock import DenseSegmentation
    from napari_fcnseg._napari.many.batch_dialog import BatchDialog


class Windows(QObject):
    """Opens the windows of a dock: batch, doctor, names and colours, certificate.

    Parameters
    ----------
    dock : DenseSegmentation
        The dock, with its parts.
    """

    def __init__(self, dock: DenseSegmentation) -> None:
        super().__init__(dock)
        self._dock = dock
        self._batch: BatchDialog | None = None
        self.batch = button("Batch…", "Segment a folder of images, or several layers, with this model and settings.")
        self.doctor = button("Doctor…", "What there is to compute with, how fast it is, and why there is no GPU.")
        self.buttons = QWidget()
        row = QHBoxLayout(self.buttons)
        row.setContentsMargins(0, 0, 0, 0)
        for each in (self.batch, self.doctor):
            row.addWidget(each)
        self.batch.clicked.connect(self.open_batch)
        self.doctor.clicked.connect(self.open_doctor)
        dock.live.begun.connect(self._hold)
        dock.live.ended.connect(self._release)

    def open_batch(self) -> None:
        """Open the batch, with the models and settings of the dock."""
        from napari_fcnseg._napari.many.batch_dialog import BatchDialog

        dock = self._dock
        try:
            if not dock.models:
                raise SettingsError("No model was chosen. Choose one under Model: the batch runs it on every image.")
            settings = dock.settings.settings()
        except FcnSegError as error:
            dock.report_problem(error)
            return
        if self._batch is not None and self._batch.busy:
            self._batch.raise_()
            return
        self._batch = BatchDialog(dock.viewer, dock.models, settings, dock.choice.hints, dock)
        self._batch.running.connect(self._batch_runs)
        self._batch.destroyed.connect(self._forget_batch)
        if dock.live.running:
            self._batch.hold()
        self._batch.show()

    def open_doctor(self) -> None:
        """Have the computer looked at; what it times would disturb a run."""
        if self._dock.live.running:
            problem = "The doctor measures how fast each device is. Wait until the run has ended, or stop it."
            self._dock.report_problem(SettingsError(problem))
            return
        self._let_run(False)
        dialog = DoctorDialog(self._dock)
        dialog.show()
        slots = {"returned": dialog.take, "finished": self._let_run}
        create_worker(working, examine, _connect=slots, _ignore_errors=True)

    def open_naming(self) -> None:
        """Open the editor of what is kept beside the model."""
        dock = self._dock
        entries = entries_of(dock.models[0], dock.choice.hints, dock.settings.preprocess.value)
        dialog = NamingDialog(dock.models, entries, dock.viewer.layers, dock)
        dialog.written.connect(dock.choice.read_again)
        dialog.show()

    def open_certificate(self) -> None:
        """Show the certificate of the last verification."""
        verification, last = self._dock.live.verification, self._dock.live.last
        if verification is not None and last is not None:
            name = f"{result_name(last.order)}.certificate.json".replace("/", "-").replace(" · ", ".")
            CertificateDialog(verification.certificate, name, self._dock).show()

    def _batch_runs(self, busy: bool) -> None:
        if busy:
            self._dock.where.follow.setChecked(False)
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
        for part in (self._dock.run, self.doctor):
            part.setEnabled(may)
