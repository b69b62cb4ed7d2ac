"""ATen's operators that move, cut and join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.readers.onnx.tensors import PRECISIONS
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.torch_export.archive import DTYPES
from napari_fcnseg.readers.torch_export.program import Name
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.torch_export.calls import CallContext

_END: Final = 2**62


def _sizes(call: CallContext, key: str) -> str:
    """Give sizes as one list, whether they are numbers or computed from the patch."""
    value = call.get(key, ())
    if not isinstance(value, tuple) or not all(is_whole(n) or isinstance(n, Name) for n in value):
        raise call.malformed(key)
    if all(is_whole(n) for n in value):
        return call.constant(list(value))
    parts = [str(n) if isinstance(n, Name) else call.constant([n]) for n in value]
    return call.step("Concat", parts, axis=0)


def _view(call: CallContext) -> None:
    call.finish("Reshape", [call.read("self"), _sizes(call, "size" if call.has("size") else "shape")], allowzero=1)


def _flatten(call: CallContext) -> None:
    rank = call.rank("self")
    first, last = call.axis("start_dim", 0), call.axis("end_dim", -1)
    if first > last:
        raise call.malformed("start_dim")
    if (first, last) == (1, rank - 1):
        call.finish("Flatten", [call.read("self")], axis=1)
        return
    shape = call.own_shape()
    behind = [n for n in shape[last + 1 :] if n is not None]
    if len(behind) != rank - last - 1:
        raise RefusedError("it joins axes in front of others whose size is not fixed", "Flatten all axes behind it.")
    call.finish("Reshape", [call.read("self"), call.constant([*[0] * first, -1, *behind])])


def _unflatten(call: CallContext) -> None:
    axis, rank = call.axis("dim", 0), call.rank("self")
    shape = call.own_shape()
    behind = [-2 if n is None else n for n in shape[axis + 1 : rank]]
    call.finish("Reshape", [call.read("self"), call.constant([*[0] * axis, *call.wholes("sizes"), *behind])])


def _same(call: CallContext) -> None:
    call.finish("Identity", [call.read("self" if call.has("self") else "input")])


def _cast(call: CallContext) -> None:
    kind = call.get("dtype")
    if kind is None:
        _same(call)
        return
    number = DTYPES[kind][1] if is_whole(kind) and kind in DTYPES else 0
    call.finish("Cast", [call.read("self")], to=1 if number in PRECISIONS else number)


def _dropout(call: CallContext) -> None:
    training = [call.constant(True)] if call.flag("train", False) else []
    call.finish("Dropout", [call.read("input"), "", *training][: 3 if training else 1])


def _permute(call: CallContext) -> None:
    rank = call.rank("self")
    order = tuple(n + rank if n < 0 else n for n in call.wholes("dims"))
    call.finish("Transpose", [call.read("self")], perm=order)


def _transpose(call: CallContext) -> None:
    order = list(range(call.rank("self")))
    a, b = (0, 1) if call.name == "t" else (call.axis("dim0", 0), call.axis("dim1", 1))
    if len(order) < 2:
        raise call.malformed("self")
    order[a], order[b] = order[b], order[a]
    call.finish("Transpose", [call.read("self")], perm=tuple(order))


def _squeeze(call: CallContext) -> None:
    if not call.has("dim"):
        call.finish("Squeeze", [call.read("self")])
        return
    shape = call.own_shape()
    axes = [n + len(shape) if n < 0 else n for n in call.wholes("dim")]
    short = [n for n in axes if 0 <= n < len(shape) and shape[n] == 1]  # a longer axis stays, without a word
    if not short:
        _same(call)
        return
    call.finish("Squeeze", [call.read("self"), call.constant(short)])


def _unsqueeze(call: CallContext) -> None:
    call.finish("Unsqueeze", [call.read("self"), call.constant([call.whole("dim")])])


def _expand(call: CallContext) -> None:
    value = call.get("size", ())
    shape = tuple(1 if is_whole(n) and n == -1 else n for n in value) if isinstance(value, tuple) else value
    if not isinstance(shape, tuple) or not all(is_whole(n) or isinstance(n, Name) for n in shape):
        raise call.malformed("size")
    parts = [str(n) if isinstance(n, Name) else call.constant([n]) for n in shape]
    call.finish("Expand", [call.read("self"), call.step("Concat", parts, axis=0)])


def _repeat(call: CallContext) -> None:
    call.finish("Tile", [call.read("self"), _sizes(call, "repeats")])


def _select(call: CallContext) -> None:
    call.finish("Gather", [call.read("self"), call.constant(call.whole("index"))], axis=call.axis("dim", 0))


def _slice(call: CallContext) -> None:
    start = call.whole("start", 0)
    end = start + call.whole("length") if call.name == "narrow" else call.whole("end", _END)
    cut = (start, end, call.axis("dim", 0), call.whole("step", 1))
    call.finish("Slice", [call.read("self"), *(call.constant([n]) for n in cut)])


def _split(call: CallContext) -> None:
    axis, made = call.axis("dim", 0), call.call.outputs
    known = [n for name in made for n in call.shape(name)[axis : axis + 1] if n is not None]
    if len(known) != len(made):
        raise RefusedError("it splits an axis whose size is not fixed", "Split channels only, and export again.")
    call.finish("Split", [call.read("self"), call.constant(known)], axis=axis)


def _unbind(call: CallContext) -> None:
    axis = call.axis("dim", 0)
    for number, name in enumerate(call.call.outputs):
        call.finish("Gather", [call.read("self"), call.constant(number)], [name], axis=axis)


def _concatenate(call: CallContext) -> None:
    call.finish("Concat", call.names("tensors"), axis=call.whole("dim", 0))


def _stack(call: CallContext) -> None:
    axis = call.whole("dim", 0)
    parts = [call.step("Unsqueeze", [name, call.constant([axis])]) for name in call.names("tensors")]
    call.finish("Concat", parts, axis=axis)


def _shuffle(call: CallContext) -> None:
    groups, (channels, *rest) = call.whole("groups"), call.own_shape()[1:] or (None,)
    if channels is None or groups < 1 or channels % groups or None in rest:
        raise RefusedError("it shuffles channels of a map whose size is not fixed", "Export it with a fixed patch.")
    sizes = [0, groups, channels // groups, *rest]
    parts = call.step("Reshape", [call.read("self"), call.constant(sizes)])
    parts = call.step("Transpose", [parts], perm=(0, 2, 1, *range(3, len(sizes))))
    call.finish("Reshape", [parts, call.constant([0, channels, *rest])])


def _size(call: CallContext) -> None:
    axis = call.axis("dim", 0)
    call.finish("Shape", [call.read("self")], start=axis, end=axis + 1)


def _full(call: CallContext) -> None:
    if call.name == "scalar_tensor":
        call.finish("Identity", [call.read("s")])
        return
    size = call.wholes("size")
    value = {"full": call.number("fill_value", 0), "ones": 1.0}.get(call.name, 0.0)
    call.finish("Expand", [call.constant(float(value)), call.constant(list(size))])


#: Operator -> translation.
SHAPES: Final[dict[str, Callable[[CallContext], None]]] = {
    **dict.fromkeys(("view", "reshape", "unsafe_view"), _view),
    "flatten": _flatten,
    "unflatten": _unflatten,
    **dict.fromkeys(("clone", "contiguous", "detach", "alias", "lift_fresh_copy", "lift_fresh"), _same),
    **dict.fromkeys(("to", "to_copy"), _cast),
    **dict.fromkeys(
        ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_dropout"), _dropout
    ),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t"), _transpose),
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "expand": _expand,
    "repeat": _repeat,
    "select": _select,
    **dict.fromkeys(("slice", "narrow"), _slice),
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    "unbind": _unbind,
    **dict.fromkeys(("cat", "concat"), _concatenate),
    "stack": _stack,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _shuffle),
    "sym_size": _size,
    **dict.fromkeys(("full", "ones", "zeros", "scalar_tensor"), _full),
}
#: Those whose result may lie in the same memory as what they read.
VIEWS: Final = frozenset(
    "view reshape unsafe_view flatten unflatten contiguous detach alias to dropout feature_dropout alpha_dropout "
    "feature_alpha_dropout permute transpose t squeeze unsqueeze expand select slice narrow split split_with_sizes "
    "chunk unbind".split()
)
