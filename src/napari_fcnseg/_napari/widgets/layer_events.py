"""Events of a few layers as one Qt signal, disconnected when the listening widget is destroyed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

_DATA = ("data", "paint", "labels_update")  # the last two of labels alone: a stroke of the brush, and the fill tool
_EVENTS = (*_DATA, "scale", "units", "axis_labels", "colormap")
#: A slider that is dragged, or pixels that are painted, are waited for.
_STILL_MILLISECONDS = 50


class LayerEvents(QObject):
    """Tells when one of some layers has other data, another scale, other names of axes or another colormap.

    Parameters
    ----------
    parent : QObject
        What listens; this ends with it.
    """

    #: Emitted with whether it may have been the data.
    changed = Signal(bool)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._layers: tuple[Layer, ...] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self._tell)
        self._data = False
        # napari holds callbacks weakly, and calls one whose Qt half is gone: these must be taken back.
        self._callbacks: list[tuple[Any, Any]] = []
        at_end(parent, partial(disconnect, self._callbacks))

    def listen_to(self, layers: Sequence[Layer]) -> None:
        """Listen to these layers, and to no others."""
        if len(layers) == len(self._layers) and all(a is b for a, b in zip(layers, self._layers, strict=True)):
            return
        disconnect(self._callbacks)
        self._layers = tuple(layers)
        emitters = [getattr(layer.events, name, None) for layer in layers for name in _EVENTS]
        self._callbacks[:] = [(emitter, self._on_change) for emitter in emitters if emitter is not None]
        for emitter, callback in self._callbacks:
            emitter.connect(callback)

    def _on_change(self, event: Any = None) -> None:
        self._data = self._data or getattr(event, "type", "") in _DATA
        self._timer.start()

    def _tell(self) -> None:
        data, self._data = self._data, False
        self.changed.emit(data)
