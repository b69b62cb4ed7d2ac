"""Windows around a block, as wide as it takes to know what the whole frame would say of its pixels."""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import overlap
from napari_fcnseg.errors import OutOfMemoryError
from napari_fcnseg.instances.blocks import grown, slices
from napari_fcnseg.system.formatting import format_bytes, format_shape
from napari_fcnseg.system.memory import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers

    #: Given a window and which of its pixels are wanted, returns what was found for each, and whether that is unsure.
    Attempt = Callable[[Box, Mask], tuple[npt.NDArray[Any], Mask]]

_MOST = 64  # pixels around a block at first
_OF_BLOCK = 8  # that a block is wider, at least, than what is first around it
_BYTES = 96  # that cutting takes for each pixel of a window
_SMALL = 2**24  # pixels of a window for which there is memory anyway


class Widening:
    """Decides the pixels of blocks in windows around them.

    Parameters
    ----------
    shape, block : tuple of int
        Of the frame, and of a block.
    """

    def __init__(self, shape: tuple[int, ...], block: tuple[int, ...]) -> None:
        self._shape = shape
        self._margin = max(1, min(_MOST, min(block) // _OF_BLOCK))

    def decide(self, box: Box, wanted: Mask, into: Numbers | Mask, attempt: Attempt) -> None:
        """Write what is found for the wanted pixels of a block.

        Parameters
        ----------
        box : Box
            The block.
        wanted : ndarray of bool
            Which of its pixels; none afterwards.
        into : ndarray
            Where it is written.
        attempt : callable
            What finds it, given a window. In one that is the whole frame nothing is unsure.

        Raises
        ------
        OutOfMemoryError
            If the window has to be larger than memory.
        """
        margin, origin = self._margin, [low for low, _ in box]
        while wanted.any():
            for target in self._targets(wanted, origin, margin):
                window = grown(target, margin, self._shape)
                self.check_room(window)
                here, there = slices(target, origin), slices(target, [low for low, _ in window])
                part, asked = wanted[here], np.zeros([b - a for a, b in window], bool)
                asked[there] = part
                found, unsure = attempt(window, asked)
                sure = part & ~unsure[there]
                into[here][sure] = found[there][sure]
                part &= unsure[there]
            margin *= 2

    def _targets(self, wanted: Mask, origin: Sequence[int], margin: int) -> list[Box]:
        """Return boxes around what is wanted: one, or several where their windows are smaller than that of one."""
        from scipy.ndimage import find_objects, label

        whole = _around(wanted, origin)
        cells = wanted[slices(whole, origin)]
        for axis in range(wanted.ndim):
            cells = np.logical_or.reduceat(cells, np.arange(0, cells.shape[axis], margin), axis)
        first = [low for low, _ in whole]
        parts = []
        for group in find_objects(label(cells)[0]):
            spans = [(f + g.start * margin, f + g.stop * margin) for f, g in zip(first, group, strict=True)]
            part = overlap(tuple(spans), whole)
            parts.append(_around(wanted[slices(part, origin)], [low for low, _ in part]))
        return parts if sum(map(self._pixels, parts, repeat(margin))) < self._pixels(whole, margin) else [whole]

    def _pixels(self, target: Box, margin: int) -> int:
        return math.prod(b - a for a, b in grown(target, margin, self._shape))

    @staticmethod
    def check_room(window: Box) -> None:
        """Find out whether there is memory for a window.

        Raises
        ------
        OutOfMemoryError
            If not.
        """
        pixels = math.prod(b - a for a, b in window)
        if pixels > _SMALL and (needed := pixels * _BYTES) > (free := free_memory()):
            size = format_shape(tuple(b - a for a, b in window))
            raise OutOfMemoryError(
                f"To cut touching objects apart here, {size} pixels have to be seen at once. That takes "
                f"{format_bytes(needed)} of memory, and {format_bytes(free)} are free. Use the method components, or "
                "give a part of the labels."
            )


def room_around(window: Box, shape: Sequence[int], sampling: Sequence[float]) -> npt.NDArray[np.float32]:
    """Return how far each pixel of a window is from the nearest one of the frame that is not in it.

    Parameters
    ----------
    window : Box
        The window.
    shape : sequence of int
        Of the frame.
    sampling : sequence of float
        Length of a pixel along each axis.
    """
    room = np.full([b - a for a, b in window], np.inf, np.float32)
    for axis, ((low, high), length, step) in enumerate(zip(window, shape, sampling, strict=True)):
        place = np.arange(low, high)
        near = np.where(low > 0, place - low + 1, np.inf)
        far = np.where(high < length, high - place, np.inf)
        along = (np.minimum(near, far) * step).astype(np.float32)
        np.minimum(room, along.reshape([-1 if a == axis else 1 for a in range(len(shape))]), out=room)
    return room


def open_sides(window: Box, shape: Sequence[int]) -> Mask:
    """Return which pixels of a window have neighbours in the frame that are not in it."""
    sides = np.zeros([b - a for a, b in window], bool)
    for axis, ((low, high), length) in enumerate(zip(window, shape, strict=True)):
        side = np.moveaxis(sides, axis, 0)
        side[:1] |= low > 0
        side[-1:] |= high < length
    return sides


def _around(mask: Mask, origin: Sequence[int]) -> Box:
    """Return the box around what a mask has, in the frame."""
    axes = range(mask.ndim)
    spans = []
    for axis, low in zip(axes, origin, strict=True):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis)))
        spans.append((low + int(there[0]), low + int(there[-1]) + 1))
    return tuple(spans)
