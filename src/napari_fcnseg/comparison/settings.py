"""Settings of a comparison, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.serialization import PlainSettings

AUTO, CLASSES, INSTANCES = "auto", "classes", "instances"
KINDS = (AUTO, CLASSES, INSTANCES)
_MOST = 2**63


@dataclass(frozen=True)
class CompareSettings(PlainSettings):
    """How masks are compared with a truth.

    Attributes
    ----------
    kind : {"auto", "classes", "instances"}
        ``"classes"``: a label is one kind of thing in all maps. ``"instances"``: each label but 0 is one object, and
        the same object may have another number in another map. ``"auto"``: instances if any two maps have more than
        64 labels between them.
    ignore : tuple of int
        Labels of the truth whose pixels are left out.
    threshold : float
        IoU from which on two objects are a pair.
    tolerance : float or None
        How far a border may be off and still be found, in the unit of the spacing; None for 0.75 % of the diagonal.
    spatial : int or None
        How many of the last axes are space: borders and regions do not go on along the others, which are time, or
        slices that stand for themselves. None for 2, or 1 if there is no more. An object is its label in all frames.

    Raises
    ------
    SettingsError
        If a value is not one of the possible ones.
    """

    _of = " of comparisons"

    kind: str = AUTO
    ignore: tuple[int, ...] = ()
    threshold: float = 0.5
    tolerance: float | None = None
    spatial: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"Labels cannot be compared as {self.kind!r}. Choose one of: {', '.join(KINDS)}.")
        object.__setattr__(self, "ignore", labels_of(self.ignore))
        if not _number(self.threshold) or not 0 < self.threshold <= 1:
            raise SettingsError(f"The IoU threshold is above 0 and at most 1, not {self.threshold!r}.")
        object.__setattr__(self, "threshold", float(self.threshold))
        if self.tolerance is not None:
            if not (_number(self.tolerance) and 0 <= self.tolerance < math.inf):
                raise SettingsError(f"The tolerance is a length from 0, not {self.tolerance!r}.")
            object.__setattr__(self, "tolerance", float(self.tolerance))
        if self.spatial is not None:
            if not (_whole(self.spatial) and self.spatial > 0):
                raise SettingsError(f"The number of axes that are space is 1 or more, not {self.spatial!r}.")
            object.__setattr__(self, "spatial", int(self.spatial))

    def axes(self, ndim: int) -> int:
        """Return how many of the last axes of a map are space."""
        return min(self.spatial or 2, ndim)


def labels_of(given: Any) -> tuple[int, ...]:
    """Return labels as whole numbers."""
    numbers = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if not all(_whole(number) and -_MOST <= int(number) < _MOST for number in numbers):
        raise SettingsError(f"The labels to leave out are whole numbers of at most 63 bits, not {given!r}.")
    return tuple(map(int, numbers))


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
