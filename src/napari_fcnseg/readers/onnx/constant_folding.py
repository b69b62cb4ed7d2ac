"""Operators on constants: the arithmetic by which exported networks compute the shapes they reshape to.

A small set of its own, with a limit on what it may produce; nothing of the ONNX library is run on what a file holds.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.values import BATCH, PLAIN
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.onnx.tensors import Constant

_MOST_NUMBERS: Final = 2**25  # of one result


def fold(call: NodeContext) -> Constant | None:
    """Compute a node that reads constants alone.

    Parameters
    ----------
    call : NodeContext
        The node; every input it has is an array.

    Returns
    -------
    ndarray or None
        Its result, None if the operator is none of those that are computed.

    Raises
    ------
    UnreadableError
        Its inputs do not fit it.
    RefusedError
        It computes with the number of patches in a batch.
    """
    function = _FOLDS.get(call.node.op_type)
    if function is None:
        return None
    inputs = [value for value in call.values if isinstance(value, np.ndarray)]
    if call.node.op_type not in _STRUCTURAL and any((v == BATCH).any() for v in inputs if v.dtype == np.int64):
        raise RefusedError("it computes with the number of patches in a batch", PLAIN)
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(function(call, *inputs))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, ZeroDivisionError):
        raise UnreadableError("the constants that it reads do not fit together", EXPORT_AGAIN) from None
    if result.dtype.kind not in "fiub":
        raise UnreadableError("its result is no array of numbers", EXPORT_AGAIN)
    if result.dtype.kind == "f":
        return result.astype(np.float32)
    return result if result.dtype == bool else result.astype(np.int64)


def _checked(*shapes: tuple[int, ...]) -> None:
    """Refuse a result that would be absurdly large before it is made."""
    if math.prod(np.broadcast_shapes(*shapes)) > _MOST_NUMBERS:
        raise UnreadableError("its result is too large to be true", EXPORT_AGAIN)


def _constant(call: NodeContext) -> Any:
    names = [name for name in _CONSTANT_TYPES if name in call.node.attributes]
    if len(names) != 1 or len(call.node.attributes) != 1:
        raise RefusedError("its constant is of a kind that is not read", "Use constant numbers only.")
    value = call.node.attributes[names[0]]
    if names[0] == "value" and not isinstance(value, np.ndarray):
        raise TypeError
    return np.asarray(value, dtype=_CONSTANT_TYPES[names[0]])


_CONSTANT_TYPES: Final = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _filled(call: NodeContext, shape: Constant) -> Any:
    sizes = tuple(int(n) for n in shape)
    if any(n < 0 for n in sizes):
        raise RefusedError("its size depends on the number of patches in a batch", PLAIN)
    _checked(sizes)
    value = call.node.attributes.get("value", np.zeros(1, np.float32))
    return np.full(sizes, value.reshape(()))


def _expand(call: NodeContext, x: Constant, shape: Constant) -> Any:
    # One for every patch of a batch stays one: it is the same for all of them.
    shape = np.where(shape[:1] == BATCH, 1, shape[:1]).tolist() + shape[1:].tolist()
    if BATCH in shape:
        raise RefusedError("it computes with the number of patches in a batch", PLAIN)
    sizes = np.broadcast_shapes(x.shape, tuple(int(n) for n in shape))
    _checked(sizes)
    return np.broadcast_to(x, sizes)


def _axes(call: NodeContext, rest: tuple[Constant, ...]) -> tuple[int, ...] | None:
    if rest:
        return tuple(int(n) for n in rest[0])
    axes = call.node.attributes.get("axes")
    return None if axes is None else tuple(axes)


def _squeeze(call: NodeContext, x: Constant, *rest: Constant) -> Any:
    return np.squeeze(x, axis=_axes(call, rest))


def _unsqueeze(call: NodeContext, x: Constant, *rest: Constant) -> Any:
    return np.expand_dims(x, _axes(call, rest) or ())


def _gather(call: NodeContext, x: Constant, indices: Constant) -> Any:
    axis = call.whole("axis", 0)
    _checked((*x.shape[:axis], *indices.shape, *x.shape[axis:][1:]))
    return np.take(x, indices, axis=axis)


def _slice(call: NodeContext, x: Constant, *rest: Constant) -> Any:
    if rest:
        starts, ends = (r.tolist() for r in rest[:2])
        axes = rest[2].tolist() if len(rest) > 2 else range(len(starts))
        steps = rest[3].tolist() if len(rest) > 3 else [1] * len(starts)
    else:
        starts, ends = (call.node.attributes[key] for key in ("starts", "ends"))
        axes, steps = call.node.attributes.get("axes", range(len(starts))), [1] * len(starts)
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # "To the beginning", counted backwards, is written as a very negative end.
        cut[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(cut)]


def _reshape(call: NodeContext, x: Constant, shape: Constant) -> Any:
    sizes = [int(n) for n in shape]
    if not call.whole("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


def _concatenate(call: NodeContext, *parts: Constant) -> Any:
    return np.concatenate(parts, axis=call.whole("axis", 0))


def _transpose(call: NodeContext, x: Constant) -> Any:
    return np.transpose(x, call.node.attributes.get("perm"))


def _cast(call: NodeContext, x: Constant) -> Any:
    to = call.whole("to", 0)
    if to in (1, 10, 11, 16):
        return x.astype(np.float32)
    if to == 9:
        return x != 0
    if to in (6, 7):
        return x.astype(np.int64)
    raise RefusedError("it turns numbers into a kind that is not read", "Export the model in single precision.")


def _divide(call: NodeContext, x: Constant, y: Constant) -> Any:
    _checked(x.shape, y.shape)
    if x.dtype.kind == "i":  # rounded towards zero, as in C
        quotient = np.abs(x) // np.abs(y) * np.sign(x) * np.sign(y)
        if not y.all():
            raise ZeroDivisionError
        return quotient
    return x / y


def _where(call: NodeContext, condition: Constant, x: Constant, y: Constant) -> Any:
    _checked(condition.shape, x.shape, y.shape)
    return np.where(condition, x, y)


def _reduce(function: Callable[..., Any], call: NodeContext, x: Constant, *rest: Constant) -> Any:
    return function(x, axis=_axes(call, rest), keepdims=bool(call.whole("keepdims", 1)))


def _length(x: Constant, **kwargs: Any) -> Any:
    return np.sqrt(np.sum(np.square(x.astype(np.float64)), **kwargs))


def _tile(call: NodeContext, x: Constant, repeats: Constant) -> Any:
    _checked(tuple(abs(int(n)) * m for n, m in zip(repeats, x.shape, strict=True)))
    return np.tile(x, repeats)


def _range(call: NodeContext, start: Constant, limit: Constant, step: Constant) -> Any:
    first, last, by = (n.reshape(()).item() for n in (start, limit, step))
    count = max(math.ceil((last - first) / by), 0)
    _checked((count,))
    return first + by * np.arange(count)


def _binary(function: Callable[[Constant, Constant], Any]) -> Callable[..., Any]:
    def compute(call: NodeContext, x: Constant, *others: Constant) -> Any:
        for y in others:
            _checked(x.shape, y.shape)
            x = function(x, y)
        return x

    return compute


def _unary(function: Callable[[Constant], Any]) -> Callable[..., Any]:
    return lambda call, x: function(x)


#: What hands numbers on without changing them: the size of the batch may be among them.
_STRUCTURAL: Final = frozenset(
    "Constant ConstantOfShape Identity Cast Squeeze Unsqueeze Gather Slice Reshape Concat Equal Where Shape Size "
    "Expand".split()
)
_FOLDS: Final[dict[str, Callable[..., Any]]] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Identity": _unary(lambda x: x),
    "Cast": _cast,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Slice": _slice,
    "Reshape": _reshape,
    "Concat": _concatenate,
    "Transpose": _transpose,
    "Expand": _expand,
    "Shape": _unary(lambda x: np.array(x.shape, np.int64)),
    "Size": _unary(lambda x: np.array(x.size, np.int64)),
    "Range": _range,
    "Tile": _tile,
    "ReduceProd": partial(_reduce, np.prod),
    "ReduceSum": partial(_reduce, np.sum),
    "ReduceMean": partial(_reduce, np.mean),
    "ReduceL2": partial(_reduce, _length),
    "Mod": _binary(np.mod),
    "Not": _unary(np.logical_not),
    "And": _binary(np.logical_and),
    "Or": _binary(np.logical_or),
    "Greater": _binary(np.greater),
    "Less": _binary(np.less),
    "Sign": _unary(np.sign),
    "Where": _where,
    "Add": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "Div": _divide,
    "Equal": _binary(np.equal),
    "Max": _binary(np.maximum),
    "Min": _binary(np.minimum),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Pow": _binary(np.power),
    "Sqrt": _unary(np.sqrt),
    "Reciprocal": _unary(np.reciprocal),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
}
