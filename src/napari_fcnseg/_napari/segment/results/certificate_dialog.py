"""The proof of a run, to read, to copy and to save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtWidgets import QFileDialog

from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import TextDialog, button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.system.saving import Plan

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.proof.certificate import Certificate


class CertificateDialog(TextDialog):
    """Shows a certificate.

    Parameters
    ----------
    certificate : Certificate
        What to show.
    name : str
        Of the file to save it in, without folder.
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(self, certificate: Certificate, name: str, parent: QWidget | None = None) -> None:
        self.save = button("Save…", "Save it as JSON, with everything that another person needs to check it.")
        closing = "Close this window. The certificate stays with the result's layers."
        super().__init__("Certificate", str(certificate), parent, closing, [self.save])
        self._certificate = certificate
        self._proposed = Path.home() / name
        self.save.clicked.connect(self._choose)

    def save_as(self, path: str, *, replace: bool = False) -> None:
        """Save the certificate; say where, or why not.

        Parameters
        ----------
        path : str
            The file.
        replace : bool
            Whether the user was asked whether a file of that name is to be replaced.
        """
        self._proposed = Path(path)
        certificate, plan = self._certificate, Plan((Path(path),), in_use(), overwrite=replace, advice="")

        def save() -> Path:
            with plan.claim():
                return certificate.save(path, overwrite=replace)

        create_worker(in_worker, save, _connect={"returned": self._say_saved}, _ignore_errors=True)

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the certificate", str(self._proposed), "JSON (*.json)")
        if path:
            self.save_as(path, replace=True)

    def _say_saved(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.say(str(outcome.error), ERROR_STYLE)
        else:
            self.say(f"Saved as {outcome.value}.")
