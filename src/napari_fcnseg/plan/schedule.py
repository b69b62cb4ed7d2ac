"""The tiles that a run computes, and their order.

The order changes no number. Where strips are computed from what is kept of the one above, they are in groups: the first
strip of a group follows none, so what a group gives depends on nothing before it. A part of an image is computed group
by group, each down to the last strip that is wanted, and is the same to the last bit as when all is computed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import Region
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.plan.tiles import group_columns, sort_nearest_first
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.plan.layout import Layout
    from napari_fcnseg.plan.mask import Mask

Index: TypeAlias = tuple[int, ...]
#: A frame's tiles in their order, each with the number of its group.
Parts: TypeAlias = list[tuple[int, Region]]
#: Frames with something to compute, each with its tiles.
Planned: TypeAlias = list[tuple[Index, Parts]]
#: Whether a tile of a frame need not be computed.
Skip: TypeAlias = Callable[[Index, Region], bool]

EARLY = -1  # number of the group that is the early tile alone


@dataclass(frozen=True)
class PlanSummary:
    """What a run is going to do, known before anything is computed.

    Attributes
    ----------
    tile : tuple of int
        Largest tile, in output pixels per axis.
    tiles : int
        Tiles of the whole run.
    pixels : int
        Pixels that get a label.
    bytes : float
        Memory that the computing process is expected to take, the framework itself included.
    """

    tile: tuple[int, ...]
    tiles: int
    pixels: int
    bytes: float


@dataclass(frozen=True, eq=False)
class Schedule:
    """The tiles of a run; :meth:`of` makes one, and what changes it returns another.

    Attributes
    ----------
    groups : tuple of tuple of Region
        Tiles of a frame that are below each other, each computed from those above it in its group, in their order.
    frames : tuple of tuple of int
        Those with something to compute, in their order.
    mask : Mask or None
        Where labels are wanted.
    inside : mapping
        Pixels of the mask, by its frame and by tile; of tiles that hold some.
    early : Region or None
        A small tile of the first frame that comes before all others. It lies over one of them, which is computed all
        the same: nothing depends on where it is.
    """

    groups: tuple[tuple[Region, ...], ...]
    frames: tuple[Index, ...]
    mask: Mask | None = None
    inside: Mapping[Index, Mapping[Region, int]] = field(default_factory=dict, repr=False)
    early: Region | None = None
    _parts: dict[Index, Parts] = field(default_factory=dict, init=False, repr=False)  # a cache: the same at any time

    @classmethod
    def of(cls, tiles: Sequence[Region], together: int, frames: Sequence[Index], mask: Mask | None = None) -> Schedule:
        """Return the tiles of a run column by column, frame by frame.

        Parameters
        ----------
        tiles : sequence of Region
            That cover a frame, as :func:`napari_fcnseg.plan.tiles.cut_tiles` returns them.
        together : int
            Tiles below each other that are a group: 1 where none is computed from another.
        frames : sequence of tuple of int
            The frames to compute.
        mask : Mask, optional
            Where labels are wanted.

        Raises
        ------
        SettingsError
            If the mask leaves nothing.
        """
        groups = tuple(map(tuple, group_columns(tiles, together)))
        if mask is None:
            return cls(groups, tuple(frames))
        inside: dict[Index, dict[Region, int]] = {}
        for index in dict.fromkeys(map(mask.frame, frames)):
            counts = ((region, int(mask.read(index, region).sum())) for region in tiles)
            inside[index] = {region: count for region, count in counts if count}
        chosen = tuple(index for index in frames if inside[mask.frame(index)])
        if not chosen:
            raise SettingsError(
                "The mask has no pixel where this run gives labels. Mark some pixels, or run without a mask."
            )
        return cls(groups, chosen, mask, inside)

    @property
    def tiles(self) -> list[Region]:
        """All tiles of a frame, those outside a mask too."""
        return [region for group in self.groups for region in group]

    @property
    def total(self) -> int:
        """Number of tiles, the early one included."""
        return self._count + (self.early is not None)

    @functools.cached_property
    def _count(self) -> int:
        return sum(len(self.parts(index)) for index in self.frames)

    @property
    def pixels(self) -> int:
        """Output pixels that get a label."""
        return self.pixels_of(self.planned())

    def separate(self) -> Schedule:
        """Return every tile computed alone, and none early, which suits a few tiles that lie anywhere."""
        return replace(self, groups=tuple((region,) for region in self.tiles), early=None)

    def nearest_to(self, stack: Sequence[float], place: tuple[float, ...]) -> Schedule:
        """Return the same tiles with the tiles nearest to an output pixel of a frame first."""
        frames = tuple(sorted(self.frames, key=lambda index: math.dist(index, stack)))
        return replace(self, groups=tuple(sort_nearest_first(self.groups, place)), frames=frames)

    def begin_with(self, early: Region | None) -> Schedule:
        """Return the same with a small tile of the first frame before all others, if a mask leaves any of it."""
        if early is None or (self.mask is not None and not self.mask.read(self.frames[0], early).any()):
            return self
        return replace(self, early=early)

    def __iter__(self) -> Iterator[tuple[Index, Region]]:
        """Yield the frame and the region of every tile but the early one."""
        for index in self.frames:
            for _, region in self.parts(index):
                yield index, region

    def parts(self, index: Index) -> Parts:
        """Return the tiles of a frame that are computed."""
        key = self.mask.frame(index) if self.mask is not None else ()
        if key not in self._parts:
            self._parts[key] = self._wanted(index, None)
        return self._parts[key]

    def planned(self, skip: Skip | None = None) -> Planned:
        """Return every frame that has something to compute with its tiles.

        Tiles that may be skipped are left out, and with any of them the early tile, since a first tile is there.
        """
        if skip is not None:
            return [(index, parts) for index in self.frames if (parts := self._wanted(index, skip))]
        planned = [(index, self.parts(index)) for index in self.frames]
        if self.early is not None:
            first, parts = planned[0]
            planned[0] = (first, [(EARLY, self.early), *parts])
        return planned

    def holds(self, points: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Return which points, of those that the tiles cover, get a label: ``(n, axes of the labels)`` to ``(n,)``."""
        spatial, frames = len(self.groups[0][0]), set(self.frames)
        chosen = np.fromiter((tuple(point[:-spatial]) in frames for point in points.tolist()), bool, len(points))
        if self.mask is not None:
            chosen[chosen] = self.mask.holds(points[chosen], spatial)
        return chosen

    def drawn(self, n: int, random: np.random.Generator) -> npt.NDArray[np.intp]:
        """Return points of the labels that are inside the mask, each as likely as any other: ``(n, axes)``."""
        assert self.mask is not None, "there is one"
        tiles = [
            (index, region, count)
            for index in sorted(self.frames)
            for region, count in sorted(self.inside[self.mask.frame(index)].items())
        ]
        ends = np.cumsum([count for *_, count in tiles])
        numbers = random.integers(0, ends[-1], n)
        owners = np.searchsorted(ends, numbers, side="right")
        points = np.zeros((n, len(tiles[0][0]) + len(tiles[0][1])), np.intp)
        for owner in np.unique(owners):
            index, region, count = tiles[owner]
            mine = owners == owner
            pixels = np.argwhere(self.mask.read(index, region))[numbers[mine] - (ends[owner] - count)]
            points[mine] = np.concatenate([[*index], [start for start, _ in region]]) + np.pad(
                pixels, ((0, 0), (len(index), 0))
            )
        return points

    def pixels_of(self, planned: Planned) -> int:
        """Return how many output pixels get a label in tiles that :meth:`planned` returned."""
        total = 0
        for index, parts in planned:
            regions = [region for number, region in parts if number != EARLY]  # which lies over others
            if self.mask is None:
                total += sum(math.prod(stop - start for start, stop in region) for region in regions)
            else:
                inside = self.inside[self.mask.frame(index)]
                total += sum(inside.get(region, 0) for region in regions)
        return total

    def _wanted(self, index: Index, skip: Skip | None) -> Parts:
        inside = self.inside[self.mask.frame(index)] if self.mask is not None else None
        parts: Parts = []
        for number, group in enumerate(self.groups):
            wanted = [
                place
                for place, region in enumerate(group)
                if (inside is None or region in inside) and (skip is None or not skip(index, region))
            ]
            if wanted:
                parts += [(number, region) for region in group[: wanted[-1] + 1]]
        return parts


def chosen_frames(layout: Layout, chosen: tuple[tuple[int, int], ...] | None) -> list[Index]:
    """Return the index of each frame of a stack, or of those that were chosen.

    Raises
    ------
    SettingsError
        If there are no such frames.
    """
    indices = list(layout.frames())
    if chosen is None:
        return indices
    stack = layout.stack_shape
    if len(chosen) != len(stack):
        has = f"{len(stack)} (its shape is {format_shape(stack)})" if stack else "none"
        raise SettingsError(
            f"The frames are chosen along {len(chosen)} axes, and the image has {has} beside those of the model. Give "
            "one start and stop per axis."
        )
    for axis, ((start, stop), length) in enumerate(zip(chosen, stack, strict=True)):
        if stop > length:
            raise SettingsError(
                f"Frames {start} to {stop - 1} were chosen along axis {axis} of the stack, which has {length} frames: "
                f"0 to {length - 1}."
            )
    return [index for index in indices if all(a <= i < b for i, (a, b) in zip(index, chosen, strict=True))]
