"""What a fit came to: the head, and how good it is, in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.teaching.strokes import Strokes

_FEW: Final = 3  # strokes of a class


@dataclass(frozen=True, eq=False)
class Lesson:
    """A fitted head.

    Attributes
    ----------
    head : list of ndarray
        Kernel and bias of the hidden layer, and of the scores.
    scores : mapping of str to float
        On strokes that were held out.
    painted : Strokes
        What it was fitted to.
    images : tuple of int
        Numbers of the images that had strokes.
    """

    head: Sequence[np.ndarray]
    scores: Mapping[str, float]
    painted: Strokes
    images: tuple[int, ...]

    def strokes_per_class(self) -> tuple[int, ...]:
        """Return how many strokes each class has."""
        pairs = np.unique(np.stack([self.painted.labels, self.painted.stroke]), axis=1)
        return tuple(np.bincount(pairs[0], minlength=self.painted.classes + 1)[1:].tolist())

    def sentence(self, names: Sequence[str]) -> str:
        """Return how good it is on held-out strokes, and which classes have too few.

        Parameters
        ----------
        names : sequence of str
            Of the classes.
        """
        counts = self.strokes_per_class()
        few = [f"{name} ({count})" for name, count in zip(names, counts, strict=False) if count < _FEW]
        right = self.scores.get("accuracy", math.nan)
        said = f"Held-out strokes: {right:.0%} of pixels right." if math.isfinite(right) else ""
        if few:
            said += f" Few strokes: {', '.join(few)}. Paint {_FEW} or more of each class, in different places."
        return said.strip()
