"""The activations of :mod:`napari_fcnseg.graph.ops` in ONNX's operations, as ``keras.activations`` defines them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.graph.ops import AXIS_ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_fcnseg.engine.onnx_graph.builder import Builder
    from napari_fcnseg.graph.ops import Activation

    Formula = Callable[[Builder, str, Mapping[str, Any]], str]


def activation(build: Builder, x: str, op: Activation, shape: Sequence[int | None]) -> str:
    """Add an activation to a graph and return its result.

    Parameters
    ----------
    build : Builder
        The graph.
    x : str
        What it acts on.
    op : Activation
        What it computes.
    shape : sequence of int or None
        Of what it acts on; None where any length will do.
    """
    if op.name not in AXIS_ACTIVATIONS:
        return _FORMULAS[op.name](build, x, op.params)
    axis = int(op.params.get("axis") or -1)
    axis -= len(shape) if axis >= 0 else 0
    if op.name in ("rms_norm", "unit_norm"):
        return _norm(build, x, axis, float(op.params["epsilon"] or 0.0), of_length=op.name == "unit_norm")
    if op.name == "sparsemax":
        return _sparsemax(build, x, axis, shape[axis] or 0)
    if op.name == "glu":
        halves = build.add_several("Split", 2, x, axis=axis)
        return build.add("Mul", halves[0], build.add("Sigmoid", halves[1]))
    return build.add("Softmax" if op.name == "softmax" else "LogSoftmax", x, axis=axis)


def _relu(build: Builder, x: str, params: Mapping[str, Any]) -> str:
    slope, most, threshold = (params.get(key) for key in ("negative_slope", "max_value", "threshold"))
    if slope and most is None and not threshold:
        return build.add("LeakyRelu", x, alpha=float(slope))
    if threshold:
        over = build.add("Greater", x, build.constant(threshold))
        y = build.add("Where", over, x, build.constant(0.0))
    else:
        y = build.add("Relu", x)
    if most is not None:
        y = build.add("Clip", y, build.constant(0.0), build.constant(most))
    if slope:
        below = build.add("Sub", build.constant(threshold or 0.0), x)
        part = build.add("Mul", build.add("Relu", below), build.constant(slope))
        y = build.add("Sub", y, part)
    return y


def _gelu(build: Builder, x: str, params: Mapping[str, Any]) -> str:
    half = build.add("Mul", x, build.constant(0.5))
    if params.get("approximate"):
        cube = build.add("Mul", build.add("Mul", build.add("Mul", x, x), x), build.constant(0.044715))
        inner = build.add("Mul", build.add("Add", x, cube), build.constant(math.sqrt(2 / math.pi)))
        curve = build.add("Tanh", inner)
    else:
        curve = build.add("Erf", build.add("Mul", x, build.constant(math.sqrt(0.5))))
    return build.add("Mul", half, build.add("Add", curve, build.constant(1.0)))


def _celu(build: Builder, x: str, params: Mapping[str, Any]) -> str:
    alpha = float(params.get("alpha", 1.0))
    below = build.add("Mul", build.add("Min", x, build.constant(0.0)), build.constant(1 / alpha))
    part = build.add("Mul", build.add("Elu", below, alpha=1.0), build.constant(alpha))
    return build.add("Add", build.add("Relu", x), part)


def _log_sigmoid(build: Builder, x: str, _: Mapping[str, Any]) -> str:
    return build.add("Neg", build.add("Softplus", build.add("Neg", x)))


def _mish(build: Builder, x: str, _: Mapping[str, Any]) -> str:
    return build.add("Mul", x, build.add("Tanh", build.add("Softplus", x)))


def _sparse_plus(build: Builder, x: str, _: Mapping[str, Any]) -> str:
    root = build.add("Relu", build.add("Add", x, build.constant(1.0)))
    curve = build.add("Mul", build.add("Mul", root, root), build.constant(0.25))
    return build.add("Where", build.add("Less", x, build.constant(1.0)), curve, x)


def _sparse_sigmoid(build: Builder, x: str, _: Mapping[str, Any]) -> str:
    half = build.add("Mul", build.add("Add", x, build.constant(1.0)), build.constant(0.5))
    return build.add("Clip", half, build.constant(0.0), build.constant(1.0))


def _squareplus(build: Builder, x: str, params: Mapping[str, Any]) -> str:
    root = build.add("Sqrt", build.add("Add", build.add("Mul", x, x), build.constant(params.get("b", 4.0))))
    return build.add("Mul", build.add("Add", x, root), build.constant(0.5))


def _threshold(build: Builder, x: str, params: Mapping[str, Any]) -> str:
    over = build.add("Greater", x, build.constant(params["threshold"]))
    return build.add("Where", over, x, build.constant(params["default_value"]))


def _shrink(build: Builder, x: str, params: Mapping[str, Any], soft: bool) -> str:
    limit = float(params.get("threshold", 0.5))
    return build.add("Shrink", x, lambd=limit, bias=limit if soft else 0.0)


def _hard_sigmoid(build: Builder, x: str, alpha: float = 1 / 6) -> str:
    return build.add("HardSigmoid", x, alpha=alpha, beta=0.5)


def _clip(build: Builder, x: str, low: float, high: float) -> str:
    return build.add("Clip", x, build.constant(low), build.constant(high))


def _rsqrt(build: Builder, x: str) -> str:
    return build.add("Reciprocal", build.add("Sqrt", x))


def _norm(build: Builder, x: str, axis: int, epsilon: float, *, of_length: bool) -> str:
    """Add a division by a vector's length, which counts as ``epsilon`` at least, or by its root mean square."""
    square = build.add("Mul", x, x)
    if of_length:
        total = build.add("ReduceSum", square, build.constant([axis], np.int64), keepdims=1)
        size = build.add("Max", total, build.constant(epsilon * epsilon))
    else:
        mean = build.add("ReduceMean", square, axes=[axis], keepdims=1)
        size = build.add("Add", mean, build.constant(epsilon))
    return build.add("Mul", x, _rsqrt(build, size))


_FORMULAS: Final[Mapping[str, Formula]] = {
    "abs": lambda b, x, _: b.add("Abs", x),
    "celu": _celu,
    "elu": lambda b, x, p: b.add("Elu", x, alpha=float(p.get("alpha", 1.0))),
    "exponential": lambda b, x, _: b.add("Exp", x),
    "gelu": _gelu,
    "hard_shrink": lambda b, x, p: _shrink(b, x, p, soft=False),
    "hard_sigmoid": lambda b, x, _: _hard_sigmoid(b, x),
    "hard_sigmoid_keras2": lambda b, x, _: _hard_sigmoid(b, x, 0.2),
    "hard_silu": lambda b, x, _: b.add("Mul", x, _hard_sigmoid(b, x)),
    "hard_tanh": lambda b, x, _: _clip(b, x, -1.0, 1.0),
    "leaky_relu": lambda b, x, p: b.add("LeakyRelu", x, alpha=float(p.get("negative_slope", 0.2))),
    "linear": lambda _, x, __: x,
    "log": lambda b, x, _: b.add("Log", x),
    "log_sigmoid": _log_sigmoid,
    "mish": _mish,
    "relu": _relu,
    "relu6": lambda b, x, _: _clip(b, x, 0.0, 6.0),
    "rsqrt": lambda b, x, _: _rsqrt(b, x),
    "selu": lambda b, x, _: b.add("Selu", x),
    "sigmoid": lambda b, x, _: b.add("Sigmoid", x),
    "silu": lambda b, x, _: b.add("Mul", x, b.add("Sigmoid", x)),
    "soft_shrink": lambda b, x, p: _shrink(b, x, p, soft=True),
    "softplus": lambda b, x, _: b.add("Softplus", x),
    "softsign": lambda b, x, _: b.add("Softsign", x),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "sqrt": lambda b, x, _: b.add("Sqrt", x),
    "square": lambda b, x, _: b.add("Mul", x, x),
    "squareplus": _squareplus,
    "tanh": lambda b, x, _: b.add("Tanh", x),
    "tanh_shrink": lambda b, x, _: b.add("Sub", x, b.add("Tanh", x)),
    "threshold": _threshold,
}


def _sparsemax(build: Builder, x: str, axis: int, length: int) -> str:
    """Add what Keras computes as sparsemax: its ``tau`` is a sum over all numbers that support the answer."""
    one = build.constant(1.0)
    falling, _ = build.add_several("TopK", 2, x, build.constant([length], np.int64), axis=axis, largest=1, sorted=1)
    sums = build.add("CumSum", falling, build.constant(axis, np.int64))
    number = np.arange(1, length + 1, dtype=np.float32)
    bound = build.add("Div", build.add("Sub", sums, one), build.constant(number.reshape([-1, *[1] * (-axis - 1)])))
    supports = build.add("Greater", falling, bound)
    inside = build.add("Where", supports, one, build.constant(0.0))
    axes = build.constant([axis], np.int64)
    count = build.add("ReduceSum", inside, axes, keepdims=1)
    total = build.add("ReduceSum", build.add("Where", supports, sums, build.constant(0.0)), axes, keepdims=1)
    tau = build.add("Div", build.add("Sub", total, one), count)
    return build.add("Relu", build.add("Sub", x, tau))
