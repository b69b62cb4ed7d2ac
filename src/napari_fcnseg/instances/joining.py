"""Connected components of a mask that is searched block by block, the same as of the whole mask."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.instances.blocks import slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers

    Table = npt.NDArray[np.int64]

_MOST = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Parts:
    """What the numbers in an array of parts of components stand for. All are indexed by those numbers.

    Attributes
    ----------
    root : ndarray of int, shape (n + 1,)
        The component that a part belongs to: the smallest number of its parts. What follows is that of components.
    size : ndarray of int, shape (n + 1,)
        In pixels.
    first : ndarray of int, shape (n + 1,)
        Its first pixel in C order, as an index into the flat frame.
    low, high : ndarray of int, shape (n + 1, axes)
        Its first pixel along each axis, and the one after its last.
    crosses : ndarray of bool, shape (n + 1,)
        Whether it may be in several blocks.
    starts : list of int
        The numbers of each block begin after this one.
    """

    root: Table
    size: Table
    first: Table
    low: Table
    high: Table
    crosses: Mask
    starts: list[int]

    @property
    def is_root(self) -> Mask:
        """Whether a number is that of a whole component."""
        whole: Mask = (self.root == np.arange(len(self.root))) & (self.root > 0)
        return whole


def first_places(numbers: Numbers) -> npt.NDArray[np.intp]:
    """Return the first pixel of each number, 1 first, as flat indices; the numbers begin in their order."""
    highest = np.maximum.accumulate(numbers.ravel())
    places: npt.NDArray[np.intp] = np.flatnonzero(np.diff(highest, prepend=highest.dtype.type(0)))
    return places


def join_components(
    mask: Callable[[Box], Mask], numbers: Any, shape: tuple[int, ...], boxes: Sequence[Box], connectivity: int,
    proceed: Callable[[], None],
) -> Parts:  # fmt: skip
    """Find the connected components of a mask.

    Parameters
    ----------
    mask : callable
        Returns the mask in a box.
    numbers : array_like of uint32
        Zeros; gets a number for each part of a component that lies in one block.
    shape : tuple of int
        Of the frame.
    boxes : sequence of Box
        The blocks, in C order.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`.
    proceed : callable
        Called for every block.
    """
    from scipy.ndimage import find_objects
    from skimage.measure import label

    axes = len(shape)
    sizes, firsts = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    corners, crossing = [np.zeros((1, 2, axes), np.int64)], [np.zeros(1, bool)]
    pairs: list[Table] = []
    starts, count = [], 0
    for box in boxes:
        proceed()
        starts.append(count)
        local: Numbers = label(mask(box), connectivity=connectivity)  # type: ignore[no-untyped-call]
        origin = np.array([low for low, _ in box])
        own = np.bincount(local.ravel())[1:]
        if not len(own):
            continue
        places = np.unravel_index(first_places(local), local.shape)
        firsts.append(np.ravel_multi_index([p + o for p, o in zip(places, origin, strict=True)], shape))
        windows = [[[s.start for s in w], [s.stop for s in w]] for w in find_objects(local)]
        corners.append(np.array(windows, np.int64) + origin)
        sizes.append(own.astype(np.int64))
        crossing.append(_at_faces(local, box, shape, len(own)))
        if count + len(own) > _MOST:
            raise ImageError(f"The labels have more than {_MOST:,} parts in one frame. Give a part of the image.")
        written = np.where(local > 0, local + np.uint32(count), 0).astype(np.uint32)
        pairs += _touching(written, numbers, box, shape, connectivity)
        numbers[slices(box)] = written
        count += len(own)
    box_of = np.concatenate(corners)
    root = _roots(count, pairs)
    size, first = np.concatenate(sizes), np.concatenate(firsts)
    low, high, crosses = box_of[:, 0], box_of[:, 1], np.concatenate(crossing)
    others = np.flatnonzero(root != np.arange(len(root)))
    into = root[others]
    np.add.at(size, into, size[others])
    np.minimum.at(first, into, first[others])
    np.minimum.at(low, into, low[others])
    np.maximum.at(high, into, high[others])
    np.logical_or.at(crosses, into, crosses[others])
    return Parts(root, size, first, low, high, crosses, starts)


def _at_faces(local: Numbers, box: Box, shape: Sequence[int], count: int) -> Mask:
    """Return which parts of a block touch a side of it behind which the frame goes on."""
    found: Mask = np.zeros(count + 1, bool)
    for axis, ((low, high), length) in enumerate(zip(box, shape, strict=True)):
        along = np.moveaxis(local, axis, 0)
        if low > 0:
            found[along[0]] = True
        if high < length:
            found[along[-1]] = True
    parts: Mask = found[1:]
    return parts


def _touching(own: Numbers, numbers: Any, box: Box, shape: Sequence[int], connectivity: int) -> list[Table]:
    """Return pairs of parts of one component, of a block and of those before it."""
    pairs = []
    axes = range(len(shape))
    steps = [s for s in itertools.product((-1, 0, 1), repeat=len(shape) - 1) if sum(map(abs, s)) < connectivity]
    margin = min(connectivity - 1, 1)
    for axis in axes:
        low = box[axis][0]
        if not low:
            continue
        near = own[(slice(None),) * axis + (0,)]
        sides = [box[a] for a in axes if a != axis]
        lengths = [shape[a] for a in axes if a != axis]
        wide = [(max(a - margin, 0), min(b + margin, n)) for (a, b), n in zip(sides, lengths, strict=True)]
        where: list[Any] = [slice(*side) for side in wide]
        where.insert(axis, slice(low - 1, low))
        far = np.asarray(numbers[tuple(where)])[(slice(None),) * axis + (0,)]
        clipped = [(margin - (a - w), margin - (v - b)) for (a, b), (w, v) in zip(sides, wide, strict=True)]
        far = np.pad(far, clipped) if clipped else far
        for step in steps:
            moved = tuple(slice(margin + s, margin + s + n) for s, n in zip(step, near.shape, strict=True))
            there = far[moved]
            both = (near > 0) & (there > 0)
            if both.any():
                pairs.append(np.unique(np.stack([near[both], there[both]], 1).astype(np.int64), axis=0))
    return pairs


def _roots(count: int, pairs: Sequence[Table]) -> Table:
    """Return for each number the smallest of those that pairs join it with."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    root = np.arange(count + 1, dtype=np.int64)
    if not pairs:
        return root
    nodes, ends = np.unique(np.concatenate(pairs), return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    several, group = connected_components(graph, directed=False)
    least = np.full(several, count + 1, np.int64)
    np.minimum.at(least, group, nodes)
    root[nodes] = least[group]
    return root
