"""A button that adds the image once more, with pixels as large as those that the model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.geometry import geometry, resized
from napari_fcnseg._napari.layers.pixel_size import rescale_factors
from napari_fcnseg._napari.widgets.problems import notify_error
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.arrays.rescaled import Grid, rescaled

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.widgets.worker import Outcome

#: What a layer looks like, which the new one looks like too.
_LOOK = ("colormap", "contrast_limits", "gamma", "blending", "opacity", "interpolation2d")


class RescaleButton(QPushButton):
    """Adds rescaled layers to the viewer; shown where an image's pixels are of another size than the model's."""

    #: Emitted with arrays and keyword arguments of the new layers.
    made = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Rescale the image", parent)
        self.setToolTip(
            "<p>Add the image with pixels as large as in training, over the image itself, and choose it. The command "
            "line has <i>--rescale</i>, whose labels are on the image's own pixels.</p>"
        )
        self._source: ImageLayers | None = None
        self.clicked.connect(self._begin)
        self.hide()

    def show_for(self, source: ImageLayers | None) -> None:
        """Offer to rescale an image; None for no image that fits the model."""
        self._source = source if source is not None and rescale_factors(source) else None
        self.setVisible(self._source is not None)

    def _begin(self) -> None:
        source = self._source
        if source is not None:
            self.setEnabled(False)
            create_worker(in_worker, lambda: rescaled_layers(source), _connect={"returned": self._end},
                          _ignore_errors=True)  # fmt: skip

    def _end(self, outcome: Outcome) -> None:
        self.setEnabled(True)
        if outcome.error is not None:
            notify_error(outcome.error)
        else:
            self.made.emit(outcome.value)


def rescaled_layers(source: ImageLayers) -> list[tuple[Any, dict[str, Any]]]:
    """Return the arrays of new layers and their keyword arguments: the layers of an image, with the model's pixels."""
    factors, axes = rescale_factors(source), source.spatial_axes
    return [_rescaled(layer, axes, factors) for layer in source.layers]


def _rescaled(layer: Image, axes: tuple[int, ...], factors: tuple[float, ...]) -> tuple[Any, dict[str, Any]]:
    data = full_resolution(layer)
    grid = Grid.of([data.shape[axis] for axis in axes], factors)
    array = rescaled(data, axes, grid)
    ratios = [before / after for before, after in zip(grid.shape, grid.scaled, strict=True)]
    more: dict[str, Any] = {"name": f"{layer.name} (rescaled)"}
    if layer.rgb:  # napari takes numbers of colours that are no whole ones for 0 to 1
        array = np.asarray(array).round().astype(data.dtype) if data.dtype.kind in "ui" else np.asarray(array)
        more["rgb"] = True
    else:
        more |= {name: getattr(layer, name) for name in _LOOK}
    return array, {**resized(geometry(layer), axes, ratios), **more}
