"""The two exact methods to get a model's numbers: the dense network, or the patch network at one pixel after the other.

Places are in steps of ``every`` pixels: place ``i`` is pixel ``i * every``.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.border import WindowReader
from napari_fcnseg.conversion.cost import dense_bytes, flop_per_pixel
from napari_fcnseg.conversion.memory import countable, patch_batch, patch_bytes, tile_bytes, tile_flop
from napari_fcnseg.conversion.report import FLOP_PER_BYTE
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

    _Image = npt.NDArray[np.float32]

#: Putting one of the dense network's operations together takes as long as so much arithmetic (10 ms); the first ones
#: are not counted. It matters for a small image and a network with hundreds of edge variants.
_BUILD, _QUICK = 1_000_000_000, 50
WORTH_STRIPS = 2_000_000_000  # FLOP of a run, per step of the network
_STEPS = 200  # of a network that is worth building a second time, for strips that follow another one
_PROBE = 96  # pixels per axis of the tile that a time is estimated from, at most


class Method:
    """How one model's numbers are computed.

    Parameters
    ----------
    model : PatchModel
        The model.
    settings : RunSettings
        What the user chose.
    places : int
        How many places get a prediction in the whole run.

    Attributes
    ----------
    name : {"dense", "patchwise"}
        Which of the two it is.

    Raises
    ------
    SettingsError
        If the dense network is asked for and there is none worth building.
    """

    def __init__(self, model: PatchModel, settings: RunSettings, places: int) -> None:
        self.model = model
        self.dense = model.fcn.subsampled(settings.every)
        self.name = _method(model, settings, places)
        # The network is built a second time for the strips that follow another one: in a large run that is nothing.
        steps, work = len(self.dense.steps), places * flop_per_pixel(self.dense)
        worth = steps <= _STEPS and work >= WORTH_STRIPS * steps
        self._in_strips = self.name == "dense" and settings.every == 1 and worth
        self._every, self._border = settings.every, settings.border

    def load(self, device: Device) -> Future[float]:
        """Have the engine compile what is needed."""
        return engine().load(self.dense if self.name == "dense" else self.model.network, device)

    def reader(self, source: FrameSource) -> WindowReader:
        """Return what reads a frame as this model needs it."""
        return WindowReader(source, self.model.patch_shape, self._border)  # type: ignore[arg-type]

    def begin(self, reader: WindowReader, region: Region, device: Device) -> Future[_Image]:
        """Hand a region of places to the engine; :meth:`finish` makes its numbers of what comes back."""
        pixels = tuple((start * self._every, (stop - 1) * self._every + 1) for start, stop in region)
        if self.name == "dense":
            return engine().run(self.dense, device, reader.read(pixels, self.dense.reach, self.dense.origin)[None])
        window = reader.read(pixels, self.model.patch_shape)
        return engine().run_patches(self.model.network, device, window, self._every, patch_batch(self.dense))

    @property
    def in_strips(self) -> bool:
        """Whether an image can be computed in strips, keeping at each what the next one needs of it."""
        return self._in_strips

    def begin_strip(
        self, reader: WindowReader, region: Region, device: Device, number: int, follows: int | None
    ) -> Future[_Image]:
        """Hand a strip to the engine: region ``number``, and the number of the one right above it, if that came last.

        Then only rows are read and computed that the one above did not see.
        """
        reach, origin = self.dense.reach, self.dense.origin
        if follows is not None:
            reach, origin = (1, *reach[1:]), (origin[0] + reach[0] - 1, *origin[1:])
        window = reader.read(region, reach, origin)
        return engine().run_strip(self.dense, device, window[None], number, follows)

    def end_strip(self, device: Device, number: int) -> None:
        """Say that no strip will follow that one."""
        engine().forget_strip(self.dense, device, number)

    def finish(self, answer: _Image) -> _Image:
        """Return the numbers of a region: ``(*places, output)``."""
        numbers: _Image = answer if self.name == "patchwise" else answer[0]
        return numbers

    def bytes(self, size: tuple[int, ...]) -> float:
        """Return the bytes that a region of so many places takes by the memory model; infinite if it is too large."""
        if self.name == "patchwise":
            return patch_bytes(self.dense, _product(size))
        return tile_bytes(self.dense, size) if countable(self.dense, size) else math.inf

    def estimate(self, reader: WindowReader, tiles: Sequence[Region], device: Device) -> float:
        """Return the seconds that tiles will take, from the time of a small part of the first."""
        first = [start for start, _ in tiles[0]]
        sizes = [tuple(stop - start for start, stop in tile) for tile in tiles]
        if self.name == "dense":
            most = max(1, -(-_PROBE // self._every))
        else:
            most = max(1, round(patch_batch(self.dense) ** (1 / len(first))))
        region = tuple((a, min(a + most, stop)) for a, (_, stop) in zip(first, tiles[0], strict=True))
        self.begin(reader, region, device).result()  # the first time is slower
        start = time.perf_counter()
        self.begin(reader, region, device).result()
        seconds = time.perf_counter() - start
        probe = tuple(b - a for a, b in region)
        if self.name == "patchwise":
            return seconds * sum(map(_product, sizes)) / _product(probe)
        return seconds * sum(map(self.flop, sizes)) / self.flop(probe)

    def flop(self, size: tuple[int, ...]) -> int:
        """Return the work of a region of so many places, halo included; a number is there where nothing is computed."""
        if self.name == "patchwise":
            return _product(size) * self.dense.report.flop_per_patch + 1
        return tile_flop(self.dense, size) + _product(size)


def _product(numbers: Sequence[int]) -> int:
    return int(np.prod(numbers, dtype=np.int64))


def _method(model: PatchModel, settings: RunSettings, places: int) -> Literal["dense", "patchwise"]:
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
    network = model.fcn.subsampled(settings.every)
    building = _BUILD * max(len(network.steps) - _QUICK, 0)
    work = flop_per_pixel(network) + FLOP_PER_BYTE * dense_bytes(network.steps, network.channels)
    return "dense" if report.dense and work * places + building <= report.work_per_patch * places else "patchwise"
