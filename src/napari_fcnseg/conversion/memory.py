"""Memory and work of a tile.

Bytes are counted from the network: at each layer what it reads and its results are alive, in float32, and the
convolution library may hold copies in an order of its own.
"""

from __future__ import annotations

import math

from napari_fcnseg.conversion.cost import dense_flop
from napari_fcnseg.conversion.dense_network import IMAGE, DenseNetwork

_BATCH_BYTES = 2**28  # of the largest layer's result
_LARGEST_TENSOR = 2**31 - 1  # elements; TensorFlow counts with 32 bits
_FLOAT = 4


def tile_bytes(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the bytes that computing one tile takes at its worst layer, weights not counted.

    The framework runs the steps of a layer in any order, so all their results may be alive together with what they
    read; and the largest of them may work on copies of what it reads. What a process is then measured to take is two to
    three times that (:mod:`napari_fcnseg.plan.memory_budget`).

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


def tile_flop(network: DenseNetwork, tile: tuple[int, ...]) -> int:
    """Return the FLOP of one tile, its halo included."""
    return sum(
        dense_flop(step.op, len(step.inputs), step.channels) * math.prod(step.shape(tile)) for step in network.steps
    )


def patch_batch(network: DenseNetwork) -> int:
    """Return how many patches are computed at once: larger batches gain nothing and take memory."""
    return max(1, min(1024, _BATCH_BYTES // (_FLOAT * _patch_numbers(network))))


def _patch_numbers(network: DenseNetwork) -> int:
    """Return the numbers of a patch or of the largest layer's result for it."""
    return max(network.report.patch_numbers, math.prod(network.patch_shape) * network.channels)


def countable(network: DenseNetwork, tile: tuple[int, ...]) -> bool:
    """Return whether the framework can number the elements of every map of a tile."""
    return max(_tensor_sizes(network, tile).values()) <= _LARGEST_TENSOR
