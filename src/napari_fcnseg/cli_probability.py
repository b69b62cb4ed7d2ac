"""``napari-fcnseg compare --probabilities``: maps of probabilities against a truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli_placing import lengths
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_fcnseg.comparison import Placed
    from napari_fcnseg.comparison.probability import ProbabilityScores
    from napari_fcnseg.imagefile import ImageFile

_SHOWN = ("average_precision", "best_threshold", "best_dice", "dice", "calibration_error", "brier")


def add_arguments(compare: argparse.ArgumentParser) -> None:
    """Add the arguments for maps of probabilities."""
    add = compare.add_argument
    add("--probabilities", nargs="+", default=[], metavar="MAP", help="maps of probabilities, as segment writes them")
    add("--label", type=int, nargs="+", metavar="N", help="the truth's label of each map (of channels: 1, 2, …)")


def run_probability(chosen: argparse.Namespace, truth: Placed, file: ImageFile) -> None:
    """Compare each map with the truth, print what was found, and write what was asked for."""
    from napari_fcnseg.comparison.probability import compare_probability, save_csv, save_json

    maps = [one for name in chosen.probabilities for one in _maps(name, file)]
    if chosen.label is not None:
        if len(chosen.label) != len(maps):
            raise SettingsError(f"There are {len(maps)} maps and {len(chosen.label)} labels. Give one label per map.")
        maps = [(one, label) for (one, _), label in zip(maps, chosen.label, strict=True)]
    found, notes = compare_probability(truth, maps, ignore=chosen.ignore)
    _print(found, notes)
    if chosen.csv is not None:
        save_csv(chosen.csv, found)
    if chosen.json is not None:
        save_json(chosen.json, found, truth.name, notes)


def _maps(name: str, truth: ImageFile) -> list[tuple[Placed, int]]:
    """Return the maps in a file, where they lie, and the label of each: of channels, the first is label 1."""
    from napari_fcnseg.comparison import placed
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.source import reordered

    file = read_image([name])
    at, sizes = file.channel_axis, lengths(name, file, truth)
    if at is None:
        return [(placed(name, file.data, sizes), 1)]
    last = reordered(file.data, [axis for axis in range(len(file.axes)) if axis != at] + [at])
    return [
        (placed(f"{name}, channel {channel + 1}", _Channel(last, channel), sizes), channel + 1)
        for channel in range(int(last.shape[-1]))
    ]


class _Channel:
    """One channel of an array whose last axis they are; nothing is read before it is asked for."""

    def __init__(self, array: Any, channel: int) -> None:
        self._array, self._channel = array, channel
        self.shape, self.dtype = tuple(array.shape[:-1]), array.dtype

    def __getitem__(self, where: tuple[Any, ...]) -> Any:
        return self._array[(*where, slice(self._channel, self._channel + 1))][..., 0]


def _print(found: Sequence[ProbabilityScores], notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("map", "label", *(score.replace("_", " ") for score in _SHOWN), box=None)
    for one in found:
        values = [getattr(one, score) for score in _SHOWN]
        table.add_row(Path(one.name).name, str(one.label), *("–" if n is None else f"{n:.4g}" for n in values))
    console = Console()
    console.print(table)
    for note in dict.fromkeys((*notes, *(note for one in found for note in one.notes))):
        console.print(note, style="dim", highlight=False)
