"""Undo and redo of results that came and of results that were removed, whichever was last."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

_MOST = 10  # steps; the arrays of removed results stay in memory as long


@dataclass(frozen=True, eq=False)
class _Step:
    """Layers of results that came, and of those that went with it."""

    came: tuple[Layer, ...] = ()
    went: tuple[Layer, ...] = ()


class Undo(QObject):
    """What happened to results, the latest last, and what of it was undone.

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
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._results: list[tuple[Layer, ...]] = []  # all that may be removed, by their runs
        self._waiting: deque[tuple[Layer, bool]] = deque()  # layers, and whether they are to be in the viewer
        self._mine: Layer | None = None  # the layer that is being removed here
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._do_next)

    @property
    def busy(self) -> bool:
        """Whether layers are still to come or to go."""
        return bool(self._waiting)

    def note(self, layers: Sequence[Layer], older: Sequence[Layer] = ()) -> None:
        """Take notice of a result that is shown, and take what it replaces out of the viewer."""
        self._finish()
        gone = tuple(layer for layer in older if layer in self._viewer.layers)
        new = tuple(layers) not in self._results  # a run that goes on shows the same layers again
        if new:
            self._results = [*self._results, tuple(layers)][-_MOST:]
        if new or gone:
            self._add(_Step(tuple(layers) if new else (), gone))
            self._show(gone, False)

    def note_removed(self, layer: Layer) -> None:
        """Take notice that a layer was removed, by napari's own list too: a result comes back with undo."""
        if layer is not self._mine and any(layer in result for result in self._results):
            self._add(_Step(went=(layer,)))

    def take(self, layers: Sequence[Layer]) -> bool:
        """Take layers out of the viewer; return whether any was there."""
        self._finish()
        present = tuple(layer for layer in layers if layer in self._viewer.layers)
        if not present:
            return False
        self._add(_Step(went=present))
        self._show(present, False)
        return True

    def undo(self) -> bool:
        """Undo the latest step that can be; return whether there was one."""
        return self._go(self._done, self._undone, back=True)

    def redo(self) -> bool:
        """Do again what was undone last; return whether there was anything."""
        return self._go(self._undone, self._done, back=False)

    def _go(self, steps: list[_Step], others: list[_Step], *, back: bool) -> bool:
        self._finish()
        while steps:
            step = steps.pop()
            coming, going = (step.went, step.came) if back else (step.came, step.went)
            coming = tuple(layer for layer in coming if layer not in self._viewer.layers)
            going = tuple(layer for layer in going if layer in self._viewer.layers)
            if coming or going:  # or somebody else has done so
                others.append(step)
                self._show(going, False)
                self._show(coming, True)
                return True
        return False

    def _add(self, step: _Step) -> None:
        self._done = [*self._done, step][-_MOST:]
        self._undone.clear()

    def _show(self, layers: Sequence[Layer], wanted: bool) -> None:
        if not layers:
            return
        order = layers if wanted else layers[::-1]  # the labels go first: they are what is seen
        self._waiting.extend((layer, wanted) for layer in order)
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
            self._mine = layer
            self._viewer.layers.remove(layer)
            self._mine = None
