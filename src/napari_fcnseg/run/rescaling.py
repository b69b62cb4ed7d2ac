"""A run on an image whose pixels were made as large as those that the model was trained on, with labels on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.rescaled import Grid, Regridded, rescaled
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.pixel_size import advice, differ, scale_factors
from napari_fcnseg.plan.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.model.sidecar import Sidecar
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.settings import RunSettings

_LEAST, _MOST = 0.01, 100.0  # times as large; anything else is a mistyped pixel size
_NOT_WITH = ("every", "region")


@dataclass(frozen=True)
class Rescaling:
    """How an image is rescaled for a run, and its results are put back on its own pixels.

    Attributes
    ----------
    factors : tuple of float
        How many times as large it becomes along each of the model's axes.
    grid : Grid
        Its pixels and those of the rescaled one.
    axes : tuple of int
        The axes of the image that these are along.
    image : array_like
        The rescaled image: what the run computes.
    source : array_like
        The image itself.
    """

    factors: tuple[float, ...]
    grid: Grid
    axes: tuple[int, ...]
    image: Any
    source: Any

    @classmethod
    def of(
        cls, image: Any, models: Sequence[PatchModel], settings: RunSettings, factors: float | Sequence[float],
        mask: Any = None,
    ) -> Rescaling:  # fmt: skip
        """Rescale an image for some models; of a large one nothing is read yet.

        Parameters
        ----------
        image : array_like
            The image.
        models : sequence of PatchModel
            What it is for.
        settings : RunSettings
            Of the run.
        factors : float or sequence of float
            How many times as large it becomes, along all of the model's axes or along each.
        mask : array_like, optional
            That of the run, which may not have one.

        Raises
        ------
        SettingsError, ImageError
            If that is not possible.
        """
        spatial = len(models[0].patch_shape)
        numbers = checked_factors(factors, spatial)
        other = next((name for name in _NOT_WITH if getattr(settings, name) not in (None, 1)), "mask")
        if other != "mask" or mask is not None:
            raise SettingsError(f"An image is rescaled as a whole: leave out the rescaling, or {other}.")
        image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
        layout = Layout.of(tuple(image.shape), models[0].channels, spatial, settings.channel_axis)
        axes = [axis for axis in range(len(image.shape)) if axis != layout.channel_axis][-spatial:]
        grid = Grid.of(layout.frame_shape, numbers)
        return cls(numbers, grid, tuple(axes), rescaled(image, axes, grid), image)

    def place(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return where the rescaled image lies, given where the image does, for another process to open."""
        return {"grid": [list(self.grid.shape), list(self.grid.scaled)], "axes": list(self.axes), "of": dict(source)}

    def target(self, array: Any, plan: RunPlan) -> Regridded:
        """Return what a run writes into so that an array on the image's own pixels is filled."""
        return Regridded(array, self.grid, len(plan.layout.stack_shape))

    def as_dict(self) -> dict[str, Any]:
        """Return what the provenance says of it, and of the image as it is."""
        image = {"shape": list(self.source.shape), "dtype": str(self.source.dtype)}
        return {"rescale": list(self.factors), "image": image}


def result_shape(scaling: Rescaling | None, plan: RunPlan) -> tuple[int, ...] | None:
    """Return the shape of the labels on the pixels of an image that was rescaled; None where it was not."""
    return (*plan.layout.stack_shape, *scaling.grid.shape) if scaling is not None else None


def scaling_for(
    wanted: Sequence[float] | None, image: ImageFile, models: Sequence[PatchModel], settings: RunSettings,
    mask: Any = None,
) -> tuple[Rescaling | None, str]:  # fmt: skip
    """Return how an image is rescaled for some models, and what to say where it is not and might have to be.

    Parameters
    ----------
    wanted : sequence of float, optional
        How many times as large; an empty one: by the pixel sizes of image and sidecar.
    image : ImageFile
        The image.
    models, settings, mask
        As for :meth:`Rescaling.of`.

    Raises
    ------
    SettingsError
        If a size of a pixel is missing, or that cannot be done with other settings.
    """
    sidecar = models[0].sidecar
    if wanted is None:
        return None, advice("the image", image.pixel_size, image.unit, sidecar)
    factors = tuple(wanted) or factors_for(image, sidecar)
    return Rescaling.of(image.data, models, settings, factors, mask) if factors is not None else None, ""


def factors_for(image: ImageFile, sidecar: Sidecar | None) -> tuple[float, ...] | None:
    """Return how many times as large an image has to be for a model; None if it is right as it is.

    Raises
    ------
    SettingsError
        If the image or the sidecar does not say how large its pixels are.
    """
    factors = scale_factors(image.pixel_size, image.unit, sidecar)
    if not factors:
        lacks = "the model's sidecar" if sidecar is None or not (sidecar.pixel_size and sidecar.unit) else "the image"
        raise SettingsError(
            f"How much to rescale is not known: {lacks} does not say how large a pixel is, in a unit of length. Say it "
            "there, or give the factor: --rescale 2 (in Python rescale=2)."
        )
    return factors if differ(factors) else None


def checked_factors(factors: float | Sequence[float], spatial: int) -> tuple[float, ...]:
    """Return a factor per axis.

    Raises
    ------
    SettingsError
        If there is another number of them, or one is not possible.
    """
    given = factors if isinstance(factors, list | tuple) else (factors,)
    try:
        numbers = tuple(float(number) for number in given)
    except (TypeError, ValueError):
        numbers = ()
    numbers = numbers * spatial if len(numbers) == 1 else numbers
    if len(numbers) != spatial or not all(_LEAST <= number <= _MOST for number in numbers):
        raise SettingsError(
            f"To rescale takes one number or {spatial}, from {_LEAST:g} to {_MOST:g} times as large, not {factors!r}."
        )
    return numbers
