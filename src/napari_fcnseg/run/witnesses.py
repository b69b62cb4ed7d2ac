"""The pixels of a run whose numbers are kept, to be compared with those of the patch model later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.schedule import Index

    #: Pixels, an index along each axis of the labels, and the network's numbers there.
    Seen = tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]

_MORE = 16  # points of a tile that are kept in case too few of the chosen ones are computed


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Which pixels are wanted.

    Attributes
    ----------
    points : ndarray of int, shape (n, axes of the labels)
        The pixels.
    seed : int
        Of the random choice of others.
    """

    points: npt.NDArray[np.intp]
    seed: int

    def within(self, index: Index, region: Region) -> npt.NDArray[np.bool_]:
        """Return which of the pixels lie in a region of a frame."""
        start = np.array([*index, *(a for a, _ in region)])
        stop = np.array([*(i + 1 for i in index), *(b for _, b in region)])
        inside: npt.NDArray[np.bool_] = np.all((self.points >= start) & (self.points < stop), axis=1)
        return inside

    def seen(
        self, place: tuple[Index, Region], labels: npt.NDArray[Any], scores: npt.NDArray[np.float32], *, more: bool
    ) -> Seen:
        """Return the pixels that a tile shows, with its numbers.

        Parameters
        ----------
        place : (tuple of int, Region)
            The frame of the tile, and its region there.
        labels, scores : ndarray
            As of a :class:`~napari_fcnseg.run.run.Tile`.
        more : bool
            Whether others come after those that are wanted: where tiles are left out, few of those may be seen.
        """
        index, region = place
        start, spatial = np.array([*index, *(a for a, _ in region)], np.intp), len(region)
        points = self.points[self.within(index, region)]
        local = (points - start)[:, -spatial:]
        if more:
            random = np.random.default_rng([self.seed, *map(int, start)])
            others = random.integers(0, labels.shape, (_MORE, spatial))
            local = np.concatenate([local, others[labels[tuple(others.T)] > 0]])
        found = np.broadcast_to(start, (len(local), len(start))).copy()
        found[:, -spatial:] += local
        return found, scores[tuple(local.T)]

    def of_block(self, index: Index, region: Region, *, more: bool) -> dict[str, Any]:
        """Return what a worker has to know to keep those of a block, as plain data."""
        return {"points": self.points[self.within(index, region)].tolist(), "seed": self.seed, "more": more}

    @classmethod
    def asked(cls, said: Mapping[str, Any], axes: int) -> Self:
        """Return what :meth:`of_block` has said."""
        return cls(np.array(said["points"], np.intp).reshape(-1, axes), said["seed"])
