"""The image as widgets: a layer per channel of the model, which axis is what, and what the image holds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QLabel, QVBoxLayout, QWidget

from napari_fcnseg._napari.layers.axes import AxisChoice
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec, full_resolution, suggest_layers, works_alone
from napari_fcnseg._napari.layers.metadata import is_result, real
from napari_fcnseg._napari.segment.image.axis_segments import segments_of
from napari_fcnseg._napari.segment.image.axis_strip import AxisStrip
from napari_fcnseg._napari.segment.image.facts_line import FactsLine
from napari_fcnseg._napari.segment.image.layer_combo import LayerCombo
from napari_fcnseg._napari.segment.image.rescale_button import RescaleButton
from napari_fcnseg._napari.widgets.layer_events import LayerEvents
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import WARNING_STYLE
from napari_fcnseg.errors import FcnSegError, ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

_FEW = 5  # of an axis that may hold channels
_OPEN = "Open an image in napari (File > Open, or drop it here), or try a sample."


class ImageBox(QGroupBox):
    """Layer combos, one per channel where no layer has them all, and what was understood of the image.

    Attributes
    ----------
    need : InputSpec or None
        What the model takes, once there is one.
    choice : AxisChoice
        What the user chose of the axes.
    """

    #: Emitted when the user, and not this program, chose a layer.
    chosen = Signal()
    #: Emitted when the chosen image is to be read in another way, or has changed.
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Image", parent)
        self.need: InputSpec | None = None
        self.choice = AxisChoice()
        self._chosen_for: tuple[object, ...] = ()  # the layer and the shape that the choice of axes was made for
        self._layers: list[Image] = []
        self._by_hand = False
        column = QVBoxLayout(self)  # a form would give what wraps the height of its narrowest shape
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.strip = AxisStrip()
        self.strip.chosen.connect(self._axis_chosen)
        self.mapping, self.facts, self.warning = WrappingLabel(), FactsLine(), WrappingLabel()
        self.warning.setStyleSheet(WARNING_STYLE)
        self.facts.known.connect(self._warn)
        self._events = LayerEvents(self)
        self._events.changed.connect(self._layer_changed)
        self.combos: list[LayerCombo] = []
        self._labels: list[QLabel] = []
        self._add_combo()
        column.addLayout(self._form)
        self.rescale = RescaleButton()
        for part in (self.strip, self.mapping, self.facts, self.warning, self.rescale):
            column.addWidget(part)
        self._show()

    @property
    def first(self) -> Image | None:
        """The layer in the first combo."""
        return self.combos[0].layer

    def offer(self, layers: Sequence[Layer], active: Layer | None = None) -> None:
        """Offer the viewer's layers; fill in what is certain as long as something is missing.

        What is chosen stays, whatever layer is selected or comes: another image would be segmented without a word.
        """
        images = [layer for layer in layers if isinstance(layer, Image)]
        self._layers = sorted(images, key=lambda layer: not is_result(layer))  # the last one is offered first
        kept = [combo.layer for combo in self.combos if combo.layer is not None]
        for combo in self.combos:
            combo.offer(self._layers)
        if any(all(layer is not other for other in self._layers) for layer in kept):
            self._by_hand, self.choice = False, AxisChoice()  # what the user chose is gone
        if not self._by_hand and len(self._used()) < self._wanted:
            self._fill(active)
        self._show()

    def take(self, layers: Sequence[Image]) -> None:
        """Choose the layers of an image that was opened for this."""
        self._by_hand = False
        self.offer([*(layer for layer in self._layers if all(layer is not new for new in layers)), *layers])
        self.combos[0].layer = layers[-1]
        self._fill(layers[-1])
        self._show()

    def exchange(self, pairs: Sequence[tuple[Image, Image]]) -> None:
        """Choose other layers in the place of some, which hold the same: what was chosen of the axes stays."""
        choice = self.choice
        self.offer([*self._layers, *(new for _, new in pairs if all(new is not layer for layer in self._layers))])
        for combo in self.combos:
            combo.layer = next((new for old, new in pairs if old is combo.layer), combo.layer)
        first = self.first
        if first is not None:
            self.choice, self._chosen_for = choice, (first, full_resolution(first).shape)
        self._by_hand = True
        self._show()
        self.chosen.emit()

    def set_need(self, need: InputSpec | None, active: Layer | None = None) -> None:
        """Show a combo per channel of a model, and fill in what is certain."""
        changed = need != self.need
        self.need = need
        for _ in range(len(self.combos), need.channels if need is not None else 1):
            self._add_combo()
        if changed:
            self.choice = AxisChoice()
            self._fill(active)
        self._show()

    def source(self) -> ImageLayers:
        """Return the chosen layers.

        Raises
        ------
        ImageError
            If one is missing, or they do not fit together or to the model.
        """
        if self.first is None:
            raise ImageError("No image was chosen. Open an image in napari, then choose its layer under Image.")
        source = self._source()
        _ = source.layout  # says now what does not fit
        return source

    def _source(self) -> ImageLayers:
        """Return the chosen layers, whether or not they fit the model."""
        assert self.first is not None, "there is a layer"
        need = self.need or InputSpec(1, 2)
        layers: list[Image] = [self.first]
        if self._several():
            for channel, combo in enumerate(self.combos[: need.channels]):
                if combo.layer is None:
                    raise ImageError(
                        f"The model takes {need.channels} channels and {need.name(channel)!r} has no layer yet. Choose "
                        f"one under Image.{_stacked(self.first, need.channels)}"
                    )
            layers = [combo.layer for combo in self.combos[: need.channels] if combo.layer is not None]
        return ImageLayers.of(layers, need, self.choice)

    def _add_combo(self) -> None:
        combo = LayerCombo()
        combo.offer(self._layers)
        combo.activated.connect(self._layer_chosen)
        self._labels.append(QLabel())
        self._form.insertRow(len(self.combos), self._labels[-1], combo)
        self.combos.append(combo)

    def _fill(self, active: Layer | None) -> None:
        """Fill in what is certain, around the layer that is chosen, else the selected one; never an own output."""
        need, first, active = self.need or InputSpec(1, 2), self.first, real(active)
        mine = isinstance(active, Image) and not is_result(active) and any(active is layer for layer in self._layers)
        found = suggest_layers(self._layers, need, first if first is not None else active if mine else None)
        if self._by_hand and all(layer is not first for layer in found):
            found = [first, *(layer for layer in found[1:])]
        for combo, layer in zip(self.combos, found, strict=False):
            combo.layer = layer

    def _layer_chosen(self) -> None:
        self._by_hand = True
        self._show()
        self.chosen.emit()

    def _axis_chosen(self, choice: AxisChoice) -> None:
        self.choice = choice
        self._show()
        self.changed.emit()

    def _layer_changed(self, data: bool) -> None:
        for combo in self.combos:
            combo.colour()
        self._show(again=data)
        self.changed.emit()

    def _several(self) -> bool:
        """Whether each channel is a layer of its own."""
        if self.need is None or self.first is None or self.need.channels == 1:
            return False
        return (self.choice.separate and not self.first.rgb) or not works_alone(self.first, self.need)

    @property
    def _wanted(self) -> int:
        """How many combos are shown."""
        return self.need.channels if self._several() and self.need is not None else 1

    def _used(self) -> list[Image]:
        """Return the layers of the combos that are shown."""
        return [combo.layer for combo in self.combos[: self._wanted] if combo.layer is not None]

    def _show(self, *, again: bool = False) -> None:
        """Show the rows that are needed, and what they mean."""
        self._keep_choice()
        several = self._several()
        for channel, combo in enumerate(self.combos):
            self._form.setRowVisible(combo, channel < self._wanted)
            label = self.need.name(channel) if several and self.need is not None else "Layer"
            self._labels[channel].setText(label[:1].upper() + label[1:])
            combo.setAccessibleName(f"Layer of {label}" if several else label)
        self._events.listen_to(self._used())
        first = self.first
        self.strip.show_segments(
            segments_of(first, self.need, self.choice, separate=several) if first is not None else ()
        )
        self.strip.setVisible(first is not None)
        for before, after in itertools.pairwise([*self.combos, *self.strip.buttons]):  # as they are read
            QWidget.setTabOrder(before, after)
        source = self._explain()
        self.rescale.show_for(source if self.need is not None else None)
        arrays = [full_resolution(layer) for layer in self._used()]
        self.facts.show_for(arrays, self._pixel_axes(source), source, again=again)
        self.facts.setVisible(bool(arrays))
        self._warn()

    def _keep_choice(self) -> None:
        """Forget what was chosen of the axes of another layer, or of another shape."""
        first = self.first
        here = (first, full_resolution(first).shape) if first is not None else ()
        if len(here) != len(self._chosen_for) or any(
            a is not b and a != b for a, b in zip(here, self._chosen_for, strict=True)
        ):
            self.choice, self._chosen_for = AxisChoice(separate=self.choice.separate), here

    def _explain(self) -> ImageLayers | None:
        """Say what was understood, or what does not fit; return the image if it fits the model."""
        source, text = None, ""
        if self.first is not None and self.need is None:
            source = self._source()
        elif self.first is None:
            text = "Choose a layer." if self._layers else _OPEN
        else:
            try:
                source = self.source()
                text = source.describe()
            except FcnSegError as error:
                text = str(error)
        self.mapping.setText(text)
        self.mapping.setVisible(bool(text))
        return source

    def _pixel_axes(self, source: ImageLayers | None) -> tuple[int, ...]:
        """Return the axes of the pixels; the last ones, as napari shows them, before there is a model."""
        if source is not None:
            return source.spatial_axes
        return tuple(range(self.first.ndim))[-2:] if self.first is not None else ()

    def _warn(self) -> None:
        self.warning.setText(self.facts.warning)
        self.warning.setVisible(bool(self.facts.warning))


def _stacked(layer: Image, wanted: int) -> str:
    """Return what to do where a layer may hold channels, but not as many as a model takes; empty otherwise."""
    shape = full_resolution(layer).shape
    short = [axis for axis, length in enumerate(shape[:-2]) if 1 < length <= _FEW and length != wanted]
    if layer.rgb or len(short) != 1:
        return ""
    return (
        f" {layer.name} has {shape[short[0]]} along its axis {short[0]}: if these are channels, right-click the layer, "
        "Split Stack, and choose those that the model takes."
    )
