"""Two combo boxes that choose where to segment: which pixels of the image, and which frames of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QWidget

from napari_fcnseg._napari.layers.metadata import is_result
from napari_fcnseg._napari.segment.run.region_of_interest import (
    RegionOfInterest,
    current_frame,
    layer_mask,
    mask_layers,
    region_in_view,
)
from napari_fcnseg._napari.widgets.form import QuietCombo
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.layers.channels import ImageLayers

_WHOLE, _VIEW = "whole image", "visible area"
_ALL, _THIS = "all frames", "this frame"
_AREA_HELP = (
    "Which pixels get a label: all, those in view now, or those inside a layer of shapes or labels. Pixels "
    "outside stay unlabelled (0); each label is the same as in a run on the whole image."
)
_FRAMES_HELP = "All frames of a stack (time, depth), or the one that the view shows now."
_FOLLOW_HELP = (
    "<p>While this is on, what you look at is segmented: move or zoom, change the frame, and the pixels that come into "
    "view are computed and stay.</p>"
)


class RegionBox(QWidget):
    """Chooses where to segment.

    Parameters
    ----------
    viewer : Viewer
        Whose view and layers are meant.
    """

    #: Emitted when another place was chosen.
    changed = Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Layer | None] = [None, None]
        self.area = QuietCombo("Region", _AREA_HELP)
        self.area.addItems([_WHOLE, _VIEW])
        self.frames = QuietCombo("Frames", _FRAMES_HELP)
        self.frames.addItems([_ALL, _THIS])
        for combo in (self.area, self.frames):
            combo.activated.connect(lambda _: self.changed.emit())
        self.follow = QCheckBox("Follow the view")
        self.follow.setToolTip(_FOLLOW_HELP)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Region", self.area)
        self._form.addRow("Frames", self.frames)
        self._form.addRow(self.follow)
        self.show_for(None)

    def offer(self, layers: Sequence[Layer]) -> None:
        """Offer the insides of layers, and keep the choice if it is among them; results of this program come last."""
        chosen = self._layers[self.area.currentIndex()]
        view = self.area.currentText() == _VIEW
        found = sorted(mask_layers(layers), key=is_result)
        self._layers = [None, None, *found]
        self.area.clear()
        self.area.addItems([_WHOLE, _VIEW, *(f"inside {layer.name}" for layer in found)])
        at = next((i for i, layer in enumerate(self._layers) if layer is not None and layer is chosen), int(view))
        self.area.setCurrentIndex(at)
        if chosen is not None and at == 0:
            self.changed.emit()  # the layer that was chosen is gone

    def show_for(self, source: ImageLayers | None) -> None:
        """Show the choice of frames where an image has several."""
        try:
            stacked = source is not None and bool(source.layout.stack_shape)
        except FcnSegError:
            stacked = False
        self._form.setRowVisible(self.frames, stacked)

    def place(self, source: ImageLayers) -> RegionOfInterest:
        """Return what is chosen, for an image.

        Raises
        ------
        SettingsError
            If there is nothing of the image.
        """
        frames = current_frame(source, self._viewer) if self.frames.currentText() == _THIS else None
        layer = self._layers[self.area.currentIndex()]
        if layer is not None:
            return RegionOfInterest(None, frames, layer_mask(layer, source), f"inside {layer.name}")
        if self.area.currentText() == _VIEW:
            return RegionOfInterest(region_in_view(source, self._viewer).region, frames, name=_VIEW)
        return RegionOfInterest(frames=frames, name="" if frames is None else _THIS)
