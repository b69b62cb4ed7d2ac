"""The proof of a run, to read, to copy and to save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import QDialog, QFileDialog, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

from napari_fcnseg._napari.job import working
from napari_fcnseg._napari.run_box import ERROR_STYLE

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.orders import Outcome
    from napari_fcnseg.certificate import Certificate


class CertificateDialog(QDialog):
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
        super().__init__(parent)
        self._certificate = certificate
        self._proposed = Path.home() / name
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Certificate")
        self.text = QPlainTextEdit(str(certificate))
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setTabChangesFocus(True)
        self.save = _button("Save…", "Save it as JSON, with everything that another person needs to check it.")
        self.save.clicked.connect(self._choose)
        self.copy = _button("Copy", "Copy the text.")
        self.copy.clicked.connect(self._copy)
        close = _button("Close", "Close this window. The certificate stays with the result's layers.")
        close.clicked.connect(self.close)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.hide()
        buttons = QHBoxLayout()
        for button in (self.save, self.copy, close):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.resize(900, 460)

    def save_as(self, path: str) -> None:
        """Save the certificate; say where, or why not."""
        self._proposed = Path(path)
        create_worker(
            working, lambda: self._certificate.save(path), _connect={"returned": self._say_saved}, _ignore_errors=True
        )

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the certificate", str(self._proposed), "JSON (*.json)")
        if path:
            self.save_as(path)

    def _say_saved(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._say(str(outcome.error), ERROR_STYLE)
        else:
            self._say(f"Saved as {outcome.value}.")

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(str(self._certificate))
            self._say("Copied.")

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.show()


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(f"<p>{tooltip}</p>")
    return button
