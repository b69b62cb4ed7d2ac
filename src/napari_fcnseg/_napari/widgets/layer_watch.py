"""Events of the viewer's layer list as Qt signals, disconnected when the listening widget is destroyed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.widgets.endings import at_end

if TYPE_CHECKING:
    from napari.components import LayerList

_EVENTS = ("inserted", "removed", "reordered", "renamed")


class LayerWatch(QObject):
    """Tells when the layers changed, once per turn of the event loop, and which was removed.

    Parameters
    ----------
    layers : LayerList
        The layers.
    parent : QObject
        What listens; the watch ends with it.
    """

    changed = Signal()
    removed = Signal(object)

    def __init__(self, layers: LayerList, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.changed)
        # napari holds callbacks weakly, and calls one whose Qt half is gone: these must be taken back.
        callbacks: list[tuple[Any, Any]] = [(getattr(layers.events, name), self._on_change) for name in _EVENTS]
        callbacks.append((layers.events.removed, self._on_removed))
        callbacks.append((layers.selection.events.active, self._on_change))
        for emitter, callback in callbacks:
            emitter.connect(callback)
        at_end(parent, partial(disconnect, callbacks))

    def _on_change(self, event: Any = None) -> None:
        self._timer.start()

    def _on_removed(self, event: Any) -> None:
        self.removed.emit(event.value)


def disconnect(callbacks: list[tuple[Any, Any]]) -> None:
    """Take back callbacks from napari's emitters."""
    for emitter, callback in callbacks:
        emitter.disconnect(callback)
