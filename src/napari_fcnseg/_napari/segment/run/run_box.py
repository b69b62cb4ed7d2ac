"""The run step of the dock: region, settings, forecast, Run, Cancel, Resume and Verify, progress and result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QGroupBox, QProgressBar, QPushButton, QVBoxLayout

from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget


class RunBox(QGroupBox):
    """The buttons that start and stop, and the line that says what happened.

    Parameters
    ----------
    parts : sequence of QWidget
        Above the buttons: where and how to run.
    """

    def __init__(self, parts: Sequence[QWidget] = (), parent: QWidget | None = None) -> None:
        super().__init__("3  Run", parent)
        self.run = QPushButton("Run")
        self.run.setToolTip("<p>Segment the image. The labels appear tile by tile, nearest to the view first.</p>")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("<p>Stop now and keep what is done.</p>")
        self.resume = QPushButton("Resume")
        self.resume.setToolTip("<p>Go on with the run that was stopped, into the same layer.</p>")
        self.verify = QPushButton("Verify")
        self.verify.setToolTip(
            "<p>Ask the patch model itself about 256 pixels, corners, borders and tile seams among them, and compare. "
            "The image is segmented first if that has not been done.</p>"
        )
        self.certificate = QPushButton("Certificate…")
        self.certificate.setToolTip(
            "<p>The proof of this run, to read, to copy and to save: models, image, settings, device, and how far the "
            "result was from the patch model itself.</p>"
        )
        self.certificate.hide()
        self.bar = QProgressBar()
        self.message = WrappingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.plan = WrappingLabel()
        self.plan.setToolTip("<p>What a run will take: tiles, memory of the computing process, time, and where.</p>")
        layout = QVBoxLayout(self)
        for part in (*parts, self.plan):
            layout.addWidget(part)
        buttons = QGridLayout()
        for column, button in enumerate((self.run, self.cancel, self.verify)):
            button.setMinimumWidth(1)  # a narrow dock makes all three narrower
            buttons.addWidget(button, 0, column)
        buttons.addWidget(self.resume, 0, 1)
        layout.addLayout(buttons)
        for part in (self.bar, self.message, self.certificate):
            layout.addWidget(part)
        self._resumable = False
        self.say("")
        self.show_forecast("")
        self.ready()

    def show_forecast(self, text: str) -> None:
        """Show what a run will take."""
        if text != self.plan.text():
            self.plan.setText(text)
        self.plan.setVisible(bool(text))

    def offer_resume(self, may: bool) -> None:
        """Show Resume in the place of Cancel, or not, as long as nothing runs."""
        self._resumable = may
        self._enable(running=self.cancel.isEnabled())

    def ready(self) -> None:
        """Get ready for the next request."""
        self._enable(running=False)
        self.cancel.setText("Cancel")
        self.bar.hide()

    def busy(self, text: str) -> None:
        """Show that something runs and nobody knows how long."""
        self._enable(running=True)
        self.bar.setRange(0, 1)  # one that moves to and fro would have the window drawn all the time
        self.bar.setValue(0)
        self.bar.setFormat("")
        self.bar.show()
        self.say(text)

    def stopping(self) -> None:
        """Show that it was understood that it should stop."""
        self.cancel.setEnabled(False)
        self.cancel.setText("Stopping…")

    def advance(self, done: int, total: int, seconds_left: float | None) -> None:
        """Show the progress."""
        self.bar.setUpdatesEnabled(False)  # each of these would have the bar drawn at once, and the window with it
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        left = f", about {format_duration(seconds_left)} left" if seconds_left is not None and done < total else ""
        self.bar.setFormat(f"{done} of {total} tiles{left}" if total > 1 else "")
        self.bar.setToolTip(self.bar.format())
        self.bar.setUpdatesEnabled(True)

    def say(self, text: str) -> None:
        """Show what happened."""
        self._show(text, "")

    def complain(self, sentence: str) -> None:
        """Show what went wrong."""
        self._show(sentence, ERROR_STYLE)

    def forgive(self) -> None:
        """Take a complaint back: what it was about has changed."""
        if self.message.styleSheet():
            self.say("")

    def _show(self, text: str, style: str) -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def _enable(self, *, running: bool) -> None:
        self.run.setEnabled(not running)
        self.verify.setEnabled(not running)
        self.cancel.setEnabled(running)
        resume = self._resumable and not running
        self.resume.setVisible(resume)
        self.resume.setEnabled(resume)
        self.cancel.setVisible(not resume)
