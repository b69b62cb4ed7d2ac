"""Architectures that people write, by name: each function returns one as plain data."""

from __future__ import annotations

from typing import Any

from architectures.graph import Graph
from architectures.shapes import Tensor

Spec = dict[str, Any]


def _begin(*patch: int, inputs: tuple[int, ...] = (2,)) -> Graph:
    return Graph([Tensor.of_patch(patch, channels) for channels in inputs])


def _classes(graph: Graph, x: int, units: int = 3, **more: Any) -> Spec:
    graph.head = graph.dense(x, units, activation="softmax")
    return graph.spec([graph.head], **more)


def tutorial() -> Spec:
    """Convolutions with ``padding="same"``, each followed by pooling; Flatten, Dense, Dense."""
    graph, x = _begin(20, 20, inputs=(1,)), 0
    for filters in (4, 6, 8):
        x = graph.pool(graph.conv(x, filters, 3, padding="same", activation="relu"), "Max")
    x = graph.dense(graph.flatten(x), 10, activation="relu")
    return _classes(graph, x, kind="Sequential")


def residual() -> Spec:
    """Two residual blocks, the second with stride 2 and a projection beside it."""
    graph = _begin(15, 13)
    x = graph.conv(0, 4, 3, padding="same", use_bias=False)
    for strides in (1, 2):
        y = graph.same(graph.same(x, "BatchNormalization"), "ReLU")
        y = graph.conv(y, 4, 3, strides, padding="same", use_bias=False)
        short = x if strides == 1 else graph.conv(x, 4, 1, strides, padding="same")
        x = graph.merge("Add", [graph.same(y, "BatchNormalization"), short])
    return _classes(graph, graph.global_pool(x, "Average"))


def multi_resolution() -> Spec:
    """Three views of the patch, fine to coarse, side by side before the head."""
    graph, ends = _begin(21, 18), []
    for pool, kernel in ((1, 7), (2, 4), (3, 3)):
        x = 0 if pool == 1 else graph.pool(0, "Average", pool)
        ends.append(graph.flatten(graph.pool(graph.conv(x, 4, kernel, activation="relu"), "Max")))
    return _classes(graph, graph.concatenate(ends))


def squeeze_and_excite() -> Spec:
    """Weight the channels by what the whole patch says."""
    graph = _begin(12, 14)
    x = graph.conv(0, 6, 3, padding="same", activation="relu")
    y = graph.dense(graph.global_pool(x, "Average", keepdims=True), 3, activation="relu")
    x = graph.merge("Multiply", [x, graph.dense(y, 6, activation="sigmoid")])
    return _classes(graph, graph.flatten(graph.pool(x, "Max")))


def volume() -> Spec:
    """Three dimensions, ``padding="same"`` with stride 2, a patch thinner than it is wide."""
    graph = _begin(5, 9, 10, inputs=(1,))
    x = graph.conv(0, 3, 3, 2, padding="same", activation="relu")
    x = graph.pool(x, "Average", (1, 2, 2), padding="same")
    return _classes(graph, graph.flatten(x))


def channels_first() -> Spec:
    """Keep the channels first, and flatten in that order."""
    graph = _begin(12, 10, inputs=(3,))
    x = graph.conv(0, 4, 3, padding="same", activation="relu")
    x = graph.same(graph.pool(x, "Max"), "BatchNormalization")
    return _classes(graph, graph.flatten(x, plain=True), first=True)


def shared_layer() -> Spec:
    """One convolution used at two places of the network."""
    graph = _begin(11, 11)
    x = graph.conv(0, 2, 3, padding="same", activation="relu")
    pooled = graph.pool(x, "Max")
    y = graph.again(x, pooled, graph[pooled].windowed((3, 3), (1, 1), (1, 1), "same"))
    return _classes(graph, graph.flatten(y))


def nested() -> Spec:
    """Put a model inside a model inside the model; the middle one is used twice."""
    graph = _begin(12, 11)
    middle = Graph([graph[0]])
    inner = Graph([middle[0]])
    inner.same(inner.conv(0, 2, 3, padding="same", use_bias=False), "BatchNormalization")
    x = middle.model(0, "Sequential", inner)
    middle.merge("Add", [0, middle.same(x, "ReLU")])
    x = graph.model(0, "Functional", middle)
    x = graph.again(x, x, graph[x].windowed((3, 3), (1, 1), (1, 1), "same"))
    return _classes(graph, graph.flatten(graph.pool(x, "Average", 3)))


def two_inputs() -> Spec:
    """Two channel groups of the same patch, each with a branch of its own."""
    graph = _begin(13, 12, inputs=(1, 2))
    branches = [graph.conv(x, 3, 3 + x, activation="relu") for x in (0, 1)]
    ends = [graph.flatten(graph.pool(x, "Max", 3)) for x in branches]
    return _classes(graph, graph.concatenate(ends))


def two_outputs() -> Spec:
    """Two heads; the second, with another number of classes, is the one asked for."""
    graph = _begin(10, 12)
    x = graph.global_pool(graph.conv(0, 5, 3, padding="same", activation="relu"), "Max")
    first = graph.dense(x, 2, activation="softmax")
    graph.head = graph.dense(x, 4, activation="softmax")
    return graph.spec([first, graph.head], pick=1)


def normalised() -> Spec:
    """Layer normalisation over the whole patch and group normalisation: every position becomes a map of its own."""
    graph = _begin(7, 6)
    x = graph.conv(0, 4, 3, padding="same", activation="relu")
    x = graph.mixing(x, "GroupNormalization", groups=2)
    x = graph.mixing(graph.pool(x, "Max"), "LayerNormalization", axis=[1, 2, 3])
    return _classes(graph, graph.flatten(x))


def decoder() -> Spec:
    """Down and up again inside the patch, joined with what was there before: a small U."""
    graph = _begin(8, 8)
    x = graph.conv(0, 3, 3, padding="same", activation="relu")
    y = graph.conv(graph.pool(x, "Max"), 3, 3, padding="same", activation="relu")
    y = graph.transpose(y, 3, 2, 2, "same")
    z = graph.up(graph.pool(x, "Average"), (2, 2))
    x = graph.crop(graph.concatenate([x, y, z]), [[2, 3], [2, 3]])
    return _classes(graph, graph.flatten(x))


def two_lattices() -> Spec:
    """Two maps of equal size added whose positions lie one and two pixels apart."""
    graph = _begin(12, 14)
    halved = graph.pool(graph.conv(0, 2, 3, activation="relu"), "Max")
    cropped = graph.crop(0, [[3, 4], [4, 4]])
    return _classes(graph, graph.flatten(graph.merge("Add", [halved, cropped])))


#: All of them, by name.
RECIPES = (
    tutorial, residual, multi_resolution, squeeze_and_excite, volume, channels_first, shared_layer, nested, two_inputs,
    two_outputs, normalised, decoder, two_lattices,
)  # fmt: skip
