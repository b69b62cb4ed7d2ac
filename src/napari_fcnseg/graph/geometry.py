"""The positions of a tensor of the patch network within the patch, as integers.

Along one axis a tensor has positions ``0 … size - 1``. A position is *interior* when nothing it was computed from
touched padding: its value depends only on where it lies in the image, so all patches share one dense map of it. Every
other position is an *edge variant*: its value depends on where the patch ends, and over all patch origins it is a dense
map of its own::

    position       0       1       2       3       4       5       6     size = 7
                 variant   lo = 1  .   .   .   .   .       hi = 6
                           |<-----------interior---------->|     variant
                           |<-step->|                        pixels between neighbouring positions

For ``O`` patch origins along the axis the dense map of the interior is ``O + (hi - 1 - lo) * step`` long, and the
value of interior position ``i`` for origin ``o`` is entry ``o + (i - lo) * step`` of it. The map of a variant is ``O``
long. In a network without padding every position is interior and a tensor is one dense map.

The dense form of networks without padding is that of Li, Zhao and Wang 2014, arXiv 1412.4526.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from napari_fcnseg.graph.ops import Padding

#: The class of all interior positions of an axis; every other position is a class of its own, named by its number.
INTERIOR: Final = -1


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
        The interior positions are ``lo <= i < hi``; none where the two are equal.
    step : int
        Pixels between neighbouring interior positions: the product of the strides so far.
    """

    size: int
    lo: int
    hi: int
    step: int = 1

    @classmethod
    def of_patch(cls, size: int) -> Axis:
        """Return the axis of the input: every pixel is an interior position."""
        return cls(size=size, lo=0, hi=size)

    @classmethod
    def of_variants(cls, size: int) -> Axis:
        """Return an axis on which every position is an edge variant."""
        return cls(size=size, lo=0, hi=0)

    @property
    def classes(self) -> tuple[int, ...]:
        """The axis's maps: :data:`INTERIOR`, if there is one, and the number of each variant."""
        variants = (*range(self.lo), *range(self.hi, self.size))
        return (INTERIOR, *variants) if self.lo < self.hi else variants

    def place(self, position: int) -> tuple[int, int]:
        """Return the class of a position and the entry of its map that belongs to origin 0."""
        if self.lo <= position < self.hi:
            return INTERIOR, (position - self.lo) * self.step
        return position, 0


@dataclass(frozen=True)
class Run:
    """Neighbouring taps of a window that read the same map.

    Attributes
    ----------
    source : int
        Class of the positions they read.
    offset : int
        Entry of its map that the first tap reads for origin 0.
    start, stop : int
        The taps ``start <= t < stop``.
    """

    source: int
    offset: int
    start: int
    stop: int


@dataclass(frozen=True)
class Laid:
    """A window laid on an axis.

    Attributes
    ----------
    axis : Axis
        Of the result.
    dilation : int
        Pixels between the taps of a run.
    runs : dict
        For each class of the result the runs of taps it is computed from; taps on padding are left out.
    """

    axis: Axis
    dilation: int
    runs: dict[int, tuple[Run, ...]]


def lay(axis: Axis, kernel: int, stride: int, dilation: int, padding: tuple[int, int]) -> Laid:
    """Lay a window over an axis.

    Parameters
    ----------
    axis : Axis
        Of what is read.
    kernel, stride, dilation : int
        Taps of the window, positions between windows, positions between taps.
    padding : tuple of int
        Positions added before and after.

    Raises
    ------
    WindowError
        If the window is longer than the axis.
    """
    before, after = padding
    span = (kernel - 1) * dilation
    size = (axis.size + before + after - span - 1) // stride + 1
    if size < 1:
        raise WindowError(f"a window of {span + 1} does not fit into {axis.size + before + after}")
    lo = max(-(-(axis.lo + before) // stride), 0)
    hi = min((axis.hi - 1 + before - span) // stride + 1, size)
    if hi <= lo:
        lo = hi = 0
    result = Axis(size, lo, hi, axis.step * stride)
    runs = {
        new: _runs(axis, (lo if new == INTERIOR else new) * stride - before, kernel, dilation) for new in result.classes
    }
    return Laid(result, axis.step * dilation, runs)


def _runs(axis: Axis, first: int, kernel: int, dilation: int) -> tuple[Run, ...]:
    """Return the runs of the window whose first tap reads position ``first``."""
    runs: list[Run] = []
    for tap in range(kernel):
        position = first + tap * dilation
        if not 0 <= position < axis.size:
            continue
        source, offset = axis.place(position)
        last = runs[-1] if runs else None
        if last is not None and source == INTERIOR == last.source and last.stop == tap:
            runs[-1] = Run(source, last.offset, last.start, tap + 1)
        else:
            runs.append(Run(source, offset, tap, tap + 1))
    return tuple(runs)


def padding_of(
    padding: Padding, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    """Return the positions that a padding adds before and after, per axis.

    Keras's ``same`` gives ``ceil(size / stride)`` windows; an odd number of added positions has its larger half after.
    """
    if padding == "valid":
        return ((0, 0),) * len(sizes)
    if padding != "same":
        return padding
    added = []
    for n, k, s, d in zip(sizes, kernel, strides, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        added.append((total // 2, total - total // 2))
    return tuple(added)
