"""Pixel spacing of the files to compare, in the unit of the truth."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.units import factor

if TYPE_CHECKING:
    from napari_fcnseg.imagefile import ImageFile


def lengths(name: str, file: ImageFile, truth: ImageFile) -> list[float]:
    """Return the length of a pixel along each axis but the channels', in the unit of the truth.

    Parameters
    ----------
    name : str
        Of the file, for the error.
    file, truth : ImageFile
        The file and the truth; axes are matched from the last. A length that only one of them gives is that of the
        truth, 1 if it gives none: so the pixels lie on pixels.

    Raises
    ------
    ImageError
        If both give lengths whose units are not lengths.
    """
    sizes = []
    axes, of_truth = file.result_axes, truth.result_axes
    for own, other in itertools.zip_longest(reversed(axes), reversed(of_truth), fillvalue=""):
        length, right = file.pixel_size.get(own), truth.pixel_size.get(other)
        sizes.append(length * _factor(name, file.unit, truth.unit) if length and right else right or 1.0)
    return sizes[: len(axes)][::-1]


def _factor(name: str, own: str, of_truth: str) -> float:
    times = factor(own, of_truth)
    if times is None:
        units = [unit or "no unit" for unit in (own, of_truth)]
        raise ImageError(f"{name} gives lengths in {units[0]}, the truth in {units[1]}. Correct the unit of one file.")
    return times
