"""The dense network written down in another framework: one walk over its steps, a few operations per framework.

Every peer gets the same numbers (batch normalisation folded), so that only the way of computing differs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.graph.ops import Activation, Channels

if TYPE_CHECKING:
    import numpy as np

    Ints: TypeAlias = tuple[int, ...]


class UnsupportedError(Exception):
    """A framework's operations here do not cover a network."""


class Framework(Protocol):
    """What a framework has to offer; every tensor has one channel axis and the given spatial axes."""

    def conv(self, key: tuple[int, int], x: Any, kernel: np.ndarray, bias: np.ndarray | None, dilation: Ints) -> Any:
        """Return a valid dilated convolution; ``kernel`` is ``(*window, in, out)``, ``key`` its name."""

    def max_pool(self, x: Any, size: Ints, dilation: Ints) -> Any:
        """Return the maximum over dilated windows by the framework's own pooling."""

    def cut(self, x: Any, before: Ints, after: Ints) -> Any:
        """Cut entries off the ends of the spatial axes."""

    def combine(self, a: Any, b: Any, kind: str) -> Any:
        """Return ``add``, ``subtract``, ``multiply``, ``maximum`` or ``minimum`` of two tensors."""

    def scale(self, x: Any, factor: float) -> Any:
        """Return a multiple."""

    def join(self, xs: list[Any]) -> Any:
        """Return tensors side by side as channels."""

    def take(self, x: Any, channels: list[int]) -> Any:
        """Return some channels."""

    def activation(self, x: Any, name: str) -> Any:
        """Return ``relu``, ``sigmoid``, ``tanh`` or ``softmax`` along the channels."""


def apply(network: dense_network.DenseNetwork, framework: Framework, image: Any, *, own_pool: bool) -> Any:
    """Return the network's answer for an image ``(1, …)`` as the framework lays it out.

    With ``own_pool`` the framework's dilated pooling is used where it has one, otherwise the maximum of shifted slices.
    """
    last_use: dict[int, int] = {}
    for number, step in enumerate(network.steps):
        last_use |= dict.fromkeys((source.step for source in step.inputs), number)
    values = {dense_network.IMAGE: image}
    for number, step in enumerate(network.steps):
        inputs = [
            framework.cut(values[s.step], s.before, s.after) if any(s.before) or any(s.after) else values[s.step]
            for s in step.inputs
        ]
        values[number] = _apply_step(number, step.op, framework, inputs, own_pool)
        inputs.clear()
        for source in {s.step for s in step.inputs}:
            if last_use[source] == number:
                del values[source]  # a framework without a graph would keep every map
    return values[len(network.steps) - 1]


def _apply_step(number: int, op: dense_network.DenseOp, framework: Framework, xs: list[Any], own_pool: bool) -> Any:
    match op:
        case dense_network.DenseConv(groups=1):
            return _convolve(number, op, framework, xs)
        case dense_network.DensePool():
            return _pool(op, framework, xs, own_pool)
        case dense_network.DenseMerge():
            kind = "add" if op.kind == "average" else op.kind
            total = functools.reduce(lambda a, b: framework.combine(a, b, kind), xs)
            return framework.scale(total, 1 / len(xs)) if op.kind == "average" else total
        case dense_network.Join():
            joined = framework.join(xs) if len(xs) > 1 else xs[0]
            return joined if op.order is None else framework.take(joined, list(op.order))
        case Channels():
            return framework.take(xs[0], list(range(op.start, op.stop)))
        case Activation(name="linear"):
            return xs[0]
        case Activation(name="relu" | "sigmoid" | "tanh" | "softmax") if not set(op.params) - {"axis"}:
            return framework.activation(xs[0], op.name)
        case Activation(name="relu") if not any(v for v in op.params.values()):
            return framework.activation(xs[0], op.name)
    raise UnsupportedError(f"no {op if isinstance(op, Activation) else type(op).__name__} here")


def _convolve(number: int, op: dense_network.DenseConv, framework: Framework, xs: list[Any]) -> Any:
    waiting = iter(xs)
    total = None
    for index, (kernel, dilation, count) in enumerate(zip(op.kernels, op.dilations, op.side_by_side, strict=True)):
        maps = [next(waiting) for _ in range(count)]
        x = framework.join(maps) if count > 1 else maps[0]
        needed = tuple(d if k > 1 else 1 for k, d in zip(kernel.shape, dilation, strict=False))
        term = framework.conv((number, index), x, kernel, None if index else op.bias, needed)
        total = term if total is None else framework.combine(total, term, "add")
    return total


def _pool(op: dense_network.DensePool, framework: Framework, xs: list[Any], own_pool: bool) -> Any:
    kind = "maximum" if op.kind == "max" else "add"
    parts = []
    for x, size in zip(xs, op.sizes, strict=True):
        if own_pool and op.kind == "max" and max(size) > 1:
            parts.append(framework.max_pool(x, size, op.dilation))
        else:
            for axis, (k, d) in enumerate(zip(size, op.dilation, strict=True)):
                x = _running(framework, x, axis, len(size), (k, d), kind)
            parts.append(x)
    total = functools.reduce(lambda a, b: framework.combine(a, b, kind), parts)
    return total if op.kind == "max" else framework.scale(total, 1 / op.count)


def _running(framework: Framework, x: Any, axis: int, axes: int, window: tuple[int, int], kind: str) -> Any:
    """Combine the entries of a window along one axis as shifted slices."""
    size, step = window

    def shifted(tap: int) -> Any:
        before, after = [0] * axes, [0] * axes
        before[axis], after[axis] = tap * step, (size - 1 - tap) * step
        return framework.cut(x, tuple(before), tuple(after)) if size > 1 else x

    return functools.reduce(lambda a, b: framework.combine(a, b, kind), map(shifted, range(size)))
