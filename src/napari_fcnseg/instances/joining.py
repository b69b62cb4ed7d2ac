"""Connected components of a mask that is searched block by block, the same as of the whole mask.

Each block is labelled alone, in any order and by any process (:func:`label_block`); what it notes of its components and
of the pixels at its sides is enough to join them (:func:`join_blocks`).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Grid, Mask, Numbers

    Table = npt.NDArray[np.int64]
    #: Returns what a block has noted under some keys.
    Noted = Callable[..., list[npt.NDArray[Any]]]

_MOST = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of components that lie in one block each; those of a frame are numbered from 1, block after block.

    All but the last are indexed by those numbers.

    Attributes
    ----------
    root : ndarray of int, shape (n + 1,)
        The component that a part belongs to: the smallest number of its parts. What follows is that of components.
    size : ndarray of int, shape (n + 1,)
        In pixels.
    first : ndarray of int, shape (n + 1,)
        Its first pixel in C order, as an index into the flat frame.
    starts : ndarray of int, shape (blocks + 1,)
        The numbers of each block begin after this one.
    """

    root: Table
    size: Table
    first: Table
    starts: Table

    @property
    def is_root(self) -> Mask:
        """Whether a number is that of a whole component."""
        whole: Mask = (self.root == np.arange(len(self.root))) & (self.root > 0)
        return whole

    def of(self, block: int) -> slice:
        """Return the numbers of a block."""
        return slice(int(self.starts[block]) + 1, int(self.starts[block + 1]) + 1)


def first_places(numbers: Numbers) -> npt.NDArray[np.intp]:
    """Return the first pixel of each number, 1 first, as flat indices; the numbers begin in their order."""
    highest = np.maximum.accumulate(numbers.ravel())
    places: npt.NDArray[np.intp] = np.flatnonzero(np.diff(highest, prepend=highest.dtype.type(0)))
    return places


def label_block(
    mask: Mask, box: Box, shape: tuple[int, ...], connectivity: int
) -> tuple[Numbers, dict[str, npt.NDArray[Any]]]:
    """Find the connected components of a mask within one block.

    Parameters
    ----------
    mask : ndarray of bool
        In the block.
    box : Box
        The block.
    shape : tuple of int
        Of the frame.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`.

    Returns
    -------
    numbers : ndarray of uint32
        Of the components in the block, from 1 in the order of their first pixels.
    facts : dict of str to ndarray
        What :func:`join_blocks` needs: ``size`` and ``first`` of the components, that of number 1 first, as in
        :class:`Parts`; ``near0``, ``far0``, ``near1``, … the numbers at either side of the block along each axis, where
        the frame goes on.
    """
    from skimage.measure import label

    local: Numbers = label(mask, connectivity=connectivity).astype(np.uint32)  # type: ignore[no-untyped-call]
    size = np.bincount(local.ravel())[1:].astype(np.int64)
    origin = np.array([low for low, _ in box], np.int64)
    places = np.unravel_index(first_places(local), local.shape)
    first = np.ravel_multi_index([p + o for p, o in zip(places, origin, strict=True)], shape)
    facts: dict[str, npt.NDArray[Any]] = {}
    for axis, ((low, high), length) in enumerate(zip(box, shape, strict=True)):
        for name, there, at in (("near", low > 0, 0), ("far", high < length, -1)):
            if there:
                facts[f"{name}{axis}"] = local[(slice(None),) * axis + (at,)].copy()  # not a view of all the block
    facts |= {"size": size, "first": first}
    return local, facts


def join_blocks(noted: Noted, grid: Grid, connectivity: int, proceed: Callable[[], None]) -> Parts:
    """Join the components of all blocks.

    Parameters
    ----------
    noted : callable
        Given a block and keys, what :func:`label_block` has found there.
    grid : Grid
        The blocks.
    connectivity : int
        As there.
    proceed : callable
        Called for every block.

    Raises
    ------
    ImageError
        If there are too many to be numbered.
    """
    found: list[list[Table]] = [[np.zeros(1, np.int64)], [np.zeros(1, np.int64)]]
    starts = [0]
    for block in range(len(grid)):
        proceed()
        for whole, own in zip(found, noted(block, "size", "first"), strict=True):
            whole.append(own)
        starts.append(starts[-1] + len(found[0][-1]))
    if starts[-1] > _MOST:
        raise ImageError(f"The labels have more than {_MOST:,} parts in one frame. Give a part of the image.")
    size, first = map(np.concatenate, found)
    root = _roots(starts[-1], _touching(noted, grid, starts, connectivity, proceed))
    others = np.flatnonzero(root != np.arange(len(root)))
    into = root[others]
    np.add.at(size, into, size[others])
    np.minimum.at(first, into, first[others])
    return Parts(root, size, first, np.array(starts, np.int64))


def _touching(
    noted: Noted, grid: Grid, starts: Sequence[int], connectivity: int, proceed: Callable[[], None]
) -> list[Table]:
    """Return pairs of parts of one component that lie in different blocks."""
    margin = min(connectivity - 1, 1)
    around = len(grid.shape) - 1
    offsets = list(itertools.product(range(-margin, margin + 1), repeat=around))
    steps = [step for step in itertools.product((-1, 0, 1), repeat=around) if sum(map(abs, step)) < connectivity]

    def side(block: int, name: str) -> Table:
        numbers = noted(block, name)[0].astype(np.int64)
        return np.where(numbers > 0, numbers + starts[block], 0)

    far_side = lru_cache(2 * math.prod(grid.counts[1:]) + 2)(side)  # of a layer of blocks, and the one before
    pairs = []
    for block in range(len(grid)):
        proceed()
        place = grid.place(block)
        for axis in (a for a, i in enumerate(place) if i):
            near = side(block, f"near{axis}")
            far = np.zeros([n + 2 * margin for n in near.shape], np.int64)
            for offset in offsets:
                there = [*offset[:axis], -1, *offset[axis:]]
                other = grid.number([i + o for i, o in zip(place, there, strict=True)])
                if other >= 0:
                    into, part = zip(*(_overlap(o, margin) for o in offset), strict=True) if offset else ((), ())
                    far[into] = far_side(other, f"far{axis}")[part]
            for step in steps:
                moved = far[tuple(slice(margin + s, margin + s + n) for s, n in zip(step, near.shape, strict=True))]
                both = (near > 0) & (moved > 0)
                if both.any():
                    pairs.append(np.unique(np.stack([near[both], moved[both]], 1), axis=0))
    return pairs


def _overlap(offset: int, margin: int) -> tuple[slice, slice]:
    """Return where, along an axis of a side, the pixels of a neighbour lie, and which of its own they are."""
    if offset == 0:
        return slice(margin, -margin if margin else None), slice(None)
    return (slice(0, 1), slice(-1, None)) if offset < 0 else (slice(-1, None), slice(0, 1))


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
