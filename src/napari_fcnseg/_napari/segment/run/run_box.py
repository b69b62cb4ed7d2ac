"""The foot of the dock: what a run will take, what became of it, progress, and Run, Cancel, Resume and Verify."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_fcnseg._napari.widgets.entry import Entry
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE, WARNING_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button as make_button
from napari_fcnseg.system.formatting import format_duration

_VERIFY = (
    "Conversion check: compare 256 pixels, corners, borders and tile seams among them, with the original model. It "
    "does not judge the segmentation. Runs first if needed."
)
_SAME = "heck the normalisation"  # in what a run says of values that look wrong
_RUN = "Segment the image. Labels appear tile by tile, nearest to the view first."


class RunBox(QWidget):
    """The buttons that start and stop, progress, and the line that says what happened; always in sight."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("Run")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("<p>Stop now and keep what is done.</p>")
        self.resume = QPushButton("Resume")
        self.resume.setToolTip("<p>Finish the run that was stopped, in the same layer.</p>")
        self.verify = QPushButton("Verify")
        self.certificate = Entry(
            "Certificate…",
            "The proof of this run, to read, copy and save: models, image, settings, device, difference.",
        )
        self.certificate.setVisible(False)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress")
        self.message = WrappingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message.setAccessibleName("Status")
        self.save_image = make_button(
            "Save as OME-Zarr…", "Save the image where the workers see it, choose the saved one, and run."
        )
        self.save_image.hide()
        self.plan = WrappingLabel()
        self.warning = WrappingLabel()
        self.warning.setStyleSheet(WARNING_STYLE)
        self.warning.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 6)
        layout.setSpacing(4)
        buttons = QGridLayout()
        for column, button in enumerate((self.run, self.cancel, self.verify)):
            button.setMinimumWidth(1)  # a narrow dock makes all three narrower
            buttons.addWidget(button, 0, column)
            buttons.setColumnStretch(column, 1)
        buttons.addWidget(self.resume, 0, 1)
        for part in (self.warning, self.plan, self.message, self.save_image, self.bar):
            layout.addWidget(part)
        layout.addLayout(buttons)
        self._resumable, self._verifiable = False, True
        self.allow_run()
        self.allow_verify()
        self.say("")
        self.show_forecast("")
        self.ready()

    @property
    def in_sight(self) -> bool:
        """Whether somebody can see it: the dock may be closed, or behind another tab."""
        return not self.visibleRegion().isEmpty()

    def warn(self, text: str) -> None:
        """Show what should be looked at before a run; empty for nothing."""
        self.warning.setText(text)
        self._show_warning()

    def show_forecast(self, text: str, detail: str = "") -> None:
        """Show what a run will take, and more of it in the tooltip."""
        if text != self.plan.text():
            self.plan.setText(text)
        self.plan.setToolTip(f"<p>What a run will take{f': {detail}' * bool(detail)}.</p>")
        self.plan.setVisible(bool(text))

    def allow_run(self, why_not: str = "") -> None:
        """Allow to run, or say why that cannot be."""
        self._runnable = not why_not
        self.run.setToolTip(f"<p>{why_not or _RUN}</p>")
        self._enable(running=self.cancel.isEnabled())

    def allow_verify(self, why_not: str = "") -> None:
        """Allow the conversion check, or say why there is none."""
        self._verifiable = not why_not
        self.verify.setToolTip(f"<p>{why_not or _VERIFY}</p>")
        self._enable(running=self.cancel.isEnabled())

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

    def say(self, text: str, detail: str = "") -> None:
        """Show what happened, and more of it in the tooltip."""
        self._show(text, "", detail)

    def complain(self, sentence: str, *, save_image: bool = False) -> None:
        """Show what went wrong, and whether it helps to save the image."""
        self._show(sentence, ERROR_STYLE)
        self.save_image.setVisible(save_image)

    def _show(self, text: str, style: str, detail: str = "") -> None:
        self.save_image.hide()
        self.message.setStyleSheet(style)
        self.message.setToolTip(detail and f"<p>{detail}</p>")
        self.message.setText(text)
        self.message.setVisible(bool(text))
        self._show_warning()

    def _show_warning(self) -> None:
        """Show the warning, unless what a run says of the same is there, which is more exact."""
        self.warning.setVisible(bool(self.warning.text()) and _SAME not in self.message.text())

    def _enable(self, *, running: bool) -> None:
        self.run.setEnabled(not running and self._runnable)
        self.verify.setEnabled(not running and self._runnable and self._verifiable)
        self.cancel.setEnabled(running)
        resume = self._resumable and not running
        self.resume.setVisible(resume)
        self.resume.setEnabled(resume)
        self.cancel.setVisible(not resume)
