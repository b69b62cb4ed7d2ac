"""Letters of an image's axes: from their names, or a guess where they have no names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg._napari.layers.axes import SPATIAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.layers.axes import Axes

#: What people call axes, and the letter of each.
_NAMES = {
    "X": ("x", "column", "columns", "col", "width"),
    "Y": ("y", "row", "rows", "height"),
    "Z": ("z", "plane", "planes", "depth", "slice", "slices"),
    "T": ("t", "time", "frame", "frames"),
    "C": ("c", "channel", "channels", "ch", "wavelength"),
}
_LETTERS = {name: letter for letter, names in _NAMES.items() for name in names}


def letters_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the letter of each axis that has a name; empty for one that has only napari's number, or none.

    Parameters
    ----------
    labels : sequence of str
        What napari, the file or the user calls the axes.
    """
    known = [_LETTERS.get(label.strip().casefold(), "") for label in labels]
    known = [letter if known.count(letter) == 1 else "" for letter in known]
    return tuple(
        letter or ("" if label.strip().lstrip("-").isdigit() else label.strip()[:1].upper())
        for letter, label in zip(known, labels, strict=True)
    )


def guessed_letters(
    axes: Axes, letters: Sequence[str], *, rgb: bool = False, timed: Sequence[int] = ()
) -> tuple[str, ...]:
    """Return a letter per axis: its name's where it has one, and otherwise what it most likely is.

    Parameters
    ----------
    axes : Axes
        What the axes are.
    letters : sequence of str
        From :func:`letters_of`.
    rgb : bool
        Whether the last axis has colours.
    timed : sequence of int
        Axes whose unit is one of time.
    """
    found = [*letters, *[""] * len(axes.shape)][: len(axes.shape)]
    if axes.channel is not None:
        colours = {3: "RGB", 4: "RGBA"}.get(axes.shape[axes.channel], "C")
        found[axes.channel] = colours if rgb else found[axes.channel] or "C"
    for place, axis in enumerate(reversed(axes.model)):
        found[axis] = found[axis] or _free(SPATIAL[place], found)
    for axis in timed:
        found[axis] = found[axis] or _free("T", found)
    unknown = [axis for axis in axes.stack if not found[axis] and axis not in axes.perhaps]
    left = [letter for letter in "TZ" if letter not in found]
    if len(unknown) == 1 and left:
        found[unknown[0]] = "/".join(left)
    elif len(unknown) == len(left):
        for axis, letter in zip(unknown, left, strict=True):
            found[axis] = letter
    return tuple(letter or "?" for letter in found)


def _free(letter: str, found: Sequence[str]) -> str:
    return letter if letter not in found else ""
