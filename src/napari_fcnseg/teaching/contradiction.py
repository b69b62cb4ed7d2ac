"""Strokes that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.teaching.strokes import class_word

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALIKE: Final = 1e-4


def require_different(numbers: np.ndarray, labels: np.ndarray, names: Sequence[str] = ()) -> None:
    """Find out whether most pixels of a class look exactly as some of another one.

    Parameters
    ----------
    numbers : ndarray of float32, shape (n, number)
        What the network says of each painted pixel.
    labels : ndarray of int, shape (n,)
        Their labels.
    names : sequence of str
        Of the classes, for the message.

    Raises
    ------
    SettingsError
        If so.
    """
    # Numbers of equal patches differ in their last digits: four sums of all are compared, in steps that hide that.
    sums = numbers @ np.random.default_rng(0).normal(size=(numbers.shape[1], 4)).astype(np.float32)
    steps = np.round(sums / (np.abs(sums).max(axis=0) * _ALIKE + 1e-30))
    _, group = np.unique(steps, axis=0, return_inverse=True)
    group = group.ravel()
    pairs = np.unique(np.stack([group, labels]), axis=1)
    torn = np.bincount(pairs[0])[group] > 1
    for label in np.unique(labels):
        mine = labels == label
        if 2 * np.count_nonzero(torn & mine) > np.count_nonzero(mine):
            other = next(
                int(other) for other in np.unique(labels[torn & np.isin(group, group[torn & mine])]) if other != label
            )
            one, two = (class_word(number, names) for number in sorted((int(label), other)))
            raise SettingsError(
                f"The strokes contradict each other: most pixels of {one} look exactly like some of {two}. Erase the "
                "wrong strokes, or paint where the classes differ."
            )
