"""Touching instances cut apart, block by block, each pixel as in the whole frame.

Where cores are to be found, and what they flood, is decided in windows around a block, which are widened until what
lies beyond them has no say (:mod:`napari_fcnseg.instances.widening`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.instances.basins import INTERIOR, flooded, separation_of
from napari_fcnseg.instances.blocks import grown, slices
from napari_fcnseg.instances.cores import extended_maxima
from napari_fcnseg.instances.widening import open_sides

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.basins import Terrain
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.joining import Table
    from napari_fcnseg.instances.settings import InstanceSettings
    from napari_fcnseg.instances.widening import Widening

    #: Given a box, returns for each of its pixels which of some names the part there is known by, and these names: 0,
    #: of what is no part, is the first.
    Looked = Callable[[Box], tuple[Numbers, Table]]

#: What a piece is known by that has several cores.
SEVERAL = np.iinfo(np.int64).max


class BlockCutter:
    """Cuts what touches in a block.

    Parameters
    ----------
    terrain : Terrain
        Of the frame.
    settings : InstanceSettings
        For what.
    widening : Widening
        Decides pixels.
    proceed : callable
        Called again and again.
    """

    def __init__(
        self, terrain: Terrain, settings: InstanceSettings, widening: Widening, proceed: Callable[[], None]
    ) -> None:
        self._terrain, self._widening, self._proceed = terrain, widening, proceed
        self._connectivity, self._separation = settings.connectivity, separation_of(settings)

    def deep(self, box: Box, local: Numbers) -> Mask:
        """Return which parts of the interior in a block have a pixel that is deep enough for a neck.

        Parameters
        ----------
        box : Box
            The block.
        local : ndarray of int
            The parts, from 1.

        Returns
        -------
        ndarray of bool, shape (parts + 1,)
        """
        terrain = self._terrain
        found = np.zeros(int(local.max()) + 1, bool)
        window = grown(box, [math.ceil(self._separation / step) + 1 for step in terrain.sampling], terrain.shape)
        self._widening.check_room(window)
        depth, _ = terrain.depth(terrain.kinds(window) == INTERIOR, window)
        found[local[depth[slices(box, [low for low, _ in window])] > self._separation]] = True
        return found

    def cores(self, box: Box, deep: Mask) -> Mask:
        """Return the cores in a block: extended maxima of what is deep, and all other interior.

        Parameters
        ----------
        box : Box
            The block.
        deep : ndarray of bool
            Which of its pixels are in a component of the interior that is somewhere deep enough for a neck.
        """
        terrain = self._terrain
        found: Mask = (terrain.kinds(box) == INTERIOR) & ~deep

        def attempt(window: Box, wanted: Mask) -> tuple[Mask, Mask]:
            self._proceed()
            inside = terrain.kinds(window) == INTERIOR
            depth, exact = terrain.depth(inside, window)
            unsure = ~exact | open_sides(window, terrain.shape)
            return extended_maxima(inside, wanted, depth, unsure, self._separation, self._connectivity, self._proceed)

        self._widening.decide(box, deep.copy(), found, attempt)
        return found

    def basins(self, box: Box, cores: Looked, pieces: Looked) -> tuple[Numbers, dict[str, npt.NDArray[Any]]]:
        """Return the instances in a block.

        Parameters
        ----------
        box : Box
            The block.
        cores : callable
            By what each core is known, from 1.
        pieces : callable
            By what each piece of interior and edge class is known: its core, 0 if it has none, SEVERAL if it is to be
            cut.

        Returns
        -------
        numbers : ndarray of uint32
            From 1.
        facts : dict of str to ndarray
            ``core``, ``size`` and ``first`` of these: the core it is known by, its pixels in the block, and the first
            of them as an index into the flat frame.
        """
        ids = _Ids()
        core, piece = ids.of(*cores(box)), ids.of(*pieces(box))
        several = piece == ids.number(SEVERAL)
        result = np.where(core > 0, core, np.where(several, 0, piece))

        def attempt(window: Box, wanted: Mask) -> tuple[Numbers, Mask]:
            del wanted
            self._proceed()
            starts, (numbers, names) = ids.of(*cores(window)), pieces(window)
            heights, exact = self._terrain.heights(window)
            sides = open_sides(window, self._terrain.shape)
            return flooded(heights, exact, starts, (names == SEVERAL)[numbers], sides, self._connectivity)

        self._widening.decide(box, several & (core == 0), result, attempt)
        return ids.numbered(result, box, self._terrain.shape)


class _Ids:
    """Small numbers of names, in one block."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {0: 0}

    def number(self, name: int) -> int:
        """Return that of a name."""
        return self._known.setdefault(name, len(self._known))

    def of(self, numbers: Numbers, names: Table) -> Numbers:
        """Return those of pixels, given which of some names each has."""
        ids: Numbers = np.array([self.number(name) for name in names.tolist()], np.int32)[numbers]
        return ids

    def numbered(
        self, ids: Numbers, box: Box, shape: tuple[int, ...]
    ) -> tuple[Numbers, dict[str, npt.NDArray[Any]]]:  # fmt: skip
        """Return numbers for the names that there are, by their order, and what there is to know of them."""
        names = np.array(list(self._known), np.int64)
        size = np.bincount(ids.ravel(), minlength=len(names))
        size[0] = 0
        there = np.flatnonzero(size)
        there = there[np.argsort(names[there])]
        table = np.zeros(len(names), np.uint32)
        table[there] = np.arange(1, len(there) + 1)
        first = np.zeros(len(names), np.intp)
        flat = ids.ravel()
        first[flat[::-1]] = np.arange(len(flat))[::-1]
        places = np.unravel_index(first[there], ids.shape)
        whole = np.ravel_multi_index([p + low for p, (low, _) in zip(places, box, strict=True)], shape)
        return table[ids], {"core": names[there], "size": size[there], "first": np.asarray(whole, np.int64)}
