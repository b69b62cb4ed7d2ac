"""The arrays that the layers show during a run: first the preview, then finished tiles in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.labels import confidence_of
from napari_fcnseg.run.own_labels import OwnLabels
from napari_fcnseg.run.result import ResultArrays

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.run.run import Run, Tile

_MOST_SURE = 2**26  # pixels of a result whose probabilities are kept for a threshold: 256 MiB


class LiveResult(ResultArrays):
    """A run's arrays; the layers show these very arrays, and follow them as tiles come.

    Attributes
    ----------
    limits : tuple of float
        Between which the numbers lie that have come so far: 0 to 1 for probabilities.
    written : int
        Tiles that have come, those of a preview among them.
    finished_pixels : int
        Pixels of the tiles that are finished.
    own : OwnLabels
        The labels of the finished tiles, out of reach of a brush.
    sure : ndarray of float32 or None
        The winning class's probability, for a threshold; None where there is none, or no room for it.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.limits = (0.0, 1.0)
        self.written = self.finished_pixels = 0
        self._finished: dict[tuple[int, ...], dict[Region, None]] = {}  # of each frame, in the order they came
        self._bounds: dict[tuple[int, ...], npt.NDArray[np.int_]] = {}  # the same as arrays, as far as they are made
        self.own = OwnLabels(self.labels.shape, self.labels.dtype)
        self.sure = self._room_for_sure()
        self._painted: list[tuple[int | slice, ...]] = []

    @property
    def maps(self) -> npt.NDArray[np.float32] | None:
        """The scores class by class, ``(class, *spatial)``, as a view."""
        scores = self.arrays.get("probabilities")
        return None if scores is None else np.moveaxis(scores, -1, 0)

    def write(self, tile: Tile) -> None:
        """Accept a finished tile, or paint one of a preview."""
        self.written += 1
        if tile.preview:
            self._paint(tile)
            return
        super().write(tile)
        self.own.keep(tile.where, tile.labels)
        if self.sure is not None:
            self.sure[tile.where] = confidence_of(tile.scores, self.run.plan.networks[0].head)
        index, region = tile.place
        self._finished.setdefault(index, {})[region] = None
        if region != self.run.plan.schedule.early:  # that one lies over others
            self.finished_pixels += tile.labels.size
        unbounded = self.run.plan.networks[0].head == "scores"  # and not known beforehand
        if "probabilities" in self.arrays and unbounded:
            low, high = float(tile.scores.min()), float(tile.scores.max())
            self.limits = (low, high) if tile.done == 1 else (min(low, self.limits[0]), max(high, self.limits[1]))

    def _room_for_sure(self) -> npt.NDArray[np.float32] | None:
        """Return an array for probabilities, be it that of a layer or not."""
        network = self.run.plan.networks[0]
        if network.head == "scores" or network.classes >= np.iinfo(self.labels.dtype).max:
            return None
        if isinstance(kept := self.arrays.get("confidence"), np.ndarray):
            return kept
        return np.zeros(self.labels.shape, np.float32) if self.labels.size <= _MOST_SURE else None

    @property
    def finished(self) -> list[tuple[tuple[int, ...], Region]]:
        """The tiles that are finished: frame and place of each."""
        return [(index, region) for index, regions in self._finished.items() for region in regions]

    def restore(self, labels: npt.NDArray[Any], finished: Iterable[tuple[tuple[int, ...], Region]]) -> None:
        """Take over tiles that were finished and saved.

        Parameters
        ----------
        labels : ndarray of unsigned integer, shape of the result
            The labels.
        finished : iterable of (tuple of int, Region)
            Frame and place of each tile.

        Raises
        ------
        ImageError
            If the labels have another shape.
        """
        if labels.shape != self.labels.shape:
            raise ImageError("The saved labels have another shape than the result. Choose the image they are of.")
        self.sure = None  # nobody kept the probabilities of what was saved
        for index, region in finished:
            where: tuple[int | slice, ...] = (*index, *as_slices(region))
            self.labels[where] = labels[where]
            self.own.keep(where, self.labels[where])
            self._finished.setdefault(index, {})[region] = None
            self.written += 1

    def has(self, index: tuple[int, ...], region: Region) -> bool:
        """Whether every place of a region of a frame is finished, be it in one tile or in the parts of one."""
        finished = self._finished.get(index, {})
        if not finished or region in finished:
            return bool(finished)
        bounds = self._bounds.get(index)
        if bounds is None or len(bounds) != len(finished):
            bounds = self._bounds[index] = np.array(list(finished))
        first, last = np.array(region).T
        starts, stops = np.maximum(bounds[..., 0], first) - first, np.minimum(bounds[..., 1], last) - first
        over = (starts < stops).all(1)
        if not over.any():
            return False
        covered = np.zeros(last - first, bool)
        for start, stop in zip(starts[over], stops[over], strict=True):
            covered[tuple(map(slice, start, stop))] = True
        return bool(covered.all())

    def _paint(self, tile: Tile) -> None:
        """Paint each label of a preview over the pixels around its own, where no tile is finished."""
        stack = tile.where[: len(tile.where) - len(self.run.plan.extent)]
        blocks, nearest = [], []
        for where, (start, stop) in zip(tile.where[len(stack) :], self.run.plan.extent, strict=True):
            assert isinstance(where, slice), "an axis of the model"
            step, last = where.step, where.stop - 1
            first = start if where.start - step < start else where.start - step // 2
            end = stop if last + step >= stop else last + step - step // 2
            blocks.append(slice(first, end))
            nearest.append(
                ((np.arange(first, end) - where.start + step // 2) // step).clip(0, (last - where.start) // step)
            )
        block = (*stack, *blocks)
        labels = self.labels[block]
        np.copyto(labels, tile.labels[np.ix_(*nearest)], where=labels == 0)
        self._painted.append(block)

    def keep_finished(self) -> bool:
        """Take back what is painted only and not computed, after a run that ended early; return whether any was.

        A mask leaves pixels out of a whole run too, and what is painted may reach over its edge.
        """
        if not self._painted or (self.done == self.run.total and self.run.plan.mask is None):
            return False
        finished = np.zeros(self.labels.shape, bool)
        for index, parts in self._finished.items():
            for where in parts:
                finished[index][as_slices(where)] = True
        for block in self._painted:
            self.labels[block][~finished[block]] = 0
        self._painted.clear()
        return True
