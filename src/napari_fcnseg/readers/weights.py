"""The arrays of one layer: taken in order, each checked for name, shape and values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.graph.ops import Array


#: What Keras calls arrays that a layer gives no name: it counts them through the whole model.
_UNNAMED: Final = re.compile(r"^([Vv]ariable)_\d+$")


@dataclass(frozen=True)
class StoredArray:
    """An array still in its file.

    Attributes
    ----------
    name : str or None
        What the file calls it, or None where the file only counts.
    shape : tuple of int
        Its shape.
    read : callable
        Reads it.
    """

    name: str | None
    shape: tuple[int, ...]
    read: Callable[[], npt.NDArray[Any]]


class Weights:
    """The arrays of one layer, to be taken in the order in which Keras made them."""

    def __init__(self, stored: Sequence[StoredArray]) -> None:
        self._all = tuple(stored)
        self._stored = list(stored)
        self._taken: dict[int, Array] = {}

    def again(self) -> Weights:
        """Start over: the arrays of a layer that is used several times are the same ones."""
        weights = Weights(self._all)
        weights._taken = self._taken
        return weights

    @property
    def left(self) -> int:
        """How many arrays were not taken yet."""
        return len(self._stored)

    def take(self, shape: tuple[int, ...], *names: str) -> Array:
        """Take the next array.

        Parameters
        ----------
        shape : tuple of int
            The shape that follows from the layer's settings and its input.
        *names : str
            What Keras calls it, the current name first.

        Returns
        -------
        ndarray of float32
            Its values, all finite.

        Raises
        ------
        UnreadableError
            It is missing, is another one, has another shape, or holds values that are not finite.
        """
        if not self._stored:
            raise UnreadableError(f"its array {names[0]!r} is missing from the file")
        stored = self._stored.pop(0)
        if stored.name is not None and _UNNAMED.sub(r"\1", stored.name) not in names:
            raise UnreadableError(f"the file holds the array {stored.name[:60]!r} where {names[0]!r} belongs")
        if stored.shape != shape:
            raise UnreadableError(f"its array {names[0]!r} has the shape {stored.shape} instead of {shape}")
        number = len(self._all) - len(self._stored)
        if number not in self._taken:
            self._taken[number] = _read(stored, names[0])
        return self._taken[number]

    def finish(self) -> None:
        """Check that no array is left over.

        Raises
        ------
        UnreadableError
            The file holds more arrays than the layer has.
        """
        if self._stored:
            raise UnreadableError(f"the file holds {len(self._stored)} more arrays for it than it can have")


def _read(stored: StoredArray, name: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.ascontiguousarray(stored.read(), dtype=np.float32).reshape(stored.shape)
    if not np.isfinite(values).all():
        raise UnreadableError(
            f"its array {name!r} holds values that are not finite (NaN, infinite, or beyond single precision)",
            "The training probably diverged: use an earlier checkpoint, or train again with a lower learning rate.",
        )
    return values
