"""Step from one differing region to the next: which one is looked at, where it lies in the world, its description."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_fcnseg.comparison import Place


#: Regions that are listed at most.
MOST = 1000


@dataclass
class RegionWalk:
    """Regions in an order, and the current one.

    Attributes
    ----------
    places : sequence of Place
        In their order.
    at : int
        The one that is looked at; -1 before the first step.
    """

    places: Sequence[Place] = field(default=())
    at: int = -1

    def step(self, by: int) -> Place | None:
        """Step forwards or backwards, cyclically; None without regions."""
        if not self.places:
            return None
        if self.at < 0 and by < 0:
            self.at = 0  # back from the beginning is the last
        self.at = (self.at + by) % len(self.places)
        return self.places[self.at]

    @property
    def _number(self) -> str:
        return f"{len(self.places):,}" + ("+" if len(self.places) >= MOST else "")

    def text(self, where: str) -> str:
        """Return the description of the region that is looked at."""
        if not self.places:
            return "The masks do not differ anywhere."
        if self.at < 0:
            return f"{self._number} difference{'' if len(self.places) == 1 else 's'}."
        pixels = self.places[self.at].pixels
        return f"{self.at + 1:,} of {self._number}: {pixels:,} pixel{'' if pixels == 1 else 's'}{where}"


def in_world(
    affine: npt.NDArray[np.float64], point: Sequence[float], box: Sequence[Sequence[int]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return where a pixel is in the world, and how far a box of pixels extends along each axis.

    Parameters
    ----------
    affine : ndarray, shape (n + 1, n + 1)
        From pixels to the world.
    point : sequence of float
        The pixel.
    box : sequence of (int, int)
        Its first pixel, and the one after the last, along each axis.
    """
    linear = affine[:-1, :-1]
    sizes = np.array([stop - start for start, stop in box], float)
    return linear @ np.asarray(point, float) + affine[:-1, -1], np.abs(linear) @ sizes


def frame_of(shape: Sequence[int], point: Sequence[Any], spatial: int) -> str:
    """Return in which frame of a stack a pixel is, in words; nothing where there is one frame only."""
    frames = [f"{int(i)}" for i, n in zip(point[:-spatial], shape[:-spatial], strict=True) if n > 1]
    return f", in frame {', '.join(frames)}" if frames else ""
