"""ONNX operators that move, cut and join: most only change how ONNX sees what is already there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Dense, Identity, Op, UpSample
from napari_fcnseg.readers.onnx.split_channels import rejoined, split, transposed
from napari_fcnseg.readers.onnx.tensors import PRECISIONS, Constant
from napari_fcnseg.readers.onnx.values import (
    BATCH,
    PLAIN,
    GroupedMap,
    PendingFormula,
    SplitMap,
    Tensor,
    Value,
    reshaped,
)
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.shapes import Shape

Result: TypeAlias = "Value | Constant | tuple[Value, ...]"

#: The advice where patches of a batch would be mixed.
PER_PATCH: Final = "Keep the batch axis first and by itself (for example torch.flatten(x, 1)) and train again."
_END: Final = 2**31  # what exporters write for "to the end" is at least that


def _reshape(call: NodeContext) -> Value:
    target = call.integers(1)
    grouped = call.values[0]
    if isinstance(grouped, GroupedMap):
        sizes = _target(call, target, (grouped.groups, math.prod(grouped.tensor.shape) // grouped.groups))
        if sizes != grouped.tensor.sizes:
            raise RefusedError("it takes groups of channels apart", PLAIN)
        return grouped.tensor
    if isinstance(grouped, SplitMap):
        sizes = _target(call, target, grouped.sizes)
        if sizes == grouped.sizes:
            return grouped
        return viewed(call, rejoined(call, grouped), sizes)
    x = call.tensor()
    sizes = _target(call, target, x.sizes)
    result = reshaped(x, sizes)
    if result is not None:
        return call.settle(result)
    if (parts := split(x, sizes)) is not None:
        return parts
    if x.is_map and len(sizes) == 2 and x.shape[-1] % max(sizes[0], 1) == 0:
        return GroupedMap(x, sizes[0])
    raise RefusedError(f"it reorders the numbers of a patch, from {x.sizes} to {sizes}", PLAIN)


def _target(call: NodeContext, target: list[int], sizes: Shape) -> Shape:
    """Work out the shape of one patch that a Reshape asks for."""
    if not target or any(n < -1 and n != BATCH for n in target):
        raise UnreadableError("the shape it asks for is malformed", EXPORT_AGAIN)
    if not call.whole("allowzero", 0):
        target = [((BATCH, *sizes)[i] if i <= len(sizes) else 0) if n == 0 else n for i, n in enumerate(target)]
    first, *rest = target
    total = math.prod(sizes)
    if -1 in rest:
        known = math.prod(n for n in rest if n != -1)
        if rest.count(-1) > 1 or first == -1 or known < 1 or total % known:
            raise UnreadableError(f"the shape it asks for does not fit {sizes}", EXPORT_AGAIN)
        rest = [total // known if n == -1 else n for n in rest]
    batches = (BATCH, -1, call.builder.batch or 1)
    if first not in batches or BATCH in rest or math.prod(rest) != total:
        raise RefusedError("it moves numbers between the patches of a batch", PER_PATCH)
    return tuple(rest)


def _flatten(call: NodeContext) -> Value:
    x = call.tensor()
    axis = call.whole("axis", 1)
    if axis not in (1, -len(x.view)):
        raise RefusedError("it moves numbers between the patches of a batch", PER_PATCH)
    return viewed(call, x, (math.prod(x.sizes),))


def viewed(call: NodeContext, x: Tensor, sizes: Shape) -> Value:
    """View a tensor in another shape of one patch."""
    result = reshaped(x, sizes)
    if result is None:
        raise RefusedError(f"it reorders the numbers of a patch, from {x.sizes} to {sizes}", PLAIN)
    return call.settle(result)


def _axes(call: NodeContext, rank: int) -> list[int] | None:
    """Read the axes of a Squeeze or Unsqueeze, as indices behind the batch axis; None where none are named."""
    named = call.integers(1) if call.has(1) else call.listed("axes")
    if named is None:
        return None
    axes = sorted(n if n >= 0 else n + rank for n in named)
    if len(set(axes)) != len(axes) or any(not 0 <= n < rank for n in axes):
        raise UnreadableError("the axes it names do not exist", EXPORT_AGAIN)
    if 0 in axes:
        raise RefusedError("it adds an axis before the batch axis or takes that away", PER_PATCH)
    return [n - 1 for n in axes]


def _squeeze(call: NodeContext) -> Value:
    x = call.tensor()
    axes = _axes(call, len(x.view) + 1)
    if axes is None and call.builder.batch == 1:
        raise RefusedError(
            "it drops all axes of length 1, the batch axis among them",
            "Use torch.flatten(x, 1) instead and train again.",
        )
    dropped = [i for i, n in enumerate(x.sizes) if n == 1] if axes is None else axes
    if any(x.sizes[i] != 1 for i in dropped):
        raise UnreadableError(f"it drops an axis of {x.sizes} that is longer than 1", EXPORT_AGAIN)
    return viewed(call, x, tuple(n for i, n in enumerate(x.sizes) if i not in dropped))


def _unsqueeze(call: NodeContext) -> Value:
    x = call.tensor()
    named = call.integers(1) if call.has(1) else call.listed("axes")
    axes = _axes(call, len(x.view) + 1 + len(named or ())) or []
    sizes = list(x.sizes)
    for axis in axes:
        sizes.insert(axis, 1)
    return viewed(call, x, tuple(sizes))


def _transpose(call: NodeContext) -> Value:
    value = call.values[0]
    parts = value if isinstance(value, SplitMap) else None
    x = call.tensor() if parts is None else parts.tensor
    rank = len(x.view if parts is None else parts.sizes) + 1
    order = call.listed("perm") or tuple(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise UnreadableError("the order of axes it asks for is malformed", EXPORT_AGAIN)
    if order[0] != 0:
        raise RefusedError("it exchanges the batch axis with another", PER_PATCH)
    if parts is not None:
        return transposed(parts, order)
    return Tensor(x.source, x.shape, tuple(x.view[i - 1] for i in order[1:]))


def _shape(call: NodeContext) -> Constant:
    value = call.values[0]
    sizes = np.array([BATCH, *call.tensor().sizes], np.int64) if isinstance(value, Tensor) else None
    if sizes is None:
        raise RefusedError("it asks for the shape of an intermediate step of a formula", PLAIN)
    end = call.whole("end", _END)
    return sizes[call.whole("start", 0) : end if end < _END else None]


def _same(call: NodeContext) -> Value:
    value = call.values[0]
    return value if isinstance(value, GroupedMap | SplitMap | PendingFormula) else call.tensor()


def _cast(call: NodeContext) -> Value:
    if call.whole("to", 1) not in (1, *PRECISIONS):
        raise RefusedError("it rounds numbers to whole ones or to yes and no", "Export the scores themselves.")
    return call.tensor()


def _dropout(call: NodeContext) -> Value:
    training = call.has(2) and bool(call.constant(2).any())
    if training or (call.opset < 7 and not call.whole("is_test", 0)):
        raise RefusedError("it was exported while training", "Call model.eval() before torch.onnx.export.")
    return call.emit(Identity("it acts during training only"))


def _expand(call: NodeContext) -> Value:
    x = call.tensor()
    wanted = [int(n) for n in call.constant(1).ravel()]
    if len(wanted) != len(x.view) + 1 or wanted[0] not in (1, BATCH, call.builder.batch) or BATCH in wanted[1:]:
        raise RefusedError("it changes the number of axes or of patches", PLAIN)
    sizes = [max(n, m) for n, m in zip(wanted[1:], x.sizes, strict=True)]
    repeats = [n // m for n, m in zip(sizes, x.sizes, strict=True)]
    if any(n not in (1, m) for n, m in zip(wanted[1:], sizes, strict=True)) or any(
        k > 1 and n > 1 for k, n in zip(repeats, x.sizes, strict=True)
    ):
        raise UnreadableError(f"it repeats {x.sizes} to {wanted[1:]}", EXPORT_AGAIN)
    if not any(k > 1 for k in repeats):
        return x
    x = call.map() if x.is_map else call.vector()
    by_axis = {x.axis(i): k for i, k in enumerate(repeats, 1)}
    last = len(x.shape) - 1
    ops: tuple[Op, ...] = ()
    if by_axis[last] > 1:
        ops += (Dense(np.ones((1, by_axis[last]), np.float32), None),)
    if any(by_axis[axis] > 1 for axis in range(last)):
        ops += (UpSample(tuple(by_axis[axis] for axis in range(last))),)
    return call.emit(*ops)


def _tile(call: NodeContext) -> Value:
    if any(n != 1 for n in call.constant(1).ravel().tolist()):
        raise RefusedError("it repeats the patch along an axis", PLAIN)
    return call.tensor()


#: Operator -> translation.
SHAPE_OPERATORS: Final[dict[str, Callable[[NodeContext], Result]]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Shape": _shape,
    "Identity": _same,
    "Cast": _cast,
    "Dropout": _dropout,
    "Expand": _expand,
    "Tile": _tile,
}
