"""How much memory a tile takes, and the largest tile that fits.

Bytes are counted from the network: at each layer what it reads and its results are alive, in float32, and the
convolution library may hold copies in an order of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.cost import dense_flop, place_flop
from napari_fcnseg.conversion.fcn import IMAGE, DenseNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Bytes that the computing process takes before it computes anything: TensorFlow and Numba, on Linux.
FRAMEWORK = 700 * 2**20
#: Work in a default tile, in FLOP: a few seconds on a laptop, so that progress and Cancel are prompt.
_WORK = 2.5e11
_STRIP_WORK = 1e11  # the same for strips: less is as good, since no halo is thrown away
_ROWS = {2: 64, 3: 8}  # of a strip, at least, by the number of axes
_WIDEST = {2: 4096, 3: 512}  # of a strip along the others: memory must not grow with the image
_PIXELS = 1024**2  # at most, however cheap the network is
_PATCH_WORK = 1e11  # the same patch by patch
_BATCH_BYTES = 2**28  # of the largest layer's result
#: Pixels per axis: a smaller tile takes hardly less, since its halo stays.
SMALLEST = 8
_LARGEST_TENSOR = 2**31 - 1  # elements; TensorFlow counts with 32 bits
_FLOAT = 4


def tile_bytes(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the bytes that computing one tile takes at its worst layer, weights not counted.

    The framework runs the steps of a layer in any order, so all their results may be alive together with what they
    read; and the largest of them may work on copies of what it reads. What a process is then measured to take is two to
    three times that (:mod:`napari_fcnseg.allowance`).

    Parameters
    ----------
    network : DenseNetwork
        The network.
    tile : tuple of int
        Pixels per axis of the tile's answer.
    """
    sizes = _tensor_sizes(network, tile)
    layers: dict[str, list[int]] = {}
    for number, step in enumerate(network.steps):
        layers.setdefault(step.layer, []).append(number)
    worst = 0
    for numbers in layers.values():
        read = [{source.step for source in network.steps[n].inputs} for n in numbers]
        alive = set(numbers).union(*read)
        copied = max(sum(sizes[source] for source in sources) for sources in read)
        worst = max(worst, sum(sizes[n] for n in alive) + copied)
    return _FLOAT * worst


def _tensor_sizes(network: DenseNetwork, tile: tuple[int, ...]) -> dict[int, int]:
    """Return the number of elements of every step's result, and of the image's window."""
    sizes = {IMAGE: math.prod(network.window(tile)) * network.channels}
    for number, step in enumerate(network.steps):
        sizes[number] = math.prod(step.shape(tile)) * step.channels
    return sizes


def patch_bytes(network: DenseNetwork, patches: int) -> int:
    """Return the bytes that computing so many patches by the patch network takes, weights not counted."""
    batch = min(patches, patch_batch(network))
    return 3 * _FLOAT * batch * _patch_numbers(network)


def choose_tile(
    networks: Sequence[DenseNetwork], frame: tuple[int, ...], budget: float, in_strips: bool = False
) -> tuple[int, ...]:
    """Return the tile for a frame, in places: a second or so of work, shrunk until every network's tile fits.

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
    pixels = min(most, (_STRIP_WORK if in_strips else _WORK) / max(sum(place_flop(n) for n in networks), 1))
    if in_strips:
        tile = _strip(frame, reach, pixels)
    else:
        side = round(pixels ** (1 / len(frame)))
        # A halo is computed and thrown away: where that tile would be hardly larger than it, take a larger one.
        tile = tuple(min(n, max(side, 4 * r)) for n, r in zip(frame, reach, strict=True))
    return shrunk(tile, lambda t: all(tile_bytes(n, t) <= budget and countable(n, t) for n in networks))


def _strip(frame: tuple[int, ...], reach: Sequence[int], pixels: float) -> tuple[int, ...]:
    """Return a strip of about so many places: as wide as it can be while it has some rows."""
    rows = min(frame[0], _ROWS.get(len(frame), 1))
    sides = []
    for axis, length in enumerate(frame[1:], start=1):
        most = min((pixels / rows) ** (1 / (len(frame) - 1)), _WIDEST.get(len(frame), math.inf))
        most = max(most, 4 * reach[axis])
        sides.append(math.ceil(length / math.ceil(length / most)))
    return (min(frame[0], max(rows, round(pixels / math.prod(sides)))), *sides)


def shrunk(tile: tuple[int, ...], fits: Callable[[tuple[int, ...]], bool]) -> tuple[int, ...]:
    """Return a tile halved along its longest axis until it fits, or the smallest if none does."""
    while not fits(tile) and (smaller := halved(tile)) is not None:
        tile = smaller
    return tile


def halved(tile: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return a tile halved along its longest axis, None if it is as small as makes a difference."""
    axis = max(range(len(tile)), key=tile.__getitem__)
    if tile[axis] <= SMALLEST:
        return None
    return (*tile[:axis], -(-tile[axis] // 2), *tile[axis + 1 :])


def tile_flop(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the FLOP of one tile, its halo included."""
    return sum(
        dense_flop(step.op, len(step.inputs), step.channels) * math.prod(step.shape(tile)) for step in network.steps
    )


def patch_tile(networks: Sequence[DenseNetwork], frame: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tile, in patches per axis, that takes about a second patch by patch."""
    patches = _PATCH_WORK / max(sum(n.report.flop_per_patch for n in networks), 1)
    side = max(1, round(min(patches, _PIXELS) ** (1 / len(frame))))
    return tuple(min(n, side) for n in frame)


def patch_batch(network: DenseNetwork) -> int:
    """Return how many patches are computed at once: larger batches gain nothing and take memory."""
    return max(1, min(1024, _BATCH_BYTES // (_FLOAT * _patch_numbers(network))))


def _patch_numbers(network: DenseNetwork) -> int:
    """Return the numbers of a patch or of the largest layer's result for it."""
    return max(network.report.patch_numbers, math.prod(network.patch_shape) * network.channels)


def countable(network: DenseNetwork, tile: tuple[int, ...]) -> bool:
    """Return whether the framework can number the elements of every map of a tile."""
    return max(_tensor_sizes(network, tile).values()) <= _LARGEST_TENSOR
