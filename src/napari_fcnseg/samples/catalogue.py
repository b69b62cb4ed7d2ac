"""The samples: image, model, and what a user needs to know about both."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CELLS_SEED", "CELLS_TRAINING_SEEDS", "SAMPLES", "Labels", "Sample"]

Labels: TypeAlias = npt.NDArray[np.uint8]

#: The cells sample is drawn with this seed.
CELLS_SEED = 2014
#: Its model was trained on images drawn with these.
CELLS_TRAINING_SEEDS = tuple(range(1, 9))

_MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Sample:
    """An image and a patch model that fits it.

    Attributes
    ----------
    name : str
        Key in `SAMPLES`.
    title : str
        What a menu shows.
    image : callable
        Returns the image, with channels along ``channel_axis``.
    model_path : Path
        The packaged ``.keras`` file.
    channel_axis : int or None
        Axis of the channels in the image; None if it has none.
    channel_names : tuple of str
        One per channel, in the model's order.
    class_names, class_colors : tuple of str
        One per class, in the model's order; colours as ``#rrggbb``, colour-blind safe.
    preprocess : tuple of str
        Steps that the image goes through before the model, each as ``name`` or ``name:argument``.
    learned_from : str
        What the model was taught with, as a sentence or two.
    truth : callable or None
        Returns what is known to be true, label value = class index + 1; None if unknown.
    teacher : callable or None
        Returns the labels of an automatic method that taught the model. They are an opinion, not the truth.
    pixel_size : tuple of float or None
        Length of a pixel along rows and columns; None where the image comes without one.
    units : str
        Unit of ``pixel_size``, in napari's words.
    """

    name: str
    title: str
    image: Callable[[], npt.NDArray[Any]]
    model_path: Path
    channel_axis: int | None
    channel_names: tuple[str, ...]
    class_names: tuple[str, ...]
    class_colors: tuple[str, ...]
    preprocess: tuple[str, ...]
    learned_from: str
    truth: Callable[[], Labels] | None = None
    teacher: Callable[[], Labels] | None = None
    pixel_size: tuple[float, float] | None = None
    units: str = "pixel"


# The imports are late because scikit-image is slow to import and a menu needs the titles only.


def _tissue_image() -> npt.NDArray[np.uint8]:
    from skimage.data import immunohistochemistry

    return np.asarray(immunohistochemistry(), np.uint8)  # type: ignore[no-untyped-call]


def _tissue_teacher() -> Labels:
    from napari_fcnseg.samples.teacher import stain_labels

    return stain_labels(_tissue_image())


def _cells_image() -> npt.NDArray[np.uint16]:
    from napari_fcnseg.samples.synthetic import fluorescence_cells

    return fluorescence_cells(CELLS_SEED)[0]


def _cells_truth() -> Labels:
    from napari_fcnseg.samples.synthetic import fluorescence_cells

    return fluorescence_cells(CELLS_SEED)[1]


_TISSUE = Sample(
    name="tissue",
    title="Stained tissue (nuclei and DAB)",
    image=_tissue_image,
    model_path=_MODELS / "tissue31.keras",
    channel_axis=-1,
    channel_names=("red", "green", "blue"),
    class_names=("background", "nucleus", "stained"),
    class_colors=("#999999", "#0072b2", "#d55e00"),
    preprocess=(),
    learned_from=(
        "The model imitates a classical method, colour deconvolution with Otsu thresholds, and learned it from the "
        "left part of this image. No expert has checked the labels: agreement with them shows that the model learned "
        "its teacher, not that either is right."
    ),
    teacher=_tissue_teacher,
)

_CELLS = Sample(
    name="cells",
    title="Fluorescent cells (synthetic)",
    image=_cells_image,
    model_path=_MODELS / "cells31.keras",
    channel_axis=-1,
    channel_names=("nuclei", "cytoplasm"),
    class_names=("background", "edge", "interior"),
    class_colors=("#999999", "#e69f00", "#56b4e9"),
    preprocess=("divide_by_median", "subtract_local_mean:61"),
    learned_from=(
        "The model learned from other synthetic images, drawn by the same program with other random numbers, and has "
        "never seen this one. The truth is exact because the cells were drawn from it."
    ),
    truth=_cells_truth,
    # Nominal: makes a drawn cell about 20 micrometres long, as cells in culture are.
    pixel_size=(0.65, 0.65),
    units="micrometer",
)

#: All samples by name.
SAMPLES: Mapping[str, Sample] = MappingProxyType({sample.name: sample for sample in (_TISSUE, _CELLS)})
