"""The swipe: a line over the canvas with A on one side and B on the other, clipped by the graphics card."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QPoint, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QWidget

from napari_fcnseg._napari.compare.see.camera import grid_of
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer
    from qtpy.QtGui import QMouseEvent, QPaintEvent

_HANDLE = 11  # points within which the mouse takes hold of the line
_NO_CANVAS = "The swipe line needs a canvas as napari 0.6 to 0.9 has it. Use flicker, or A and B side by side."
_NO_GRID = "A line cannot cut layers that lie beside each other. Press the grid button below the layer list first."
NO_3D = "The swipe line is for 2D. Press the 2D/3D button below the layer list, or use A and B side by side."


class Swipe(QObject):
    """Cuts two layers at a line that can be dragged.

    Parameters
    ----------
    viewer : Viewer
        Where they are shown.
    parent : QWidget
        In the viewer's window; it ends with it.
    """

    #: Emitted with the line's place, from 0 to 1.
    moved = Signal(float)

    def __init__(self, viewer: Viewer, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer, self._parent = viewer, parent
        self._cuts: list[tuple[Any, Any]] = []  # visual nodes and their clip filters
        self._layers: tuple[Labels, ...] = ()
        self._before: tuple[bool, ...] = ()
        self._native: QWidget | None = None
        self._line: Line | None = None
        self.upright = True
        self.place = 0.5

    @property
    def on(self) -> bool:
        """Whether there is a line."""
        return self._line is not None

    def start(self, a: Labels, b: Labels) -> None:
        """Show A left of, or above, a line in the middle, and B on the other side.

        Raises
        ------
        SettingsError
            In 3D, in napari's grid, or if this napari draws in another way.
        """
        from vispy.visuals.filters import Clipper  # napari's own dependency

        self.stop()
        if self._viewer.dims.ndisplay != 2:
            raise SettingsError(NO_3D)
        if grid_of(self._viewer).enabled:
            raise SettingsError(_NO_GRID)
        try:
            canvas = self._canvas()
            nodes = [canvas.layer_to_visual[layer].node for layer in (a, b)]
            native = canvas.native
        except (AttributeError, KeyError, StopIteration) as error:
            raise SettingsError(_NO_CANVAS) from error
        self._layers, self._before = (a, b), (a.visible, b.visible)
        for layer, node in zip(self._layers, nodes, strict=True):
            cut = Clipper()
            node.attach(cut)
            self._cuts.append((node, cut))
            layer.visible = True
        self._native = native
        native.installEventFilter(self)
        self._line = Line(native)
        self._line.dragged.connect(self._drag)
        self._line.show()
        self.move(self.place)

    def _canvas(self) -> Any:
        """Return napari's canvas; its own way to it warns a plugin, and has no other to offer."""
        window: Any = self._parent.window()
        while (owner := window.parentWidget()) is not None:  # a dock that floats is a window of its own
            window = owner.window()
        view: Any = next(widget for widget in window.findChildren(QWidget) if type(widget).__name__ == "QtViewer")
        return view.canvas

    def move(self, place: float) -> None:
        """Put the line somewhere: 0 is left or at the top, 1 right or at the bottom."""
        self.place = min(max(place, 0.0), 1.0)
        if self._line is None or self._native is None:
            return
        width, height = self._native.width(), self._native.height()
        ratio = self._native.devicePixelRatioF()
        parts: tuple[tuple[float, ...], ...]
        # Where a pixel of the screen is, counted from below, as the graphics card does.
        if self.upright:
            at = self.place * width * ratio
            parts = (0, 0, at, height * ratio), (at, 0, width * ratio - at, height * ratio)
            self._line.setGeometry(round(self.place * width) - _HANDLE // 2, 0, _HANDLE, height)
        else:
            at = (1 - self.place) * height * ratio
            parts = (0, at, width * ratio, height * ratio - at), (0, 0, width * ratio, at)
            self._line.setGeometry(0, round(self.place * height) - _HANDLE // 2, width, _HANDLE)
        for (node, cut), part in zip(self._cuts, parts, strict=True):
            cut.bounds = part
            node.update()
        self._line.set_upright(self.upright)
        self.moved.emit(self.place)

    def stop(self) -> None:
        """Show both layers whole, as they were before."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(RuntimeError):  # the canvas is gone, and the line with it
                line.hide()
                line.deleteLater()
        if self._native is not None:
            with suppress(RuntimeError):
                self._native.removeEventFilter(self)
            self._native = None
        for node, cut in self._cuts:
            with suppress(ValueError, KeyError, AttributeError, RuntimeError):  # removed layers have no filters
                node.detach(cut)
                node.update()
        for layer, visible in zip(self._layers, self._before, strict=False):
            layer.visible = visible
        self._cuts, self._layers, self._before = [], (), ()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Follow the canvas when its size changes."""
        if watched is self._native and event is not None and event.type() == QEvent.Type.Resize:
            self.move(self.place)
        return False

    def _drag(self, at: QPoint) -> None:
        if self._native is not None:
            whole = self._native.width() if self.upright else self._native.height()
            self.move((at.x() if self.upright else at.y()) / max(whole, 1))


class Line(QWidget):
    """The line, which the mouse can take hold of.

    Parameters
    ----------
    canvas : QWidget
        What it lies over.
    """

    #: Emitted with the mouse's place on the canvas.
    dragged = Signal(QPoint)

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self._upright = True
        self.setAccessibleName("Swipe line")
        self.setToolTip("<p>Drag: A is left of the line or above it, B on the other side.</p>")

    def set_upright(self, upright: bool) -> None:
        """Turn the line."""
        self._upright = upright
        self.setCursor(Qt.CursorShape.SplitHCursor if upright else Qt.CursorShape.SplitVCursor)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw a bright line with a dark one to each side: it is seen on any image."""
        painter = QPainter(self)
        middle = _HANDLE // 2
        for offset, color in ((-1, "#000000"), (1, "#000000"), (0, "#ffffff")):
            if self._upright:
                painter.fillRect(middle + offset, 0, 1, self.height(), QColor(color))
            else:
                painter.fillRect(0, middle + offset, self.width(), 1, QColor(color))
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take hold of the line."""
        if event is not None:
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Follow the mouse."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(self.mapToParent(event.position().toPoint()))
