"""Activations that exporters write as formulas of several operators, recognised as a whole.

``0.5 x (1 + erf(x / sqrt 2))`` is a GELU, ``x / (1 + |x|)`` a softsign. Their steps have no meaning of their own in the
graph (an error function, a division), so they wait as :class:`~napari_fcnseg.readers.onnx.values.PendingFormula` until
the formula is complete; a step that never becomes part of one is refused by its own name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnsupportedLayerError
from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import Activation, Affine, Dense, GlobalPool, LayerNorm, Merge
from napari_fcnseg.readers.onnx.values import PLAIN, PendingFormula, Tensor, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.graph.network import Node
    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.onnx.tensors import Constant

_DEEPEST: Final = 8
_PART: Final = "it is an operator that is only read as a part of certain activations"
_SQRT_HALF: Final = math.sqrt(0.5)
_ENDLESS: Final = 17.0  # above it softplus(x) = x in single precision


_OPERANDS: Final = {"Abs": 1, "Erf": 1, "Log": 1, "Sqrt": 1, "Reciprocal": 1, "Where": 3}


def formula(call: NodeContext) -> Value:
    """Take a step of a formula: complete it, or wait for the next."""
    operands = tuple(value for value in call.values if isinstance(value, (Tensor, PendingFormula, np.ndarray)))
    before = next((value.refusal for value in operands if isinstance(value, PendingFormula)), None)
    refusal = before or UnsupportedLayerError(call.node.name, call.node.op_type, _PART, PLAIN)
    pending = PendingFormula(call.node.op_type, operands, refusal)
    if _depth(pending) > _DEEPEST or len(operands) != _OPERANDS.get(call.node.op_type, 2):
        raise pending.refusal
    for recognise in (_gelu, _softsign, _log, _chosen, _layer_norm):
        found = recognise(call, pending)
        if found is not None:
            return found
    return pending


def _depth(value: Value | Constant) -> int:
    return 1 + max(map(_depth, value.operands), default=0) if isinstance(value, PendingFormula) else 0


def gated(call: NodeContext) -> Tensor | None:
    """Recognise ``x sigmoid(x)``, ``x hard_sigmoid(x)`` and ``x tanh(softplus(x))``."""
    pair = (call.tensor(0), call.tensor(1))
    for x, gate in (pair, pair[::-1]):
        if x.view != gate.view:
            continue
        node = _maker(call, gate.source)
        name = _activation(node)
        if node and node.inputs == (x.source,) and name in ("sigmoid", "hard_sigmoid"):
            return call.emit(Activation({"sigmoid": "silu", "hard_sigmoid": "hard_silu"}[name]), read=x)
        before = _maker(call, node.inputs[0]) if node and name == "tanh" else None
        if before and _activation(before) == "softplus" and before.inputs == (x.source,):
            return call.emit(Activation("mish"), read=x)
    return None


def _maker(call: NodeContext, source: str) -> Node | None:
    return None if source == INPUT else call.builder.nodes[source]


def _activation(node: Node | None) -> str | None:
    if node is None or len(node.ops) != 1 or not isinstance(node.ops[0], Activation):
        return None
    return node.ops[0].name


def _number(value: Value | Constant) -> float | None:
    return float(value.ravel()[0]) if isinstance(value, np.ndarray) and value.size == 1 else None


def _origin(call: NodeContext, tensor: Tensor) -> tuple[str, float]:
    """Follow multiplications by one number back: ``(x, 0.5)`` for ``0.5 x``."""
    source, factor = tensor.source, 1.0
    while (node := _maker(call, source)) and len(node.ops) == 1 and isinstance(node.ops[0], Affine):
        op = node.ops[0]
        if op.scale.size != 1 or op.center.any() or op.offset.any():
            break
        source, factor = node.inputs[0], factor * float(op.scale.ravel()[0])
    return source, factor


def _gelu(call: NodeContext, pending: PendingFormula) -> Tensor | None:
    """Recognise the product of x, 1 + erf(x / sqrt 2) and a number."""
    factor, parts = _factors(pending)
    tensors = [part for part in parts if isinstance(part, Tensor)]
    steps = [part for part in parts if isinstance(part, PendingFormula)]
    if len(tensors) != 1 or len(steps) != 1 or steps[0].kind != "Add":
        return None
    erf = next((p for p in steps[0].operands if isinstance(p, PendingFormula) and p.kind == "Erf"), None)
    if erf is None or [_number(p) for p in steps[0].operands if p is not erf] != [1.0]:
        return None
    inner = erf.operands[0]
    if not isinstance(inner, Tensor) or inner.view != tensors[0].view:
        return None
    (source, within), (other, outside) = _origin(call, inner), _origin(call, tensors[0])
    if source != other or not math.isclose(within, _SQRT_HALF, rel_tol=1e-6):
        return None
    x = Tensor(source, inner.shape, inner.view)
    scale, none = 2 * factor * outside, np.zeros((), np.float32)
    ops = (Activation("gelu", {"approximate": False}), Affine(none, np.asarray(scale, np.float32), none))
    return call.emit(*ops[: 1 if scale == 1.0 else 2], read=x)


def _factors(value: Value | Constant) -> tuple[float, list[Value | Constant]]:
    """Take a product apart into one number and the rest."""
    number = _number(value)
    if number is not None:
        return number, []
    if not isinstance(value, PendingFormula) or value.kind not in ("Mul", "Div") or len(value.operands) != 2:
        return 1.0, [value]
    (a, left), (b, right) = map(_factors, value.operands)
    if value.kind == "Mul":
        return a * b, left + right
    return (a / b, left) if b and not right else (1.0, [value])


def _softsign(call: NodeContext, pending: PendingFormula) -> Tensor | None:
    if pending.kind != "Div" or len(pending.operands) != 2:
        return None
    x, below = pending.operands
    if not isinstance(x, Tensor) or not isinstance(below, PendingFormula) or below.kind != "Add":
        return None
    steps = [p for p in below.operands if isinstance(p, PendingFormula)]
    numbers = [_number(p) for p in below.operands if not isinstance(p, PendingFormula)]
    if numbers != [1.0] or [(p.kind, p.operands) for p in steps] != [("Abs", (x,))]:
        return None
    return call.emit(Activation("softsign"), read=x)


def _log(call: NodeContext, pending: PendingFormula) -> Tensor | None:
    """Recognise the logarithm of a sigmoid, of a softmax, or of 1 + exp(x), which is a softplus."""
    x = pending.operands[0] if pending.operands else None
    if pending.kind != "Log" or not isinstance(x, Tensor):
        return None
    node = _maker(call, x.source)
    before = _maker(call, node.inputs[0]) if node and _adds_one(node) else None
    if before and _activation(before) == "exponential":
        return call.emit(Activation("softplus"), read=Tensor(before.inputs[0], x.shape, x.view))
    known = {"sigmoid": "log_sigmoid", "softmax": "log_softmax"}.get(_activation(node) or "")
    if node is None or known is None or not isinstance(node.ops[0], Activation):
        return None
    return call.emit(Activation(known, node.ops[0].params), read=Tensor(node.inputs[0], x.shape, x.view))


def _adds_one(node: Node) -> bool:
    op = node.ops[0] if len(node.ops) == 1 else None
    return isinstance(op, Affine) and not op.center.any() and bool((op.scale == 1).all() and (op.offset == 1).all())


def _chosen(call: NodeContext, pending: PendingFormula) -> Tensor | None:
    """Recognise what is chosen by ``x > t``: a threshold, a hard shrink, a softplus that is cut where it is a line."""
    if pending.kind != "Where" or len(pending.operands) != 3:
        return None
    test, above, below = pending.operands
    if not isinstance(test, PendingFormula) or test.kind not in ("Greater", "LessOrEqual") or len(test.operands) != 2:
        return None
    if test.kind == "LessOrEqual":
        above, below = below, above
    x, limit, value = test.operands[0], _number(test.operands[1]), _number(below)
    if limit is None or not isinstance(above, Tensor):
        return None
    if isinstance(x, Tensor) and x == above and value is not None:
        return call.emit(Activation("threshold", {"threshold": limit, "default_value": value}), read=above)
    if isinstance(x, PendingFormula) and (x.kind, x.operands, value) == ("Abs", (above,), 0.0):
        return call.emit(Activation("hard_shrink", {"threshold": limit}), read=above)
    if isinstance(x, Tensor) and isinstance(below, Tensor) and limit >= _ENDLESS and x.view == above.view == below.view:
        return below if _is_cut_softplus(call, x, above, below) else None
    return None


def _is_cut_softplus(call: NodeContext, scaled: Tensor, line: Tensor, curve: Tensor) -> bool:
    """Say whether ``curve`` is ``softplus(beta x) / beta``, ``scaled`` is ``beta x`` and ``line`` is x."""
    source, over = _origin(call, curve)
    node = _maker(call, source)
    (first, beta), (second, one) = _origin(call, scaled), _origin(call, line)
    known = node is not None and _activation(node) == "softplus" and node.inputs == (scaled.source,)
    return known and first == second and math.isclose(beta * over, one, rel_tol=1e-6)


def _layer_norm(call: NodeContext, pending: PendingFormula) -> Tensor | None:
    """Recognise ``(x - mean) / sqrt(variance + epsilon)``, a layer normalisation before opset 17."""
    root = pending.operands[-1] if pending.kind == "Div" else None
    if not isinstance(root, PendingFormula) or root.kind != "Sqrt" or len(pending.operands) != 2:
        return None
    centred, shifted = pending.operands[0], root.operands[0]
    if not isinstance(centred, Tensor) or not isinstance(shifted, Tensor):
        return None
    shift, rest = _maker(call, shifted.source), _maker(call, centred.source)
    if shift is None or rest is None or len(shift.ops) != 1 or rest.ops != (Merge("subtract"),):
        return None
    plus, spread = shift.ops[0], _maker(call, shift.inputs[0])
    mean = _maker(call, rest.inputs[1])
    squared = _maker(call, spread.inputs[0]) if spread else None
    if not isinstance(plus, Affine) or not spread or not mean or not squared or plus.offset.size != 1:
        return None
    kinds = _mean(mean)
    same = mean.inputs == rest.inputs[:1] and squared.inputs == (centred.source,) * 2
    if not same or squared.ops != (Merge("multiply"),) or not kinds or kinds != _mean(spread):
        return None
    epsilon, last = float(plus.offset.ravel()[0]), len(centred.shape)
    if plus.center.any() or (plus.scale != 1).any() or epsilon <= 0:
        return None
    axes = tuple(range(1, last + 1)) if "GlobalPool" in kinds else (last,)
    ones = np.ones(centred.shape if len(axes) > 1 else centred.shape[-1:], np.float32)
    x = Tensor(rest.inputs[0], centred.shape, centred.view)
    return call.emit(LayerNorm(ones, np.zeros_like(ones), epsilon, axes), read=x)


def _mean(node: Node) -> tuple[str, ...]:
    """Give the kinds of the operations of a mean over the channels, perhaps over all positions too; else nothing."""
    *pool, dense = node.ops
    if not isinstance(dense, Dense) or dense.kernel.shape[1] != 1 or dense.bias is not None:
        return ()
    if not np.allclose(dense.kernel, 1 / len(dense.kernel), rtol=1e-6) or pool not in (
        [],
        [GlobalPool("average", True)],
    ):
        return ()
    return tuple(type(op).__name__ for op in node.ops)


#: Operators that only have a meaning within a formula.
FORMULA_OPERATORS: Final[dict[str, Callable[[NodeContext], Value]]] = dict.fromkeys(
    ("Abs", "Erf", "Log", "Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sqrt", "Reciprocal"), formula
)
