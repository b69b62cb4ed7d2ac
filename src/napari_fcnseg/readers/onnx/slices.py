"""ONNX operators that cut patches into pieces and join them again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Channels, Crop, Merge, Op, Pool
from napari_fcnseg.readers.onnx.shapes import PER_PATCH, viewed
from napari_fcnseg.readers.onnx.values import BATCH, PLAIN, Tensor, Value, channels_first
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.readers.onnx.builder import NodeContext
    from napari_fcnseg.readers.onnx.shapes import Result

_MOST_PIECES: Final = 256
_END: Final = 2**31  # what exporters write for "to the end" is at least that less one


def _slice(call: NodeContext) -> Value:
    x = call.tensor()
    rank = len(x.view) + 1
    if call.opset < 10:
        starts, ends = (list(call.listed(key) or ()) for key in ("starts", "ends"))
        axes, steps = list(call.listed("axes") or range(len(starts))), [1] * len(starts)
    else:
        starts, ends = call.integers(1), call.integers(2)
        axes = call.integers(3) if call.has(3) else list(range(len(starts)))
        steps = call.integers(4) if call.has(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(not -rank <= a < rank for a in axes):
        raise UnreadableError("its starts, ends, axes and steps do not fit together", EXPORT_AGAIN)
    for axis, *cut in zip((a % rank for a in axes), starts, ends, steps, strict=True):
        x = _cut(call, x, axis, slice(*cut))
    return x


def _cut(call: NodeContext, x: Tensor, axis: int, cut: slice) -> Tensor:
    """Cut along one ONNX axis."""
    if axis == 0:
        if cut.start in (0, BATCH) and cut.stop >= _END - 1 and cut.step == 1:
            return x
        raise RefusedError("it chooses among the patches of a batch", PER_PATCH)
    size = x.sizes[axis - 1]
    if BATCH in (cut.start, cut.stop) or not cut.step:
        raise RefusedError("it cuts by the number of patches", PLAIN)
    if cut.step < 0 and cut.stop < -size:  # to the beginning, counted backwards
        cut = slice(cut.start, None, cut.step)
    taken = range(size)[cut]
    if not taken:
        raise UnreadableError("it cuts everything away", EXPORT_AGAIN)
    if len(taken) == size and cut.step > 0:
        return x
    inner = x.axis(axis)
    if len(taken) > 1 and (cut.step < 0 or (cut.step > 1 and inner == len(x.shape) - 1)):
        return _rearranged(call, x, axis, taken)
    return _piece(call, x, axis, taken)


def _piece(call: NodeContext, x: Tensor, axis: int, taken: range) -> Tensor:
    """Take a regular choice of the positions or channels of one ONNX axis."""
    inner, rank = x.axis(axis), len(x.shape)
    if inner == rank - 1:
        return _emit_cut(call, x, (Channels(taken[0], taken[-1] + 1),), inner, len(taken))
    width = [(0, 0)] * (rank - 1)
    width[inner] = (taken[0], x.shape[inner] - 1 - taken[-1])
    ops: tuple[Op, ...] = (Crop(tuple(width)),) if any(width[inner]) else ()
    if taken.step != 1 and len(taken) > 1:
        strides = tuple(taken.step if i == inner else 1 for i in range(rank - 1))
        ops += (Pool("max", (1,) * (rank - 1), strides),)
    return _emit_cut(call, x, ops, inner, len(taken))


def _emit_cut(call: NodeContext, x: Tensor, ops: tuple[Op, ...], inner: int, left: int) -> Tensor:
    shape = tuple(left if i == inner else n for i, n in enumerate(x.shape))
    view = tuple(tuple(a for a in group if a != inner or left > 1) for group in x.view)
    name = call.builder.add(call.node.name, call.node.op_type, ops, (x.source,))
    return Tensor(name, shape, view)


def _gather(call: NodeContext) -> Value:
    x = call.tensor()
    axis = call.whole("axis", 0)
    axis = axis if axis >= 0 else axis + len(x.view) + 1
    if not 0 < axis <= len(x.view):
        raise RefusedError("it chooses among the patches of a batch", PER_PATCH)
    indices, size = call.constant(1), x.sizes[axis - 1]
    chosen = [n if n >= 0 else n + size for n in call.integers(1)]
    if not chosen or any(not 0 <= n < size for n in chosen):
        raise UnreadableError(f"it chooses {chosen[:8]} of {size}", EXPORT_AGAIN)
    step = chosen[1] - chosen[0] if len(chosen) > 1 else 1
    taken = range(chosen[0], chosen[-1] + 1, step) if step > 0 else range(0)
    if list(taken) != chosen:
        return _rearranged(call, x, axis, chosen)
    piece = x if len(taken) == size else _piece(call, x, axis, taken)
    if indices.ndim:
        return piece
    return viewed(call, piece, tuple(n for i, n in enumerate(piece.sizes) if i != axis - 1))


def _rearranged(call: NodeContext, x: Tensor, axis: int, chosen: Sequence[int]) -> Tensor:
    """Take channels in another order, one by one."""
    if x.axis(axis) != len(x.shape) - 1 or not (x.is_map or x.is_vector) or len(chosen) > _MOST_PIECES:
        raise RefusedError("it rearranges positions or many channels", PLAIN)
    pieces = tuple(_piece(call, x, axis, range(n, n + 1)) for n in chosen)
    shape = (*x.shape[:-1], len(pieces))
    return call.join(Merge("concatenate"), pieces, shape, channels_first(shape))


def _split(call: NodeContext) -> tuple[Value, ...]:
    x = call.tensor()
    axis = call.whole("axis", 0)
    axis = axis if axis >= 0 else axis + len(x.view) + 1
    if not 0 < axis <= len(x.view):
        raise RefusedError("it takes the patches of a batch apart", PER_PATCH)
    size, count = x.sizes[axis - 1], len(call.node.outputs)
    parts = call.integers(1) if call.has(1) else list(call.listed("split") or ())
    if not parts:
        part = -(-size // max(count, 1))
        parts = [min(part, size - i * part) for i in range(count)]
    if sum(parts) != size or len(parts) != count or min(parts) < 1:
        raise UnreadableError(f"it splits {size} into {parts[:8]}", EXPORT_AGAIN)
    starts = np.cumsum([0, *parts]).tolist()
    return tuple(_piece(call, x, axis, range(a, a + n)) for a, n in zip(starts, parts, strict=False))


def _concatenate(call: NodeContext) -> Value:
    if any(isinstance(value, np.ndarray) for value in call.values):
        raise RefusedError("it joins the patch with constants", "Join what is computed from the patch only.")
    tensors = tuple(call.tensor(i) for i in range(len(call.values)))
    first = tensors[0]
    if len(tensors) == 1:
        return first
    if any(len(t.shape) != len(first.shape) or len(t.view) != len(first.view) for t in tensors):
        raise RefusedError(f"it joins patches of different shapes: {_shown(tensors)}", PLAIN)
    inner = next(t for t in tensors if math.prod(t.sizes) == max(math.prod(u.sizes) for u in tensors)).axis(
        call.whole("axis", 0)
    )
    rests = {(*t.shape[:inner], *t.shape[inner + 1 :]) for t in tensors}
    usual = all(t.is_map for t in tensors) or all(t.is_vector for t in tensors)
    if len(rests) != 1 or not (usual or len({t.view for t in tensors}) == 1):
        raise RefusedError(f"it joins patches of different shapes: {_shown(tensors)}", PLAIN)
    shape = tuple(sum(t.shape[i] for t in tensors) if i == inner else n for i, n in enumerate(first.shape))
    view = channels_first(shape) if usual else first.view
    axis = -1 if inner == len(shape) - 1 else inner + 1
    return call.join(Merge("concatenate", axis), tensors, shape, view)


def _shown(tensors: Sequence[Tensor]) -> str:
    return " and ".join(f"{t.source!r} {t.sizes}" for t in tensors[:4])


#: Operator -> translation.
CUT_OPERATORS: Final[dict[str, Callable[[NodeContext], Result]]] = {
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "Concat": _concatenate,
}
