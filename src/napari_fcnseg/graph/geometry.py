"""Where the positions of a tensor of the patch network lie in the patch, as integers.

Along one axis a tensor has positions ``0 … size - 1``. A position is *interior* when nothing it was computed from
touched padding: its value depends only on where it lies in the image, so all patches share one dense map of it::

    patch     |<------------------ P ------------------>|
    position       0       1       2       3              size = 4
                   .   lo = 0  .   .   .       hi = 4      (no padding: every position is interior)
                   |<step->|                              distance between neighbours in pixels
              |<--- reach --->|                           pixels that one position sees
              ^ origin                                    first pixel that position `lo` sees

For ``O`` patch origins along the axis the dense map of the interior is ``O + (hi - 1 - lo) * step`` long, and the
value of interior position ``i`` for origin ``o`` is entry ``o + (i - lo) * step`` of it. In a network without
padding every position is interior and a tensor is one dense map.

Source of the method: Li, Zhao and Wang 2014, arXiv 1412.4526.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


class WindowError(ValueError):
    """A window does not fit into the tensor it is laid on."""


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor of the patch network (see the module's figure).

    Attributes
    ----------
    size : int
        Number of positions.
    lo, hi : int
        The interior positions are ``lo <= i < hi``.
    step : int
        Pixels between neighbouring positions: the product of the strides so far.
    origin : int
        First pixel, counted from the patch's start, that position ``lo`` sees.
    reach : int
        Number of pixels one interior position sees: its receptive field.
    """

    size: int
    lo: int
    hi: int
    step: int = 1
    origin: int = 0
    reach: int = 1

    @classmethod
    def of_patch(cls, size: int) -> Axis:
        """Return the axis of the input: every pixel is a position of its own."""
        return cls(size=size, lo=0, hi=size)

    def window(self, kernel: int, stride: int = 1, dilation: int = 1) -> Axis:
        """Lay a window over the axis without padding.

        Raises
        ------
        WindowError
            If the window is longer than the axis.
        """
        span = (kernel - 1) * dilation + 1
        if span > self.size:
            raise WindowError(f"a window of {span} does not fit into {self.size}")
        size = (self.size - span) // stride + 1
        return replace(
            self, size=size, hi=size, step=self.step * stride, reach=self.reach + (kernel - 1) * dilation * self.step
        )


@dataclass(frozen=True)
class Geometry:
    """A tensor of the patch network: its axes, its channels, and whether the patch model sees it flattened.

    A flattened tensor keeps its axes: what follows a ``Flatten`` still knows which number came from where.
    """

    axes: tuple[Axis, ...]
    channels: int
    flat: bool = False

    @classmethod
    def of_patch(cls, input_shape: tuple[int, ...]) -> Geometry:
        """Return the geometry of the network's input, ``(*spatial, channel)``."""
        return cls(tuple(Axis.of_patch(n) for n in input_shape[:-1]), input_shape[-1])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of positions per axis."""
        return tuple(axis.size for axis in self.axes)

    @property
    def steps(self) -> tuple[int, ...]:
        """Cumulative stride per axis."""
        return tuple(axis.step for axis in self.axes)

    @property
    def reach(self) -> tuple[int, ...]:
        """Receptive field per axis, in pixels."""
        return tuple(axis.reach for axis in self.axes)

    @property
    def positions(self) -> int:
        """Number of positions over all axes."""
        return math.prod(self.sizes)

    def window(
        self, size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], channels: int
    ) -> Geometry:
        """Lay a window over all axes; the result has ``channels``."""
        axes = tuple(a.window(k, s, d) for a, k, s, d in zip(self.axes, size, strides, dilation, strict=True))
        return Geometry(axes, channels, self.flat)

    def collapsed(self, channels: int, *, flat: bool) -> Geometry:
        """Return the geometry after a window over everything: one position per axis."""
        axes = tuple(axis.window(axis.size) for axis in self.axes)
        return Geometry(axes, channels, flat)
