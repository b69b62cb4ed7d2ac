"""A network that labels every pixel by itself, as it is: which window of the image a region takes.

Sizes and regions are in output pixels: output pixel ``i`` is pixel ``i * every`` of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from napari_fcnseg.arrays.border import WindowReader
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.settings import EXACT

if TYPE_CHECKING:
    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.graph.pixel_network import PixelNetwork
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

_LEAST_HALOS: Final = 4  # a tile is so many times as long as its halo, at least


@dataclass(frozen=True, eq=False)
class PixelMethod:
    """How the numbers of a network that labels every pixel by itself are computed: window by window.

    Attributes
    ----------
    model : PatchModel
        The model.
    network : PixelNetwork
        Its network.
    every : int
        Pixels between output pixels.
    border : str
        What surrounds the image.
    """

    model: PatchModel
    network: PixelNetwork
    every: int
    border: str

    @property
    def name(self) -> Literal["as it is"]:
        """What the method is called."""
        return "as it is"

    @property
    def in_strips(self) -> bool:
        """Whether a tile is computed from what is kept of another one: never."""
        return False

    def reader(self, source: FrameSource) -> WindowReader:
        """Return the reader of a frame for this model."""
        reach = tuple(2 * margin + 1 for margin in self.network.margin)
        return WindowReader(source, reach, self.border)  # type: ignore[arg-type]

    def pixels(self, region: Region) -> Region:
        """Return the pixels of the image from the first place of a region to its last."""
        return tuple((start * self.every, (stop - 1) * self.every + 1) for start, stop in region)

    def bytes(self, size: tuple[int, ...]) -> float:
        """Return the bytes of a region of this size, by the memory model."""
        return self._pixels_of(size) * self.network.bytes_per_pixel

    def flop(self, size: tuple[int, ...]) -> int:
        """Return the FLOP of a region of this size, halo included; above 0 even for a network without arithmetic."""
        return math.ceil(self._pixels_of(size) * self.network.flop_per_pixel) + math.prod(size)

    def largest(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return a region's size, no longer than one window serves."""
        most = self.network.largest
        return tuple(n if m is None else min(n, max(m // self.every, 1)) for n, m in zip(size, most, strict=True))

    def best(self, frame: tuple[int, ...], pixels: float) -> tuple[int, ...]:
        """Return the size of a tile of about so many pixels; as long as it must be beside its halo."""
        side = round(pixels ** (1 / len(frame)) / self.every)
        return self.largest(
            tuple(
                min(n, max(side, _LEAST_HALOS * around // self.every, 1))
                for n, around in zip(frame, self.network.around, strict=True)
            )
        )

    def _pixels_of(self, size: tuple[int, ...]) -> int:
        """Return the pixels of the windows that a region of this size takes: of several where one is too short."""
        one = self.largest(size)
        windows = math.prod(math.ceil(n / m) for n, m in zip(size, one, strict=True))
        spans = self.network.window(self.pixels(tuple((0, n) for n in one)))
        return windows * math.prod(stop - start for start, stop in spans)


def pixel_method(model: PatchModel, network: PixelNetwork, settings: RunSettings) -> PixelMethod:
    """Return how such a model's numbers are computed.

    Raises
    ------
    SettingsError
        If the settings ask for what only a converted model has.
    """
    if settings.method != "auto":
        raise SettingsError(
            f"The model {model.name!r} already labels every pixel and is run as it is. Choose the method auto."
        )
    if settings.precision != EXACT:
        raise SettingsError(
            f"The model {model.name!r} is run as it is, in its own arithmetic. Choose the precision float32."
        )
    return PixelMethod(model, network, settings.every, settings.border)
