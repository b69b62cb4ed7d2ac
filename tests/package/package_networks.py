"""Small patch networks of every kind that is packaged, as inert data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, Dense, Flatten, Pool


def network(
    patch: tuple[int, ...], channels: int, *, padding: str = "valid", outputs: int = 3, stride: int = 1, seed: int = 0
) -> Network:
    """Return convolution, max-pooling, convolution, dense with softmax (a single output: sigmoid)."""
    random = np.random.default_rng(seed)
    spatial = len(patch)
    one, two, window = (1,) * spatial, (2,) * spatial, (3,) * spatial

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    def after(size: int) -> int:
        return size if padding == "same" else size - 2

    strided = [-(-after(n) // stride) for n in patch]
    flat = int(np.prod([after(n // 2) for n in strided]))
    last = Activation("softmax", {"axis": -1}) if outputs > 1 else Activation("sigmoid")
    chains = (
        (
            Conv(weights(*window, channels, 5), weights(1, 5)[0], (stride,) * spatial, one, padding=padding),
            Activation("relu"),
        ),
        (Pool("max", two, two),),
        (Conv(weights(*window, 5, 6), None, one, one, padding=padding), Activation("relu")),
        (Flatten(),),
        (Dense(weights(flat * 6, outputs) * 3, weights(1, outputs)[0]), last),
    )
    nodes, previous = [], INPUT
    for number, chain in enumerate(chains):
        nodes.append(Node(f"layer_{number}", type(chain[0]).__name__, chain, (previous,)))
        previous = f"layer_{number}"
    return Network("tiny", (*patch, channels), tuple(nodes), previous)


def with_inputs(plain: Network, names: tuple[str, ...]) -> Network:
    """Return the network as one whose channels come from several inputs."""
    return replace(plain, input_names=names)
