"""Find connected regions of a map, such as those where two masks differ, the most important first."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.arrays.lazy import Box, read_box
from napari_fcnseg.comparison.regions.depth import DEEP, RegionParts, merge_parts, region_depths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_fcnseg.comparison.regions.depth import Ints, Mask

_BLOCK = 2**22  # pixels that are searched at a time


@dataclass(frozen=True)
class Place:
    """A connected region.

    Attributes
    ----------
    pixels : int
        Its size.
    depth : int
        How many times its rim can be peeled off until nothing is left, 16 at most: 1 for a line of one or two pixels'
        width, however long. By turns the pixels go that have a side, or a side or a corner, at the outside, so that
        what goes is round (the octagonal distance of Rosenfeld and Pfaltz 1968); beyond the map is no outside.
    centroid : tuple of float
        Mean of its pixels.
    box : tuple of (int, int)
        Its first pixel and the one after its last, along each axis.
    at : tuple of int
        A pixel in it that is as deep as any, the one about in the middle of these.
    """

    pixels: int
    depth: int
    centroid: tuple[float, ...]
    box: Box
    at: tuple[int, ...]


def places(
    mask: Any, *, spatial: int | None = None, most: int = 1000, progress: Callable[[int, int], None] | None = None
) -> tuple[Place, ...]:
    """Find connected regions; the deepest first, and of those equally deep the one with the most pixels.

    That order brings up a missed cell before the outline of one that was drawn somewhat too large. Pixels that touch
    with a side or a corner are connected. The map is read block by block, and regions are joined over their borders:
    all but ``at`` is the same for any blocks.

    Parameters
    ----------
    mask : array_like
        The map; the regions are where it is not 0. Sliceable with a tuple of slices.
    spatial : int, optional
        How many of the last axes regions extend along; all otherwise.
    most : int
        How many regions are returned at most.
    progress : callable, optional
        Called with the numbers of finished and of all blocks; what it raises ends it.

    References
    ----------
    A. Rosenfeld and J. L. Pfaltz, "Distance functions on digital pictures", Pattern Recognition 1(1), 1968.
    """
    shape = tuple(map(int, mask.shape))
    if 0 in shape:
        return ()
    found = _Found(mask, shape, len(shape) if spatial is None else min(spatial, len(shape)), most)
    total = math.prod(found.grid)
    for done, index in enumerate(np.ndindex(*found.grid), start=1):
        found.add(index)
        if progress is not None:
            progress(done, total)
    return found.places()


class _Found:
    """The regions of the blocks seen so far, and what joins them.

    Each block is searched with the next pixel of the blocks after it: what hangs together there does so for good, and
    those blocks tell which of their regions these pixels are in.
    """

    def __init__(self, mask: Any, shape: tuple[int, ...], spatial: int, most: int) -> None:
        from scipy.ndimage import generate_binary_structure

        self._mask, self._shape, self._spatial = mask, shape, range(len(shape) - spatial, len(shape))
        self._most = most
        self._sizes = _sizes(shape, spatial, chunk_shape_of(mask))
        self.grid = tuple(-(-n // size) for n, size in zip(shape, self._sizes, strict=True))
        self._structure = generate_binary_structure(len(shape), len(shape))
        for axis in range(self._spatial.start):
            np.moveaxis(self._structure, axis, 0)[[0, 2]] = False
        self._count = 0
        self._parts: list[RegionParts] = []
        self._links: list[Ints] = []
        self._waiting: dict[tuple[int, ...], list[tuple[tuple[int, ...], Ints, Ints]]] = defaultdict(list)

    def add(self, index: tuple[int, ...]) -> None:
        """Find the regions of a block."""
        from scipy.ndimage import label

        starts = [i * size for i, size in zip(index, self._sizes, strict=True)]
        stops = [min(start + size, n) for start, size, n in zip(starts, self._sizes, self._shape, strict=True)]
        near, wide = (self._around(starts, stops, *reach) for reach in ((0, 1), (DEEP, DEEP)))
        on: Mask = read_box(self._mask, wide) != 0
        labels, count = label(on[_within(near, wide)], self._structure)
        own = tuple(slice(stop - start) for start, stop in zip(starts, stops, strict=True))
        asked, asking = self._asked(index, labels[own]), list(_faces(labels, own))
        if not count:
            return
        block = tuple(zip(starts, stops, strict=True))
        parts = region_depths(on, _within(block, wide), labels[own], count, np.array(starts), self._spatial)
        kept = np.zeros(count, bool)
        kept[parts.order()[: self._most]] = True
        for regions in (*(mine for _, mine in asked), *(regions for _, _, regions in asking)):
            kept[regions] = True  # they go on elsewhere; of the others no more than can be wanted
        names = self._count - 1 + np.cumsum(kept)
        for theirs, mine in asked:
            self._links.append(np.unique(np.stack((theirs, names[mine]), axis=1), axis=0))
        for face, at, regions in asking:
            there = tuple(i + (axis in face) for axis, i in enumerate(index))
            self._waiting[there].append((face, at, names[regions]))
        self._parts.append(parts.chosen(kept))
        self._count += int(kept.sum())

    def _around(self, starts: Sequence[int], stops: Sequence[int], before: int, after: int) -> Box:
        return tuple(
            (max(start - before, 0), min(stop + after, n)) if axis in self._spatial else (start, stop)
            for axis, (start, stop, n) in enumerate(zip(starts, stops, self._shape, strict=True))
        )

    def _asked(self, index: tuple[int, ...], labels: npt.NDArray[np.int32]) -> list[tuple[Ints, Ints]]:
        """Return regions of earlier blocks that go on in this one, and the regions here that they go on in."""
        asked = []
        for face, at, theirs in self._waiting.pop(index, ()):
            along = tuple(0 if axis in face else slice(None) for axis in range(labels.ndim))
            mine = labels[along].reshape(-1)[at].astype(np.int64) - 1
            there = mine >= 0  # a layer may be painted in while it is read
            asked.append((theirs[there], mine[there]))
        return asked

    def places(self) -> tuple[Place, ...]:
        """Return the regions, joined and ordered."""
        if not self._parts:
            return ()
        found = merge_parts(self._parts, self._joined())
        order = found.order()
        order = order[found.pixels[order] > 0][: self._most]
        boxes = np.stack((found.first[order], found.last[order] + 1), axis=2).tolist()
        centroids = found.sums[order] / found.pixels[order][:, None]
        rows = zip(
            found.pixels[order].tolist(), found.depth[order].tolist(), centroids.tolist(), boxes,
            found.at[order].tolist(), strict=True,
        )  # fmt: skip
        return tuple(
            Place(pixels, depth, tuple(centroid), tuple(map(tuple, box)), tuple(at))
            for pixels, depth, centroid, box, at in rows
        )

    def _joined(self) -> Ints:
        """Return a number for the parts that hang together over the borders of blocks."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        links = np.concatenate([np.zeros((0, 2), np.int64), *self._links])
        graph = coo_array((np.ones(len(links), np.int8), tuple(links.T)), (self._count, self._count))
        joined: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
        return joined


def _faces(labels: npt.NDArray[np.int32], own: tuple[slice, ...]) -> Iterator[tuple[tuple[int, ...], Ints, Ints]]:
    """Yield for each set of axes along which a block is left: its pixels there that have regions, and which."""
    axes = [axis for axis, part in enumerate(own) if labels.shape[axis] > part.stop]
    for several in range(1, len(axes) + 1):
        for face in itertools.combinations(axes, several):
            flat = labels[tuple(part.stop if axis in face else part for axis, part in enumerate(own))].reshape(-1)
            at = np.flatnonzero(flat)
            if len(at):
                yield face, at, flat[at].astype(np.int64) - 1


def _sizes(shape: tuple[int, ...], spatial: int, chunks: Sequence[int] | None) -> tuple[int, ...]:
    """Return the size of blocks: as thick as can be, so that little is read twice, and along whole chunks."""
    steps = [1] * len(shape) if chunks is None or math.prod(chunks) > 4 * _BLOCK else list(chunks)
    first = len(shape) - spatial
    sizes = [1] * first + list(shape[first:])
    while math.prod(sizes) > _BLOCK:
        halves = [-(-size // (2 * step)) * step for size, step in zip(sizes, steps, strict=True)]
        thick = [axis for axis in range(first, len(shape)) if halves[axis] < sizes[axis]]
        if not thick:
            break
        axis = max(thick, key=lambda axis: sizes[axis])
        sizes[axis] = halves[axis]
    for axis in reversed(range(first)):
        room = max(1, _BLOCK // math.prod(sizes))
        sizes[axis] = min(shape[axis], max(1, room // steps[axis] * steps[axis]))
    return tuple(sizes)


def _within(box: Box, wide: Box) -> tuple[slice, ...]:
    return tuple(slice(start - low, stop - low) for (start, stop), (low, _) in zip(box, wide, strict=True))
