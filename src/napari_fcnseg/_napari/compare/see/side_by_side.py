"""A and B in two views with one camera: napari's grid, with the image under both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.experimental import link_layers, unlink_layers
from napari.layers import Image, Layer

from napari_fcnseg._napari.compare.see.camera import grid_of

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

_SECOND = " (under B)"
#: Properties that both copies of an image share.
_LOOKS = ("contrast_limits", "colormap", "gamma", "opacity", "blending", "visible")


class SideBySide:
    """Shows two layers beside each other, each over the images that are visible.

    Zoom, pan and sliders are those of both views, and a stroke of the brush is in its layer as ever: the views are
    napari's own, and only the images under B are second layers, which share their pixels with the first.

    Parameters
    ----------
    viewer : Viewer
        Where they are shown.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._before: dict[str, Any] | None = None
        self._copies: list[Layer] = []
        self._shown: list[Layer] = []  # layers of the first view from the bottom, then of the second

    @property
    def on(self) -> bool:
        """Whether there are two views."""
        return self._before is not None

    @property
    def intact(self) -> bool:
        """Whether each layer is still in its view: they are dealt out by their order, of which one may be gone."""
        return list(self._viewer.layers)[: len(self._shown)] == self._shown

    def start(self, a: Labels, b: Labels) -> None:
        """Show A left and B right."""
        self.stop()
        layers, grid = self._viewer.layers, grid_of(self._viewer)
        order = list(layers)
        self._before = {
            "order": order, "visible": [layer.visible for layer in order], "active": layers.selection.active,
            "grid": {name: getattr(grid, name) for name in ("enabled", "stride", "shape")},
        }  # fmt: skip
        under = [layer for layer in order if isinstance(layer, Image) and layer.visible]
        for layer in order:
            layer.visible = layer in under or layer is a or layer is b
        for layer in under:
            data, state, kind = layer.as_layer_data_tuple()
            copy = Layer.create(data, {**state, "name": layer.name + _SECOND}, kind)
            self._copies.append(copy)
            layers.append(copy)
            link_layers([layer, copy], _LOOKS)
        others = [layer for layer in order if layer not in under and layer is not a and layer is not b]
        self._shown = [*under, a, *self._copies, b]
        self._arrange([*self._shown, *others])
        grid.stride, grid.shape, grid.enabled = len(under) + 1, (1, 2), True
        layers.selection.active = self._before["active"]

    def stop(self) -> None:
        """Show one view, with the layers as they were before; those that came meanwhile stay on top."""
        before, self._before = self._before, None
        if before is None:
            return
        grid, layers = grid_of(self._viewer), self._viewer.layers
        for name, value in before["grid"].items():
            setattr(grid, name, value)
        for copy in self._copies:
            unlink_layers([copy])
            if copy in layers:
                layers.remove(copy)
        self._copies = []
        kept = [layer for layer in before["order"] if layer in layers]
        self._arrange([*kept, *(layer for layer in layers if layer not in kept)])
        for layer, visible in zip(before["order"], before["visible"], strict=True):
            layer.visible = visible
        if before["active"] in layers:
            layers.selection.active = before["active"]

    def _arrange(self, order: list[Layer]) -> None:
        """Bring the layers into an order, from the bottom to the top."""
        layers = self._viewer.layers
        for place, layer in enumerate(order):
            if layers.index(layer) != place:
                layers.move(layers.index(layer), place)
