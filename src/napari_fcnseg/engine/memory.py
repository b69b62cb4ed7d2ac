"""How much memory a tile takes, and the largest tile that fits.

Bytes are counted from the network: at each layer what it reads and its results are alive, in float32, and the
convolution library may hold copies in an order of its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from napari_fcnseg.conversion.cost import dense_flop
from napari_fcnseg.conversion.fcn import IMAGE, DenseNetwork
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Work in a default tile, in FLOP: a few seconds on a laptop, so that progress and Cancel are prompt.
_WORK = 2.5e11
_PIXELS = 1024**2  # at most, however cheap the network is
_PATCH_WORK = 1e11  # the same patch by patch
_BATCH_BYTES = 2**28  # of the largest layer's result
_SMALLEST = 8
_LARGEST_TENSOR = 2**31 - 1  # elements; TensorFlow counts with 32 bits
_FLOAT = 4


def tile_bytes(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the bytes that computing one tile takes at its worst layer, weights not counted.

    The framework runs the steps of a layer in any order, so all their results may be alive together with what they
    read; and the largest of them may work on copies of what it reads. Measured with edge variants: 1.2 times the truth.

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
    sizes = {IMAGE: math.prod(t + r - 1 for t, r in zip(tile, network.reach, strict=True)) * network.channels}
    for number, step in enumerate(network.steps):
        sizes[number] = math.prod(t + e for t, e in zip(tile, step.extra, strict=True)) * step.channels
    return sizes


def choose_tile(networks: Sequence[DenseNetwork], frame: tuple[int, ...], limit: int | None = None) -> tuple[int, ...]:
    """Return the tile for a frame: a few seconds of work, shrunk until every network's tile fits.

    Parameters
    ----------
    networks : sequence of DenseNetwork
        Run one after the other on each tile.
    frame : tuple of int
        Spatial shape of the image.
    limit : int, optional
        Bytes; half of what is free otherwise.

    Raises
    ------
    SettingsError
        If not even the smallest tile fits.
    """
    budget = limit or free_memory() // 2
    reach = [max(n.reach[axis] for n in networks) for axis in range(len(frame))]
    pixels = min(_PIXELS, _WORK / max(sum(n.report.flop_per_pixel for n in networks), 1))
    side = round(pixels ** (1 / len(frame)))
    # A halo is computed and thrown away: where that tile would be hardly larger than it, take a larger one.
    tile = [min(n, max(side, 4 * r)) for n, r in zip(frame, reach, strict=True)]
    while not _fits(networks, tuple(tile), budget):
        axis = max(range(len(tile)), key=tile.__getitem__)
        if tile[axis] <= _SMALLEST:
            least = max(tile_bytes(n, tuple(tile)) for n in networks)
            raise SettingsError(
                f"The memory limit of {budget / 2**20:.0f} MiB is too small: even a tile of {tile[axis]} pixels takes "
                f"{least / 2**20:.0f} MiB. Allow more memory, or choose the method patchwise."
            )
        tile[axis] = -(-tile[axis] // 2)
    return tuple(tile)


def tile_flop(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the FLOP of one tile, its halo included."""
    return sum(
        dense_flop(step.op, len(step.inputs), step.channels)
        * math.prod(t + e for t, e in zip(tile, step.extra, strict=True))
        for step in network.steps
    )


def patch_tile(networks: Sequence[DenseNetwork], frame: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tile, in patches per axis, that takes about a second patch by patch."""
    patches = _PATCH_WORK / max(sum(n.report.flop_per_patch for n in networks), 1)
    side = max(1, round(min(patches, _PIXELS) ** (1 / len(frame))))
    return tuple(min(n, side) for n in frame)


def patch_batch(network: DenseNetwork) -> int:
    """Return how many patches are computed at once: larger batches gain nothing and take memory."""
    numbers = max(network.report.patch_numbers, math.prod(network.patch_shape) * network.channels)
    return max(1, min(1024, _BATCH_BYTES // (_FLOAT * numbers)))


def _fits(networks: Sequence[DenseNetwork], tile: tuple[int, ...], budget: int) -> bool:
    return all(
        tile_bytes(n, tile) <= budget and max(_tensor_sizes(n, tile).values()) <= _LARGEST_TENSOR for n in networks
    )


def free_memory() -> int:
    """Return the bytes this process may still take: what the system has free, or its control group if that is less."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no limit, or no control groups
        return free
    return max(min(free, limit - used), 0)
