"""A smaller tile, where one does not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Pixels per axis: a smaller tile takes hardly less, since its halo stays.
SMALLEST = 8


def shrink_to_fit(tile: tuple[int, ...], fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return a tile halved along its longest axis until it fits, or the smallest if none does."""
    while not fits(tile) and (smaller := halve(tile)) is not None:
        tile = smaller
    return tile


def halve(tile: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return a tile halved along its longest axis, None if it is as small as makes a difference."""
    axis = max(range(len(tile)), key=tile.__getitem__)
    if tile[axis] <= SMALLEST:
        return None
    return (*tile[:axis], -(-tile[axis] // 2), *tile[axis + 1 :])
