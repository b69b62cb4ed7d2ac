"""Single layers, drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import _versions

if TYPE_CHECKING:
    from random import Random

    from architectures.graph import Graph

_NEW = ("celu", "log_sigmoid", "tanh_shrink")
ACTIVATIONS = (
    *("relu",) * 6, "elu", "selu", "tanh", "sigmoid", "softplus", "softsign", "silu", "gelu", "leaky_relu", "relu6",
    "hard_sigmoid", "hard_silu", "mish", "linear",
    *(name for name in _NEW if not _versions.lacking("keras", _versions.ACTIVATIONS[name])),
)  # fmt: skip
_VECTOR = ("Dense", "Dense", "Dense", "norm", "Dropout", "PReLU", "residual")


class Drawing:
    """A network being drawn.

    Parameters
    ----------
    random : Random
        Where chance comes from.
    graph : Graph
        What there is of the network.
    maps : int
        Dense maps that it may take, about.
    first : bool
        Whether it will be written channels first.
    depth : int
        How many models it lies inside.
    """

    def __init__(self, random: Random, graph: Graph, maps: int, first: bool, depth: int = 0) -> None:
        self.random, self.graph, self.limit, self.first, self.depth = random, graph, maps, first, depth

    @property
    def left(self) -> int:
        """Dense maps that may still be added."""
        inner = sum(node.get("maps", 0) for node in self.graph.nodes)
        return self.limit - self.graph.maps - inner

    def coin(self, n: int) -> bool:
        """Return True once in ``n`` times."""
        return self.random.randint(1, n) == 1

    def per_axis(self, low: int, high: list[int]) -> tuple[int, ...]:
        """Draw a number per axis; often the same for all."""
        if self.coin(2):
            return (self.random.randint(low, max(low, min(high))),) * len(high)
        return tuple(self.random.randint(low, max(low, h)) for h in high)

    def vector_layer(self, x: int) -> int:
        """Draw a layer between a flattening and the head."""
        graph, random, name = self.graph, self.random, self.random.choice(_VECTOR)
        if name == "Dense":
            return graph.dense(x, random.randint(4, 8), activation=random.choice(["relu", "relu", "tanh", "elu"]))
        if name == "norm":
            several = graph[x].channels > 2
            return graph.same(x, "LayerNormalization" if several and self.coin(3) else "BatchNormalization")
        if name == "residual":
            y = graph.dense(x, graph[x].channels if graph[x].channels < 64 else 8, activation="relu")
            x = x if graph[x].channels == graph[y].channels else graph.dense(x, 8)
            return graph.merge(random.choice(["Add", "Maximum", "Multiply"]), [x, y])
        return graph.same(x, name, **({"rate": 0.3} if name == "Dropout" else {}))


def activation(drawing: Drawing, x: int) -> int:
    """Draw an activation as a layer."""
    graph, random = drawing.graph, drawing.random
    shared = list(range(1, graph.rank + 1))
    name, args = random.choice([
        ("ReLU", {}), ("ReLU", {}), ("ReLU", {"max_value": 1.5}), ("ReLU", {"negative_slope": 0.1, "threshold": 0.2}),
        ("LeakyReLU", {"negative_slope": 0.2}), ("ELU", {"alpha": 0.7}), ("PReLU", {"shared_axes": shared}),
        ("PReLU", {}), ("PReLU", {"shared_axes": shared[:1]}), ("Softmax" if graph[x].channels > 1 else "ELU", {}),
        ("Activation", {"activation": random.choice(ACTIVATIONS)}),
    ])  # fmt: skip
    if name == "PReLU" and args.get("shared_axes") != shared:
        if drawing.left < graph[x].dissolved().maps:
            return x
        return graph.mixing(x, name, **args)
    return graph.same(x, name, **args)


def window(drawing: Drawing, x: int, largest: int = 4) -> tuple[tuple[int, ...], str]:
    """Draw a window and its padding."""
    sizes = drawing.graph[x].sizes
    padding = drawing.random.choice(["same", "same", "valid", "valid", "valid"])
    kernel = drawing.per_axis(1, [min(n, largest) for n in sizes])
    if drawing.coin(2):
        kernel = (min(3, *sizes),) * len(sizes)
    return kernel, padding


def conv(drawing: Drawing, x: int) -> int:
    """Draw a convolution."""
    graph, random, rank = drawing.graph, drawing.random, drawing.graph.rank
    kind = random.choice(["Conv"] * 4 + ["DepthwiseConv", "SeparableConv"]) if rank < 3 else "Conv"
    kernel, padding = window(drawing, x)
    sizes, ones = graph[x].sizes, (1,) * rank
    strides = dilation = ones
    chance = random.randint(0, 5)
    if chance == 0 and (kind == "Conv" or rank == 1):
        dilation = drawing.per_axis(1, [2 if (k - 1) * 2 < n else 1 for k, n in zip(kernel, sizes, strict=True)])
    elif chance < 3:
        strides = drawing.per_axis(1, [3] * rank) if kind == "Conv" else (random.randint(1, 3),) * rank
    result = graph[x].windowed(kernel, strides, dilation, padding)
    if drawing.left < result.maps:
        padding = "valid"
        if drawing.left < graph[x].windowed(kernel, strides, dilation, padding).maps:
            return x
    args: dict[str, Any] = {"activation": random.choice(ACTIVATIONS), "use_bias": bool(random.randint(0, 3))}
    if kind == "DepthwiseConv":
        return graph.conv(x, random.randint(1, 2), kernel, strides, dilation, padding, kind, **args)
    filters = random.choice([2, 3, 4, 6])
    if kind == "SeparableConv":
        args["depth_multiplier"] = random.randint(1, 2)
        return graph.conv(x, filters, kernel, strides, dilation, padding, kind, **args)
    groups = random.choice([g for g in (1, 1, 1, 1, 2, 3) if graph[x].channels % g == filters % g == 0])
    if groups > 1:
        args["groups"] = groups
    if rank == 1 and strides == (1,) and drawing.coin(6):  # what comes before only
        before = (kernel[0] - 1) * dilation[0]
        size, inside = sizes[0], sizes[0] - graph[x].fringe[0] - before
        y = graph.conv(x, filters, kernel, 1, dilation, "causal", **args)
        graph.tensors[y] = graph[x].resized([size], [inside]).with_channels(filters)
        return y
    return graph.conv(x, filters, kernel, strides, dilation, padding, **args)


def pool(drawing: Drawing, x: int) -> int:
    """Draw a pooling."""
    graph, random = drawing.graph, drawing.random
    size = drawing.per_axis(1, [min(n, 3) for n in graph[x].sizes])
    if drawing.coin(2):
        size = (min(2, *graph[x].sizes),) * graph.rank
    strides = random.choice([None, None, None, 1, 2, 3])
    if strides == 1 or drawing.coin(5):
        strides = drawing.per_axis(1, [2] * graph.rank)
    padding = random.choice(["valid", "valid", "same"])
    full = size if strides is None else graph._full(strides)
    if drawing.left < graph[x].windowed(size, full, (1,) * graph.rank, padding).maps * 2:
        padding = "valid"
        if drawing.left < graph[x].windowed(size, full, (1,) * graph.rank, padding).maps:
            return x
    return graph.pool(x, random.choice(["Max", "Average"]), size, strides, padding)


def pointwise(drawing: Drawing, x: int) -> int:
    """Draw a layer that acts at each position alone."""
    graph, random = drawing.graph, drawing.random
    name, args = random.choice([
        ("BatchNormalization", {}), ("BatchNormalization", {}), ("BatchNormalization", {"scale": False}),
        ("BatchNormalization", {"axis": 1}), ("LayerNormalization", {}), ("Dropout", {"rate": 0.5}),
        ("GaussianNoise", {"stddev": 1.0}), ("SpatialDropout?D", {"rate": 0.5}),
        ("Rescaling", {"scale": 0.7, "offset": -0.1}), ("Activation", {"activation": random.choice(ACTIVATIONS)}),
        ("Dense", {}), ("activation", {}), ("operation", {}),
    ])  # fmt: skip
    if name == "Dense":
        return x if drawing.first else graph.dense(x, random.randint(2, 5), activation=random.choice(ACTIVATIONS))
    if name == "activation" or (name == "LayerNormalization" and graph[x].channels < 3):
        return activation(drawing, x)
    if name == "operation":
        if drawing.depth:
            return x
        return graph.same(x, random.choice(["ops.relu", "ops.tanh", "ops.sigmoid", "ops.silu"]))
    if args.get("axis") == 1:
        return x if drawing.left < graph[x].dissolved().maps else graph.mixing(x, name, **args)
    return graph.same(x, name, **args)


def normalise(drawing: Drawing, x: int) -> int:
    """Draw a layer that looks at all positions of a patch."""
    graph, random = drawing.graph, drawing.random
    if drawing.left < 2 * graph[x].dissolved().maps:
        return pool(drawing, x)
    axes = list(range(1, graph.rank + 2))
    channels = graph[x].channels
    kind = random.choice(["LayerNormalization", "GroupNormalization", "Softmax"])
    if kind == "LayerNormalization":
        return graph.mixing(x, kind, axis=random.choice([axes, axes, axes[:-1]]))
    if kind == "GroupNormalization":
        return graph.mixing(x, kind, groups=random.choice([g for g in (1, 2, 3, channels) if channels % g == 0]))
    return graph.mixing(x, kind, axis=random.choice(axes[:-1]))


def border(drawing: Drawing, x: int) -> int:
    """Draw padding, cropping or repetition."""
    graph, random = drawing.graph, drawing.random
    kind = random.choice(["pad", "pad", "crop", "crop", "up"])
    if drawing.first and graph.rank == 1:  # Keras has the others channels last only
        kind = "pad"
    if kind == "crop":
        width = [[random.randint(0, min(2, (n - 1) // 3)) for _ in range(2)] for n in graph[x].sizes]
        return graph.crop(x, width)
    width = [[random.randint(0, 2) for _ in range(2)] for _ in graph[x].sizes]
    times = drawing.per_axis(1, [2] * graph.rank)
    after = graph[x].padded(width) if kind == "pad" else graph[x].repeated(times)
    if drawing.left < 2 * after.maps:
        return x
    return graph.pad(x, width) if kind == "pad" else graph.up(x, times)


def transpose(drawing: Drawing, x: int) -> int:
    """Draw a transposed convolution, mostly after a pooling."""
    graph, random = drawing.graph, drawing.random
    if min(graph[x].sizes) > 3 and drawing.left > graph[x].maps:
        x = graph.pool(x, "Max", min(3, *graph[x].sizes))
    kernel, strides = drawing.per_axis(1, [3] * graph.rank), drawing.per_axis(1, [2] * graph.rank)
    padding = random.choice(["same", "valid"])
    if drawing.left < 2 * graph[x].transposed(kernel, strides, padding).maps:
        return x
    return graph.transpose(x, random.randint(2, 4), kernel, strides, padding, activation="relu")
