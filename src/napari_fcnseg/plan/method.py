"""The two exact methods: the dense network, or the patch network pixel by pixel; a third for what needs neither.

Sizes and regions are in output pixels: output pixel ``i`` is pixel ``i * every`` of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from napari_fcnseg.arrays.border import WindowReader
from napari_fcnseg.conversion.cost import dense_bytes, flop_per_pixel
from napari_fcnseg.conversion.memory import countable, patch_bytes, tile_bytes, tile_flop
from napari_fcnseg.conversion.report import FLOP_PER_BYTE
from napari_fcnseg.conversion.ways import ways_of, with_ways
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.pixel_network import PixelNetwork
from napari_fcnseg.plan.pixel_method import PixelMethod, pixel_method

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

#: Building one of the dense network's operations takes as long as so much arithmetic (10 ms); the first ones
#: are not counted. It matters for a small image and a network with hundreds of edge variants.
_BUILD, _QUICK = 1_000_000_000, 50
#: What runs the patch network takes seconds to start.
_REFERENCE = 500_000_000_000
WORTH_STRIPS = 2_000_000_000  # FLOP of a run, per step of the network
#: FLOP of a run from which on the quicker ways save more than it takes to load what is compiled for them.
WORTH_WAYS = 100_000_000_000
_STEPS = 200  # of a network that is worth building a second time, for strips that follow another one


@dataclass(frozen=True, eq=False)
class Method:
    """How one model's numbers are computed.

    Attributes
    ----------
    name : {"dense", "patchwise"}
        Which of the two it is.
    model : PatchModel
        The model.
    dense : DenseNetwork
        Its dense network that answers at every place, with the ways in which a processor computes it.
    every : int
        Pixels between output pixels.
    border : str
        What surrounds the image.
    in_strips : bool
        Whether an image can be computed in strips, keeping at each what the next one needs of it.
    """

    name: Literal["dense", "patchwise"]
    model: PatchModel
    dense: DenseNetwork
    every: int
    border: str
    in_strips: bool

    def reader(self, source: FrameSource) -> WindowReader:
        """Return the reader of a frame for this model."""
        return WindowReader(source, self.model.patch_shape, self.border)  # type: ignore[arg-type]

    def pixels(self, region: Region) -> Region:
        """Return the pixels of the image from the first place of a region to its last."""
        return tuple((start * self.every, (stop - 1) * self.every + 1) for start, stop in region)

    def bytes(self, size: tuple[int, ...]) -> float:
        """Return the bytes of a region of this size, by the memory model; infinite if it is too large."""
        if self.name == "patchwise":
            return patch_bytes(self.dense, _product(size))
        return tile_bytes(self.dense, size) if countable(self.dense, size) else math.inf

    def flop(self, size: tuple[int, ...]) -> int:
        """Return the FLOP of a region of this size, halo included; above 0 even for a network without arithmetic."""
        if self.name == "patchwise":
            return _product(size) * self.dense.report.flop_per_patch + 1
        return tile_flop(self.dense, size) + _product(size)


#: How one model's numbers are computed.
AnyMethod: TypeAlias = Method | PixelMethod


def choose_method(model: PatchModel, settings: RunSettings, pixels: int, ways: str = "") -> AnyMethod:
    """Return how a model's numbers are computed: as the user chose, or the quicker way.

    Parameters
    ----------
    model : PatchModel
        The model.
    settings : RunSettings
        What the user chose.
    pixels : int
        How many output pixels get a prediction in the whole run.
    ways : str
        How its convolutions and pools are computed on a processor (:mod:`napari_fcnseg.conversion.ways`); empty for the
        quickest.

    Raises
    ------
    SettingsError
        If the dense network is asked for and there is none worth building, the ways are not of this model, or the model
        is run as it is and the settings ask for something else.
    """
    if isinstance(model.source, PixelNetwork):
        return pixel_method(model, model.source, settings)
    dense, name = model.fcn.subsampled(settings.every), _name(model, settings, pixels, ways)
    # The network is built a second time for the strips that follow another one: in a large run that is nothing.
    steps, work = len(dense.steps), pixels * flop_per_pixel(dense)
    worth = steps <= _STEPS and work >= WORTH_STRIPS * steps
    in_strips = name == "dense" and settings.every == 1 and worth
    if name == "dense":
        dense = with_ways(dense, ways or ways_of(dense, quick=work >= WORTH_WAYS))
    return Method(name, model, dense, settings.every, settings.border, in_strips)


def _product(numbers: Sequence[int]) -> int:
    return int(np.prod(numbers, dtype=np.int64))


def _name(model: PatchModel, settings: RunSettings, pixels: int, ways: str) -> Literal["dense", "patchwise"]:
    report = model.fcn.report
    if settings.method == "patchwise":
        return "patchwise"
    if settings.method == "dense":
        if not report.dense:
            raise SettingsError(
                f"The dense form of the model {model.name!r} would be far larger than the model itself. Choose the "
                "method patchwise, which is exact too, or auto."
            )
        return "dense"
    if ways and report.dense:  # they are those of the dense network
        return "dense"
    network = model.fcn.subsampled(settings.every)
    building = _BUILD * max(len(network.steps) - _QUICK, 0)
    work = flop_per_pixel(network) + FLOP_PER_BYTE * dense_bytes(network.steps, network.channels)
    patchwise = report.work_per_patch * pixels + (_REFERENCE if report.cheaper == "dense" else 0)
    return "dense" if report.dense and work * pixels + building <= patchwise else "patchwise"
