"""Where two masks differ, as arrays and places; it takes its time, so it runs in a worker. Nothing here knows Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.comparing.walk import MOST
from napari_fcnseg.systemmemory import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from napari_fcnseg.comparison import Entry, Place, Study

#: Share of the free memory that a map of agreement may take; a larger one is worked out as it is looked at.
_SHARE = 4


@dataclass(frozen=True, eq=False)
class Overview:
    """How one mask agrees with the truth.

    Attributes
    ----------
    study : Study
        Of this study.
    index : int
        Which of its masks.
    agreement : array_like of uint8
        As :class:`~napari_fcnseg.comparison.Agreement` has it.
    counts : mapping of int to int
        Pixels of each kind.
    places : tuple of Place
        Where they differ, the worst first.
    """

    study: Study
    index: int
    agreement: Any
    counts: Mapping[int, int]
    places: tuple[Place, ...]


@dataclass(frozen=True, eq=False)
class Lit:
    """The pixels of one cell of a confusion matrix.

    Attributes
    ----------
    name : str
        What they are.
    pixels : array_like of uint8
        1 where they are.
    number : int
        How many there are.
    places : tuple of Place
        Where they are, the most solid first.
    """

    name: str
    pixels: Any
    number: int
    places: tuple[Place, ...]

    @property
    def text(self) -> str:
        """What is said of them."""
        if not self.number:
            return f"No pixel is {self.name}."
        pixels = "pixel is" if self.number == 1 else "pixels are"
        return f"{self.number:,} {pixels} {self.name}. The view is at the largest place."


def overview(study: Study, index: int, progress: Callable[[int, int], None]) -> Overview:
    """Find where a mask differs from the truth."""
    from napari_fcnseg.comparison import Differing, places

    agreement, counts = _filled(study.agreement(index), _half(progress, 0))
    found = places(Differing(agreement), spatial=spatial_of(study), most=MOST, progress=_half(progress, 1))
    return Overview(study, index, agreement, counts, found)


def lit(study: Study, index: int, cell: tuple[int, int], progress: Callable[[int, int], None]) -> Lit:
    """Find the pixels that are one label in the truth and another in a mask."""
    from napari_fcnseg.comparison import Cell, places

    aligned = study.aligned
    lazy = Cell(aligned.maps[0], aligned.maps[index + 1], *cell, inside=aligned.inside)
    pixels, counts = _filled(lazy, _half(progress, 0))
    found = places(pixels, spatial=spatial_of(study), most=MOST, progress=_half(progress, 1))
    return Lit(cell_name(study, study.entries[index], cell), pixels, counts.get(1, 0), found)


def cell_name(study: Study, entry: Entry, cell: tuple[int, int]) -> str:
    """Return what a cell of the confusion matrix stands for."""
    a, b = (study.class_names.get(label, f"label {label}") for label in cell)
    return f"{a} in {study.truth}, {b} in {entry.name}"


def spatial_of(study: Study) -> int:
    """Return how many of the last axes are space: what is connected along others is not."""
    return study.settings.axes(len(study.aligned.maps[0].shape))


def _half(progress: Callable[[int, int], None], which: int) -> Callable[[int, int], None]:
    return lambda done, total: progress(done + which * total, 2 * total)


def _filled(lazy: Any, progress: Callable[[int, int], None]) -> tuple[Any, Mapping[int, int]]:
    """Return a map in memory if there is room, as it is otherwise; and how many pixels are of each kind."""
    from napari_fcnseg.comparison import write

    room: npt.NDArray[np.uint8] | None = None
    if math.prod(lazy.shape) <= free_memory() // _SHARE:
        room = np.empty(lazy.shape, np.uint8)
    counts = write(lazy, room, progress)
    return (lazy if room is None else room), counts
