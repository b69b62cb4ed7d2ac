"""One line that says how the computing process is, and starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel

from napari_fcnseg._napari.segment.run.messages import short_device
from napari_fcnseg.engine import engine
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from concurrent.futures import Future

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg.engine import Device

_LOOK_MILLISECONDS = 250


class EngineLine(QLabel):
    """Starts the engine, and shows its state for as long as it lives."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setToolTip("<p>Networks are computed in a process of their own that cannot harm this window.</p>")
        self._pid: int | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)
        self._show("Computing process: starting…")

    def start(self) -> None:
        """Start the engine if it does not run, and look at it from now on."""
        self._ask()
        self._timer.start(_LOOK_MILLISECONDS)

    def look(self) -> None:
        """Show what the engine is doing now."""
        if not self._asked.done():
            return
        failure = self._asked.exception()
        if failure is None and self._pid not in (None, engine().pid):
            self._ask()  # a run found the process dead and started another one
            return
        self._pid = engine().pid
        devices = self._asked.result() if failure is None else None
        if devices is not None and devices.done():
            failure = devices.exception()
        elif failure is None:
            return
        if failure is not None:
            self._show(f"Computing process: {failure}")
        elif engine().warm:
            self._show(
                f"Computing process: ready on {short_device(str(devices.result()[0]))}"
                if devices is not None
                else "Computing process: ready"
            )
        else:
            self._show("Computing process: crashed; the next run starts it again")

    def _ask(self) -> None:
        """Start the engine if it does not run; not even the fork belongs on the main thread."""
        self._show("Computing process: starting…")
        self._pid = None
        self._asked: Future[Future[tuple[Device, ...]]] = in_background(lambda: engine().start(), "napari-fcnseg-start")

    def _show(self, text: str) -> None:
        if text != self.text():
            self.setText(text)
