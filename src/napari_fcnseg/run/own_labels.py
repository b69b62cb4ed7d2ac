"""The labels as the model gave them, kept beside those that people may edit."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_LEVEL = 1  # of zlib: label maps become a hundredth at once, and higher levels take far longer


class OwnLabels:
    """The labels of each finished tile, compressed.

    Parameters
    ----------
    shape : tuple of int
        Of the whole result.
    dtype : dtype
        Of the labels.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._tiles: dict[tuple[Any, ...], tuple[tuple[int | slice, ...], bytes]] = {}

    def keep(self, where: tuple[int | slice, ...], labels: npt.NDArray[Any]) -> None:
        """Keep the labels of a finished tile; those of the same place take the place of earlier ones."""
        packed = zlib.compress(np.ascontiguousarray(labels, self._dtype).tobytes(), _LEVEL)
        key = tuple((w.start, w.stop) if isinstance(w, slice) else int(w) for w in where)
        self._tiles[key] = (where, packed)

    def array(self) -> npt.NDArray[Any]:
        """Return the labels of all tiles so far, 0 elsewhere; as large as the whole result."""
        labels = np.zeros(self._shape, self._dtype)
        for where, packed in tuple(self._tiles.values()):
            place = labels[where]
            place[...] = np.frombuffer(zlib.decompress(packed), self._dtype).reshape(place.shape)
        return labels


def count_edits(labels: Any, own: npt.NDArray[Any]) -> int:
    """Return how many labels are not the model's own; all of them where the shape is another.

    Parameters
    ----------
    labels : array_like
        Labels that may have been edited.
    own : ndarray of int
        The model's own.
    """
    edited = np.asarray(labels)
    if edited.shape != own.shape:
        return int(edited.size)
    return int(np.count_nonzero(edited != own))
