"""A tile that somebody else has written: its arrays are read where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_fcnseg.run.run import Tile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.run.witnesses import Seen


class StoredTile(Tile):
    """A tile in the files of a run's results.

    Its ``labels``, ``scores``, ``confidence`` and ``disagreement`` are read anew each time; ``scores`` that are not
    kept are not there.
    """

    @classmethod
    def of(
        cls, arrays: Mapping[str, Any], where: tuple[int | slice, ...], sums: tuple[int, ...], done: int, total: int,
        notes: tuple[str, ...], seen: Seen | None = None,
    ) -> Self:  # fmt: skip
        """Return a tile.

        Parameters
        ----------
        arrays : mapping of str to array_like
            The results, by their kinds.
        where, sums, done, total, notes, seen
            As of a :class:`~napari_fcnseg.run.run.Tile`.
        """
        tile = cls(where, _NOTHING, _NOTHING, done, total, notes, sums=sums, seen=seen)
        object.__setattr__(tile, "_arrays", arrays)
        return tile

    def __getattribute__(self, name: str) -> Any:
        kind = _KINDS.get(name)
        if kind is None:
            return super().__getattribute__(name)
        array = super().__getattribute__("_arrays").get(kind)
        return None if array is None else np.asarray(array[super().__getattribute__("where")])


_NOTHING: Any = np.zeros(0, np.uint8)
_KINDS = {"labels": "labels", "scores": "probabilities", "confidence": "confidence", "disagreement": "disagreement"}
