"""How much memory a tile takes, and the largest tile that fits.

Bytes are counted from the network: at each step its input and its result are alive, in float32, and the convolution
library may hold a copy of either in an order of its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from napari_fcnseg.conversion.fcn import DenseNetwork, window_of
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Work in a default tile, in FLOP: a few seconds on a laptop, so that progress and Cancel are prompt.
_WORK = 2.5e11
_PIXELS = 1024**2  # at most, however cheap the network is
_SMALLEST = 8
_LARGEST_TENSOR = 2**31 - 1  # elements; TensorFlow counts with 32 bits
_FLOAT = 4


def tile_bytes(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the bytes that computing one tile takes at its worst step, weights not counted.

    Parameters
    ----------
    network : DenseNetwork
        The network.
    tile : tuple of int
        Pixels per axis of the tile's answer.
    """
    sizes = _tensor_sizes(network, tile)
    return _FLOAT * max(2 * sizes[s.inputs[0]] + 2 * sizes[n] for n, s in enumerate(network.steps))


def _tensor_sizes(network: DenseNetwork, tile: tuple[int, ...]) -> dict[int, int]:
    """Return the number of elements of every step's result, and of the image's window (-1)."""
    shapes = {-1: tuple(t + r - 1 for t, r in zip(tile, network.reach, strict=True))}
    sizes = {-1: math.prod(shapes[-1]) * network.channels}
    for number, step in enumerate(network.steps):
        shape = shapes[step.inputs[0]]
        window = window_of(step.op)
        if window is not None:
            shape = tuple(n - (k - 1) * d for n, k, d in zip(shape, *window, strict=True))
        shapes[number] = shape
        sizes[number] = math.prod(shape) * step.channels
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
                f"{least / 2**20:.0f} MiB. Allow more memory."
            )
        tile[axis] = -(-tile[axis] // 2)
    return tuple(tile)


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
