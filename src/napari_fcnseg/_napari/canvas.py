"""What a run has computed, as the layers show it: the preview first, and finished tiles in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.canvas import Canvas

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_fcnseg.run import Run, Tile


class LiveCanvas(Canvas):
    """A run's arrays; the layers show these very arrays, and follow them as tiles come.

    Attributes
    ----------
    limits : tuple of float
        Between which the numbers lie that have come so far: 0 to 1 for probabilities.
    written : int
        Tiles that have come, those of a preview among them.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.limits = (0.0, 1.0)
        self.written = 0
        self._finished: list[tuple[int | slice, ...]] = []
        self._painted: list[tuple[int | slice, ...]] = []

    @property
    def maps(self) -> npt.NDArray[np.float32] | None:
        """The scores class by class, ``(class, *spatial)``, as a view."""
        return None if self.scores is None else np.moveaxis(self.scores, -1, 0)

    def write(self, tile: Tile) -> None:
        """Take over a finished tile, or paint one of a preview."""
        self.written += 1
        if tile.preview:
            self._paint(tile)
            return
        super().write(tile)
        self._finished.append(tile.where)
        if self.scores is not None and self.run.networks[0].head == "scores":  # neither bounded nor known beforehand
            low, high = float(tile.scores.min()), float(tile.scores.max())
            self.limits = (low, high) if tile.done == 1 else (min(low, self.limits[0]), max(high, self.limits[1]))

    def _paint(self, tile: Tile) -> None:
        """Paint each label of a preview over the pixels around its own, where no tile is finished."""
        stack = tile.where[: len(tile.where) - len(self.run.extent)]
        blocks, nearest = [], []
        for where, (start, stop) in zip(tile.where[len(stack) :], self.run.extent, strict=True):
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
        """Take back what is painted only and not computed, after a run that ended early; return whether any was."""
        if not self._painted or self.done == self.run.total:
            return False
        finished = np.zeros(self.labels.shape, bool)
        for where in self._finished:
            finished[where] = True
        for block in self._painted:
            self.labels[block][~finished[block]] = 0
        return True
