"""Notices strokes: when something was painted, undone or replaced, and when a pause follows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels

_PAUSE_MILLISECONDS = 600
#: The last is all that napari tells of an undo.
_EVENTS = ("paint", "labels_update", "data", "set_data")


class StrokeWatch(QObject):
    """Watches layers of strokes.

    Parameters
    ----------
    parent : QObject
        What it belongs to.
    """

    #: Emitted when something may have been painted, and when nothing followed for a while.
    touched = Signal()
    paused = Signal()
    #: Emitted with the label that the brush has.
    picked = Signal(int)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MILLISECONDS)
        self._timer.timeout.connect(self.paused)
        self._callbacks: list[tuple[Any, Any]] = []
        at_end(parent, partial(disconnect, self._callbacks))

    def watch(self, layers: Sequence[Labels]) -> None:
        """Watch these layers, and no others."""
        disconnect(self._callbacks)
        self._callbacks[:] = [
            *((getattr(layer.events, name), self._on_paint) for layer in layers for name in _EVENTS),
            *((layer.events.selected_label, self._on_pick) for layer in layers),
        ]
        for emitter, callback in self._callbacks:
            emitter.connect(callback)
        if not layers:
            self._timer.stop()

    def _on_paint(self, event: Any = None) -> None:
        self.touched.emit()
        self._timer.start()

    def _on_pick(self, event: Any) -> None:
        self.picked.emit(int(event.source.selected_label))
