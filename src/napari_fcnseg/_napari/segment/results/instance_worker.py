"""Instances of a Labels layer: what is asked for, and what a worker makes of it. Free of Qt."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.edits import EDITED_LABELS, edited_pixels, may_be_edited, with_edits
from napari_fcnseg._napari.layers.geometry import geometry
from napari_fcnseg._napari.layers.metadata import METADATA, is_result, shows_comparison
from napari_fcnseg._napari.segment.run.stopped import run_of
from napari_fcnseg.errors import OutOfMemoryError
from napari_fcnseg.instances.settings import InstanceSettings, InstanceSizes, why_none
from napari_fcnseg.run.own_labels import OwnLabels
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Layer

    from napari_fcnseg.instances.measuring import ObjectTable

_MOST_CLASSES = 255
_POWERS = " ²³"


@dataclass(frozen=True, eq=False)
class InstanceRequest:
    """What instances are asked for, as it was when they were.

    Attributes
    ----------
    parent : Labels
        The layer with the classes.
    data : array_like
        What it held, at full resolution.
    settings : InstanceSettings
        What the user chose.
    spatial : int
        How many of the last axes an instance extends along.
    names : mapping of int to str
        What the classes are called.
    target : Labels or None
        The layer that gets the instances; None for a new one.
    stop : threading.Event
        Set to cancel.
    """

    parent: Labels
    data: Any
    settings: InstanceSettings
    spatial: int
    names: Mapping[int, str]
    target: Labels | None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, eq=False)
class FoundInstances:
    """What became of a request.

    Attributes
    ----------
    labels : ndarray of int
        The instances.
    features : dict
        Their sizes, for the status bar.
    metadata : dict
        Where they come from.
    said : str
        How many there are.
    own : OwnLabels
        The instances once more, out of reach of a brush.
    layer : Labels or None
        A layer that has all of that, where there was none or people have corrected it; no viewer has it yet.
    """

    labels: np.ndarray
    features: dict[str, Any]
    metadata: dict[str, Any]
    said: str
    own: OwnLabels
    layer: Labels | None = None


def instance_layer(request: InstanceRequest) -> FoundInstances:
    """Find instances. Slow: call it in a worker."""
    from napari_fcnseg.run.find_instances import find_instances

    place = geometry(request.parent)
    spacing, pixel_size, unit = pixel_of(place, request.spatial)
    options: dict[str, Any] = {"spatial": request.spatial, "spacing": spacing, "stop": request.stop.is_set}
    try:
        labels = find_instances(request.data, request.settings, **options)
    except MemoryError:
        raise OutOfMemoryError(
            f"There is not enough memory to find objects in {format_shape(request.data.shape)} pixels. Close other "
            "programs, or segment a part of the image only."
        ) from None
    sizes = InstanceSizes.of(labels, pixel_size, unit)
    said = f"{sizes}." if sizes.count else why_none(request.data, request.settings, request.names)
    features = features_of(sizes, "area" if request.spatial < 3 else "volume")
    metadata = {METADATA: _origin(request)}
    name = f"{request.parent.name} · objects"
    own = OwnLabels(labels.shape, labels.dtype)
    own.keep(tuple(map(slice, labels.shape)), labels)
    layer = None
    if request.target is None or edited_pixels(request.target):
        layer = Labels(labels, name=name, features=features, metadata=metadata, opacity=0.7, **place)
    return FoundInstances(labels, features, metadata, said, own, layer)


def features_of(sizes: InstanceSizes, what: str) -> dict[str, Any]:
    """Return a table that tells the size of the instance under the mouse."""
    table: dict[str, Any] = {"index": np.arange(sizes.count) + 1, f"{what} (px)": sizes.pixels}
    if sizes.pixel_size is not None:
        table[f"{what} ({sizes.unit})"] = np.round(sizes.pixels * sizes.pixel_size, 3)
    return table


def _origin(request: InstanceRequest) -> dict[str, Any]:
    """Return the provenance of the labels with what was done to them."""
    entry = request.parent.metadata.get(METADATA)
    mine = {"settings": request.settings.as_dict(), "spatial": request.spatial, "labels": request.parent.name}
    said = dict(entry) if isinstance(entry, dict) else {}
    if may_be_edited(request.parent):
        mine[EDITED_LABELS] = edited_pixels(request.parent)
        said = with_edits(said, mine[EDITED_LABELS])
    return {"program": "napari-fcnseg", **said, "instances": mine}


def pixel_of(place: Mapping[str, Any], spatial: int) -> tuple[tuple[float, ...], float | None, str]:
    """Return how long a pixel is along each of the last axes, its area or volume if these are lengths, and the unit.

    Parameters
    ----------
    place : mapping
        Where a layer lies (:func:`~napari_fcnseg._napari.layers.geometry.geometry`).
    spatial : int
        How many axes.
    """
    import pint  # napari's own dependency

    linear = np.asarray(place["affine"])[:-1, :-1] @ place["rotate"] @ place["shear"] @ np.diag(place["scale"])
    units = place["units"][-spatial:]
    try:
        factors = [float((1 * unit).to(units[-1]).magnitude) for unit in units]
        known = units[-1].is_compatible_with("meter")
    except pint.DimensionalityError:  # a length along one axis and plain pixels along another
        factors, known = [1.0] * spatial, False
    pixel = linear[-spatial:, -spatial:] * np.array(factors)[:, None]
    spacing = tuple(float(length) for length in np.linalg.norm(pixel, axis=0))
    size = abs(float(np.linalg.det(pixel)))
    return spacing, size if known else None, f"{units[-1]:~P}{_POWERS[spatial - 1].strip()}" if known else ""


def measure_layer(parent: Labels, layer: Labels, data: Any) -> ObjectTable:
    """Measure the instances of a layer, with the brightness of the image that its classes were found in.

    Parameters
    ----------
    parent, layer : Labels
        The layer with the classes, and the one with the instances.
    data : array_like
        What the latter holds.
    """
    from napari_fcnseg.instances.measuring import measure_objects

    spatial = layer.metadata[METADATA]["instances"]["spatial"]
    spacing, _, unit = pixel_of(geometry(layer), spatial)
    image, names = _image_of(parent, tuple(data.shape))
    length = unit.rstrip("²³")
    return measure_objects(
        data, spatial=spatial, spacing=spacing if length else None, unit=length, image=image, channels=names
    )


def _image_of(parent: Labels, shape: tuple[int, ...]) -> tuple[Any, tuple[str, ...]]:
    """Return the image of a result, its channels last, and their names; None where it has not the result's shape."""
    run = run_of(parent)
    if run is None:
        return None, ()
    source = run.request.source
    if len(source.data) > 1:
        if any(tuple(array.shape) != shape for array in source.data):
            return None, ()
        return np.stack([np.asarray(array) for array in source.data], axis=-1), tuple(
            layer.name for layer in source.layers
        )
    array, names = source.data[0], tuple[str, ...]()
    if source.layers[0].rgb:
        image, names = np.asarray(array), ("red", "green", "blue", "alpha")
    elif source.dropped_axis is not None:
        image, names = np.moveaxis(np.asarray(array), source.dropped_axis, -1), source.need.names
    else:
        image, names = np.asarray(array)[..., None], (source.layers[0].name,)
    return (image, tuple(names)) if image.shape[:-1] == shape else (None, ())


def candidates(layers: Iterable[Layer]) -> list[Labels]:
    """Return the layers that instances may be found in: results first, the newest first.

    None that holds instances, and none that shows a comparison: its numbers are no classes.
    """
    mine = [layer for layer in layers if isinstance(layer, Labels) and not shows_comparison(layer)]
    labels = [layer for layer in mine if not _has_instances(layer)]
    labels.reverse()
    return sorted(labels, key=lambda layer: not is_result(layer))


def _has_instances(layer: Layer) -> bool:
    return is_result(layer) and "instances" in layer.metadata[METADATA]


def spatial_axes(layer: Labels) -> int:
    """Return how many axes the model of a result had; two, or all that there are, for another layer."""
    entry = layer.metadata.get(METADATA)
    models: Sequence[Any] = entry.get("models", ()) if isinstance(entry, dict) else ()
    return min(len(models[0]["patch_shape"]) if models else 2, int(layer.ndim))


def classes_in(layer: Labels) -> tuple[Labels, dict[int, str], str]:
    """Return a layer that has no names for its classes, those that it holds, and why there are none.

    It reads all of the labels, so it runs in a worker.
    """
    numbers: set[int] = set()
    data = full_resolution(layer)
    for frame in data if data.ndim > 2 else [data]:
        numbers.update(np.unique(np.asarray(frame)).tolist())
        if len(numbers) > _MOST_CLASSES + 1:
            problem = f"{layer.name!r} holds more than {_MOST_CLASSES} numbers, which are no classes. Choose others."
            return layer, {}, problem
    names = {number: f"class {number}" for number in sorted(numbers) if number > 0}
    return layer, names, "" if names else f"All labels of {layer.name!r} are 0. Choose other labels."
