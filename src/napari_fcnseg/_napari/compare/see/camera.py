"""Move napari's camera and sliders to a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

#: Share of the view that a region takes.
_SHARE = 1 / 3
#: Pixels of a layer that stay visible at least; a single one alone would show nothing.
_LEAST = 24


def camera_of(viewer: Viewer) -> Any:
    """Return the camera, which moved in napari 0.9."""
    return getattr(viewer, "scene", viewer).camera


def grid_of(viewer: Viewer) -> Any:
    """Return the settings of napari's grid of views, which moved in napari 0.9."""
    canvas = getattr(viewer, "canvas", None)
    return canvas.grid if canvas is not None and hasattr(canvas, "grid") else viewer.grid


def view_size(viewer: Viewer) -> tuple[float, float]:
    """Return height and width of a view on the canvas, in the screen's points."""
    canvas = getattr(viewer, "canvas", None)
    height, width = canvas.size if canvas is not None and hasattr(canvas, "size") else viewer._canvas_size
    rows, columns = grid_of(viewer).actual_shape(viewer.layers) if canvas is not None else (1, 1)
    return height / rows, width / columns


def go_to(viewer: Viewer, point: Sequence[float], extent: Sequence[float], pixel: Sequence[float]) -> None:
    """Move the camera so that a region is in the middle and takes a third of the view.

    Parameters
    ----------
    viewer : Viewer
        Whose camera and sliders are moved.
    point : sequence of float
        Where the place is in the world; axes are matched from the last.
    extent : sequence of float
        How far it extends along each axis.
    pixel : sequence of float
        How far one pixel extends along each axis: a small place is seen among its neighbours.
    """
    ndim = viewer.dims.ndim
    axes = range(max(0, ndim - len(point)), ndim)
    world = dict(zip(axes, point[-len(axes) :], strict=True))
    displayed = viewer.dims.displayed
    for axis in axes:
        if axis not in displayed:
            viewer.dims.set_point(axis, world[axis])
    camera = camera_of(viewer)
    center = list(camera.center)
    for place, axis in zip(range(-len(displayed), 0), displayed, strict=True):
        if axis in world:
            center[place] = float(world[axis])
    camera.center = tuple(center)
    first = ndim - len(point)
    sizes = np.maximum(np.asarray(extent, float), _LEAST * np.asarray(pixel, float) * _SHARE)
    seen = [sizes[axis - first] for axis in displayed[-2:] if axis >= first]
    if len(seen) == 2 and min(seen) > 0:
        height, width = view_size(viewer)
        camera.zoom = float(min(height / seen[0], width / seen[1]) * _SHARE)
