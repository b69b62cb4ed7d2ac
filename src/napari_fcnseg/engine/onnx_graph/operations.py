"""The dense network's operations as those of an ONNX graph."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.conversion.dense_network import IMAGE, DenseConv, DensePool
from napari_fcnseg.engine.dense_function import done_with, rectified
from napari_fcnseg.engine.onnx_graph.activations import activation
from napari_fcnseg.engine.onnx_graph.builder import Builder, Cut, Tensor
from napari_fcnseg.engine.onnx_graph.windows import add_convolution, add_depthwise, add_pool
from napari_fcnseg.graph.ops import Activation, Channels, GroupNorm, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.engine.onnx_graph.builder import Function, Ints

    Apply = Callable[[Sequence[Tensor]], Tensor]
    #: A convolution and some of one pixel, or some pools, each of what the one before it gives, and whether rectified.
    Chain = tuple[tuple[dense_network.DenseOp, bool], ...]
    #: Returns, for steps of these numbers, a quicker way to compute their chain, which reads maps of so many channels;
    #: None for the graph's own way, or for one step after the other.
    Quicker = Callable[[tuple[int, ...], Chain, tuple[int, ...]], Function | None]

_MERGES = {
    "add": "Add",
    "average": "Add",
    "divide": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "multiply": "Mul",
    "subtract": "Sub",
}


class GraphOperations:
    """Adds operations to a graph (:class:`~napari_fcnseg.engine.dense_function.Operations`).

    Parameters
    ----------
    build : Builder
        The graph.
    quicker : callable, optional
        Returns a function of ours that stands for a convolution or a pool.
    """

    def __init__(self, build: Builder, quicker: Quicker | None = None) -> None:
        self._build = build
        self._quicker = quicker
        self._fresh: Tensor | None = None  # what our own function has just given

    def image(self, image: Tensor) -> Tensor:
        """Return the image as it is."""
        return image

    def below(self, above: Tensor, rows: Tensor) -> Tensor:
        """Return rows put below others."""
        return self._build.below(above, rows, fresh=rows is self._fresh)

    def last(self, x: Tensor, rows: int) -> Tensor:
        """Return the last rows."""
        part = self._build.sliced(self._build.whole(x), [-rows], [None], [1], [1])
        return self._build.map(part, x.axes, x.channels)

    def cut(self, x: Tensor, before: Ints, after: Ints, stride: Ints) -> Tensor:
        """Cut entries off both ends of each spatial axis, and keep every ``stride``-th of the others."""
        return Tensor(x.name, x.axes, x.channels, Cut(before, after, stride))

    def prepared(self, network: dense_network.DenseNetwork) -> list[Apply]:
        """Return each step as a function of maps; what follows a convolution pixel by pixel becomes part of it."""
        joined = rectified(network)
        prepared: list[Apply] = [lambda xs: xs[0]] * len(network.steps)
        after, done = done_with(network), set(joined.values())
        for number, step in enumerate(network.steps):
            if number in done:
                continue
            quick, chain = self._quick(network, number, joined, after)
            if quick is None:
                prepared[number] = self._prepared(step, number in joined)
            else:
                done.update(chain)
                self._prepare_chain(prepared, quick, chain, network.steps[chain[-1]].channels)
        return prepared

    def _prepare_chain(self, prepared: list[Apply], quick: Function, chain: Sequence[int], channels: int) -> None:
        """Have the last step of a chain compute all of it from what the first reads; the others do nothing."""
        read: list[Tensor] = []

        def first(xs: Sequence[Tensor]) -> Tensor:
            read[:] = xs
            return xs[0]

        def last(xs: Sequence[Tensor]) -> Tensor:
            self._fresh = self._build.call(quick, read if len(chain) > 1 else xs, channels)
            return self._fresh

        prepared[chain[0]] = first
        prepared[chain[-1]] = last

    def _quick(
        self, network: dense_network.DenseNetwork, number: int, joined: dict[int, int], after: dict[int, int]
    ) -> tuple[Function | None, list[int]]:
        """Return our way for a step and those after it that become part of it, and their numbers."""
        chain = [number]
        if self._quicker is None or max(network.steps[number].stride) > 1:
            return None, chain
        while chain[-1] in after:
            chain.append(after[chain[-1]])
        ops = tuple((network.steps[n].op, n in joined) for n in chain)
        if not isinstance(ops[0][0], DenseConv | DensePool):
            return None, chain
        sources = [source.step for source in network.steps[number].inputs]
        channels = tuple(network.channels if n == IMAGE else network.steps[n].channels for n in sources)
        quick = self._quicker(tuple(chain), ops, channels) if len(chain) > 1 else None
        if quick is not None:
            return quick, chain
        return self._quicker(tuple(chain[:1]), ops[:1], channels), chain[:1]

    def _prepared(self, step: dense_network.Step, relu: bool) -> Apply:
        op, build = step.op, self._build

        def apply(xs: Sequence[Tensor]) -> Tensor:
            result = self._added(op, [build.whole(x) for x in xs], step, xs[0])
            return build.map(build.add("Relu", result) if relu else result, xs[0].axes, step.channels)

        return apply

    def _added(self, op: dense_network.DenseOp, xs: Sequence[str], step: dense_network.Step, like: Tensor) -> str:
        """Add an operation on one or several maps, of which the first is like that tensor; return its result."""
        build = self._build
        match op:
            case dense_network.DenseConv():
                return add_convolution(build, xs, op, step.stride)
            case dense_network.DenseDepthwise():
                return add_depthwise(build, xs, op, step.stride)
            case dense_network.DensePool():
                return add_pool(build, xs, op, step.stride)
            case dense_network.DenseMerge():
                total = functools.reduce(lambda a, b: build.add(_MERGES[op.kind], a, b), xs)
                return build.add("Div", total, build.constant(float(len(xs)))) if op.kind == "average" else total
            case dense_network.Join():
                joined = build.add("Concat", *xs, axis=-1) if len(xs) > 1 else xs[0]
                order = op.order
                return joined if order is None else build.add("Gather", joined, _whole(build, order), axis=-1)
            case dense_network.Zeros():
                sides = build.add("Shape", xs[0], start=0, end=-1)
                shape = build.add("Concat", sides, _whole(build, [step.channels]), axis=0)
                return build.add("ConstantOfShape", shape)
            case dense_network.PerPatch():
                return _per_patch(build, xs[0], op, like.channels)
        return _of_one(build, xs[0], op, like)


def _whole(build: Builder, numbers: Sequence[int]) -> str:
    return build.constant(list(numbers), np.int64)


def _of_one(build: Builder, x: str, op: dense_network.DenseOp, like: Tensor) -> str:
    """Add an operation that acts on each pixel of one map."""
    match op:
        case dense_network.ChannelAffine():
            x = build.add("Sub", x, build.constant(op.center)) if op.center.any() else x
            return build.add("Add", build.add("Mul", x, build.constant(op.scale)), build.constant(op.offset))
        case dense_network.ChannelNorm():
            return _normalised(build, x, (-1,), op.epsilon, op.gamma, op.beta)
        case dense_network.ChannelPReLU():
            return build.add("PRelu", x, build.constant(op.alpha))
        case Channels():
            return build.sliced(x, [op.start], [op.stop], [like.axes + 1], [1])
        case Activation():
            return activation(build, x, op, (1, *(None,) * like.axes, like.channels))
    raise TypeError(f"no graph for {type(op).__name__}")


def _per_patch(build: Builder, x: str, op: dense_network.PerPatch, channels: int) -> str:
    """Add an operation of the patch network that acts on the channels of each pixel as on a patch."""
    inner, sizes = op.op, (*op.sizes, channels // math.prod(op.sizes))
    patches = build.add("Reshape", x, _whole(build, (-1, *sizes)))
    match inner:
        case Activation():
            result = activation(build, patches, inner, (None, *sizes))
        case LayerNorm():
            shape = [n if a in {axis % (len(sizes) + 1) for axis in inner.axes} else 1 for a, n in enumerate(sizes, 1)]
            gamma, beta = (part.reshape(shape) for part in (inner.gamma, inner.beta))
            result = _normalised(build, patches, inner.axes, inner.epsilon, gamma, beta)
        case GroupNorm():
            grouped = (-1, math.prod(op.sizes), inner.groups, sizes[-1] // inner.groups)
            parts = build.add("Reshape", patches, _whole(build, grouped))
            gamma, beta = (part.reshape(grouped[2:]) for part in (inner.gamma, inner.beta))
            result = _normalised(build, parts, (1, 3), inner.epsilon, gamma, beta)
    sides = build.add("Shape", x, start=0, end=-1)
    return build.add("Reshape", result, build.add("Concat", sides, _whole(build, [-1]), axis=0))


def _normalised(
    build: Builder, x: str, axes: Ints, epsilon: float, gamma: np.ndarray, beta: np.ndarray
) -> str:  # fmt: skip
    """Add ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, statistics over some axes."""
    around = build.add("Sub", x, build.add("ReduceMean", x, axes=axes, keepdims=1))
    variance = build.add("ReduceMean", build.add("Mul", around, around), axes=axes, keepdims=1)
    width = build.add("Sqrt", build.add("Add", variance, build.constant(epsilon)))
    scaled = build.add("Mul", build.add("Div", around, width), build.constant(gamma))
    return build.add("Add", scaled, build.constant(beta))
