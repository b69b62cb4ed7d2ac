"""``napari-fcnseg compare --probabilities``: maps of probabilities against a truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli.pixel_spacing import lengths
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_fcnseg.comparison import Placed
    from napari_fcnseg.comparison.metrics.probability import ProbabilityScores
    from napari_fcnseg.imagefile import ImageFile

_UNNAMED = "QPONMLKJI"  # letters of axes that a file has no names for
_SHOWN = ("average_precision", "best_threshold", "best_dice", "dice", "calibration_error", "brier")


def add_arguments(compare: argparse.ArgumentParser) -> None:
    """Add the arguments for maps of probabilities."""
    add = compare.add_argument
    add("--probabilities", nargs="+", default=[], metavar="MAP", help="maps of probabilities, as segment writes them")
    add("--label", type=int, nargs="+", metavar="N", help="the truth's label of each map (of channels: 1, 2, …)")


def run_probability(chosen: argparse.Namespace, truth: Placed, file: ImageFile) -> None:
    """Compare each map with the truth, print what was found, and write what was asked for."""
    from napari_fcnseg.comparison.metrics.probability import compare_probability, save_csv, save_json

    maps = [one for name in chosen.probabilities for one in _maps(name, file)]
    if chosen.label is not None:
        if len(chosen.label) != len(maps):
            raise SettingsError(f"There are {len(maps)} maps and {len(chosen.label)} labels. Give one label per map.")
        maps = [(one, label) for (one, _), label in zip(maps, chosen.label, strict=True)]
    found, notes = compare_probability(truth, maps, ignore=chosen.ignore)
    _print(found, notes)
    if chosen.csv is not None:
        save_csv(chosen.csv, found, overwrite=chosen.overwrite)
    if chosen.json is not None:
        save_json(chosen.json, found, truth.name, notes, overwrite=chosen.overwrite)


def _maps(name: str, truth: ImageFile) -> list[tuple[Placed, int]]:
    """Return the maps in a file, where they lie, and the label of each: of channels, the first is label 1."""
    from napari_fcnseg.arrays.frame_source import transposed
    from napari_fcnseg.comparison import placed
    from napari_fcnseg.imagefile import read_image

    file = _with_channels(name, read_image([name]), truth)
    at, sizes = file.channel_axis, lengths(name, file, truth)
    if at is None:
        return [(placed(name, file.data, sizes), 1)]
    last = transposed(file.data, [axis for axis in range(len(file.axes)) if axis != at] + [at])
    return [
        (placed(f"{name}, channel {channel + 1}", _Channel(last, channel), sizes), channel + 1)
        for channel in range(int(last.shape[-1]))
    ]


def _with_channels(name: str, file: ImageFile, truth: ImageFile) -> ImageFile:
    """Return a file that has an axis more than the truth and does not say what it is as one with channels along it.

    Raises
    ------
    ImageError
        If no axis can be that of the channels.
    """
    shape, of_truth = tuple(map(int, file.data.shape)), tuple(map(int, truth.data.shape))
    if file.channel_axis is not None or len(shape) != len(of_truth) + 1 or not set(file.axes) & set(_UNNAMED):
        return file
    for axis in (max(len(shape) - 3, 0), len(shape) - 1):  # as segment writes them, and as networks give them
        if shape[:axis] + shape[axis + 1 :] == of_truth:
            return file.with_channels_along(axis)
    raise ImageError(
        f"{name} has the shape {format_shape(shape)} and the truth {format_shape(of_truth)}, and nothing says which "
        "axis is that of the channels. Give maps as segment writes them to TIFF, or one file per map."
    )


class _Channel:
    """One channel of an array whose last axis they are; read lazily."""

    def __init__(self, array: Any, channel: int) -> None:
        self._array, self._channel = array, channel
        self.shape, self.dtype = tuple(array.shape[:-1]), array.dtype

    def __getitem__(self, where: tuple[Any, ...]) -> Any:
        return self._array[(*where, slice(self._channel, self._channel + 1))][..., 0]


def _print(found: Sequence[ProbabilityScores], notes: Sequence[str]) -> None:
    from napari_fcnseg.cli.table import number, print_table, short_names

    rows = (
        (name, str(one.label), *(number(getattr(one, score)) for score in _SHOWN))
        for one, name in zip(found, short_names([one.name for one in found]), strict=True)
    )
    told = (*notes, *(note for one in found for note in one.notes))
    print_table(("map", "label", *(score.replace("_", " ") for score in _SHOWN)), rows, told)
