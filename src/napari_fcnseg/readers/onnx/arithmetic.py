"""ONNX operators that join tensors number by number, with each other or with constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Affine, Merge, MergeKind, Op
from napari_fcnseg.readers.onnx.formulas import formula, gated
from napari_fcnseg.readers.onnx.values import PLAIN, PendingFormula, Tensor, Value, aligned
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.onnx.tensors import Constant

_ONE, _NONE, _MINUS = (np.asarray(n, np.float32) for n in (1.0, 0.0, -1.0))


def _binary(kind: MergeKind | None, with_constant: Callable[[Constant, bool], Affine], call: NodeContext) -> Value:
    """Translate an operator of two operands; the second argument of ``with_constant`` says whether it comes first."""
    if any(isinstance(value, PendingFormula) for value in call.values):
        return formula(call)
    if len(call.values) != 2:
        raise UnreadableError(f"it has {len(call.values)} inputs instead of 2", EXPORT_AGAIN)
    for first, index in ((True, 0), (False, 1)):
        if isinstance(call.values[index], np.ndarray):
            x = call.tensor(1 - index)
            return call.emit(with_constant(aligned(call.weights(index), x), first), read=x)
    if kind is None:
        return formula(call)
    if kind == "multiply" and (found := gated(call)) is not None:
        return found
    return merged(call, kind, (call.tensor(0), call.tensor(1)))


def merged(call: NodeContext, kind: MergeKind, tensors: tuple[Tensor, ...]) -> Tensor:
    """Join tensors of one shape, or such that have length 1 where others do not."""
    first = tensors[0]
    view, shape = first.view, first.shape
    for other in tensors[1:]:
        fits = len(other.view) == len(view) and len(other.shape) == len(shape)
        if fits:
            fits = all(a == b or not a or not b for a, b in zip(view, other.view, strict=True))
            fits = fits and all(1 in (n, m) or n == m for n, m in zip(shape, other.shape, strict=True))
        view = tuple(a or b for a, b in zip(view, other.view, strict=True)) if fits else ()
        axes = [axis for group in view for axis in group]
        if not fits or len(set(axes)) != len(axes):
            raise RefusedError(
                f"it joins {first.source!r} of shape {first.sizes} with {other.source!r} of shape {other.sizes}, "
                "which do not lie over each other",
                "Join maps of one size only and train again.",
            )
        shape = tuple(max(n, m) for n, m in zip(shape, other.shape, strict=True))
    return call.join(Merge(kind), tensors, shape, view)


def _plus(c: Constant, first: bool) -> Affine:
    return Affine(_NONE, _ONE, c)


def _minus(c: Constant, first: bool) -> Affine:
    return Affine(c, _MINUS if first else _ONE, _NONE)


def _times(c: Constant, first: bool) -> Affine:
    return Affine(_NONE, c, _NONE)


def _over(c: Constant, first: bool) -> Affine:
    if first:
        raise RefusedError("it divides by what it computes from the patch", PLAIN)
    with np.errstate(divide="ignore", over="ignore"):
        scale = (1 / c.astype(np.float64)).astype(np.float32)
    if not np.isfinite(scale).all():
        raise UnreadableError("it divides by zero", EXPORT_AGAIN)
    return Affine(_NONE, scale, _NONE)


def _several(kind: MergeKind, call: NodeContext) -> Value:
    """Translate an operator of any number of operands."""
    tensors = tuple(call.tensor(i) for i, value in enumerate(call.values) if not isinstance(value, np.ndarray))
    constants = [call.weights(i) for i, value in enumerate(call.values) if isinstance(value, np.ndarray)]
    if not tensors or (constants and kind == "average"):
        raise RefusedError("it joins patches with constants in an unusual way", PLAIN)
    joined = merged(call, kind, tensors) if len(tensors) > 1 else tensors[0]
    for constant in constants:
        if kind == "add":
            joined = call.emit(_plus(aligned(constant, joined), False), read=joined)
        else:
            joined = call.emit(*_limit(kind, constant), read=joined)
    return joined


def _limit(kind: MergeKind, constant: Constant) -> tuple[Op, ...]:
    if constant.size != 1:
        raise RefusedError("it limits each channel or position differently", "Use one limit for all and train again.")
    value = float(constant.ravel()[0])
    return clipped(value, None) if kind == "maximum" else clipped(None, value)


def clipped(low: float | None, high: float | None) -> tuple[Op, ...]:
    """Express a limit from below, from above, or both, with the activations that there are."""
    if low == 0.0 and high is None:
        return (Activation("relu", {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}),)
    if (low, high) == (0.0, 6.0):
        return (Activation("relu6"),)
    if (low, high) == (-1.0, 1.0):
        return (Activation("hard_tanh"),)
    if low == 0.0 and high is not None and high > 0:
        return (Activation("relu", {"negative_slope": 0.0, "max_value": high, "threshold": 0.0}),)
    ops: tuple[Op, ...] = ()
    if low is not None:
        ops += (Activation("threshold", {"threshold": low, "default_value": low}),)
    if high is not None:
        mirror = Affine(_NONE, _MINUS, _NONE)
        ops += (mirror, Activation("threshold", {"threshold": -high, "default_value": -high}), mirror)
    return ops


def _clip(call: NodeContext) -> Value:
    limits: list[float | None] = []
    for index, key in enumerate(("min", "max"), 1):
        if call.opset < 11:
            value = call.number(key, np.inf) if key in call.node.attributes else np.inf
        else:
            value = float(call.constant(index).reshape(-1)[:1].sum()) if call.has(index) else np.inf
            if call.has(index) and call.constant(index).size != 1:
                raise UnreadableError(f"its limit {key!r} is no single number", EXPORT_AGAIN)
        if np.isnan(value):
            raise UnreadableError(f"its limit {key!r} is no number", EXPORT_AGAIN)
        limits.append(value if abs(value) < _ENDLESS else None)
    ops = clipped(*limits)
    return call.emit(*ops) if ops else call.tensor()


_ENDLESS: Final = 3e38  # what stands for no limit where a file must have one


def _power(call: NodeContext) -> Value:
    exponent = call.constant(1)
    times = float(exponent.ravel()[0]) if exponent.size == 1 else 0.0
    if times not in (1.0, 2.0, 3.0, 4.0):
        raise RefusedError("it raises numbers to a power other than 1, 2, 3 or 4", PLAIN)
    x = result = call.tensor()
    for _ in range(int(times) - 1):
        result = merged(call, "multiply", (result, x))
    return result


def _negative(call: NodeContext) -> Value:
    return call.emit(Affine(_NONE, _MINUS, _NONE))


#: Operator -> translation.
ARITHMETIC_OPERATORS: Final[dict[str, Callable[[NodeContext], Value]]] = {
    "Add": lambda call: _binary("add", _plus, call),
    "Sub": lambda call: _binary("subtract", _minus, call),
    "Mul": lambda call: _binary("multiply", _times, call),
    "Div": lambda call: _binary(None, _over, call),
    "Sum": lambda call: _several("add", call),
    "Mean": lambda call: _several("average", call),
    "Max": lambda call: _several("maximum", call),
    "Min": lambda call: _several("minimum", call),
    "Clip": _clip,
    "Pow": _power,
    "Neg": _negative,
}
