"""Scale, translation and rotation for a result layer, which lacks the channel axis of its image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Image, Layer
    from napari.viewer import Viewer


def spanned_axis(ndim: int, channel_axis: int | None) -> int | None:
    """Return the channel axis if a result has to keep it, with length 1.

    napari matches the axes of layers from the last one. Where a stack comes before the channels, as in (time, channel,
    row, column), a result without the channel axis would move along the channels' slider.
    """
    return channel_axis if channel_axis is not None and 0 < channel_axis < ndim - 2 else None


def spanning(layer: Image, axis: int) -> dict[str, Any]:
    """Return the keyword arguments that stretch a layer of length 1 along an axis over all of another layer."""
    length = layer.data.shape[axis]
    place = geometry(layer)
    scale, translate = np.array(place["scale"]), np.array(place["translate"])
    # The middle of the new layer's only entry is the middle of the other's.
    translate += (np.asarray(place["rotate"]) @ place["shear"] @ np.diag(scale))[:, axis] * (length - 1) / 2
    scale[axis] *= length
    return {**place, "scale": scale, "translate": translate}


def placed_over(
    layer: Image, dropped: int | None, spatial: Sequence[int], every: int = 1
) -> tuple[dict[str, Any], int | None]:
    """Return the keyword arguments that place a result over an image layer, and the axis of length 1 that it needs.

    Parameters
    ----------
    layer : Image
        The image.
    dropped : int or None
        Its axis of channels.
    spatial : sequence of int
        The layer's axes that are the model's.
    every : int
        Pixels of the image per entry of the result along those.
    """
    spanned = spanned_axis(layer.ndim, dropped)
    if spanned is None:
        kept = [axis for axis in range(layer.ndim) if axis != dropped]
        return coarser(geometry(layer, dropped), [kept.index(axis) for axis in spatial], every), None
    return coarser(spanning(layer, spanned), spatial, every), spanned


def coarser(place: dict[str, Any], axes: Sequence[int], every: int) -> dict[str, Any]:
    """Return the keyword arguments that place a layer with every Nth pixel along some axes, from the first on.

    The middle of its entry ``i`` is the middle of pixel ``i * every``.
    """
    if "scale" not in place:
        affine = np.array(place["affine"])
        affine[:, list(axes)] *= every
        return {**place, "affine": affine}
    scale = np.array(place["scale"])
    scale[list(axes)] *= every
    return {**place, "scale": scale}


def resized(place: dict[str, Any], axes: Sequence[int], ratios: Sequence[float]) -> dict[str, Any]:
    """Return the keyword arguments that place a layer with other pixels along some axes; the borders coincide.

    Parameters
    ----------
    place : dict
        Those of the layer with its own pixels.
    axes : sequence of int
        The axes.
    ratios : sequence of float
        Length of a new pixel in old ones, along each of them.
    """
    ndim = len(place["scale"]) if "scale" in place else len(place["affine"]) - 1
    length = np.ones(ndim)
    length[list(axes)] = ratios
    first = (length - 1) / 2  # where the middle of the first new pixel is
    if "scale" not in place:
        affine = np.array(place["affine"])
        affine[:-1, -1] += affine[:-1, :-1] @ first
        affine[:-1, :-1] *= length
        return {**place, "affine": affine}
    linear = np.asarray(place["rotate"]) @ place["shear"] @ np.diag(place["scale"])
    return {**place, "scale": place["scale"] * length, "translate": place["translate"] + linear @ first}


def geometry(layer: Image, dropped: int | None = None) -> dict[str, Any]:
    """Return the keyword arguments that place a new layer exactly over another one.

    Parameters
    ----------
    layer : Image
        The layer to follow.
    dropped : int or None
        Axis of the layer that the new one does not have.

    Returns
    -------
    dict
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units`` and ``axis_labels``.
    """
    n = layer.ndim
    keep = [axis for axis in range(n) if axis != dropped]
    square, homogeneous = np.ix_(keep, keep), np.ix_([*keep, n], [*keep, n])
    rotate, shear = np.asarray(layer.rotate), _shear_matrix(layer.shear, n)
    affine = np.asarray(layer.affine.affine_matrix)
    labels = tuple(layer.axis_labels)
    named = labels != tuple(str(axis) for axis in range(-n, 0))  # napari's own names count from the last axis
    common = {
        "units": tuple(layer.units[axis] for axis in keep),
        "axis_labels": tuple(labels[axis] for axis in keep) if named else None,
    }
    if dropped is not None and any(_mixes(matrix, dropped) for matrix in (rotate, shear, affine[:n, :n])):
        # A factor alone says nothing once an axis that it mixes with others is gone; their product still does.
        own = np.eye(n + 1)
        own[:n, :n] = rotate @ shear @ np.diag(layer.scale)
        own[:n, n] = layer.translate
        return {"affine": (affine @ own)[homogeneous], **common}
    return {
        "scale": np.asarray(layer.scale)[keep],
        "translate": np.asarray(layer.translate)[keep],
        "rotate": rotate[square],
        "shear": shear[square],
        "affine": affine[homogeneous],
        **common,
    }


def looked_at(layer: Image, dropped: int | None, viewer: Viewer) -> tuple[int, ...]:
    """Return the pixel of a layer nearest to the middle of the view.

    Parameters
    ----------
    layer : Image
        The layer.
    dropped : int or None
        Axis of it that is left out.
    viewer : Viewer
        The viewer.
    """
    shape = layer.level_shapes[0] if layer.multiscale else layer.data.shape
    pixel = zip(middle_of_view(layer, viewer), shape, strict=False)  # of colours, the axis is no layer's axis
    return tuple(min(max(round(i), 0), n - 1) for axis, (i, n) in enumerate(pixel) if axis != dropped)


def middle_of_view(layer: Layer, viewer: Viewer) -> npt.NDArray[np.float64]:
    """Return the middle of the view in a layer's coordinates; it may lie outside the layer."""
    displayed = viewer.dims.displayed
    world = list(viewer.dims.point)
    camera = getattr(viewer, "scene", viewer).camera  # it moved there in napari 0.9
    for axis, center in zip(displayed, camera.center[-len(displayed) :], strict=True):
        world[axis] = center
    return np.asarray(layer.world_to_data(world), float)


def _shear_matrix(shear: Any, n: int) -> np.ndarray:
    """Return a shear as a matrix; napari gives an upper triangular one as the vector above its diagonal."""
    given: np.ndarray = np.asarray(shear, float)
    if given.ndim == 2:
        return given
    matrix: np.ndarray = np.eye(n)
    matrix[np.triu_indices(n, 1)] = given
    return matrix


def _mixes(matrix: np.ndarray, axis: int) -> bool:
    """Whether a square matrix mixes an axis with the others."""
    rest = [i for i in range(len(matrix)) if i != axis]
    return not (np.allclose(matrix[rest, axis], 0) and np.allclose(matrix[axis, rest], 0))
