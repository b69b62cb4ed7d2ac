"""What the view shows of an image that is taught on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.segment.run.region_of_interest import region_in_view
from napari_fcnseg._napari.segment.teach.worker import LookedAt
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.teach.sheet import Sheet

_STILL_MILLISECONDS = 200
_PATCHES_ACROSS = 10  # of a place that is worth a look


class ViewWatch(QObject):
    """Tells when a view has moved and stands still.

    Parameters
    ----------
    viewer : Viewer
        Whose view.
    parent : QObject
        What it belongs to.
    """

    moved = Signal()

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self.moved)
        events = camera_of(viewer).events
        emitters = [events.center, events.zoom, viewer.dims.events.current_step, viewer.dims.events.order]
        callbacks: list[tuple[Any, Any]] = [(emitter, self._on_move) for emitter in emitters]
        for emitter, callback in callbacks:
            emitter.connect(callback)
        at_end(parent, partial(disconnect, callbacks))

    def _on_move(self, event: Any = None) -> None:
        self._timer.start()


def camera_of(viewer: Viewer) -> Any:
    """Return the camera, which moved in napari 0.9."""
    return getattr(viewer, "scene", viewer).camera


def seen_of(sheet: Sheet, viewer: Viewer) -> LookedAt:
    """Return what the view shows of a sheet's image.

    Raises
    ------
    SettingsError
        If it shows nothing of it.
    """
    seen = region_in_view(sheet.source, viewer)
    assert seen.region is not None, "the view shows a part"
    shape = sheet.source.layout.frame_shape
    plane = tuple(
        (start, stop) if stop - start == 1 else (0, n) for (start, stop), n in zip(seen.region, shape, strict=True)
    )
    return LookedAt(sheet.number, tuple(start for start, _ in seen.frames or ()), seen.region, plane)


def move_view(sheet: Sheet, viewer: Viewer, point: Sequence[int], patch: Sequence[int]) -> None:
    """Move the view to a pixel of a sheet's frame, as near as some patches.

    Parameters
    ----------
    sheet : Sheet
        Whose image.
    viewer : Viewer
        Whose view.
    point : sequence of int
        The pixel.
    patch : sequence of int
        Of the model.
    """
    layer, camera = sheet.source.layers[0], camera_of(viewer)
    view = region_in_view(sheet.source, viewer).region or ()
    data = np.asarray(layer.world_to_data(viewer.dims.point), float)
    for axis, at in zip(sheet.source.spatial_axes, point, strict=True):
        data[axis] = at
    world = layer.data_to_world(data)
    shown = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]
    across = max(stop - start for start, stop in view)
    camera.zoom *= max(1.0, across / (_PATCHES_ACROSS * max(patch)))
    camera.center = (*camera.center[: len(camera.center) - len(shown)], *(world[axis] for axis in shown))
