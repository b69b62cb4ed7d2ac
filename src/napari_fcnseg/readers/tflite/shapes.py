"""TensorFlow Lite's operators that move, cut and join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.tflite.calls import moved
from napari_fcnseg.readers.tflite.tflite_file import BOOL, CONVERT_AGAIN, FLOAT16, FLOAT32, INT32, INT64

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.tflite.calls import LiteContext

_END: Final = 2**62
#: Numbers of types here and in ONNX.
_TYPES: Final = {FLOAT32: 1, FLOAT16: 1, 10: 1, INT32: 6, INT64: 7, BOOL: 9}


def _reshape(call: LiteContext) -> None:
    layout = call.layout()
    if layout.blocks or layout.positions:
        if call.model.tensors[call.operator.outputs[0]].sizes[:-1] != layout.positions:
            raise RefusedError("it moves numbers between the patches of a batch", "Save it as .keras.")
        call.finish(call.read())
        return
    shape = call.read(1) if call.has(1) else call.fixed(call.listed(0) or [])
    call.finish(call.step("Reshape", [call.read(), shape], allowzero=1))


def _squeeze(call: LiteContext) -> None:
    axes = call.listed(0)
    call.finish(call.step("Squeeze", [call.read(), *([call.fixed(axes)] if axes else [])]))


def _expand_dims(call: LiteContext) -> None:
    call.finish(call.step("Unsqueeze", [call.read(), call.fixed(call.wholes(1))]))


def _transpose(call: LiteContext) -> None:
    call.finish(call.step("Transpose", [call.read()], perm=tuple(call.wholes(1))))


def _concatenate(call: LiteContext) -> None:
    rank, count = call.rank(), len(call.operator.inputs)
    axis = call.axis(call.option(0))
    if rank < 3:
        result = call.step("Concat", [call.read(i) for i in range(count)], axis=axis)
    else:
        joined = call.step("Concat", [call.first(i) for i in range(count)], axis=moved(axis, rank))
        result = call.last(joined, rank)
    call.finish(result, call.option(1, "b"))


def _pack(call: LiteContext) -> None:
    axis = call.option(1)
    parts = [call.step("Unsqueeze", [call.read(i), call.fixed([axis])]) for i in range(len(call.operator.inputs))]
    call.finish(call.step("Concat", parts, axis=axis))


def _unpack(call: LiteContext) -> None:
    axis = call.axis(call.option(1))
    for number in range(len(call.operator.outputs)):
        call.finish(call.step("Gather", [call.read(), call.fixed(number)], axis=axis), index=number)


def _split(call: LiteContext) -> None:
    sized = call.operator.op_type == "SPLIT_V"
    source, (axis,) = (0, call.wholes(2)) if sized else (1, call.wholes(0))
    rank, count = call.rank(source), len(call.operator.outputs)
    axis = call.axis(axis, source)
    sizes = call.wholes(1) if sized else [call.size(axis, source) // max(count, 1)] * count
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = call.size(axis, source) - sum(sizes) - 1
    names = [f"{call.layer} part {number}" for number in range(count)]
    x = call.first(source) if rank > 2 else call.read(source)
    at = moved(axis, rank) if rank > 2 else axis
    call.composer.add(call.layer, "Split", [x, call.fixed(sizes)], names, axis=at)
    for number, name in enumerate(names):
        call.finish(call.last(name, rank) if rank > 2 else name, index=number)


def _slice(call: LiteContext) -> None:
    starts, sizes = call.wholes(1), call.wholes(2)
    if len(starts) != len(sizes) or len(starts) != call.rank():
        raise UnreadableError("its starts and sizes do not fit together", CONVERT_AGAIN)
    ends = [_END if size == -1 else start + size for start, size in zip(starts, sizes, strict=True)]
    _cut(call, [(axis, *cut, 1) for axis, cut in enumerate(zip(starts, ends, strict=True))], [])


def _strided_slice(call: LiteContext) -> None:
    starts, ends, steps = (call.wholes(i) for i in (1, 2, 3))
    masks = [call.option(field) for field in range(5)]
    if masks[2] or masks[3]:
        raise RefusedError("it cuts with an ellipsis or a new axis", "Save it with model.save('my_model.keras').")
    if not len(starts) == len(ends) == len(steps) <= call.rank():
        raise UnreadableError("its starts, ends and steps do not fit together", CONVERT_AGAIN)
    cuts, dropped = [], []
    for axis, (start, end, step) in enumerate(zip(starts, ends, steps, strict=True)):
        if masks[4] >> axis & 1:
            dropped.append(axis)
            start, end, step = start, start + 1 if start != -1 else _END, 1
        elif not step:
            raise UnreadableError("it cuts in steps of nothing", CONVERT_AGAIN)
        if masks[0] >> axis & 1:
            start = 0 if step > 0 else _END
        if masks[1] >> axis & 1 and axis not in dropped:
            end = _END if step > 0 else -_END
        cuts.append((axis, start, end, step))
    _cut(call, cuts, dropped)


def _cut(call: LiteContext, cuts: list[tuple[int, int, int, int]], dropped: list[int]) -> None:
    """Cut axis by axis, then drop those of which a single position was chosen."""
    rank = call.rank()
    first = rank > 2
    result = call.first() if first else call.read()
    for axis, start, end, step in cuts:
        if (start, step) == (0, 1) and end >= _END:
            continue
        at = moved(axis, rank) if first else axis
        result = call.step("Slice", [result, *(call.fixed([n]) for n in (start, end, at, step))])
    result = call.last(result, rank) if first else result
    call.finish(call.step("Squeeze", [result, call.fixed(dropped)]) if dropped else result)


def _gather(call: LiteContext) -> None:
    if call.option(1):
        raise RefusedError("it chooses for each patch by itself", "Save it with model.save('my_model.keras').")
    axis, rank = call.axis(call.option(0)), call.rank()
    if rank < 3 or call.rank(1) != 1:
        call.finish(call.step("Gather", [call.read(), call.read(1)], axis=axis))
        return
    result = call.step("Gather", [call.first(), call.read(1)], axis=moved(axis, rank))
    call.finish(call.last(result, rank))


def _shape(call: LiteContext) -> None:
    call.finish(call.step("Shape", [call.read()]))


def _cast(call: LiteContext) -> None:
    kind = call.model.tensors[call.operator.outputs[0]].kind
    call.finish(call.step("Cast", [call.read()], to=_TYPES.get(kind, 0)))


def _two(op_type: str) -> Callable[[LiteContext], None]:
    return lambda call: call.finish(call.step(op_type, [call.read(0), call.read(1)]))


#: Operator -> translation.
SHAPES: Final[dict[str, Callable[[LiteContext], None]]] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _squeeze,
    "EXPAND_DIMS": _expand_dims,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenate,
    "PACK": _pack,
    "UNPACK": _unpack,
    **dict.fromkeys(("SPLIT", "SPLIT_V"), _split),
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "GATHER": _gather,
    "SHAPE": _shape,
    "CAST": _cast,
    "TILE": _two("Tile"),
    "BROADCAST_TO": _two("Expand"),
    "FILL": lambda call: call.finish(call.step("Expand", [call.read(1), call.read(0)])),
}
