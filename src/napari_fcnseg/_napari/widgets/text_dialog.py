"""A window with a text to read and to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget


class TextDialog(QDialog):
    """Shows a text.

    Parameters
    ----------
    title, text : str
        Of the window, and in it.
    parent : QWidget, optional
        The window it belongs to.
    closing : str
        Tooltip of its Close button.
    buttons : sequence of QPushButton
        Others, to the left of Copy and Close.
    """

    def __init__(
        self, title: str, text: str, parent: QWidget | None, closing: str, buttons: Sequence[QPushButton] = ()
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setTabChangesFocus(True)
        self.copy = button("Copy", "Copy the text.")
        self.copy.clicked.connect(self._copy)
        close = button("Close", closing)
        close.clicked.connect(self.close)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.hide()
        row = QHBoxLayout()
        for each in (*buttons, self.copy, close):
            row.addWidget(each)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.message)
        layout.addLayout(row)
        self.resize(900, 460)

    def say(self, text: str, style: str = "") -> None:
        """Show a sentence below the text."""
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.show()

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text.toPlainText())
            self.say("Copied.")


def button(text: str, tooltip: str) -> QPushButton:
    """Return a button with a tooltip that is wrapped."""
    made = QPushButton(text)
    made.setToolTip(f"<p>{tooltip}</p>")
    return made
