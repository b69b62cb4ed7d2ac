"""How large the tiles of another program may be, and how far they overlap so that no seam shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_fcnseg.conversion import DenseNetwork


def halos(network: DenseNetwork) -> tuple[int, ...]:
    """Return, per axis, how many pixels at either end of a tile's answer are those of a border and not of the image.

    What the specification has is one number for both ends: the larger.
    """
    return tuple(max(before, after, 0) for before, after in network.around)


def minimum(network: DenseNetwork) -> tuple[int, ...]:
    """Return the least size of a tile along each axis, its halo at both ends included.

    Less the halo, it is one pixel longer than the halo: so much it takes to reflect an image at its border. From there
    on every size will do.
    """
    return tuple(3 * halo + 1 for halo in halos(network))
