"""The image as widgets: a layer per channel of the model, and where a layer has its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLabel

from napari_fcnseg._napari.channels import Need, Source, full_resolution, suggest, works_alone
from napari_fcnseg._napari.pixel_size import pixel_size_note
from napari_fcnseg.errors import FcnSegError, ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

#: Legible on napari's dark and light backgrounds alike.
_WARNING_STYLE = "color: #d97706;"
_FIND, _SEPARATE = "find it", "one layer per channel"


class LayerCombo(QComboBox):
    """Chooses one of the viewer's image layers, by identity: names may change and may be equal."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self._layers: list[Image | None] = [None]
        self.addItem("choose a layer")

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
        self.addItems(["choose a layer", *(layer.name for layer in reversed(layers))])
        self.layer = chosen


class ImageBox(QGroupBox):
    """Layer combos, one per channel where no layer has them all, and a line that says which axis is what."""

    #: Emitted when the user, and not this program, chose a layer.
    chosen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("1  Image", parent)
        self.need: Need | None = None
        self._layers: list[Image] = []
        self._by_hand = False
        self._form = QFormLayout(self)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.axis = QComboBox()
        self.axis.addItems([_FIND])
        self.axis.setToolTip(
            "<p>Which axis of the layer holds the model's channels, or that each channel is a layer of its own.</p>"
        )
        self.axis.activated.connect(self._axis_chosen)
        self.mapping = QLabel()
        self.mapping.setWordWrap(True)
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.warning.setStyleSheet(_WARNING_STYLE)
        self.combos: list[LayerCombo] = []
        self._labels: list[QLabel] = []
        self._add_combo()
        self._form.addRow("Channels", self.axis)
        self._form.addRow(self.mapping)
        self._form.addRow(self.warning)
        self._show()

    @property
    def first(self) -> Image | None:
        """The layer in the first combo."""
        return self.combos[0].layer

    def offer(self, layers: Sequence[Layer], active: Layer | None = None) -> None:
        """Offer the viewer's layers; fill in what is certain unless the user has chosen."""
        self._layers = [layer for layer in layers if isinstance(layer, Image)]
        kept = [combo.layer for combo in self.combos if combo.layer is not None]
        for combo in self.combos:
            combo.offer(self._layers)
        if any(all(layer is not other for other in self._layers) for layer in kept):
            self._by_hand = False  # what the user chose is gone
        if not self._by_hand:
            self._fill(active if isinstance(active, Image) else None)
        self._show()

    def set_need(self, need: Need | None, active: Layer | None = None) -> None:
        """Show a combo per channel of a model, and fill in what is certain."""
        changed = need != self.need
        self.need = need
        for _ in range(len(self.combos), need.channels if need is not None else 1):
            self._add_combo()
        if changed:
            self._by_hand = False
            self.axis.setCurrentIndex(0)
            self._fill(active if isinstance(active, Image) else None)
        self._show()

    def source(self) -> Source:
        """Return the chosen layers.

        Raises
        ------
        ImageError
            If one is missing, or they do not fit together or to the model.
        """
        if self.first is None:
            raise ImageError("No image was chosen. Open an image in napari, then choose its layer under Image.")
        need = self.need or Need(1, 2)
        layers: list[Image] = [self.first]
        if self._several():
            for channel, combo in enumerate(self.combos[: need.channels]):
                if combo.layer is None:
                    raise ImageError(
                        f"The model takes {need.channels} channels and {need.name(channel)!r} has no layer yet. Choose "
                        "one under Image."
                    )
            layers = [combo.layer for combo in self.combos[: need.channels] if combo.layer is not None]
        source = Source.of(layers, need, self._axis())
        _ = source.layout  # says now what does not fit
        self._warn(pixel_size_note(source))  # a layer's scale may have changed since it was chosen
        return source

    def _add_combo(self) -> None:
        combo = LayerCombo()
        combo.offer(self._layers)
        combo.activated.connect(self._layer_chosen)
        self._labels.append(QLabel())
        self._form.insertRow(len(self.combos), self._labels[-1], combo)
        self.combos.append(combo)

    def _fill(self, active: Image | None) -> None:
        need = self.need or Need(1, 2)
        preferred = active if any(active is layer for layer in self._layers) else self.first
        for combo, layer in zip(self.combos, suggest(self._layers, need, preferred), strict=False):
            combo.layer = layer

    def _layer_chosen(self) -> None:
        self._by_hand = True
        if self.sender() is self.combos[0]:
            self.axis.setCurrentIndex(0)
        self._show()
        self.chosen.emit()

    def _axis_chosen(self) -> None:
        self._show()

    def _axis(self) -> int | None:
        index = self.axis.currentIndex() - 1
        return index if 0 <= index < self.axis.count() - 2 else None

    def _several(self) -> bool:
        """Whether each channel is a layer of its own."""
        if self.need is None or self.first is None or self.need.channels == 1:
            return False
        return self.axis.currentText() == _SEPARATE or not works_alone(self.first, self.need)

    def _show(self) -> None:
        """Show the rows that are needed, and what they mean."""
        several = self._several()
        visible = self.need.channels if several and self.need is not None else 1
        for channel, combo in enumerate(self.combos):
            self._form.setRowVisible(combo, channel < visible)
            label = self.need.name(channel) if several and self.need is not None else "Layer"
            self._labels[channel].setText(label[:1].upper() + label[1:])
        self._offer_axes()
        self._warn("")
        self.mapping.setText(self._mapping())
        self._form.setRowVisible(self.mapping, bool(self.mapping.text()))

    def _warn(self, sentence: str) -> None:
        self.warning.setText(sentence)
        self._form.setRowVisible(self.warning, bool(sentence))

    def _offer_axes(self) -> None:
        """Offer the axes of a layer that may have all channels."""
        layer, need = self.first, self.need
        fits = (
            layer is not None and need is not None and need.channels > 1 and not layer.rgb and works_alone(layer, need)
        )
        self._form.setRowVisible(self.axis, fits)
        shape = full_resolution(layer).shape if fits and layer is not None else ()
        texts = [_FIND, *(f"axis {axis} ({n} long)" for axis, n in enumerate(shape)), _SEPARATE]
        if texts != [self.axis.itemText(i) for i in range(self.axis.count())]:
            self.axis.clear()
            self.axis.addItems(texts)

    def _mapping(self) -> str:
        if self.first is None:
            return "Open an image in napari, or take a sample below."
        if self.need is None:
            return ""
        try:
            return self.source().describe()
        except FcnSegError as error:
            return str(error).replace("say which holds them, channel_axis=", "choose under Channels: axis ")
