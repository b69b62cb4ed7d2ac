"""What an architecture is made of, drawn at random: one function per kind of block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from architectures.graph import Graph
from architectures.layers import ACTIVATIONS, Drawing, border, conv, normalise, pointwise, pool, transpose

if TYPE_CHECKING:
    from collections.abc import Callable


def residual(drawing: Drawing, x: int) -> int:
    """Draw branches that keep the shape, joined with what they began with or with each other."""
    graph, random = drawing.graph, drawing.random
    channels = graph[x].channels
    if drawing.left < 4 * graph[x].windowed((3,) * graph.rank, (1,) * graph.rank, (1,) * graph.rank, "same").maps:
        return conv(drawing, x)
    kind = random.choice(["Add", "Add", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"])
    branches = [x]
    for _ in range(1 if kind == "Subtract" else random.randint(1, 2)):
        y = x
        for _ in range(random.randint(1, 2)):
            y = _keeping(drawing, y, channels)
        branches.append(y)
    random.shuffle(branches)
    if kind == "Concatenate":
        return graph.concatenate(branches)
    bare = kind in ("Add", "Subtract", "Multiply", "Maximum") and not drawing.depth
    if bare and len(branches) == 2 and drawing.coin(4):
        return graph.merge(f"ops.{kind.lower()}", branches)
    return graph.merge(kind, branches)


def _keeping(drawing: Drawing, x: int, channels: int) -> int:
    """Add a layer that keeps the shape: padded, or cut and surrounded again."""
    graph, random, rank = drawing.graph, drawing.random, drawing.graph.rank
    kind = random.choice(["same", "same", "same", "pool", "around", "one", "wide"])
    if kind == "pool":
        return graph.pool(x, random.choice(["Max", "Average"]), random.randint(2, 3), 1, "same")
    if kind == "around" and min(graph[x].sizes) > 2:
        y = graph.conv(x, channels, 3, activation="relu")
        return graph.pad(y, [[1, 1]] * rank)
    kernel = {"one": 1, "wide": random.randint(2, 4)}.get(kind, 3)
    if drawing.left < 2 * graph[x].windowed((kernel,) * rank, (1,) * rank, (1,) * rank, "same").maps:
        kernel = 1
    return graph.conv(x, channels, kernel, padding="same", activation=random.choice(ACTIVATIONS))


def strided(drawing: Drawing, x: int) -> int:
    """Draw branches that halve the map in different ways, joined."""
    graph, random, rank = drawing.graph, drawing.random, drawing.graph.rank
    if drawing.left < 4 * graph[x].windowed((3,) * rank, (2,) * rank, (1,) * rank, "same").maps:
        return conv(drawing, x)
    channels = random.randint(2, 4)
    a = graph.conv(x, channels, random.randint(1, 4), 2, padding="same", activation="relu")
    b = graph.pool(x, random.choice(["Max", "Average"]), random.randint(2, 3), 2, "same")
    b = graph.conv(b, channels, 1)
    return graph.concatenate([a, b]) if drawing.coin(2) else graph.merge("Add", [a, b])


def uneven(drawing: Drawing, x: int) -> int:
    """Draw two resolutions of equal size, one halved and one cropped, joined place by place."""
    graph, random, rank = drawing.graph, drawing.random, drawing.graph.rank
    halved = graph[x].windowed((2,) * rank, (2,) * rank, (1,) * rank, "valid") if min(graph[x].sizes) > 1 else graph[x]
    if min(graph[x].sizes) < 2 or drawing.left < 4 * halved.dissolved().maps:
        return pool(drawing, x)
    if drawing.first and rank == 1:  # Keras crops channels last only
        return pool(drawing, x)
    a = graph.pool(x, random.choice(["Max", "Average"]), 2)
    cut = [n - m for n, m in zip(graph[x].sizes, graph[a].sizes, strict=True)]
    b = graph.crop(x, [[n // 2, n - n // 2] for n in cut])
    return graph.merge(random.choice(["Add", "Multiply", "Maximum"]), [a, b])


def squeeze(drawing: Drawing, x: int) -> int:
    """Draw a squeeze-and-excite block: the channels weighted by what the whole patch says."""
    graph, random = drawing.graph, drawing.random
    channels = graph[x].channels
    if drawing.left < 2 * graph[x].maps:
        return x
    y = graph.global_pool(x, random.choice(["Average", "Average", "Max"]), keepdims=True)
    if drawing.first or drawing.coin(2):
        y = graph.conv(y, 3, 1, activation="relu")
        y = graph.conv(y, channels, 1, activation="sigmoid")
    else:
        y = graph.dense(y, 3, activation="relu")
        y = graph.dense(y, channels, activation="sigmoid")
    return graph.merge("Multiply", [x, y])


def attend(drawing: Drawing, x: int) -> int:
    """Draw a weight per position."""
    graph = drawing.graph
    if drawing.left < 3 * graph[x].maps:
        return x
    y = graph.conv(x, 1, 1, activation="sigmoid")
    return graph.merge("Multiply", [x, y])


def shared(drawing: Drawing, x: int) -> int:
    """Draw a layer that is used twice, one after the other or side by side."""
    graph, channels, rank = drawing.graph, drawing.graph[x].channels, drawing.graph.rank
    if drawing.depth or drawing.left < 4 * graph[x].windowed((3,) * rank, (1,) * rank, (1,) * rank, "same").maps:
        return pointwise(drawing, x)
    y = graph.conv(x, channels, 3, padding="same", activation=drawing.random.choice(ACTIVATIONS))
    if drawing.coin(2):
        between = graph.same(y, "ReLU")
        after = graph[between].windowed((3,) * rank, (1,) * rank, (1,) * rank, "same")
        return graph.again(y, between, after)
    other = graph.same(x, "BatchNormalization")
    return graph.merge("Add", [y, graph.again(y, other, graph[y])])


def nested(drawing: Drawing, x: int) -> int:
    """Draw a model inside the model, used once or twice."""
    graph, random = drawing.graph, drawing.random
    if drawing.depth > 1:
        return conv(drawing, x)
    inner = Graph([graph[x]])
    part = Drawing(random, inner, drawing.left // 2, drawing.first, drawing.depth + 1)
    y = conv(part, 0)
    for _ in range(random.randint(0, 2)):
        y = random.choice(BLOCKS)(part, y)
    if y == 0:
        return x
    chain = all(node["in"] == [number] for number, node in enumerate(inner.nodes))
    y = graph.model(x, "Sequential" if chain and random.randint(0, 1) else "Functional", inner)
    if graph[y].sizes == graph[x].sizes and graph[y].channels == graph[x].channels and drawing.coin(2):
        after = graph[y].joined(graph[x])
        return graph.merge("Add", [y, graph.again(y, graph.same(x, "ReLU"), after)])
    return y


def relabel(drawing: Drawing, x: int) -> int:
    """Draw a change of the axes that is undone after a layer in between."""
    graph, rank = drawing.graph, drawing.graph.rank
    if drawing.first or rank == 1:
        return x
    sizes, channels = graph[x].sizes, graph[x].channels
    if drawing.coin(2):
        y = graph.same(x, "Reshape", target_shape=[-1, channels])
        y = graph.same(y, drawing.random.choice(["ReLU", "BatchNormalization"]))
        return graph.same(y, "Reshape", target_shape=[*sizes, channels])
    order = [rank + 1, *range(1, rank + 1)]
    y = graph.same(x, "Permute", dims=order)
    y = graph.same(y, "Activation", activation="tanh")
    return graph.same(y, "Permute", dims=[*range(2, rank + 2), 1])


def functions(drawing: Drawing, x: int) -> int:
    """Draw a function of Keras's, or channels that are cut into groups and joined or shuffled."""
    graph, random, rank = drawing.graph, drawing.random, drawing.graph.rank
    if drawing.first or drawing.depth:
        return pointwise(drawing, x)
    sizes, channels = list(graph[x].sizes), graph[x].channels
    kind = random.choice(["flip", "repeat", "clip", "over", "unit", "maxout", "shuffle", "mirror"])
    if kind == "flip":
        return graph.same(x, "ops.flip", axis=-1)
    if kind == "repeat" and channels < 5:
        return graph.add("ops.repeat", {"repeats": 2, "axis": -1}, x, graph[x].with_channels(2 * channels))
    if kind == "clip":
        return graph.same(x, "ops.clip", x_min=-1.0, x_max=random.choice([0.5, 1.0]))
    if kind == "over" and drawing.left > 2 * graph[x].maps:
        function = random.choice(["ops.mean", "ops.max", "ops.min", "ops.sum"])
        y = graph.add(function, {"axis": -1, "keepdims": True}, x, graph[x].with_channels(1))
        return graph.concatenate([x, y])
    if kind == "unit" and channels > 1:
        return graph.same(x, "UnitNormalization")
    if kind in ("maxout", "shuffle") and channels > 2 and channels % 2 == 0:
        y = graph.same(x, "Reshape", target_shape=[*sizes, channels // 2, 2])
        if kind == "maxout":
            return graph.add("ops.max", {"axis": -1}, y, graph[x].with_channels(channels // 2))
        y = graph.same(y, "Permute", dims=[*range(1, rank + 1), rank + 2, rank + 1])
        return graph.same(y, "Reshape", target_shape=[*sizes, channels])
    width = [[random.randint(0, 1), 1] for _ in sizes]
    if kind == "mirror" and min(sizes) > 1 and drawing.left > 2 * graph[x].padded(width).maps:
        mode = random.choice(["reflect", "symmetric"])
        return graph.add("ops.pad", {"pad_width": [[0, 0], *width, [0, 0]], "mode": mode}, x, graph[x].padded(width))
    return pointwise(drawing, x)


#: With the weight that each has.
BLOCKS: tuple[Callable[[Drawing, int], int], ...] = (
    *(conv,) * 7, *(pool,) * 4, *(pointwise,) * 4, *(residual,) * 4, *(strided,) * 2, *(squeeze,) * 2, uneven,
    normalise, *(functions,) * 4, border, border, transpose, attend, shared, nested, nested, relabel,
)  # fmt: skip
