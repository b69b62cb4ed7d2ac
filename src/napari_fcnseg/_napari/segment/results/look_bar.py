"""How a result lies over its image: opacity, and outlines in place of areas; the next result looks the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QWidget

from napari_fcnseg._napari.layers.metadata import real
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect

if TYPE_CHECKING:
    from napari.layers import Layer

#: The slider's unit: a hundredth.
_UNIT = 100
_NARROW = 60  # pixels of the screen that the slider has at least


class LookBar(QWidget):
    """Shows the look of a result and changes it, as napari's own controls do; it follows these."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer: Layer | None = None
        self._mine: WeakSet[Layer] = WeakSet()  # results of this dock: the next one looks as the last of them
        self._last: tuple[float | None, int] = (None, 0)  # opacity and contour; None for that of a new layer
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, _UNIT)
        self.opacity.setMinimumWidth(_NARROW)
        self.opacity.setAccessibleName("Opacity of the result")
        self.opacity.setToolTip("<p>How much of the image the result hides.</p>")
        self.outlines = QCheckBox("Outlines only")
        self.outlines.setAccessibleName("Outlines only")
        self.outlines.setToolTip("<p>Show where labels end, and the image between.</p>")
        caption = QLabel("Opacity")
        caption.setBuddy(self.opacity)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part, stretch in ((caption, 0), (self.opacity, 1), (self.outlines, 0)):
            row.addWidget(part, stretch)
        self.opacity.valueChanged.connect(self._fade)
        self.outlines.toggled.connect(self._outline)
        # napari holds callbacks weakly, and calls one whose Qt half is gone: these must be taken back.
        self._callbacks: list[tuple[Any, Any]] = []
        at_end(self, partial(disconnect, self._callbacks))
        self.show_layer(None)

    def show_layer(self, layer: Layer | None) -> None:
        """Show the look of a layer; None for no layer."""
        layer = real(layer)
        self.setVisible(layer is not None)
        if layer is self.layer:
            return
        disconnect(self._callbacks)
        self._callbacks.clear()
        self.layer = layer
        if layer is None:
            return
        names = ("opacity", "contour") if isinstance(layer, Labels) else ("opacity",)
        self._callbacks[:] = [(getattr(layer.events, name), self._follow) for name in names]
        for emitter, callback in self._callbacks:
            emitter.connect(callback)
        self.outlines.setVisible(isinstance(layer, Labels))
        self._follow()

    def dress(self, layer: Layer) -> None:
        """Have a new result look as the last one does; one that was dressed before stays as it is."""
        layer = real(layer)
        if layer in self._mine:
            return
        self._mine.add(layer)
        opacity, contour = self._last
        if opacity is not None:
            layer.opacity = opacity
        if isinstance(layer, Labels) and layer.contour != contour:  # napari draws it anew at once
            layer.contour = contour

    def _follow(self, _: Any = None) -> None:
        """Show what the layer is like, whoever changed it."""
        layer = self.layer
        if layer is None:
            return
        contour = int(layer.contour) if isinstance(layer, Labels) else 0
        with QSignalBlocker(self.opacity), QSignalBlocker(self.outlines):
            self.opacity.setValue(round(_UNIT * float(layer.opacity)))
            self.outlines.setChecked(contour > 0)
        if isinstance(layer, Labels) and layer in self._mine:
            self._last = (float(layer.opacity), contour)

    def _fade(self, value: int) -> None:
        if self.layer is not None:
            self.layer.opacity = value / _UNIT

    def _outline(self, wanted: bool) -> None:
        if isinstance(self.layer, Labels):
            self.layer.contour = int(wanted)
