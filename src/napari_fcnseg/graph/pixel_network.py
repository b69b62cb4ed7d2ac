"""A network that labels every pixel by itself (a U-Net and the like), to be run as it is: its program and its tiles."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

#: Start and stop per axis, in pixels; negative or beyond the image where the border rule continues it.
Spans: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class PixelNetwork:
    """A network that labels every pixel by itself, as data.

    Attributes
    ----------
    name : str
        The model's own name.
    program : bytes
        An ONNX model of ONNX's own operators, found to be sound, with all its arrays.
    source, answer : str
        The program's input, and the output that is used.
    takes, gives : str
        Axes of the two in their order: ``b`` batch, ``c`` channel, ``z``, ``y``, ``x``.
    channels, maps : int
        Of the input, and of the output.
    last : {"", "sigmoid", "softmax"}
        What is still to be done to the output so that its numbers are probabilities.
    threshold : float or None
        Where each map stands for itself: a pixel at which none is above it is background. None where the highest wins.
    head : {"softmax", "sigmoid", "scores"}
        What the numbers are then.
    halo : tuple of int
        Pixels at either side of what is computed whose answers are not used, per axis.
    crop : tuple of int
        Pixels at either side that have no answer, where the network's windows pad nothing.
    grid : tuple of int
        Windows begin at multiples of it, so that all of them see the same pixels pooled together.
    least, step : tuple of int
        A window is so long, or longer by a multiple of ``step``; 0 where it has one length only.
    bytes_per_pixel, flop_per_pixel : float
        What computing takes, per pixel of a window.
    outputs, input_names, files, notes, said
        As for :class:`~napari_fcnseg.graph.network.Network`.
    """

    name: str
    program: bytes = field(repr=False)
    source: str
    answer: str
    takes: str
    gives: str
    channels: int
    maps: int
    last: Literal["", "sigmoid", "softmax"]
    threshold: float | None
    head: Literal["softmax", "sigmoid", "scores"]
    halo: tuple[int, ...]
    crop: tuple[int, ...]
    grid: tuple[int, ...]
    least: tuple[int, ...]
    step: tuple[int, ...]
    bytes_per_pixel: float
    flop_per_pixel: float
    outputs: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def around(self) -> tuple[int, ...]:
        """Pixels at either side of a region that a window has beside it, at least."""
        return tuple(h + c for h, c in zip(self.halo, self.crop, strict=True))

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Pixels that a window for one pixel has around it, that pixel in the middle."""
        return tuple(2 * n + 1 for n in self.around)

    @property
    def numbers(self) -> int:
        """Numbers per pixel: one per map, and the background's where each stands for itself."""
        return self.maps + (self.threshold is not None)

    @property
    def largest(self) -> tuple[int | None, ...]:
        """The longest region that one window serves, per axis; None where it may be of any length."""
        return tuple(
            None if step else least - 2 * around - (grid - 1)
            for least, step, around, grid in zip(self.least, self.step, self.around, self.grid, strict=True)
        )

    @property
    def margin(self) -> tuple[int, ...]:
        """How far a window may reach over the border of an image."""
        return tuple(
            around + grid + step + least
            for around, grid, step, least in zip(self.around, self.grid, self.step, self.least, strict=True)
        )

    def window(self, region: Spans) -> Spans:
        """Return the window that is computed for a region: with its halo, of a length that the network takes."""
        spans = []
        for axis, (start, stop) in enumerate(region):
            around, grid, least, step = self.around[axis], self.grid[axis], self.least[axis], self.step[axis]
            first = (start - around) // grid * grid
            more = max(stop + around - first - least, 0)
            spans.append((first, first + least + (math.ceil(more / step) * step if step else 0)))
        return tuple(spans)
