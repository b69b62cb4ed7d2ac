"""Layers as images of a batch, and its results as layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.layers.channels import ImageLayers, full_resolution, works_alone
from napari_fcnseg._napari.layers.geometry import placed_over
from napari_fcnseg._napari.layers.metadata import METADATA, is_result
from napari_fcnseg._napari.segment.batch.worker import _geometry
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari.layers import Image, Labels

    from napari_fcnseg._napari.layers.channels import InputSpec
    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg.imagefile import ImageFile


def choosable(layers: Sequence[Image], need: InputSpec) -> list[tuple[Image, str]]:
    """Return the images among a viewer's layers, each with the reason why it cannot be segmented alone, or none."""
    several = (
        f"The model takes {need.channels} channels. To put them into one layer, select theirs, right-click, "
        "Merge to Stack."
    )
    return [(layer, "" if works_alone(layer, need) else several) for layer in layers if not is_result(layer)]


def layer_image(layer: Image, need: InputSpec, every: int) -> tuple[ImageFile, LabelsGeometry | None]:
    """Return a layer as an image file would be, with letters for its axes and its pixel size, and where its labels lie.

    One that does not fit the model has no such place: its line will say why.
    """
    from napari_fcnseg._napari.layers.pixel_size import size_in_space
    from napari_fcnseg.imagefile import ImageFile, axis_letters

    names = [str(name) for name in layer.axis_labels]
    if names == [str(axis) for axis in range(-layer.ndim, 0)]:  # napari's own, which say nothing
        names = ["z", "y", "x"] if need.spatial == layer.ndim == 3 else []
    letters = axis_letters(names, layer.ndim)
    size, unit = size_in_space(letters, list(layer.scale), list(layer.units))
    letters += "S" if layer.rgb else ""
    try:
        source = ImageLayers.of([layer], need)
        channel = source.layout.channel_axis
        image, order = source.image, source.axes.order
    except FcnSegError:
        return ImageFile(full_resolution(layer), letters, size, unit), None
    letters = "".join(letters[axis] for axis in order) + "C" * (len(image.shape) - len(order))
    spot = LabelsGeometry(*placed_over(layer, source.dropped_axis, source.spatial_axes, every), source.axes.result)
    return ImageFile(image, letters, size, unit).with_channels_along(channel), spot


@dataclass(frozen=True)
class LabelsGeometry:
    """Where the labels of a layer lie in the world.

    Attributes
    ----------
    geometry : mapping
        Arguments for a layer.
    spanned_axis : int or None
        Axis of length 1 that the layer has beside the result's own.
    axes : tuple of int
        The image layer's axes that labels have, in their order.
    """

    geometry: Mapping[str, Any]
    spanned_axis: int | None
    axes: tuple[int, ...]


def result_layer(
    path: Path, hints: ModelHints, classes: int, spot: LabelsGeometry | None = None, name: str = ""
) -> Labels:
    """Return a layer with the labels in a file, where the file says that they are, or where the image's layer is.

    It is called like the file, unless it is given a name.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    from napari.layers import Labels

    from napari_fcnseg._napari.layers.class_colors import class_look
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.run.provenance_file import provenance_of_file

    image = read_image([path])
    data = image.data
    geometry: Mapping[str, Any] = _geometry(image)
    if spot is not None:
        data, geometry = np.asarray(data).transpose(np.argsort(spot.axes)), spot.geometry
        if spot.spanned_axis is not None:
            data = np.expand_dims(data, spot.spanned_axis)
    names = hints.class_names if len(hints.class_names) == classes else tuple(f"class {n + 1}" for n in range(classes))
    provenance = provenance_of_file(path)
    return Labels(
        data, name=name or path.name.partition(".labels.")[0], metadata={METADATA: provenance},
        **class_look(names, hints.class_colors), **geometry,
    )  # fmt: skip
