"""A network evaluated in NumPy, slowly and plainly: what the operations mean, written down a second time."""

from __future__ import annotations

import math
from functools import reduce, singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.graph import ops
from napari_fcnseg.graph.network import INPUT

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network


def evaluate(network: Network, x: np.ndarray) -> np.ndarray:
    """Apply a network to a batch of patches."""
    x = x.astype(np.float64)
    if network.bands is not None:
        axis, count = network.bands
        x = np.moveaxis(x.reshape(*x.shape[:-1], count, -1), -2, axis + 1)
    results = {INPUT: x}
    for node in network.nodes:
        inputs = [results[name] for name in node.inputs]
        rest = node.ops
        if isinstance(rest[0], ops.Merge):
            value, rest = merge(rest[0], inputs), rest[1:]
        else:
            (value,) = inputs
        for op in rest:
            value = expand(value, len(network.tensor_shape) - 1) if isinstance(op, ops.Expand) else apply(op, value)
        results[node.name] = value
    return results[network.output]


def expand(x: np.ndarray, rank: int) -> np.ndarray:
    """Make a map of one position of a vector."""
    return x.reshape(len(x), *(1,) * rank, -1)


def merge(op: ops.Merge, inputs: list[np.ndarray]) -> np.ndarray:
    """Join the inputs of a node."""
    assert len({x.ndim for x in inputs}) == 1
    if op.kind == "concatenate":
        return np.concatenate(inputs, op.axis)
    if op.kind == "average":
        return sum(inputs) / len(inputs)
    ufuncs = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
    return reduce(ufuncs.get(op.kind, np.maximum if op.kind == "maximum" else np.minimum), inputs)


@singledispatch
def apply(op: Any, x: np.ndarray) -> np.ndarray:
    """Apply one operation."""
    raise NotImplementedError(type(op))


def _windows(x, size, strides, dilation, padding, fill):
    """Give ``(batch, *positions, channel, *window)``."""
    rank = len(size)
    extent = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    if padding == "same":
        total = [
            max((math.ceil(n / s) - 1) * s + e - n, 0) for n, s, e in zip(x.shape[1:-1], strides, extent, strict=True)
        ]
        pads = [(t // 2, t - t // 2) for t in total]
    if padding != "valid":
        pads = pads if padding == "same" else padding
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=tuple(range(1, rank + 1)))
    steps = tuple(slice(None, None, s) for s in strides)
    inner = tuple(slice(None, None, d) for d in dilation)
    return view[(slice(None), *steps, slice(None), *inner)]


@apply.register
def _(op: ops.Conv, x):
    *size, width, out = op.kernel.shape
    windows = _windows(x, size, op.strides, op.dilation, op.padding, 0.0)
    rank, results = len(size), []
    for g in range(op.groups):
        part = windows[(*[slice(None)] * (rank + 1), slice(g * width, (g + 1) * width))]
        kernel = op.kernel[..., g * out // op.groups : (g + 1) * out // op.groups]
        # part: (batch, *positions, channel, *window); kernel: (*window, channel, out)
        axes = ([*list(range(rank + 2, 2 * rank + 2)), rank + 1], list(range(rank + 1)))
        results.append(np.tensordot(part, kernel.astype(np.float64), axes))
    return np.concatenate(results, -1) + (0 if op.bias is None else op.bias)


@apply.register
def _(op: ops.DepthwiseConv, x):
    *size, channels, multiplier = op.kernel.shape
    windows = _windows(x, size, op.strides, op.dilation, op.padding, 0.0)
    flat = windows.reshape(*windows.shape[: len(size) + 2], -1)
    kernel = op.kernel.reshape(-1, channels, multiplier).astype(np.float64)
    result = np.einsum("...ck,kcm->...cm", flat, kernel)
    return result.reshape(*result.shape[:-2], -1) + (0 if op.bias is None else op.bias)


@apply.register
def _(op: ops.Pool, x):
    windows = _windows(x, op.size, op.strides, op.taps_apart, op.padding, np.nan)
    reduce = np.nanmax if op.kind == "max" else np.nanmean
    return reduce(windows, axis=tuple(range(-len(op.size), 0)))


@apply.register
def _(op: ops.GlobalPool, x):
    reduce = np.max if op.kind == "max" else np.mean
    return reduce(x, axis=tuple(range(1, x.ndim - 1)), keepdims=op.keepdims)


@apply.register
def _(op: ops.Dense, x):
    return x @ op.kernel.astype(np.float64) + (0 if op.bias is None else op.bias)


@apply.register
def _(op: ops.BatchNorm, x):
    x = np.moveaxis(x, op.axis, -1)
    x = op.gamma * (x - op.mean) / np.sqrt(op.variance + op.epsilon) + op.beta
    return np.moveaxis(x, -1, op.axis)


@apply.register
def _(op: ops.Affine, x):
    return (x - op.center) * op.scale + op.offset


@apply.register
def _(op: ops.LayerNorm, x):
    axes = tuple(a % x.ndim for a in op.axes)
    shape = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return op.gamma.reshape(shape) * (x - mean) / np.sqrt(variance + op.epsilon) + op.beta.reshape(shape)


@apply.register
def _(op: ops.PReLU, x):
    return np.maximum(x, 0) + op.alpha * np.minimum(x, 0)


@apply.register
def _(op: ops.GroupNorm, x):
    grouped = x.reshape(len(x), -1, op.groups, x.shape[-1] // op.groups)
    mean, variance = grouped.mean((1, 3), keepdims=True), grouped.var((1, 3), keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + op.epsilon)).reshape(x.shape) * op.gamma + op.beta


@apply.register
def _(op: ops.ConvTranspose, x):
    *window, out, _ = op.kernel.shape
    sizes = [
        (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[1:-1], op.strides, window, op.dilation, strict=True)
    ]
    full = np.zeros((len(x), *sizes, out))
    for tap in np.ndindex(*window):
        where = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, op.dilation, x.shape[1:-1], op.strides, strict=True)
        )
        full[(slice(None), *where)] += x @ op.kernel[tap].astype(np.float64).T
    grown = np.pad(full, [(0, 0), *((max(-a, 0), max(-b, 0)) for a, b in op.crop), (0, 0)])
    cut = tuple(slice(max(a, 0), n - max(b, 0)) for (a, b), n in zip(op.crop, grown.shape[1:-1], strict=True))
    return grown[(slice(None), *cut)] + (0 if op.bias is None else op.bias)


@apply.register
def _(op: ops.Channels, x):
    return x[..., op.start : op.stop]


@apply.register
def _(op: ops.Take, x):
    return x[..., list(op.order)]


@apply.register
def _(op: ops.Pick, x):
    for axis, places in enumerate(op.places, 1):
        x = x if places is None else np.take(x, places, axis)
    return x


@apply.register
def _(op: ops.AxisToChannels, x):
    parts = np.split(x, x.shape[op.axis + 1], op.axis + 1)
    return np.concatenate(parts, -1)


@apply.register
def _(op: ops.ReduceGroups, x):
    return merge(ops.Merge(op.kind), np.split(x, op.groups, -1))


@apply.register
def _(op: ops.ZeroPad, x):
    return np.pad(x, [(0, 0), *op.width, (0, 0)])


@apply.register
def _(op: ops.Crop, x):
    return x[(slice(None), *(slice(a, n - b) for (a, b), n in zip(op.width, x.shape[1:-1], strict=True)))]


@apply.register
def _(op: ops.UpSample, x):
    for axis, size in enumerate(op.size, 1):
        x = np.repeat(x, size, axis)
    return x


@apply.register
def _(op: ops.Flatten, x):
    order = op.order or range(x.ndim - 1)
    return x.transpose(0, *(i + 1 for i in order)).reshape(len(x), -1)


@apply.register
def _(op: ops.Identity, x):
    return x


@apply.register
def _(op: ops.Activation, x):
    return _ACTIVATIONS[op.name](x, **op.params)


def _relu(x, negative_slope, max_value, threshold):
    kept = np.where(x > threshold, x, negative_slope * (x - threshold))
    return kept if max_value is None else np.minimum(kept, max_value)


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _sparsemax(x, axis):
    # As Keras computes it, which is not the published sparsemax: it sums the cumulative sums of the whole support.
    x = np.moveaxis(x, axis, -1)
    z = -np.sort(-x, -1)
    sums = np.cumsum(z, -1)
    support = z - (sums - 1) / np.arange(1, x.shape[-1] + 1) > 0
    tau = (np.where(support, sums, 0).sum(-1, keepdims=True) - 1) / support.sum(-1, keepdims=True)
    return np.moveaxis(np.maximum(x - tau, 0), -1, axis)


def _glu(x, axis):
    left, right = np.split(x, 2, axis)
    return left * _sigmoid(right)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gelu(x, approximate):
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_ACTIVATIONS = {
    "abs": np.abs,
    "log": np.log,
    "rms_norm": lambda x, axis, epsilon: x / np.sqrt((x * x).mean(axis, keepdims=True) + epsilon),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sqrt": np.sqrt,
    "square": np.square,
    "unit_norm": lambda x, axis, epsilon: x / np.maximum(np.sqrt((x * x).sum(axis, keepdims=True)), epsilon),
    "celu": lambda x, alpha: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
    "exponential": np.exp,
    "gelu": _gelu,
    "glu": _glu,
    "hard_shrink": lambda x, threshold: np.where(np.abs(x) > threshold, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid_keras2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x, negative_slope: np.where(x > 0, x, negative_slope * x),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "log_softmax": lambda x, axis: np.log(_softmax(x, axis)),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "relu": _relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "soft_shrink": lambda x, threshold: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
    "softmax": _softmax,
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, 0.25 * (x + 1) ** 2, x)),
    "sparse_sigmoid": lambda x: np.clip(0.5 * (x + 1), 0, 1),
    "sparsemax": _sparsemax,
    "squareplus": lambda x, b: (x + np.sqrt(x**2 + b)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "threshold": lambda x, threshold, default_value: np.where(x > threshold, x, default_value),
}
