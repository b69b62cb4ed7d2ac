"""Touching instances cut apart, block by block, each piece as in the whole frame.

A piece that lies in several blocks is cut once, for the block that its first part is in (:meth:`BlockCutter.pieces`);
the others then take what lies in them of it (:meth:`BlockCutter.block`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.arrays.lazy import overlap
from napari_fcnseg.instances.basins import INTERIOR, Cutter
from napari_fcnseg.instances.blocks import grown, slices
from napari_fcnseg.instances.joining import first_places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.joining import Noted, Parts, Table

    Facts = dict[str, npt.NDArray[Any]]


def crossing_facts(parts: Parts, block: int) -> Facts:
    """Return what a block has to know of pieces that are in others, too.

    Returns
    -------
    dict of str to ndarray
        ``local``, ``root`` and ``home``: its parts of such pieces, numbered within the block, the pieces, and the
        blocks that these are cut for. ``piece``, ``first``, ``low``, ``high``: the pieces that are cut for it.
    """
    own = parts.of(block)
    roots = parts.root[own]
    local = np.flatnonzero(parts.crosses[roots])
    numbers = np.arange(own.start, own.stop)
    piece = numbers[(roots == numbers) & parts.crosses[own]]
    return {
        "local": local + 1, "root": roots[local], "home": parts.home(roots[local]), "piece": piece,
        "first": parts.first[piece], "low": parts.low[piece], "high": parts.high[piece],
    }  # fmt: skip


class BlockCutter:
    """Cuts the pieces of a block.

    Parameters
    ----------
    cutter : Cutter
        Cuts one piece.
    kinds : callable
        Returns the kind of the pixels in a box.
    connectivity : int
        As in :class:`~napari_fcnseg.InstanceSettings`.
    """

    def __init__(self, cutter: Cutter, kinds: Callable[[Box], Numbers], connectivity: int) -> None:
        self._cutter, self._kinds, self._connectivity = cutter, kinds, connectivity

    def pieces(self, crossing: Mapping[str, Any]) -> Facts:
        """Cut the pieces that are cut for a block and lie in others, too.

        Parameters
        ----------
        crossing : mapping
            As :func:`crossing_facts` returns it.

        Returns
        -------
        dict of str to ndarray
            ``count``, the instances of each piece; ``size`` and ``first`` of all of them; for each piece, by its
            number, ``box1`` and ``numbers1``, where it lies and its instances from 1.
        """
        found: Facts = {}
        sizes, firsts, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], []
        for n, piece in enumerate(crossing["piece"].tolist()):
            box, numbers, size, first = self._cut(crossing["low"][n], crossing["high"][n], int(crossing["first"][n]))
            found |= {f"box{piece}": np.array(box), f"numbers{piece}": numbers.astype(np.uint32)}
            counts.append(len(size))
            sizes.append(size)
            firsts.append(first)
        size, first = np.concatenate(sizes), np.concatenate(firsts)
        return {**found, "count": np.array(counts, np.int64), "size": size, "first": first}

    def block(
        self, box: Box, local: Numbers, own: Mapping[str, Any], crossing: Mapping[str, Any], pieces: Noted
    ) -> tuple[Numbers, Facts]:
        """Cut all pieces in a block.

        Parameters
        ----------
        box : Box
            The block.
        local : ndarray of int
            The parts in it, from 1.
        own : mapping of str to ndarray
            ``size``, ``first``, ``low`` and ``high`` of these.
        crossing : mapping
            As :func:`crossing_facts` returns it.
        pieces : callable
            Given a block and keys, what :meth:`pieces` has found for it.

        Returns
        -------
        numbers : ndarray of uint32
            Of the instances: from 1 those that are in this block alone, then those of ``piece`` and ``nth``.
        facts : dict of str to ndarray
            ``size`` and ``first`` of the former; ``piece`` and ``nth``, which instance of which piece the others are.
        """
        count = len(own["size"])
        crosses = np.zeros(count, bool)
        crosses[crossing["local"] - 1] = True
        cores, deep = self._cores(local, box, count)
        simple = ~crosses & (cores == 1) & ~deep  # one instance, and nothing to compute
        table = np.zeros(count + 1, np.uint32)
        table[1:][simple] = np.arange(1, np.count_nonzero(simple) + 1)
        result: Numbers = table[local]
        sizes, firsts = [own["size"][simple]], [own["first"][simple]]
        highest = int(table.max())
        for part in np.flatnonzero(~crosses & ((cores > 1) | deep)).tolist():
            place, numbers, size, first = self._cut(own["low"][part], own["high"][part], int(own["first"][part]))
            _paste(result, box, place, numbers, highest)
            highest += len(size)
            sizes.append(size)
            firsts.append(first)
        named: list[Table] = [np.zeros((2, 0), np.int64)]
        for piece, home in sorted(set(zip(crossing["root"].tolist(), crossing["home"].tolist(), strict=True))):
            where, numbers = pieces(home, f"box{piece}", f"numbers{piece}")
            seen = _paste(result, box, tuple(map(tuple, where.tolist())), numbers, highest)
            highest += len(seen)
            named.append(np.stack([np.full(len(seen), piece), seen]))
        piece, nth = np.concatenate(named, 1)
        return result, {"size": np.concatenate(sizes), "first": np.concatenate(firsts), "piece": piece, "nth": nth}

    def _cores(self, local: Numbers, box: Box, count: int) -> tuple[Table, Mask]:
        """Return how many components of the interior each part has, and whether one may have to be cut."""
        from scipy.ndimage import maximum
        from skimage.measure import label

        inside = self._kinds(box) == INTERIOR
        interior: Numbers = label(inside, connectivity=self._connectivity)  # type: ignore[no-untyped-call]
        cores = np.bincount(local.ravel()[first_places(interior)], minlength=count + 1)[1:]
        deep: Mask = np.zeros(count, bool)
        wide = grown(box, 1, self._cutter.shape)
        around = self._kinds(wide) == INTERIOR
        if self._cutter.separation and count and not around.all():
            depth = self._cutter.depth(around)[slices(box, [low for low, _ in wide])]
            most = maximum(np.where(inside, depth, 0), local, np.arange(1, count + 1))
            deep = np.asarray(most) > self._cutter.separation * (1 - 1e-9)
        return cores, deep

    def _cut(self, low: Table, high: Table, first: int) -> tuple[Box, Numbers, Table, Table]:
        """Cut a piece; return where it lies, its instances from 1, their sizes and their first pixels."""
        box, numbers = self._cutter.cut(tuple(zip(low.tolist(), high.tolist(), strict=True)), first)
        flat = numbers.ravel()
        count = int(flat.max())
        firsts = np.zeros(count + 1, np.int64)
        firsts[flat[::-1]] = np.arange(len(flat))[::-1]
        places = np.unravel_index(firsts[1:], numbers.shape)
        origin = [a for a, _ in box]
        whole = np.ravel_multi_index([p + o for p, o in zip(places, origin, strict=True)], self._cutter.shape)
        return box, numbers, np.bincount(flat)[1:], np.asarray(whole, np.int64)


def _paste(result: Numbers, box: Box, place: Box, numbers: Numbers, highest: int) -> Table:
    """Put what lies in a block of a piece's instances there, numbered on; return which of them these are."""
    both = overlap(box, place)
    if any(a >= b for a, b in both):
        return np.zeros(0, np.int64)
    part = numbers[slices(both, [low for low, _ in place])]
    present = np.unique(part)
    seen: Table = present[present > 0].astype(np.int64)
    table = np.zeros(int(seen.max(initial=0)) + 1, np.uint32)
    table[seen] = np.arange(highest + 1, highest + len(seen) + 1)
    np.copyto(result[slices(both, [low for low, _ in box])], table[part], where=part > 0)
    return seen
