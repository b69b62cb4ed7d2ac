"""The dense network as one function of an image: what the engine runs.

It computes what :func:`napari_fcnseg.engine.keras_export.dense_keras_model` computes, with the same functions. A Keras
model of as many layers as a network with edge variants has steps takes ten times as long to put together.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras import ops

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.engine import activations, functions
from napari_fcnseg.engine.kernels import choice
from napari_fcnseg.engine.patch_network import patch_layer
from napari_fcnseg.graph.ops import Activation, Channels, LayerNorm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Apply = Callable[[Sequence[Any]], Any]


def dense_function(network: dense_network.DenseNetwork, dtype: str = "float32") -> DenseFunction:
    """Return the dense network, thinned or not, as a function of an image ``(1, *spatial, channel)``.

    Its arrays are put on the present device.
    """
    return DenseFunction(network, dtype)


class DenseFunction:
    """A dense network as functions of tensors.

    Called with an image ``(1, *spatial, channel)`` it returns its answer. A tall image can also come in strips, from
    top to bottom: then each operation keeps the last rows of what it read, and nothing is computed twice where two
    strips meet. A thinned network cannot do that.

    Parameters
    ----------
    network : DenseNetwork
        The network; its arrays are put on the present device.
    dtype : str
        Of maps and weights. The answer is float32, and so is what the last activation makes it of.

    Attributes
    ----------
    kept : dict of int to int
        Rows that are kept of each step's result, and of the image
        (:data:`~napari_fcnseg.conversion.dense_network.IMAGE`), where they are any.
    """

    def __init__(self, network: dense_network.DenseNetwork, dtype: str = "float32") -> None:
        self._steps = network.steps
        self._dtype = dtype
        self._prepared = _all_prepared(network, dtype)
        self._dead = _last_reads(network)
        extra = {dense_network.IMAGE: network.reach[0] - 1} | {n: step.extra[0] for n, step in enumerate(network.steps)}
        # A strip has so many rows more than its answer. A reader whose strip begins `before` rows later than that
        # needs the difference from the strip above.
        self._above = {
            (number, source): extra[source.step] - step.extra[0] - source.before[0]
            for number, step in enumerate(network.steps)
            for source in step.inputs
        }
        most: dict[int, int] = {}
        for (_, source), rows in self._above.items():
            most[source.step] = max(most.get(source.step, 0), rows)
        self.kept = {step: rows for step, rows in sorted(most.items()) if rows}

    def __call__(self, image: Any) -> Any:
        """Return the answer to an image."""
        return self._compute(image, drop=True)[len(self._steps) - 1]

    def first(self, image: Any) -> list[Any]:
        """Return the answer to the topmost strip, and the rows that :meth:`more` needs of it."""
        tensors = self._compute(image)
        return [tensors[len(self._steps) - 1], *(tensors[step][:, -rows:] for step, rows in self.kept.items())]

    def more(self, rows: Any, *kept: Any) -> list[Any]:
        """Return the answer to the next strip, of which only the rows that are new are given, and its last rows."""
        above = dict(zip(self.kept, kept, strict=True))
        tensors = self._compute(rows, above)
        return [tensors[len(self._steps) - 1], *(tensors[step][:, -rows:] for step, rows in self.kept.items())]

    def _compute(self, image: Any, above: dict[int, Any] | None = None, drop: bool = False) -> dict[int, Any]:
        """Return every step's result; with the rows ``above`` a strip, these are put before it.

        What is read no more is dropped where it may be: where operations run at once, results would pile up.
        """

        def whole(number: int, result: Any) -> Any:
            return ops.concatenate([above[number], result], axis=1) if above and number in above else result

        tensors = {dense_network.IMAGE: whole(dense_network.IMAGE, functions.as_type(image, self._dtype))}
        cut: dict[tuple[dense_network.StepInput, int], Any] = {}
        for number, (step, function) in enumerate(zip(self._steps, self._prepared, strict=True)):
            inputs = []
            for source in step.inputs:
                top = source.before[0] if above is None else self.kept.get(source.step, 0) - self._above[number, source]
                if (source, top) not in cut:
                    seen = replace(source, before=(top, *source.before[1:]))
                    cut[source, top] = _cut(tensors[source.step], seen)
                inputs.append(cut[source, top])
            tensors[number] = whole(number, function(inputs))
            if drop and self._dead[number]:
                for read in self._dead[number]:
                    del tensors[read]
                cut = {key: tensor for key, tensor in cut.items() if key[0].step in tensors}
        return tensors


def _last_reads(network: dense_network.DenseNetwork) -> list[list[int]]:
    """Return for each step the steps whose results nothing reads after it, the image among them."""
    end = {source.step: number for number, step in enumerate(network.steps) for source in step.inputs}
    dead: list[list[int]] = [[] for _ in network.steps]
    for step, number in end.items():
        dead[number].append(step)
    return dead


def _cut(tensor: Any, source: dense_network.StepInput) -> Any:
    return functions.cut(tensor, source.before, source.after, source.stride) if _cuts(source) else tensor


def _cuts(source: dense_network.StepInput) -> bool:
    return any(source.before) or any(source.after) or max(source.stride) > 1


def _all_prepared(network: dense_network.DenseNetwork, dtype: str) -> list[Apply]:
    """Return each step as a function; a rectifier after a convolution becomes part of it."""
    rectified = _rectified(network)
    exact = dtype == "float32"
    prepared = [_prepared(step, number in rectified, exact) for number, step in enumerate(network.steps)]
    for number in rectified.values():
        prepared[number] = lambda xs: xs[0]
    if not exact:  # layers of Keras answer in float32
        last = len(network.steps) - 1
        head = isinstance(network.steps[last].op, Activation)
        prepared[:last] = [_in_type(function, dtype, dtype) for function in prepared[:last]]
        prepared[last] = _in_type(prepared[last], "float32" if head else dtype, "float32")
    return prepared


def _in_type(function: Apply, read: str, answer: str) -> Apply:
    """Return a function of maps that are read and answered as types of numbers."""
    return lambda xs: functions.as_type(function([functions.as_type(x, read) for x in xs]), answer)


def _rectified(network: dense_network.DenseNetwork) -> dict[int, int]:
    """Return the convolutions whose result goes whole into a rectifier and nowhere else, each with that rectifier."""
    readers: dict[int, list[tuple[int, dense_network.StepInput]]] = {}
    for number, step in enumerate(network.steps):
        for source in step.inputs:
            readers.setdefault(source.step, []).append((number, source))
    found = {}
    for number, step in enumerate(network.steps):
        if isinstance(step.op, dense_network.DenseConv) and len(readers.get(number, ())) == 1:
            reader, source = readers[number][0]
            if network.steps[reader].op == Activation("relu") and not _cuts(source):
                found[number] = reader
    return found


def _prepared(step: dense_network.Step, relu: bool, exact: bool) -> Apply:
    op = step.op
    match op:
        case dense_network.DenseConv():
            return _convolution(op, step.stride, relu, exact)
        case dense_network.DenseDepthwise():
            kernels, bias = [_tensor(kernel) for kernel in op.kernels], _tensor(op.bias)
            return lambda xs: functions.convolve_channels(xs, kernels, bias, op.dilations, step.stride)
        case dense_network.DensePool():
            return _pool(op, step.stride, exact)
        case dense_network.DenseMerge():
            return lambda xs: functions.combine(xs, op.kind)
        case dense_network.Join():
            return lambda xs: functions.join(xs, op.order)
        case dense_network.Zeros():
            return lambda xs: functions.zeros(xs[0], step.channels)
        case dense_network.PerPatch():
            return _per_patch(op, step.channels)
    return _of_one(op)


def _convolution(op: dense_network.DenseConv, stride: tuple[int, ...], relu: bool, exact: bool) -> Apply:
    kernels, bias = [_tensor(kernel) for kernel in op.kernels], _tensor(op.bias)

    def plain(xs: Sequence[Any]) -> Any:
        y = functions.convolve(xs, kernels, bias, op.dilations, op.side_by_side, stride)
        return ops.relu(y) if relu else y

    if not exact or max(stride) > 1 or not functions.on_processor():
        return plain
    quick = choice.convolution(op, relu, lambda x: plain([x]))
    return plain if quick is None else lambda xs: quick(xs[0])


def _pool(op: dense_network.DensePool, stride: tuple[int, ...], exact: bool) -> Apply:
    if exact and max(stride) == 1 and functions.on_processor() and (quick := choice.pooling(op)) is not None:
        return lambda xs: quick(xs[0])
    dilations = (op.dilation,) * len(op.sizes)
    return lambda xs: functions.pool(xs, op.kind, op.sizes, dilations, op.count, stride)


def _of_one(op: dense_network.DenseOp) -> Apply:
    """Return an operation that acts on each pixel of one map."""
    match op:
        case dense_network.ChannelAffine():
            center = _tensor(op.center) if op.center.any() else None
            scale, offset = _tensor(op.scale), _tensor(op.offset)
            return lambda xs: functions.affine(xs[0], center, scale, offset)
        case dense_network.ChannelNorm():
            norm, weights = patch_layer(LayerNorm(op.gamma, op.beta, op.epsilon, (-1,)), (None, len(op.gamma)))
            norm.build((None, len(op.gamma)))
            norm.set_weights(weights)
            return lambda xs: norm(xs[0])
        case dense_network.ChannelPReLU():
            alpha = _tensor(op.alpha)
            return lambda xs: functions.prelu(xs[0], alpha)
        case Channels():
            return lambda xs: xs[0][..., op.start : op.stop]
        case Activation():
            function = activations.activation(op.name, dict(op.params))
            return lambda xs: function(xs[0])
    raise TypeError(f"no function for {type(op).__name__}")


def _per_patch(op: dense_network.PerPatch, channels: int) -> Apply:
    shape = (None, *op.sizes, channels // math.prod(op.sizes))
    layer, weights = patch_layer(op.op, shape)
    layer.build(shape)
    layer.set_weights(weights)
    return lambda xs: functions.from_patches(layer(functions.to_patches(xs[0], op.sizes)), xs[0])


def _tensor(array: np.ndarray) -> Any:
    return ops.convert_to_tensor(array, "float32")
