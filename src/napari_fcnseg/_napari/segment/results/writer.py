"""Writing a result with what it comes from beside it: from the dock, and as napari's own File, Save Selected Layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.layers.axis_names import letters_of
from napari_fcnseg._napari.layers.edits import edited_pixels, layer_with, may_be_edited, with_edits
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.layers.pixel_size import size_in_space

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.system.saving import Inputs


def write_result(
    path: str,
    data: Any,
    attributes: Mapping[str, Any],
    more: Mapping[str, Any] | None = None,
    *,
    replace: bool = True,
    inputs: Inputs | None = None,
) -> list[str]:
    """Write a layer with its axes and pixel size, and beside a result of this program where it comes from.

    A file of that name is replaced: the window has asked. A folder is not, for which no window asks, nor what a layer
    or a model is in.

    Parameters
    ----------
    path : str
        Of the file; one of :data:`napari_fcnseg.imagefile.OUTPUTS` is its ending.
    data : array_like
        The layer's data; of a multiscale layer a list, the finest first.
    attributes : mapping
        The layer's state, as napari hands it to a writer.
    more : mapping, optional
        Further entries of the provenance.
    replace : bool
        Whether a file of that name is replaced.
    inputs : Inputs, optional
        What is not replaced; the files of all open layers and chosen models otherwise.

    Returns
    -------
    list of str
        The files.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from napari_fcnseg._napari.files_in_use import in_use
    from napari_fcnseg.imagefile import check_ending
    from napari_fcnseg.proof.certificate import image_sha256
    from napari_fcnseg.run.provenance_file import check_provenance, provenance_path, write_with_provenance
    from napari_fcnseg.system.saving import ZARR, Plan
    from napari_fcnseg.system.serialization import to_plain

    target = Path(path)
    check_ending(target)
    entry = attributes.get("metadata", {}).get(METADATA)
    provenance = entry if isinstance(entry, dict) and "program" in entry else None
    beside = provenance_path(target)
    plan = Plan(
        (target,), inputs if inputs is not None else in_use(), (beside,) if provenance is not None else (),
        stoppable=target.suffix.lower() == ZARR, overwrite=replace and target.is_file(), advice="", free=(beside,),
    )  # fmt: skip
    with plan.claim():
        image = image_of(target, data, attributes, provenance or {})
        if provenance is None:
            write_with_provenance(plan, image, {})
            return [path]
        written = {
            "file": target.name,
            "shape": image.data.shape,
            "dtype": str(image.data.dtype),
            "axes": image.axes,
            "pixel_size": image.pixel_size,
            "unit": image.unit,
            "sha256": image_sha256(image.data),
        }
        edited = _with_edits(provenance, attributes.get("metadata"))
        said = to_plain({**edited, **classes_of(attributes), "written": written, **(more or {})})
        check_provenance(beside, (target,), said)
        write_with_provenance(plan, image, said)
    return [path, str(beside)]


def _with_edits(provenance: Mapping[str, Any], metadata: Any) -> Mapping[str, Any]:
    """Return the provenance with what was edited by hand until now, whoever did that and however."""
    layer = layer_with(metadata)
    if layer is None or not may_be_edited(layer):
        return provenance
    return with_edits(provenance, edited_pixels(layer))


def image_of(target: Path, data: Any, attributes: Mapping[str, Any], provenance: Mapping[str, Any]) -> ImageFile:
    """Return a layer as an image with the meaning of its axes, in a type that the file can hold."""
    from napari_fcnseg.imagefile import ImageFile, axis_letters

    pixels = np.asarray(data[0] if attributes.get("multiscale") else data)
    ndim, names = pixels.ndim, list(letters_of([str(name) for name in attributes.get("axis_labels", ())]))
    models = provenance.get("models") or [{}]
    volume = len(models[0].get("patch_shape", ())) == 3
    if not any(names):  # napari's own say nothing
        names = ["t", "z", "y", "x"][4 - ndim :] if volume and ndim <= 4 else []
    axes = axis_letters(names, ndim)
    kept = [axis for axis in range(ndim) if axis != _spanned(pixels.shape, provenance)]
    scale, units = (list(attributes.get(name, ())) for name in ("scale", "units"))
    size, unit = size_in_space(axes, scale, units) if len(scale) == len(units) == ndim else ({}, "")
    pixels = _fitting(target, pixels.reshape([pixels.shape[axis] for axis in kept]))
    return ImageFile(pixels, "".join(axes[axis] for axis in kept), size, unit)


def classes_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return names and colours of a label layer's classes, in the words of a sidecar; empty where it has none."""
    features, colormap = attributes.get("features"), attributes.get("colormap")
    if features is None or not {"index", "class"} <= set(features):
        return {}
    table = [(int(index), str(name)) for index, name in zip(features["index"], features["class"], strict=True) if index]
    colors = [np.asarray(colormap.map(index)).reshape(-1) for index, _ in table] if colormap is not None else []
    return {
        "class_names": [name for _, name in table],
        "class_colors": ["#" + "".join(f"{round(255 * float(c)):02x}" for c in color[:3]) for color in colors],
    }


def _spanned(shape: tuple[int, ...], provenance: Mapping[str, Any]) -> int | None:
    """Return the axis of length 1 that a result has over the channels of its image, and its file need not have."""
    axis = provenance.get("channel_axis")
    of_image = provenance.get("image", {}).get("shape", ())
    return axis if axis is not None and len(of_image) == len(shape) and shape[axis] == 1 else None


def _fitting(target: Path, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same numbers in a type that other programs read: few know whole numbers of 64 bits, or booleans."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind not in "iu" or not pixels.size:
        return pixels
    png = target.suffix.lower() == ".png"
    if pixels.dtype.itemsize < 8 and not png:
        return pixels
    low, high = int(pixels.min()), int(pixels.max())
    for kind in (np.uint8, np.uint16) if png else (np.uint32, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return pixels if pixels.dtype == kind else pixels.astype(kind)
    return pixels
