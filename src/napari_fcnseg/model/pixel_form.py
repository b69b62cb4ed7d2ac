"""What a model gives at each pixel, whether it was converted or labels every pixel by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.errors import ConversionError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork, Head
    from napari_fcnseg.graph.pixel_network import PixelNetwork

    Form: TypeAlias = "DenseNetwork | PixelForm"


@dataclass(frozen=True)
class PixelForm:
    """What a network that labels every pixel by itself gives, in the words of a dense network.

    Attributes
    ----------
    patch_shape : tuple of int
        Pixels that a window for one pixel has around it.
    channels, outputs, classes : int
        Of the image, and numbers and classes per pixel.
    head : {"softmax", "sigmoid", "scores"}
        What the numbers are.
    strides : tuple of int
        Product of the strides of a dense network's patch network; 1.
    """

    patch_shape: tuple[int, ...]
    channels: int
    outputs: int
    classes: int
    head: Head
    strides: tuple[int, ...]

    @classmethod
    def of(cls, network: PixelNetwork) -> PixelForm:
        """Return what a network gives."""
        patch, numbers = network.patch_shape, network.numbers
        return cls(patch, network.channels, numbers, max(numbers, 2), network.head, (1,) * len(patch))


def not_converted(name: str, asked: str = "convert") -> ConversionError:
    """Return the error for what only a patch model has.

    Parameters
    ----------
    name : str
        What the model is called.
    asked : {"convert", "check", "export", "teach"}
        What was to be done with it.
    """
    return ConversionError(
        f"The model {name!r} already labels every pixel and is run as it is: there is nothing to {asked}. Choose a "
        "patch model for that."
    )


def check_together(members: Sequence[tuple[str, Form]]) -> None:
    """Find out whether the members of an ensemble fit together.

    Parameters
    ----------
    members : sequence of (str, Form)
        The name of each, and what it gives.

    Raises
    ------
    SettingsError
        If they differ in channels, classes, spatial axes or what their last layer gives.
    """
    (name, first), *others = members
    for other, form in others:
        for what, a, b in (
            ("input channels", first.channels, form.channels),
            ("outputs", first.outputs, form.outputs),
            ("spatial axes", len(first.patch_shape), len(form.patch_shape)),
            ("kind of last layer", first.head, form.head),
        ):
            if a != b:
                raise SettingsError(
                    f"Models {name!r} and {other!r} cannot be averaged: their {what} differ ({a} and {b}). Choose "
                    "models that were trained for the same task."
                )
