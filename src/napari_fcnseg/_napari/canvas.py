"""What a run has computed, as the layers show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.segmentation import Canvas

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_fcnseg.run import Run, Tile


class LiveCanvas(Canvas):
    """A run's arrays; the layers show these very arrays, and follow them as tiles come.

    Attributes
    ----------
    limits : tuple of float
        Between which the numbers lie that have come so far: 0 to 1 for probabilities.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.limits = (0.0, 1.0)

    @property
    def maps(self) -> npt.NDArray[np.float32] | None:
        """The scores class by class, ``(class, *spatial)``, as a view."""
        return None if self.scores is None else np.moveaxis(self.scores, -1, 0)

    def write(self, tile: Tile) -> None:
        """Take over a finished tile."""
        super().write(tile)
        if self.scores is not None and self.run.networks[0].head == "scores":  # neither bounded nor known beforehand
            low, high = float(tile.scores.min()), float(tile.scores.max())
            self.limits = (low, high) if tile.done == 1 else (min(low, self.limits[0]), max(high, self.limits[1]))
