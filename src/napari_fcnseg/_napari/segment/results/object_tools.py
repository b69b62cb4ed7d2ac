"""The mouse over objects: a click chooses one, a line is drawn to split one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.layers.geometry import geometry
from napari_fcnseg._napari.layers.metadata import METADATA, TOOL
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.splitting import Split, split_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from napari.components import LayerList
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

    from napari_fcnseg.instances.measuring import ObjectTable

_WIDTH = 2.0  # of the line, in pixels of the screen
_STILL = 3  # pixels of the screen that the mouse may move in a click
_ADDING = {"Shift", "Control"}


class LineTool(QObject):
    """Has a line drawn over a layer, on a layer of its own that is gone afterwards.

    Parameters
    ----------
    viewer : Viewer
        Where.
    layer : Labels
        Over which layer.
    parent : QObject
        What it belongs to; the line is gone with it.
    """

    #: Emitted with the line's vertices in the layer's pixels.
    drawn = Signal(object)
    #: Emitted when no line is waited for any more.
    ended = Signal()

    def __init__(self, viewer: Viewer, layer: Labels, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._layer = viewer, layer
        self._canvas: list[Shapes] = []
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.removed.connect(self._removed)
        at_end(self, partial(_take_away, viewer.layers, self._canvas))

    @property
    def active(self) -> bool:
        """Whether a line is waited for."""
        return bool(self._canvas)

    def plane(self) -> tuple[int, int]:
        """Return the layer's axes that the view shows.

        Raises
        ------
        SettingsError
            If they are not two.
        """
        dims = self._viewer.dims
        shown = [axis - dims.ndim + self._layer.ndim for axis in dims.displayed]
        if dims.ndisplay != 2:
            raise SettingsError("A line is drawn in 2D. Switch the view to 2D (Ctrl+Y).")
        if min(shown) < 0:
            raise SettingsError("The view shows an axis that the objects do not have. Show rows and columns.")
        return shown[0], shown[1]

    def begin(self) -> None:
        """Wait for a line.

        Raises
        ------
        SettingsError
            If none can be drawn in this view.
        """
        self.plane()
        wide = _WIDTH / self._viewer_zoom() / abs(float(self._layer.scale[-1]))
        canvas = Shapes(
            ndim=self._layer.ndim, name="Split line", edge_width=wide, edge_color="white", metadata=dict(TOOL),
            **geometry(self._layer),
        )  # fmt: skip
        self._canvas.append(canvas)
        self._viewer.add_layer(canvas)
        self._viewer.layers.selection.active = canvas
        canvas.mode = "add_line"
        canvas.mouse_drag_callbacks.append(self._drag)
        canvas.bind_key("Escape", self._escape, overwrite=True)

    def end(self) -> None:
        """Wait no longer; the layer with the objects is the active one again."""
        if not self._canvas:
            return
        _take_away(self._viewer.layers, self._canvas)
        if self._layer in self._viewer.layers:
            self._viewer.layers.selection.active = self._layer
        self.ended.emit()

    def _viewer_zoom(self) -> float:
        return float(getattr(self._viewer, "scene", self._viewer).camera.zoom)  # it moved there in napari 0.9

    def _drag(self, canvas: Shapes, event: Any) -> Iterator[None]:
        """Take the line from where the mouse was pressed and let go: what napari draws ends at its last movement."""
        start = event.position
        yield
        while event.type == "mouse_move":
            yield
        line = np.array([canvas.world_to_data(place) for place in (start, event.position)])
        # napari is not done with the layer yet.
        QTimer.singleShot(0, partial(self._conclude, line))

    def _conclude(self, line: npt.NDArray[Any]) -> None:
        if not self._canvas:
            return
        if np.array_equal(line[0], line[1]):  # a click is no line
            self._canvas[0].data = []
            return
        self.end()
        self.drawn.emit(line)

    def _escape(self, _: Any) -> None:
        QTimer.singleShot(0, self.end)

    def _removed(self, layer: Layer) -> None:
        """Wait no longer where somebody removed the line's layer, or that of the objects."""
        if self._canvas and (layer is self._layer or layer is self._canvas[0]):
            self.end()


class ClickTool(QObject):
    """Tells which object of a layer was clicked while the view can be moved.

    Parameters
    ----------
    layer : Labels
        The objects.
    parent : QObject
        What it belongs to, and ends with.
    """

    #: Emitted with an object's label, and whether it is chosen beside others.
    clicked = Signal(int, bool)

    def __init__(self, layer: Labels, parent: QObject) -> None:
        super().__init__(parent)
        callback = self._press
        layer.mouse_drag_callbacks.append(callback)
        at_end(self, partial(_forget, layer, callback))

    def _press(self, layer: Labels, event: Any) -> Iterator[None]:
        if layer.mode != "pan_zoom" or event.button != 1:
            return
        start = event.pos
        value = layer.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
        )
        adding = bool(_ADDING & {str(getattr(key, "name", key)) for key in event.modifiers})
        yield
        while event.type == "mouse_move":
            if max(abs(a - b) for a, b in zip(event.pos, start, strict=True)) > _STILL:  # the view is moved
                return
            yield
        if value:
            self.clicked.emit(int(value), adding)


def split_along(layer: Labels, line: npt.NDArray[Any], plane: tuple[int, int], label: int | None) -> Split:
    """Split an object of a layer along a line; it can be undone in one step.

    Raises
    ------
    SettingsError
        If the line does not cut an object through.
    """
    from napari_fcnseg._napari.segment.results.instance_worker import pixel_of

    entry = layer.metadata.get(METADATA, {}).get("instances", {})
    spatial = entry.get("spatial", 2)
    spacing, _, _ = pixel_of(geometry(layer), spatial)
    connectivity = entry.get("settings", {}).get("connectivity", 1)
    split = split_object(
        layer.data, line, label=label, spatial=spatial, plane=plane, connectivity=connectivity, spacing=spacing
    )
    with layer.block_history():
        for new, where in split.pieces.items():
            layer.data_setitem(where, new)
    return split


def show_sizes(layer: Labels, table: ObjectTable) -> None:
    """Have the status bar tell the sizes that objects have now."""
    labels, before = table.columns["label"], layer.features
    if "index" not in before or len(np.unique(labels)) < len(labels):
        return
    new = {name: np.round(table.columns[name], 3) for name in before if name in table.columns}
    if not all(np.array_equal(before[name], values) for name, values in ({"index": labels} | new).items()):
        layer.features = {"index": labels, **new}


def _take_away(layers: LayerList, canvas: list[Shapes]) -> None:
    while canvas:
        layer = canvas.pop()
        layer.mouse_drag_callbacks.clear()
        if layer in layers:
            layers.remove(layer)


def _forget(layer: Labels, callback: Any) -> None:
    if callback in layer.mouse_drag_callbacks:
        layer.mouse_drag_callbacks.remove(callback)
