"""Keeps strokes on disk as they are painted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from napari_fcnseg._napari.segment.teach.sheet import Sheet

_SOON_MILLISECONDS = 150


class StrokeKeeper(QObject):
    """Writes the strokes of sheets soon after they were touched, in a thread, and at the end.

    Parameters
    ----------
    parent : QObject
        What it belongs to.
    """

    #: Emitted with a sentence when they could not be written.
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._waiting: list[tuple[Sheet, tuple[str, ...], tuple[str, ...]]] = []
        self._writing: Future[None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SOON_MILLISECONDS)
        self._timer.timeout.connect(self._write)
        at_end(parent, partial(_write_all, self._waiting))

    def keep(self, sheets: Sequence[Sheet], names: Sequence[str], colors: Sequence[str]) -> None:
        """Write the strokes of these soon."""
        self._waiting[:] = [(sheet, tuple(names), tuple(colors)) for sheet in sheets if sheet.key]
        self._timer.start()

    def _write(self) -> None:
        if self._writing is not None:
            if not self._writing.done():
                self._timer.start()
                return
            error = self._writing.exception()
            if error is not None:
                self.failed.emit(f"The strokes could not be kept on disk: {error}. Save the strokes layer to be safe.")
        waiting, self._waiting[:] = list(self._waiting), []
        self._writing = in_background(partial(_write_all, waiting), "napari-fcnseg-strokes") if waiting else None
        if waiting:
            self._timer.start()  # to see what became of it


def _write_all(waiting: list[tuple[Sheet, tuple[str, ...], tuple[str, ...]]]) -> None:
    if not waiting:
        return
    from napari_fcnseg.teaching.kept import KeptStrokes, keep

    for sheet, names, colors in waiting:
        keep(sheet.key, KeptStrokes.of(np.asarray(sheet.strokes.data), names, colors))
