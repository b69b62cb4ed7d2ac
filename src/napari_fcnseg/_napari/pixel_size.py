"""Whether an image has pixels of the size that a model was trained on; nothing here knows Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_fcnseg._napari.channels import Source

_MOST = 0.1  # difference that nobody needs to hear of, relative


def pixel_size_note(source: Source) -> str:
    """Return a sentence for an image whose pixels are of another size than the model's; empty where that is unknown.

    Parameters
    ----------
    source : Source
        Image and model; sizes in units of length are compared, and a layer in pixels has none.
    """
    need, layer = source.need, source.layers[0]
    if not need.pixel_size or not need.unit:
        return ""
    import pint  # napari's own dependency

    axes = [axis for axis in range(layer.ndim) if axis != source.dropped_axis][-need.spatial :]
    try:
        sizes = [abs(float((layer.scale[axis] * layer.units[axis]).to(need.unit).magnitude)) for axis in axes]
    except pint.DimensionalityError:
        return ""
    if all(abs(size / wanted - 1) <= _MOST for size, wanted in zip(sizes, need.pixel_size, strict=True)):
        return ""
    own, wanted = (" × ".join(f"{n:.3g}" for n in numbers) for numbers in (sizes, need.pixel_size))
    return (
        f"The pixels of {layer.name!r} are {own} {need.unit}, and those that the model was trained on {wanted}. "
        "Rescale the image, or expect other results than in training."
    )
