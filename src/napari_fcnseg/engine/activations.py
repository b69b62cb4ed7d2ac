"""Activations of :mod:`napari_fcnseg.graph.ops` as functions of tensors, whatever the version of Keras.

This module imports Keras; it is imported inside functions of :mod:`napari_fcnseg.engine` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable


def activation(name: str, params: dict[str, Any]) -> Callable[[Any], Any]:
    """Return an activation of :mod:`napari_fcnseg.graph.ops` as a function of tensors."""
    function = OWN[name] if name in OWN else getattr(keras.activations, name, None) or NOT_IN_OLD_KERAS[name]
    return lambda x: keeping_nan(x, function(x, **params))


def written(name: str, params: dict[str, Any], x: Any) -> Any:
    """Apply an activation in a model that is to be written: as a layer or operation of Keras's that a file can hold."""
    if name == "relu":
        return keras.layers.ReLU(**params)(x)
    if name in _LAYERS:
        return getattr(keras.layers, _LAYERS[name])(**params)(x)
    if not params and name not in OWN and hasattr(keras.activations, name):
        return keras.layers.Activation(name)(x)
    function = OWN[name] if name in OWN else getattr(keras.activations, name, None) or NOT_IN_OLD_KERAS[name]
    return function(x, **params)


_LAYERS = {"elu": "ELU", "leaky_relu": "LeakyReLU", "softmax": "Softmax"}


def keeping_nan(x: Any, y: Any) -> Any:
    """Return an activation's result, in float16 with what was no number left as it was.

    It says that numbers became too large. Processors that compute with float16 themselves have a maximum of nothing
    and 0 that is 0.
    """
    return ops.where(ops.isnan(x), x, y) if keras.backend.standardize_dtype(x.dtype) == "float16" else y


def _celu(x: Any, alpha: float = 1.0) -> Any:
    return ops.maximum(x, 0.0) + alpha * ops.expm1(ops.minimum(x, 0.0) / alpha)


def _glu(x: Any, axis: int = -1) -> Any:
    linear, gate = ops.split(x, 2, axis=axis)
    return linear * ops.sigmoid(gate)


def _soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    return ops.sign(x) * ops.maximum(ops.abs(x) - threshold, 0.0)


def _sparse_plus(x: Any) -> Any:
    return ops.where(x < 1.0, ops.square(ops.maximum(x + 1.0, 0.0)) / 4.0, x)


def _sparsemax(x: Any, axis: int = -1) -> Any:
    """Return Keras's sparse softmax, which differs from that of Martins and Astudillo (2016): it adds up the sums."""
    falling = -ops.sort(-x, axis=axis)
    sums = ops.cumsum(falling, axis=axis)
    shape = [1] * len(x.shape)
    shape[axis] = -1
    rank = ops.reshape(ops.cast(ops.arange(1, x.shape[axis] + 1), x.dtype), shape)
    support = ops.cast(falling - (sums - 1.0) / rank > 0.0, x.dtype)
    count = ops.sum(support, axis=axis, keepdims=True)
    return ops.maximum(x - (ops.sum(support * sums, axis=axis, keepdims=True) - 1.0) / count, 0.0)


def _unit_norm(x: Any, axis: int, epsilon: float) -> Any:
    total = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(total, epsilon * epsilon))


def _rms_norm(x: Any, axis: int, epsilon: float) -> Any:
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=axis, keepdims=True) + epsilon)


#: What ``keras.activations`` has in no version.
OWN: dict[str, Callable[..., Any]] = {
    "abs": ops.abs,
    "hard_sigmoid_keras2": lambda x: ops.clip(0.2 * x + 0.5, 0.0, 1.0),
    "log": ops.log,
    "rms_norm": _rms_norm,
    "rsqrt": ops.rsqrt,
    "sqrt": ops.sqrt,
    "square": ops.square,
    "unit_norm": _unit_norm,
}

#: What Keras 3.4 lacks (3.9 lacks one of them still). A model file of a later one, or of another program, may hold it.
NOT_IN_OLD_KERAS: dict[str, Callable[..., Any]] = {
    "celu": _celu,
    "glu": _glu,
    "hard_shrink": lambda x, threshold=0.5: ops.where(ops.abs(x) > threshold, x, 0.0),
    "hard_tanh": lambda x: ops.clip(x, -1.0, 1.0),
    "log_sigmoid": ops.log_sigmoid,
    "soft_shrink": _soft_shrink,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda x: ops.clip((x + 1.0) / 2.0, 0.0, 1.0),
    "sparsemax": _sparsemax,
    "squareplus": lambda x, b=4: (x + ops.sqrt(ops.square(x) + b)) / 2.0,
    "tanh_shrink": lambda x: x - ops.tanh(x),
    "threshold": lambda x, threshold, default_value: ops.where(x > threshold, x, default_value),
}
