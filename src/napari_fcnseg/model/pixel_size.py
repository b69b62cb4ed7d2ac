"""Whether an image has pixels of the size that a model was trained on, and how many times as large it has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.imagefile.units import factor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.sidecar import Sidecar

_MOST: Final = 0.1  # difference that nobody needs to hear of, relative
#: How files write what the sidecar spells out.
_SHORT: Final = {
    "picometer": "pm", "angstrom": "Å", "nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "centimeter": "cm",
    "decimeter": "dm", "meter": "m", "inch": "inch",
}  # fmt: skip
_ALSO: Final = {"um": "µm", "micron": "µm", "microns": "µm", "μm": "µm"}  # the last has the Greek letter


def scale_factors(size: Mapping[str, float], unit: str, sidecar: Sidecar | None) -> tuple[float, ...]:
    """Return how many times as large an image has to be for its pixels to be as large as those of training.

    Parameters
    ----------
    size : mapping of str to float
        Length of a pixel of the image per axis letter.
    unit : str
        Of these.
    sidecar : Sidecar or None
        The model's.

    Returns
    -------
    tuple of float
        One per axis of the model; empty where the image or the sidecar does not say.
    """
    if sidecar is None or not sidecar.pixel_size:
        return ()
    short = _ALSO.get(unit, _SHORT.get(unit, unit))
    times = factor(short, _SHORT.get(sidecar.unit, sidecar.unit)) if unit and sidecar.unit else None
    own = [size.get(axis.upper()) for axis in sidecar.axes]
    if times is None or not all(own):
        return ()
    return tuple(length * times / wanted for length, wanted in zip(own, sidecar.pixel_size, strict=True) if length)


def differ(factors: Sequence[float]) -> bool:
    """Whether an image has to be made larger or smaller by so much that it matters."""
    return any(abs(number - 1) > _MOST for number in factors)


def pixel_size_note(name: str, size: Mapping[str, float], unit: str, sidecar: Sidecar | None) -> str:
    """Return a sentence for an image whose pixels are of another size than the model's; empty where that is unknown.

    Parameters
    ----------
    name : str
        What the image is called.
    size, unit, sidecar
        As for :func:`scale_factors`.
    """
    factors = scale_factors(size, unit, sidecar)
    if sidecar is None or not differ(factors):
        return ""
    own = by([size[axis.upper()] for axis in sidecar.axes])
    wanted = f"{by(sidecar.pixel_size)} {_SHORT.get(sidecar.unit, sidecar.unit)}"
    return f"The pixels of {name} are {own} {unit}, and those that the model was trained on {wanted}."


def advice(name: str, size: Mapping[str, float], unit: str, sidecar: Sidecar | None) -> str:
    """Return that sentence with what to do about it, in the words of the command line and of Python."""
    note = pixel_size_note(name, size, unit, sidecar)
    if not note:
        return ""
    factors = by(scale_factors(size, unit, sidecar))
    return (
        f"{note} Have the model see it {factors} times as large with --rescale (in Python rescale=…), correct the "
        "pixel size if that is wrong, or expect other results than in training."
    )


def by(numbers: Sequence[float]) -> str:
    """Return numbers as a short text, a single one for several that are the same."""
    texts = [f"{number:.3g}" for number in numbers]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)
