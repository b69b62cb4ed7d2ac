"""Random architectures: whatever the issue says must convert, weighted towards graphs and ``padding="same"``.

All chance comes from a :class:`random.Random`: hypothesis gives one that it can shrink, ``make prove`` a seeded one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _versions

from architectures.blocks import BLOCKS
from architectures.graph import Graph
from architectures.layers import Drawing, activation, pool
from architectures.shapes import Tensor

if TYPE_CHECKING:
    from random import Random

_PATCH = {1: (5, 40), 2: (5, 22), 3: (4, 9)}
_PATCHES = {1: (8, 40), 2: (8, 18), 3: (4, 8)}  # most of them
_MAPS = {1: 40, 2: 40, 3: 28}
_RECIPES = ("mixed",) * 8 + ("vgg", "vgg", "resnet", "multires")


def draw_architecture(random: Random, rank: int, maps: int | None = None) -> dict[str, Any]:
    """Draw a patch network as plain data.

    Parameters
    ----------
    random : Random
        Where chance comes from.
    rank : int
        Number of spatial axes.
    maps : int, optional
        Dense maps that it may take, about: more take longer to compile.
    """
    low, high = random.choice([_PATCHES, _PATCHES, _PATCH])[rank]
    sizes = tuple(random.randint(low, high) for _ in range(rank))
    if random.randint(0, 2) == 0:
        sizes = (sizes[0],) * rank
    inputs = [random.randint(1, 3) for _ in range(random.choice([1, 1, 1, 1, 1, 2, 3]))]
    first = random.randint(0, 7) == 0
    graph = Graph([Tensor.of_patch(sizes, channels) for channels in inputs])
    drawing = Drawing(random, graph, maps or _MAPS[rank], first)
    x = _entrance(drawing, len(inputs))
    x = {"mixed": _mixed, "vgg": _vgg, "resnet": _resnet, "multires": _multires}[random.choice(_RECIPES)](drawing, x)
    outputs = [_head(drawing, x)]
    heads = [graph.head]
    if random.randint(0, 9) == 0:
        outputs.append(_head(drawing, x))
        heads.append(graph.head)
    pick = random.randint(0, len(outputs) - 1)
    graph.head = heads[pick]
    chain = len(outputs) == len(inputs) == 1 and all(
        node["in"] == [number] and node.get("layer", "")[:4] != "ops." and "again" not in node
        for number, node in enumerate(graph.nodes)
    )
    # Nobody can read off a file where the channels are when no layer in it says so.
    names = _names(graph.nodes)
    first = first and any("Conv" in name or "Pool" in name for name in names)
    if "ZeroPadding1D" in names and _versions.lacking("keras", "3.5"):  # pads signals with the channels last only
        first = False
    operations = any(node.get("layer", "")[:4] == "ops." for node in graph.nodes)
    return graph.spec(
        outputs, pick=pick, first=first, seed=random.randint(0, 999),
        kind="Sequential" if chain and random.randint(0, 3) else "Functional",
        file="h5" if not operations and random.randint(0, 7) == 0 else "keras",
    )  # fmt: skip


def _names(nodes: list[dict[str, Any]]) -> list[str]:
    return [name for node in nodes for name in ([node["layer"]] if "layer" in node else _names(node.get("nodes", [])))]


def _entrance(drawing: Drawing, inputs: int) -> int:
    graph, random = drawing.graph, drawing.random
    if inputs == 1:
        return 0
    if random.randint(0, 1):
        return graph.concatenate(list(range(inputs)))
    filters = random.randint(2, 4)
    first = graph.conv(0, filters, 3, padding="same")
    branches = [first]
    for x in range(1, inputs):
        if graph[x].channels == graph[0].channels and random.randint(0, 1):  # the same layer sees both
            branches.append(graph.again(first, x, graph[first]))
        else:
            branches.append(graph.conv(x, filters, 3, padding="same", activation="relu"))
    return graph.concatenate(branches) if random.randint(0, 1) else graph.merge("Add", branches)


def _mixed(drawing: Drawing, x: int) -> int:
    for _ in range(drawing.random.randint(1, 5)):
        x = drawing.random.choice(BLOCKS)(drawing, x)
    return x


def _vgg(drawing: Drawing, x: int) -> int:
    graph, random = drawing.graph, drawing.random
    filters, padding = random.choice([4, 6, 8]), random.choice(["same", "same", "valid"])
    for _ in range(random.randint(1, 3)):
        for _ in range(random.randint(1, 2)):
            if padding == "valid" and min(graph[x].sizes) < 3:
                return x
            result = graph[x].windowed((3,) * graph.rank, (1,) * graph.rank, (1,) * graph.rank, padding)
            if drawing.left < result.maps:
                return x
            x = graph.conv(x, filters, 3, padding=padding, activation="relu")
        if min(graph[x].sizes) < 2:
            return x
        x = graph.pool(x, random.choice(["Max", "Max", "Average"]))
    return x


def _resnet(drawing: Drawing, x: int) -> int:
    graph, random = drawing.graph, drawing.random
    filters = random.choice([3, 4])
    x = graph.conv(x, filters, 3, padding=random.choice(["same", "valid"]), use_bias=False)
    for _ in range(random.randint(1, 2)):
        strides = random.choice([1, 2])
        if drawing.left < 4 * graph[x].windowed((3,) * graph.rank, (1,) * graph.rank, (1,) * graph.rank, "same").maps:
            break
        y = graph.same(x, "BatchNormalization")
        y = activation(drawing, y)
        y = graph.conv(y, filters, 3, strides, padding="same", use_bias=False)
        y = graph.same(y, "BatchNormalization")
        short = x if strides == 1 else graph.conv(x, filters, 1, strides, padding="same")
        x = activation(drawing, graph.merge("Add", [y, short]))
    return x


def _multires(drawing: Drawing, x: int) -> int:
    """Side branches of different reach, flattened or pooled, side by side before the head."""
    graph, random = drawing.graph, drawing.random
    ends = []
    for _ in range(random.randint(2, 3)):
        y = x
        if random.randint(0, 1):
            y = pool(drawing, y)
        kernel = random.randint(1, min(7, *graph[y].sizes))
        y = graph.conv(y, random.randint(2, 4), kernel, random.randint(1, 3), activation="relu")
        pooled = random.randint(0, 1)
        ends.append(graph.global_pool(y, random.choice(["Average", "Max"])) if pooled else graph.flatten(y))
    return graph.concatenate(ends)


def _head(drawing: Drawing, x: int) -> int:
    graph, random = drawing.graph, drawing.random
    units, final = random.choice([(2, "softmax"), (3, "softmax"), (3, "softmax"), (4, "softmax"), (1, "sigmoid"),
                                  (1, "linear"), (4, "linear")])  # fmt: skip
    if graph[x].sizes:
        kind = random.choice(["flatten", "flatten", "flatten", "pool", "pool", "conv", "map"])
        if kind in ("conv", "map"):
            return _convolutional_head(drawing, x, kind, units, final)
        if kind == "pool":
            x = graph.global_pool(x, random.choice(["Average", "Max"]), keepdims=random.randint(0, 4) == 0)
        if graph[x].sizes:
            x = graph.flatten(x, plain=drawing.coin(3), reshape=drawing.coin(4))
    for _ in range(random.choice([0, 0, 1, 2])):
        x = drawing.vector_layer(x)
    separate = drawing.coin(3)
    x = graph.head = graph.dense(x, units, activation="linear" if separate else final)
    return graph.same(x, "Activation", activation=final) if separate else x


def _convolutional_head(drawing: Drawing, x: int, kind: str, units: int, final: str) -> int:
    graph = drawing.graph
    kernel = graph[x].sizes if kind == "conv" else 1
    x = graph.head = graph.conv(x, units, kernel)
    if kind == "map":
        if final == "softmax" and drawing.coin(2):  # the mean of the places' probabilities
            x = graph.same(x, "Softmax")
            return graph.global_pool(x, "Average")
        return graph.same(graph.global_pool(x, "Average"), "Activation", activation=final)
    if drawing.coin(2):
        x = graph.same(x, "Activation", activation=final)
        return graph.flatten(x, reshape=drawing.coin(2))
    return graph.same(graph.flatten(x), "Activation", activation=final)
