"""The part of an image that a run labels: all, what the view shows, or inside a region. Free of Qt."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes

from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.geometry import middle_of_view
from napari_fcnseg._napari.layers.metadata import is_tool
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg.arrays.frame_source import Region

#: Corners of the polygon that an ellipse is drawn as.
_ELLIPSE_CORNERS = 180
_HASHED = 2**26  # bytes of a Labels layer that are looked at to see whether it was painted in


@dataclass(frozen=True)
class RegionOfInterest:
    """Where a run labels pixels.

    Attributes
    ----------
    region, frames : Region or None
        For :class:`~napari_fcnseg.settings.RunSettings`; None for all.
    inside : LayerMask or None
        What the pixels have to lie in.
    name : str
        In words; empty for the whole image.
    """

    region: Region | None = None
    frames: Region | None = None
    inside: LayerMask | None = None
    name: str = ""


@dataclass(frozen=True)
class LayerMask:
    """The inside of a layer of shapes or labels as it was when Run was pressed; the mask is made in a worker.

    Attributes
    ----------
    name : str
        Of the layer.
    shape : tuple of int
        Of the mask: the image along the model's axes.
    matrix : ndarray, shape (1 + axes of the layer, 1 + axes of the mask)
        From the image's pixels to the layer's own coordinates.
    polygons : tuple of ndarray, shape (corners, axes of the layer)
        Of a layer of shapes.
    labels : array_like or None
        Of a layer of labels, whose zeros are outside.
    key : tuple of int
        Equal for equal contents.
    """

    name: str
    shape: tuple[int, ...]
    matrix: npt.NDArray[np.float64] = field(repr=False, compare=False)
    polygons: tuple[npt.NDArray[np.float64], ...] = field(default=(), repr=False, compare=False)
    labels: Any = field(default=None, repr=False, compare=False)
    key: tuple[int, ...] = ()

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return which pixels of the image are inside, ``shape``.

        Raises
        ------
        SettingsError
            If none is.
        """
        mask = self._of_labels() if self.labels is not None else self._of_polygons()
        if not mask.any():
            raise SettingsError(
                f"No pixel of the image is inside {self.name!r}. Draw over the image, or choose another."
            )
        return mask

    def _of_polygons(self) -> npt.NDArray[np.bool_]:
        """Draw the polygons over the last two axes; a volume gets them in every plane."""
        from skimage.draw import polygon2mask

        back = np.linalg.pinv(self.matrix)
        plane = np.zeros(self.shape[-2:], bool)
        for corners in self.polygons:
            there = np.column_stack([corners, np.ones(len(corners))]) @ back.T
            plane |= polygon2mask(plane.shape, there[:, -3:-1])  # type: ignore[no-untyped-call]
        return np.broadcast_to(plane, self.shape)

    def _of_labels(self) -> npt.NDArray[np.bool_]:
        """Look up the nearest label of every pixel."""
        from scipy.ndimage import affine_transform

        linear, offset = self.matrix[:-1, :-1], self.matrix[:-1, -1]
        labels = np.asarray(self.labels)
        square = linear.shape[0] == linear.shape[1]
        if (
            square
            and labels.shape == self.shape
            and np.allclose(linear, np.eye(len(linear)))
            and np.allclose(offset, 0)
        ):
            return np.asarray(labels != 0)
        inside = (labels != 0).astype(np.uint8)
        if square:
            return np.asarray(affine_transform(inside, linear, offset, self.shape, order=0, prefilter=False), bool)
        grid = np.moveaxis(np.indices(self.shape), 0, -1) @ linear.T + offset  # of a stack, one frame's labels
        where = np.rint(grid).astype(int)
        good = ((where >= 0) & (where < labels.shape)).all(-1)
        mask = np.zeros(self.shape, bool)
        mask[good] = inside[tuple(where[good].T)] != 0
        return mask


def mask_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that a run can be kept inside of."""
    return [layer for layer in layers if isinstance(layer, Shapes | Labels) and not is_tool(layer)]


def region_in_view(source: ImageLayers, viewer: Viewer) -> RegionOfInterest:
    """Return what the view shows of an image."""
    layer = source.layers[0]
    first, last = _corners(layer)
    shape, middle = _shape(layer), middle_of_view(layer, viewer)
    region = []
    for axis in source.spatial_axes:
        start, stop = max(int(first[axis]), 0), min(int(last[axis]), shape[axis])
        if axis not in _displayed(layer, viewer):
            start, stop = _current(layer, axis, viewer), _current(layer, axis, viewer) + 1
        elif stop - start == 1 and not -0.5 <= middle[axis] <= shape[axis] - 0.5:
            stop = start  # napari names the nearest pixel where the view lies beside the layer
        if stop <= start:
            raise SettingsError("The view shows nothing of the image. Move it there, or choose the whole image.")
        region.append((start, stop))
    return RegionOfInterest(tuple(region), current_frame(source, viewer), name="visible area")


def current_frame(source: ImageLayers, viewer: Viewer) -> Region | None:
    """Return the frame that the view shows, as one span per axis of the stack; None without a stack."""
    layer = source.layers[0]
    shape, shown = _shape(layer), _displayed(layer, viewer)
    spans = []
    for axis in source.stack_axes:
        here = _current(layer, axis, viewer)
        spans.append((0, shape[axis]) if axis in shown else (here, here + 1))
    return tuple(spans) or None


def layer_mask(layer: Layer, source: ImageLayers) -> LayerMask:
    """Return the inside of a layer of shapes or labels as it is now.

    Raises
    ------
    SettingsError
        If it holds nothing that has an inside.
    """
    image = source.layers[0]
    spatial = source.spatial_axes
    shape = tuple(_shape(image)[axis] for axis in spatial)
    matrix = _between(image, layer, spatial)
    if isinstance(layer, Labels):
        data = full_resolution(layer)
        kept = np.array(data) if isinstance(data, np.ndarray) else data
        key = (
            zlib.crc32(np.ascontiguousarray(kept).data) if getattr(kept, "nbytes", _HASHED + 1) <= _HASHED else id(data)
        )
        return LayerMask(layer.name, shape, matrix, (), kept, (key, zlib.crc32(matrix.tobytes())))
    polygons = tuple(_polygons(layer))
    if not polygons:
        raise SettingsError(f"There is nothing inside {layer.name!r}. Draw a rectangle, an ellipse or a polygon in it.")
    key = zlib.crc32(b"".join(corners.tobytes() for corners in polygons))
    return LayerMask(layer.name, shape, matrix, polygons, None, (key, zlib.crc32(matrix.tobytes())))


def _polygons(layer: Shapes) -> list[npt.NDArray[np.float64]]:
    """Return the corners of the shapes that have an inside; lines and paths have none."""
    found = []
    for corners, kind in zip(layer.data, layer.shape_type, strict=True):
        points = np.asarray(corners, float)
        if kind == "ellipse":  # given by the corners of the rectangle around it
            angle = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)
            across, down = (points[1] - points[0]) / 2, (points[3] - points[0]) / 2
            points = points.mean(axis=0) + np.outer(np.cos(angle), across) + np.outer(np.sin(angle), down)
        if kind in ("ellipse", "rectangle", "polygon"):
            found.append(points)
    return found


def _between(image: Layer, layer: Layer, spatial: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the matrix from an image's pixels along some of its axes to another layer's own coordinates."""

    def there(pixel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        world = np.asarray(image.data_to_world(pixel), float)
        return np.asarray(layer.world_to_data(world), float)

    origin = there(np.zeros(image.ndim))
    columns = [there(np.eye(image.ndim)[axis]) - origin for axis in spatial]
    matrix = np.zeros((layer.ndim + 1, len(spatial) + 1))
    matrix[:-1, :-1], matrix[:-1, -1], matrix[-1, -1] = np.column_stack(columns), origin, 1
    return matrix


def _shape(layer: Layer) -> tuple[int, ...]:
    return tuple(full_resolution(layer).shape)


def _corners(layer: Layer) -> npt.NDArray[np.int_]:
    """Return the first and the last pixel of a layer, plus one, that the view shows, in its full resolution."""
    corners = np.array(layer.corner_pixels)
    corners[1] += 1
    if layer.multiscale:
        factors = np.asarray(layer.downsample_factors[layer.data_level])
        corners = np.rint(corners * factors).astype(int)
    return corners


def _displayed(layer: Layer, viewer: Viewer) -> set[int]:
    """Return the axes of a layer that the view shows: napari counts those of all layers from the last."""
    return {axis - (viewer.dims.ndim - layer.ndim) for axis in viewer.dims.displayed}


def _current(layer: Layer, axis: int, viewer: Viewer) -> int:
    """Return where the slider of an axis of a layer stands, in its pixels."""
    pixel = np.asarray(layer.world_to_data(viewer.dims.point))[axis]
    return int(min(max(round(float(pixel)), 0), _shape(layer)[axis] - 1))
