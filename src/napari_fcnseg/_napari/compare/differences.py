"""Find where two masks differ, as arrays and regions. Slow: call it in a worker. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.compare.measure.sheets import fate
from napari_fcnseg._napari.compare.walk import MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fcnseg.comparison import ObjectRow, Place, Study, StudyEntry


@dataclass(frozen=True, eq=False)
class Differences:
    """Agreement of one mask with the truth, and the regions where they differ.

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
class Highlight:
    """Highlighted pixels: those of one cell of a confusion matrix, or of one object.

    Attributes
    ----------
    name : str
        What they are.
    pixels : array_like of uint8
        1 where they are.
    text : str
        What is said of them.
    start : tuple of int
        Where the first of these pixels is on the study's grid.
    places : tuple of Place
        Where to look for them, the most solid first.
    outline : bool
        Whether only their outline is shown.
    """

    name: str
    pixels: Any
    text: str
    start: tuple[int, ...]
    places: tuple[Place, ...] = ()
    outline: bool = False


def find_differences(study: Study, index: int, progress: Callable[[int, int], None]) -> Differences:
    """Find where a mask differs from the truth."""
    from napari_fcnseg.comparison import Differing, compute_map, places

    agreement, counts = compute_map(study.agreement(index), _half(progress, 0))
    found = places(Differing(agreement), spatial=spatial_of(study), most=MOST, progress=_half(progress, 1))
    return Differences(study, index, agreement, counts, found)


def highlight_cell(study: Study, index: int, cell: tuple[int, int], progress: Callable[[int, int], None]) -> Highlight:
    """Find the pixels that are one label in the truth and another in a mask."""
    from napari_fcnseg.comparison import CellMap, compute_map, places

    aligned = study.aligned
    lazy = CellMap(aligned.maps[0], aligned.maps[index + 1], *cell, inside=aligned.inside)
    pixels, counts = compute_map(lazy, _half(progress, 0))
    found = places(pixels, spatial=spatial_of(study), most=MOST, progress=_half(progress, 1))
    name, number = cell_name(study, study.entries[index], cell), counts.get(1, 0)
    text = f"{number:,} {'pixel is' if number == 1 else 'pixels are'} {name}. The view is at the largest place."
    return Highlight(name, pixels, text if number else f"No pixel is {name}.", (0,) * lazy.ndim, found)


def highlight_object(study: Study, index: int, row: ObjectRow, progress: Callable[[int, int], None]) -> Highlight:
    """Find the pixels of an object of the truth or of a mask, within its box."""
    from napari_fcnseg.arrays.lazy import LazyBox
    from napari_fcnseg.comparison import CellMap, compute_map

    aligned, of_truth = study.aligned, row.side == "a"
    whole = aligned.maps[0 if of_truth else index + 1]
    # one pixel more on each side: napari draws no outline along the edge of a layer
    box = tuple((max(first - 1, 0), min(stop + 1, n)) for (first, stop), n in zip(row.box, whole.shape, strict=True))
    part = LazyBox(whole, box)
    inside = None if aligned.inside is None else LazyBox(aligned.inside, box)
    pixels, _ = compute_map(CellMap(part, part, row.label, row.label, inside=inside), progress)
    name = f"object {row.label} of {study.truth if of_truth else study.entries[index].name}"
    met = "" if row.partner is None else f", IoU {row.iou:.4g} with object {row.partner}"
    text = f"{name[0].upper()}{name[1:]}: {fate(row)}, {row.pixels:,} pixel{'' if row.pixels == 1 else 's'}{met}"
    return Highlight(name, pixels, text, tuple(first for first, _ in box), outline=True)


def cell_name(study: Study, entry: StudyEntry, cell: tuple[int, int]) -> str:
    """Return the name of a cell of the confusion matrix."""
    a, b = (study.class_names.get(label, f"label {label}") for label in cell)
    return f"{a} in {study.truth}, {b} in {entry.name}"


def spatial_of(study: Study) -> int:
    """Return how many of the last axes are spatial; regions are connected along these alone."""
    return study.settings.axes(len(study.aligned.maps[0].shape))


def _half(progress: Callable[[int, int], None], which: int) -> Callable[[int, int], None]:
    return lambda done, total: progress(done + which * total, 2 * total)
