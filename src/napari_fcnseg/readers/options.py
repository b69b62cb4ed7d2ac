"""What a model file does not say of itself and the user can: as plain data that crosses to the reading process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class ReadOptions:
    """How a file is to be read where it leaves that open.

    Attributes
    ----------
    patch_shape : tuple of int
        Sizes of the patch, for a model that takes any; empty where nobody said.
    keras_1_backend : {"theano", "tensorflow"} or None
        What computed for a model of Keras 1, whose kernels lie turned round with Theano.
    bands_axis : int or None
        The spatial axis of the patch that the network uses up whole, so that it is no axis to slide over (spectral
        bands); -1 where the user says that there is none, None where nobody said.
    outputs_are_classes : bool
        Whether the user says that a square number of outputs are classes and not a square of labels.
    """

    patch_shape: tuple[int, ...] = ()
    keras_1_backend: Literal["theano", "tensorflow"] | None = None
    bands_axis: int | None = None
    outputs_are_classes: bool = False


#: Nothing was said.
PLAIN: Final = ReadOptions()
