"""Labels of those pixels alone of which the model is sure enough; the network is not run again for another limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

_BLOCK = 2**16  # pixels


@dataclass(frozen=True)
class Threshold:
    """A limit on probabilities.

    Of two classes, the second one's labels are where its probability is at least ``value`` (0.5 as the model says).
    Of more, a pixel whose winning class has a probability below ``value`` becomes unsure, a label of its own.

    Attributes
    ----------
    value : float
        From 0 to 1.
    classes : int
        How many classes there are.

    Raises
    ------
    SettingsError
        If the value is no probability.
    """

    value: float
    classes: int

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1 or self.classes < 2:
            raise SettingsError(f"A threshold is a probability from 0 to 1, not {self.value:g}.")

    @classmethod
    def neutral(cls, classes: int) -> Threshold:
        """Return the threshold that changes nothing."""
        return cls(0.5 if classes == 2 else 0.0, classes)

    @property
    def unsure(self) -> int | None:
        """The label of unsure pixels; None of two classes."""
        return self.classes + 1 if self.classes > 2 else None

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self != self.neutral(self.classes)

    def apply(self, labels: npt.NDArray[Any], confidence: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return labels with the threshold in them.

        Parameters
        ----------
        labels : ndarray of unsigned integer
            The model's own: class index + 1, 0 for none.
        confidence : ndarray of float32
            Probability of the winning class.

        Returns
        -------
        ndarray
            Of the labels' shape and type.
        """
        changed = labels.copy()
        if not self.changes:
            return changed
        rows = max(1, _BLOCK * len(labels) // max(labels.size, 1))
        for start in range(0, len(labels), rows):  # what fits into a processor's cache is worked out together
            part = slice(start, start + rows)
            self._change(changed[part], confidence[part])
        return changed

    def _change(self, labels: npt.NDArray[Any], confidence: npt.NDArray[np.float32]) -> None:
        """Change labels in place; by arithmetic, which takes a quarter of the time of a choice."""
        limit = np.float32(self.value)
        if self.unsure is None and limit > 0.5:
            labels -= ((labels == 2) & (confidence < limit)).astype(labels.dtype)
            return
        if self.unsure is None:  # the other class's probability is 1 - confidence, which float32 holds exactly
            labels += ((labels == 1) & (confidence <= _at_most(1.0 - float(limit)))).astype(labels.dtype)
            return
        chosen = ((confidence < limit) & (labels > 0)).astype(labels.dtype)
        chosen *= labels.dtype.type(np.iinfo(labels.dtype).max)  # all bits, or none
        labels &= ~chosen
        labels |= chosen & labels.dtype.type(self.unsure)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"value": self.value, "classes": self.classes, "unsure": self.unsure}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Threshold:
        """Return it from plain data.

        Raises
        ------
        SettingsError
            If it is none.
        """
        try:
            return cls(float(data["value"]), int(data["classes"]))
        except (KeyError, TypeError, ValueError):
            raise SettingsError("The result's threshold was changed in its provenance. Run again.") from None

    def __str__(self) -> str:
        percent = f"{100 * self.value:.0f} %"
        return f"class 2 from {percent}" if self.unsure is None else f"unsure below {percent}"


def _at_most(value: float) -> np.float32:
    """Return the largest number of single precision that is not above a value."""
    nearest = np.float32(value)
    return nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(-1))
