"""Notices when labels of a result are edited by hand: they are not the model's any more."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.layers.edits import edited_pixels, may_be_edited, note_edits
from napari_fcnseg._napari.layers.metadata import real
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect
from napari_fcnseg._napari.widgets.worker import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_fcnseg._napari.widgets.worker import Outcome

#: A stroke of the brush is waited for.
_STILL_MILLISECONDS = 150
_EVENTS = ("paint", "labels_update", "data")
_REDRAWN = "set_data"  # all that napari tells of an undo; it comes with every move of a slider, too


class EditWatch(QObject):
    """Counts the edits of the results it is given, and writes them into their provenance.

    Parameters
    ----------
    busy : callable
        Returns whether a run still writes into a layer.
    parent : QObject
        What it belongs to.
    """

    #: Emitted with a layer whose count has changed.
    counted = Signal(object)

    def __init__(self, busy: Callable[[Layer], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._busy = busy
        self._waiting: list[Layer] = []
        self._touched: list[Layer] = []  # those that were edited at least once
        self._watched: list[Layer] = []
        self._counting = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self._count)
        self._callbacks: list[tuple[Any, Any]] = []
        at_end(parent, partial(disconnect, self._callbacks))

    def watch(self, layers: list[Layer]) -> None:
        """Watch those of some layers whose own labels are known, and no others."""
        wanted = [real(layer) for layer in layers if may_be_edited(layer)]
        if len(wanted) == len(self._watched) and all(a is b for a, b in zip(wanted, self._watched, strict=True)):
            return
        disconnect(self._callbacks)
        self._watched = wanted
        self._touched = [layer for layer in self._touched if any(layer is other for other in wanted)]
        self._callbacks[:] = [
            (getattr(layer.events, name), self._on_edit if name != _REDRAWN else self._on_redraw)
            for layer in wanted
            for name in (*_EVENTS, _REDRAWN)
        ]
        for emitter, callback in self._callbacks:
            emitter.connect(callback)

    def look_at(self, layer: Layer) -> None:
        """Count the edits of a layer soon."""
        if not any(layer is other for other in self._waiting):
            self._waiting.append(layer)
        self._timer.start()

    def _on_edit(self, event: Any) -> None:
        layer = event.source
        if not any(layer is other for other in self._touched):
            self._touched.append(layer)
        self.look_at(layer)

    def _on_redraw(self, event: Any) -> None:
        if any(event.source is layer for layer in self._touched):
            self.look_at(event.source)

    def _count(self) -> None:
        if not self._waiting:
            return
        layer = self._waiting[0]
        if self._counting or self._busy(layer):
            self._timer.start()
            return
        self._waiting.pop(0)
        self._counting = True

        def count() -> tuple[Layer, int]:
            return layer, edited_pixels(layer)

        create_worker(in_worker, count, _connect={"returned": self._take}, _ignore_errors=True)

    def _take(self, outcome: Outcome) -> None:
        self._counting = False
        if outcome.value is not None:
            layer, pixels = outcome.value
            note_edits(layer, pixels)
            self.counted.emit(layer)
        if self._waiting:
            self._timer.start()
