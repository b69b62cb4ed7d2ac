"""The flicker: A and B are shown in turns, so that what differs moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.layers import Labels

#: Milliseconds that one of them is seen: less would be more than three flashes a second, which may harm (WCAG 2.3.1).
FASTEST, SLOWEST = 350, 2000


class Flicker(QObject):
    """Shows one of two layers, and then the other.

    Parameters
    ----------
    parent : QObject
        What it ends with.
    """

    #: Emitted with 0 or 1: the layer that is seen now.
    turned = Signal(int)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._pair: tuple[Labels, Labels] | None = None
        self._before: tuple[bool, bool] = (True, True)
        self._shown = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.turn)
        self._timer.setInterval(700)

    @property
    def on(self) -> bool:
        """Whether the flicker is on."""
        return self._pair is not None

    @property
    def interval(self) -> int:
        """Milliseconds that each is seen."""
        return self._timer.interval()

    @interval.setter
    def interval(self, milliseconds: int) -> None:
        self._timer.setInterval(min(max(milliseconds, FASTEST), SLOWEST))

    def start(self, a: Labels, b: Labels, *, by_itself: bool = True) -> None:
        """Begin with A; change by itself, or when it is told to."""
        self.stop()
        self._pair, self._before, self._shown = (a, b), (a.visible, b.visible), 1
        self.turn()
        if by_itself:
            self._timer.start()

    def turn(self) -> None:
        """Show the other one."""
        if self._pair is None:
            return
        self._shown = 1 - self._shown
        # show the new one first, so that one is always visible
        self._pair[self._shown].visible = True
        self._pair[1 - self._shown].visible = False
        self.turned.emit(self._shown)

    def stop(self) -> None:
        """Show both as they were before."""
        self._timer.stop()
        pair, self._pair = self._pair, None
        for layer, visible in zip(pair or (), self._before, strict=False):
            layer.visible = visible
