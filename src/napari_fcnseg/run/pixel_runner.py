"""The numbers of a network that labels every pixel by itself, computed by the engine window by window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_fcnseg.engine import Device, engine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.pixel_method import PixelMethod

    _Image = npt.NDArray[np.float32]

_PROBE = 128  # output pixels per axis of the tile that a time is estimated from, at most


class PixelRunner:
    """Has the engine compute one model's numbers, as it is.

    Parameters
    ----------
    method : PixelMethod
        How.
    """

    in_strips = False

    def __init__(self, method: PixelMethod) -> None:
        self.method = method

    def load(self, device: Device) -> Future[float]:
        """Have the device read the network."""
        return engine().load(self.method.network, device)

    def begin(self, reader: WindowReader, region: Region, device: Device) -> Future[_Image]:
        """Hand the window of a region of output pixels to the engine."""
        network, pixels = self.method.network, self.method.pixels(region)
        window = network.window(pixels)
        image = reader.read(window, (1,) * len(window), network.margin)
        kept = tuple((a - first, b - first) for (a, b), (first, _) in zip(pixels, window, strict=True))
        return engine().run_window(network, device, image, kept, self.method.every)

    def begin_strip(
        self, reader: WindowReader, region: Region, device: Device, number: int, follows: int | None
    ) -> Future[_Image]:
        """Hand a region to the engine: there are no strips."""
        return self.begin(reader, region, device)

    def end_strip(self, device: Device, number: int) -> None:
        """Do nothing: no strip is kept."""

    def finish(self, answer: _Image) -> _Image:
        """Return the numbers of a region: ``(*size, output)``."""
        return answer

    def estimate(self, reader: WindowReader, tiles: Sequence[Region], device: Device) -> float:
        """Return the seconds that tiles will take, from the time of a part of the first."""
        method = self.method
        region = tuple((a, min(a + max(1, _PROBE // method.every), stop)) for a, stop in tiles[0])
        region = tuple((a, a + n) for (a, _), n in zip(region, method.largest(_size(region)), strict=True))
        self.begin(reader, region, device).result()  # the first call is slower
        start = time.perf_counter()
        self.begin(reader, region, device).result()
        seconds = time.perf_counter() - start
        return seconds * sum(method.flop(_size(tile)) for tile in tiles) / method.flop(_size(region))


def _size(region: Region) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in region)
