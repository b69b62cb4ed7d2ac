"""One image that is taught on: its layer of strokes, and the layer that shows what follows from them. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_fcnseg._napari.layers.channels import ImageLayers, full_resolution
from napari_fcnseg._napari.layers.class_colors import class_look
from napari_fcnseg._napari.layers.geometry import placed_over
from napari_fcnseg._napari.layers.metadata import TOOL
from napari_fcnseg._napari.layers.pixel_size import differing_pixels
from napari_fcnseg.plan.tiles import as_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Layer

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.teaching.kept import KeptStrokes

_STROKES, _PREVIEW = 0.9, 0.4  # opacity
_BRUSH = (3, 10)  # pixels


class Sheet:
    """An image, its strokes, and its preview.

    Parameters
    ----------
    number : int
        Which one it is.
    source : ImageLayers
        The image.
    names, colors : sequence of str
        Of the classes.

    Attributes
    ----------
    strokes, preview : Labels
        Its layers.
    key : str
        What the image is known by on disk; empty before that is known.
    aside : bool
        Whether the preview is hidden, for a result lies over it.
    """

    def __init__(self, number: int, source: ImageLayers, names: Sequence[str], colors: Sequence[str]) -> None:
        self.number, self.source, self.key = number, source, ""
        self.aside = False
        layer = source.layers[0]
        geometry, self._spanned = placed_over(layer, source.dropped_axis, source.spatial_axes)
        self._shown = np.zeros(source.layout.result_shape, np.uint8)
        common: dict[str, Any] = {**class_look(names, colors), "metadata": dict(TOOL), **geometry}
        self.preview = Labels(
            self._in_layer_axes(self._shown), name=f"preview · {layer.name}", **{**common, "opacity": _PREVIEW}
        )
        painted = self._in_layer_axes(np.zeros_like(self._shown)).copy()
        name = "strokes" if number == 0 else f"strokes · {layer.name}"
        self.strokes = Labels(painted, name=name, **{**common, "opacity": _STROKES})

    def ready(self, patch: Sequence[int]) -> None:
        """Have the brush ready, of a size that suits a model's patch."""
        self.strokes.brush_size = int(np.clip(min(patch) // 6, *_BRUSH))
        self.strokes.selected_label = max(1, self.strokes.selected_label)
        self.strokes.mode = "paint"

    def painted(self) -> npt.NDArray[np.uint8]:
        """Return the strokes in the order of the result's axes, as a view."""
        array = np.asarray(self.strokes.data)
        if self._spanned is not None:
            array = array.squeeze(self._spanned)
        mine = self.source.axes.result
        order = [sorted(mine).index(axis) for axis in mine]
        return array.transpose(order) if len(order) == array.ndim else array

    def renewed(self) -> bool:
        """Take notice of an image that was replaced in its layer; return whether it was."""
        data = tuple(full_resolution(layer) for layer in self.source.layers)
        if all(a is b for a, b in zip(data, self.source.data, strict=True)):
            return False
        self.source = ImageLayers.of(self.source.layers, self.source.need)
        _ = self.source.layout
        return True

    def show(self, index: tuple[int, ...], region: Region, labels: npt.NDArray[np.uint8]) -> None:
        """Take a tile into the preview, which is not drawn yet."""
        where: tuple[int | slice, ...] = (*index, *as_slices(region))
        if self._shown[where].shape == labels.shape:
            self._shown[where] = labels

    def restyle(self, names: Sequence[str], colors: Sequence[str]) -> None:
        """Give the layers other names and colours of classes."""
        look = class_look(names, colors)
        for layer in (self.strokes, self.preview):
            layer.features, layer.colormap = look["features"], look["colormap"]

    def restore(self, kept: KeptStrokes, labels: Sequence[int]) -> None:
        """Paint what was kept of an earlier time; ``labels`` are those of its classes now."""
        painted = np.array(self.strokes.data)
        kept.paint(painted)
        self.strokes.data = np.array([0, *labels], painted.dtype)[painted]

    def without(self, label: int) -> None:
        """Take a class away: its strokes go, and the labels after it count one less."""
        data = np.asarray(self.strokes.data)
        kept = np.where(data == label, 0, data)
        self.strokes.data = kept - (kept > label).astype(kept.dtype)
        self._shown[...] = 0

    def is_mine(self, layer: Layer) -> bool:
        """Whether a layer is its image, or a part of it."""
        return any(layer is mine for mine in self.source.layers)

    def apart_from(self, other: Sheet) -> str:
        """Return a sentence where the pixels of another image are of another size; empty where that is unknown."""
        return differing_pixels(other.source, self.source)

    def _in_layer_axes(self, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        array = self.source.to_layer_axes(array)
        return array if self._spanned is None else np.expand_dims(array, self._spanned)
