"""The doctor's report in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import TextDialog

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.doctor.report import DoctorReport


class DoctorDialog(TextDialog):
    """Shows the doctor's report once there is one.

    Parameters
    ----------
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Diagnostics", "", parent, "Close this window.")
        self.copy.setEnabled(False)
        self.say("Looking at what is installed, and timing a tile on each device. This can take a minute…")

    def take(self, outcome: Outcome) -> None:
        """Show the report, or why there is none."""
        if outcome.error is not None:
            self.say(str(outcome.error), ERROR_STYLE)
            return
        self.text.setPlainText(str(outcome.value))
        self.copy.setEnabled(True)
        self.message.hide()


def examine() -> DoctorReport:
    """Return the doctor's report; it takes seconds to minutes."""
    from napari_fcnseg.doctor.report import doctor  # imported here: anywhere else it would block the window

    return doctor()
