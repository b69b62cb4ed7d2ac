"""ONNX's activations: on each number alone, and along an axis."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.graph.ops import Activation, Affine, Op, PReLU
from napari_fcnseg.readers.onnx.values import Tensor, aligned
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext

_SELU: Final = (1.6732632423543772, 1.0507009873554805)


def _plain(name: str, call: NodeContext, **params: Any) -> Tensor:
    return call.emit(Activation(name, params))


def _with_number(name: str, key: str, setting: str, default: float, call: NodeContext) -> Tensor:
    return call.emit(Activation(name, {key: call.number(setting, default)}))


def _hard_sigmoid(call: NodeContext) -> Tensor:
    alpha, beta = call.number("alpha", 0.2), call.number("beta", 0.5)
    for slope, name in ((1 / 6, "hard_sigmoid"), (0.2, "hard_sigmoid_keras2")):
        if math.isclose(alpha, slope, rel_tol=1e-6) and beta == 0.5:
            return _plain(name, call)
    line = Affine(*(np.asarray(n, np.float32) for n in (0.0, alpha, beta)))
    return call.emit(line, Activation("relu", {"negative_slope": 0.0, "max_value": 1.0, "threshold": 0.0}))


def _selu(call: NodeContext) -> Tensor:
    alpha, gamma = call.number("alpha", _SELU[0]), call.number("gamma", _SELU[1])
    if math.isclose(alpha, _SELU[0], rel_tol=1e-6) and math.isclose(gamma, _SELU[1], rel_tol=1e-6):
        return _plain("selu", call)
    scale = Affine(*(np.asarray(n, np.float32) for n in (0.0, gamma, 0.0)))
    return call.emit(Activation("elu", {"alpha": alpha}), scale)


def _celu(call: NodeContext) -> Tensor:
    alpha = call.number("alpha", 1.0)
    if not alpha:
        raise RefusedError("its alpha is zero", "Use ReLU instead and train again.")
    return _plain("celu", call, alpha=alpha)


def _gelu(call: NodeContext) -> Tensor:
    return _plain("gelu", call, approximate=call.text("approximate", "none") == "tanh")


def _prelu(call: NodeContext) -> Tensor:
    x = call.tensor()
    slopes = aligned(call.weights(1), x)
    if slopes.ndim < 2:
        slopes = np.broadcast_to(slopes, (*(1,) * (len(x.shape) - 1), x.shape[-1]))
    return call.emit(PReLU(np.ascontiguousarray(slopes, np.float32)))


def _threshold(call: NodeContext) -> Tensor:
    return _plain("threshold", call, threshold=call.number("alpha", 1.0), default_value=0.0)


def _shrink(call: NodeContext) -> Tensor:
    bias, limit = call.number("bias", 0.0), call.number("lambd", 0.5)
    if bias not in (0.0, limit) or limit < 0:
        raise RefusedError("its bias is neither zero nor its limit", "Use Hardshrink or Softshrink and train again.")
    return _plain("soft_shrink" if bias else "hard_shrink", call, threshold=limit)


def _along(name: str, call: NodeContext) -> Tensor:
    x = call.tensor()
    axis = call.whole("axis", 1 if call.opset < 13 else -1)
    index = axis if axis >= 0 else axis + len(x.view) + 1
    if call.opset < 13 and math.prod(x.sizes[index:]) > 1:
        raise RefusedError(
            "it normalises over several axes at once", "Export the model again with opset_version=18, or use dim=1."
        )
    inner = x.axis(axis)
    op: Op = Activation(name, {"axis": -1 if inner == len(x.shape) - 1 else inner + 1})
    return call.emit(op)


#: Operator -> translation.
POINTWISE_OPERATORS: Final[dict[str, Callable[[NodeContext], Tensor]]] = {
    "Relu": partial(_plain, "relu", negative_slope=0.0, max_value=None, threshold=0.0),
    "Sigmoid": partial(_plain, "sigmoid"),
    "Tanh": partial(_plain, "tanh"),
    "Exp": partial(_plain, "exponential"),
    "Softplus": partial(_plain, "softplus"),
    "Softsign": partial(_plain, "softsign"),
    "Mish": partial(_plain, "mish"),
    "HardSwish": partial(_plain, "hard_silu"),
    "LeakyRelu": partial(_with_number, "leaky_relu", "negative_slope", "alpha", 0.01),
    "Elu": partial(_with_number, "elu", "alpha", "alpha", 1.0),
    "Celu": _celu,
    "Selu": _selu,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "PRelu": _prelu,
    "ThresholdedRelu": _threshold,
    "Shrink": _shrink,
    "Softmax": partial(_along, "softmax"),
    "LogSoftmax": partial(_along, "log_softmax"),
}
