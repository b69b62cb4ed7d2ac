"""Taking a result out of the viewer with one key, and putting it back."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

_MOST = 10  # results that can be put back; their arrays stay in memory as long


class Undo(QObject):
    """The results that were shown, the latest last, and those that were taken back.

    A layer comes or goes per turn of the event loop, the first at once: the window stands still for a fifth of a
    second each time.

    Parameters
    ----------
    viewer : Viewer
        Where they are shown.
    parent : QObject
        What it belongs to.
    """

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shown: list[tuple[Layer, ...]] = []
        self._taken: list[tuple[Layer, ...]] = []
        self._waiting: deque[tuple[Layer, bool]] = deque()  # layers, and whether they are to be in the viewer
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._do_next)

    @property
    def busy(self) -> bool:
        """Whether layers are still to come or to go."""
        return bool(self._waiting)

    def note(self, layers: Sequence[Layer]) -> None:
        """Record a result that is shown."""
        if tuple(layers) not in self._shown:  # a run that goes on shows the same layers again
            self._shown = [*self._shown, tuple(layers)][-_MOST:]

    def undo(self) -> bool:
        """Take the latest result out of the viewer; return whether there was one."""
        while self._shown:
            if self.take(self._shown[-1]):
                return True
        return False

    def take(self, layers: Sequence[Layer]) -> bool:
        """Take layers out of the viewer; return whether any was there."""
        self._finish()
        self._shown = [shown for shown in self._shown if not any(layer in shown for layer in layers)]
        present = tuple(layer for layer in layers if layer in self._viewer.layers)
        if present:
            self._taken = [*self._taken, present][-_MOST:]
        self._do([(layer, False) for layer in present[::-1]])  # the labels first: they are what is seen
        return bool(present)

    def redo(self) -> bool:
        """Put the result back that was taken out last; return whether there was one."""
        self._finish()
        if not self._taken:
            return False
        layers = self._taken.pop()
        self._shown.append(layers)
        self._do([(layer, True) for layer in layers])
        return True

    def _do(self, changes: Sequence[tuple[Layer, bool]]) -> None:
        self._waiting.extend(changes)
        self._do_next()
        self._timer.start()

    def _finish(self) -> None:
        """Do at once what is waiting: something else is to be done."""
        while self._waiting:
            self._do_next()

    def _do_next(self) -> None:
        """Have a layer come or go, unless the user has done so."""
        if not self._waiting:
            self._timer.stop()
            return
        layer, wanted = self._waiting.popleft()
        if wanted and layer not in self._viewer.layers:
            self._viewer.add_layer(layer)
        elif not wanted and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
