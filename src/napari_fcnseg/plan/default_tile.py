"""The default tile size: a second or so of work that fits into memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.cost import flop_per_pixel
from napari_fcnseg.conversion.memory import countable, tile_bytes
from napari_fcnseg.plan.smaller_tile import shrink_to_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.plan.pixel_method import PixelMethod


#: Work in a default tile, in FLOP: a few seconds on a laptop, so that progress and Cancel are prompt.
_WORK = 2.5e11
_STRIP_WORK = 1e11  # the same for strips: less is as good, since no halo is thrown away
_ROWS = {2: 64, 3: 8}  # of a strip, at least, by the number of axes
#: A tall strip has a multiple of so many rows: quick convolutions compute blocks of 2 to 6, dilated by 1 to 8.
_EVEN = 48
_WIDEST = {2: 4096, 3: 512}  # of a strip along the others: memory must not grow with the image
_PIXELS = 1024**2  # at most, however cheap the network is
_PATCH_WORK = 1e11  # the same patch by patch


def default_tile(
    networks: Sequence[DenseNetwork], frame: tuple[int, ...], budget: float, in_strips: bool = False
) -> tuple[int, ...]:
    """Return the tile for a frame, in output pixels: a second or so of work, shrunk until every network's tile fits.

    Parameters
    ----------
    networks : sequence of DenseNetwork
        Run one after the other on each tile.
    frame : tuple of int
        Places per axis: pixels, unless the networks answer at some only.
    budget : float
        Bytes that a tile may take. The smallest tile is returned where not even that fits.
    in_strips : bool
        Whether a tile is computed from what is kept of the one above it: then it has no halo along the first axis and
        is best low and wide, so that its maps stay in the processor's cache.
    """
    reach = [max(-(-n.reach[axis] // n.every[axis]) for n in networks) for axis in range(len(frame))]
    most = _PIXELS / max(math.prod(n.every) for n in networks)  # in the image, where the largest maps are
    pixels = min(most, (_STRIP_WORK if in_strips else _WORK) / max(sum(flop_per_pixel(n) for n in networks), 1))
    if in_strips:
        tile = _strip(frame, reach, pixels)
    else:
        side = round(pixels ** (1 / len(frame)))
        # A halo is computed and thrown away: where that tile would be hardly larger than it, take a larger one.
        tile = tuple(min(n, max(side, 4 * r)) for n, r in zip(frame, reach, strict=True))
    return shrink_to_fit(tile, lambda t: all(tile_bytes(n, t) <= budget and countable(n, t) for n in networks))


def _strip(frame: tuple[int, ...], reach: Sequence[int], pixels: float) -> tuple[int, ...]:
    """Return a strip of about so many output pixels: as wide as it can be while it has some rows."""
    rows = min(frame[0], _ROWS.get(len(frame), 1))
    sides = []
    for axis, length in enumerate(frame[1:], start=1):
        most = min((pixels / rows) ** (1 / (len(frame) - 1)), _WIDEST.get(len(frame), math.inf))
        most = max(most, 4 * reach[axis])
        sides.append(math.ceil(length / math.ceil(length / most)))
    wanted = max(rows, round(pixels / math.prod(sides)))
    if wanted >= 3 * _EVEN // 2:
        wanted = round(wanted / _EVEN) * _EVEN
    return (min(frame[0], wanted), *sides)


def default_patch_tile(networks: Sequence[DenseNetwork], frame: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tile, in patches per axis, that takes about a second patch by patch."""
    patches = _PATCH_WORK / max(sum(n.report.flop_per_patch for n in networks), 1)
    side = max(1, round(min(patches, _PIXELS) ** (1 / len(frame))))
    return tuple(min(n, side) for n in frame)


def default_pixel_tile(methods: Sequence[PixelMethod], frame: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tile of networks that are run as they are: a second or so of work; memory is looked at later."""
    pixels = min(_PIXELS, _WORK / max(sum(method.network.flop_per_pixel for method in methods), 1))
    return tuple(map(min, zip(*(method.best(frame, pixels) for method in methods), strict=True)))
