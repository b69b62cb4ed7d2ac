"""The two exact ways to a model's numbers: the dense network, or the patch network at one pixel after the other.

Places are in steps of ``every`` pixels: place ``i`` is pixel ``i * every``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine import Device, engine
from napari_fcnseg.engine.memory import patch_batch, tile_flop
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.tiling import WindowReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.tiling import Region

    _Image = npt.NDArray[np.float32]

#: Putting one of the dense network's operations together takes as long as so much arithmetic (10 ms); the first ones
#: are not counted. It matters for a small image and a network with hundreds of edge variants.
_BUILD, _QUICK = 1_000_000_000, 50
_PROBE = 96  # pixels per axis of the tile that a time is estimated from, at most


class Way:
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
    method : {"dense", "patchwise"}
        Which way it is.

    Raises
    ------
    SettingsError
        If the dense network is asked for and there is none worth building.
    """

    def __init__(self, model: PatchModel, settings: RunSettings, places: int) -> None:
        self.model = model
        self.dense = model.fcn.network
        self.method = _method(model, settings, places)
        self._every, self._border = settings.every, settings.border

    def load(self, device: Device) -> Future[float]:
        """Have the engine compile what is needed."""
        return engine().load(self.dense if self.method == "dense" else self.model.network, device)

    def reader(self, frame: _Image) -> WindowReader:
        """Return what reads the frame as this model needs it."""
        return WindowReader(frame, self.model.patch_shape, self._border)  # type: ignore[arg-type]

    def begin(self, reader: WindowReader, region: Region, device: Device) -> Future[_Image]:
        """Hand a region of places to the engine; :meth:`finish` makes its numbers of what comes back."""
        pixels = tuple((start * self._every, (stop - 1) * self._every + 1) for start, stop in region)
        if self.method == "dense":
            return engine().run(self.dense, device, reader.read(pixels, self.dense.reach, self.dense.origin)[None])
        window = reader.read(pixels, self.model.patch_shape)
        return engine().run_patches(self.model.network, device, window, self._every, patch_batch(self.dense))

    def finish(self, answer: _Image) -> _Image:
        """Return the numbers of a region: ``(*places, output)``."""
        if self.method == "patchwise":
            return answer
        index: tuple[Any, ...] = (0, *(slice(None, None, self._every),) * (answer.ndim - 2))
        strided: _Image = answer[index]
        return strided

    def estimate(self, reader: WindowReader, tiles: Sequence[Region], device: Device) -> float:
        """Return the seconds that tiles will take, from the time of a small part of the first."""
        first = [start for start, _ in tiles[0]]
        if self.method == "dense":
            sizes = [tuple((stop - start - 1) * self._every + 1 for start, stop in tile) for tile in tiles]
            most = max(1, -(-_PROBE // self._every))
        else:
            sizes = [tuple(stop - start for start, stop in tile) for tile in tiles]
            most = max(1, round(patch_batch(self.dense) ** (1 / len(first))))
        region = tuple((a, min(a + most, stop)) for a, (_, stop) in zip(first, tiles[0], strict=True))
        self.begin(reader, region, device).result()  # the first time is slower
        start = time.perf_counter()
        self.begin(reader, region, device).result()
        seconds = time.perf_counter() - start
        probe = tuple(b - a for a, b in region)
        if self.method == "patchwise":
            return seconds * sum(map(_product, sizes)) / _product(probe)
        small = tuple((n - 1) * self._every + 1 for n in probe)
        return seconds * sum(self._work(size) for size in sizes) / self._work(small)

    def _work(self, size: tuple[int, ...]) -> int:
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
    pixels = places * settings.every ** len(model.patch_shape)
    building = _BUILD * max(len(model.fcn.network.steps) - _QUICK, 0)
    dense = report.work_per_pixel * pixels + building
    return "dense" if report.dense and dense <= report.work_per_patch * places else "patchwise"
