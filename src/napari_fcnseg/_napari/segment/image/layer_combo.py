"""A combo that chooses one of the viewer's image layers, with the layer's colours beside its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QIcon, QImage, QPixmap

from napari_fcnseg._napari.widgets.form import QuietCombo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from qtpy.QtWidgets import QWidget

_CHOOSE = "choose a layer"
_HELP = "The image layer to segment; beside its name, the colours that napari shows it in."


class LayerCombo(QuietCombo):
    """Chooses one of the viewer's image layers, by identity: names may change and may be equal."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Layer", _HELP, parent)
        self._layers: list[Image | None] = [None]
        self.addItem(_CHOOSE)

    @property
    def layer(self) -> Image | None:
        """The chosen layer."""
        return self._layers[self.currentIndex()] if self.currentIndex() >= 0 else None

    @layer.setter
    def layer(self, layer: Image | None) -> None:
        self.setCurrentIndex(next((i for i, other in enumerate(self._layers) if other is layer), 0))

    def offer(self, layers: Sequence[Image]) -> None:
        """Offer layers, the newest first, and keep the choice if it is among them."""
        chosen = self.layer
        self._layers = [None, *reversed(layers)]
        self.clear()
        self.addItems([_CHOOSE, *(layer.name for layer in reversed(layers))])
        self.layer = chosen
        self.colour()

    def colour(self) -> None:
        """Draw the colours that napari shows the layers in now."""
        size = self.iconSize()
        for place, layer in enumerate(self._layers):
            if layer is not None:
                self.setItemIcon(place, QIcon(swatch(layer, size.width(), size.height())))


def swatch(layer: Image, width: int, height: int) -> QPixmap:
    """Return the colours of a layer from dark to bright, of a colour image red, green and blue."""
    if layer.rgb:
        line = np.repeat(np.eye(3), -(-width // 3), axis=0)[:width]
    else:
        line = np.asarray(layer.colormap.map(np.linspace(0, 1, width)))[:, :3]
    pixels = np.ascontiguousarray(np.broadcast_to(np.round(line * 255).astype(np.uint8), (height, width, 3)))
    return QPixmap.fromImage(QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
