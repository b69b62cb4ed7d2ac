"""Compare an image's pixel size with the one that a model was trained on. Free of Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.layers.channels import ImageLayers

_SPACE = "ZYX"
_MOST = 0.1  # difference that nobody needs to hear of, relative


def pixel_size_note(source: ImageLayers) -> str:
    """Return a sentence for an image whose pixels are of another size than the model's; empty where that is unknown.

    Parameters
    ----------
    source : ImageLayers
        Image and model; sizes in units of length are compared, and a layer in pixels has none.
    """
    factors, need, layer = rescale_factors(source), source.need, source.layers[0]
    if not factors:
        return ""
    sizes = _sizes(source, need.unit)
    return (
        f"The pixels of {layer.name!r} are {_by(sizes)} {need.unit}, and those that the model was trained on "
        f"{_by(need.pixel_size)}. Make the image {_by(factors, same=True)} times as large (or correct the scale, if "
        "that is wrong), or expect other results than in training."
    )


def rescale_factors(source: ImageLayers) -> tuple[float, ...]:
    """Return how many times as large an image has to be for its model; empty where that is unknown, or it is right."""
    need = source.need
    sizes = _sizes(source, need.unit) if need.pixel_size and need.unit else ()
    if not sizes or _alike(sizes, need.pixel_size):
        return ()
    return tuple(size / wanted for size, wanted in zip(sizes, need.pixel_size, strict=True))


def pixel_size_fact(source: ImageLayers) -> str:
    """Return the size of an image's pixels in a few words, and whether it is the model's."""
    need = source.need
    unit = need.unit or "micrometer"
    own, wanted = _sizes(source, unit), need.pixel_size if need.unit else ()
    if not own:
        return f"no pixel size (the model's is {_by(wanted, same=True)} {_short(unit)})" if wanted else "no pixel size"
    text = f"pixels of {_by(own, same=True)} {_short(unit)}"
    return f"{text}, as the model's" if wanted and _alike(own, wanted) else text


def size_in_space(axes: str, scale: Sequence[float], units: Sequence[Any]) -> tuple[dict[str, float], str]:
    """Return the size of a pixel along the axes of space, all in the last one's unit."""
    from pint import DimensionalityError

    from napari_fcnseg.imagefile import UNITS

    place = [axis for axis, letter in enumerate(axes) if letter in _SPACE]
    if not place or all(str(units[axis]) == "pixel" and scale[axis] == 1 for axis in place):
        return {}, ""
    unit, size = units[place[-1]], {}
    for axis in place:
        try:
            size[axes[axis]] = abs(float((float(scale[axis]) * units[axis]).to(unit).magnitude))
        except DimensionalityError:  # a length along one axis and plain pixels along another
            continue
    return size, UNITS.get(str(unit), str(unit))


def _sizes(source: ImageLayers, unit: str) -> tuple[float, ...]:
    """Return the length of a pixel along each of the model's axes; empty where that is none."""
    import pint  # napari's own dependency

    layer = source.layers[0]
    try:
        return tuple(
            abs(float((layer.scale[axis] * layer.units[axis]).to(unit).magnitude)) for axis in source.spatial_axes
        )
    except pint.PintError:
        return ()


def _alike(sizes: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(abs(size / other - 1) <= _MOST for size, other in zip(sizes, wanted, strict=True))


def _by(numbers: Sequence[float], *, same: bool = False) -> str:
    """Return numbers, on request a single one for several that are the same."""
    texts = [f"{number:.3g}" for number in numbers]
    return texts[0] if same and len(set(texts)) == 1 else " × ".join(texts)


def _short(unit: str) -> str:
    return {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm"}.get(unit, unit)


def differing_pixels(one: ImageLayers, other: ImageLayers) -> str:
    """Return a sentence for two images to be taught on whose pixels differ in size; empty where that is unknown."""
    first, second = (_sizes(source, "micrometer") for source in (one, other))
    if not first or not second or _alike(second, first):
        return ""
    return (
        f"The pixels of {other.layers[0].name!r} are {_by(second, same=True)} µm, those of {one.layers[0].name!r} "
        f"{_by(first, same=True)} µm. Make the images alike, or teach a model for each."
    )
