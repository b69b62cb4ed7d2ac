"""Layers as arrays with a place in the world, so that the core can compare them. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.geometry import geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg.comparison import Placed


def placed_layer(layer: Layer, units: Sequence[Any] | None = None) -> Placed:
    """Return a layer's data at full resolution, with its place in the world.

    Parameters
    ----------
    layer : Layer
        The layer; one that is not scaled, moved or turned differently for show only.
    units : sequence of pint.Unit, optional
        Those that its place is to be given in, matched from the last axis; its own otherwise. A length is converted,
        as napari does when it shows layers of different units; plain pixels lie on pixels.
    """
    from napari_fcnseg.comparison import Placed  # it brings SciPy

    return Placed(layer.name, full_resolution(layer), to_world(layer, units))


def to_world(layer: Layer, units: Sequence[Any] | None = None) -> npt.NDArray[np.float64]:
    """Return the matrix from a layer's pixels to the world; the parameters are those of :func:`placed_layer`."""
    place, n = geometry(layer), layer.ndim
    own = np.eye(n + 1)
    own[:n, :n] = np.asarray(place["rotate"]) @ place["shear"] @ np.diag(place["scale"])
    own[:n, n] = place["translate"]
    world: npt.NDArray[np.float64] = np.asarray(place["affine"]) @ own
    shared = min(n, len(units)) if units is not None else 0
    for axis in range(-shared, 0):
        assert units is not None, "or nothing is shared"
        world[n + axis] *= _factor(place["units"][axis], units[axis])
    return world


def _factor(own: Any, wanted: Any) -> float:
    import pint  # napari's own dependency

    try:
        return float((1 * own).to(wanted).magnitude)
    except pint.DimensionalityError:
        return 1.0


def viewer_units(viewer: Viewer, layer: Layer, ndim: int) -> npt.NDArray[np.float64]:
    """Return what lengths in a layer's units have to be multiplied by, per axis of a world, to be in the viewer's."""
    factors = np.ones(ndim)
    shown = getattr(viewer.layers, "units", None) or ()  # before napari 0.9 it knows none
    for axis in range(-min(ndim, layer.ndim, len(shown)), 0):
        factors[axis] = _factor(layer.units[axis], shown[axis])
    return factors


def unit_of(layer: Layer, spatial: int) -> str:
    """Return the unit of a layer's last axes, empty where they have none or not the same one."""
    units = {f"{unit:~P}" for unit in layer.units[-spatial:]}
    name = units.pop() if len(units) == 1 else ""
    return "" if name in ("pixel", "px") else name


def geometry_over(layer: Layer, affine: npt.NDArray[np.float64], origin: Sequence[int]) -> dict[str, Any]:
    """Return the keyword arguments that place a new layer on a part of another layer's grid.

    Parameters
    ----------
    layer : Layer
        The layer.
    affine : ndarray, shape (n + 1, n + 1)
        From the grid's pixels to the world, in the layer's units.
    origin : sequence of int
        The grid's first pixel, in the layer's.
    """
    n = len(affine) - 1
    if n != layer.ndim:  # the grid has an axis that another layer brought
        return {"affine": affine, "units": (*("pixel",) * (n - layer.ndim), *layer.units)}
    place = geometry(layer)
    linear = np.asarray(place["rotate"]) @ place["shear"] @ np.diag(place["scale"])
    return {**place, "translate": np.asarray(place["translate"]) + linear @ np.asarray(origin, float)}
