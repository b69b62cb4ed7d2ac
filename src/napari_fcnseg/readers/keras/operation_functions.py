"""What each bare operation on one tensor computes: one table for Keras 2 and Keras 3, as pure functions.

Every function takes the operation's name as Keras 3 calls it, the tensor, the settings with a name, and the operands
that are no tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Dense, GlobalPool, Identity, Op, PoolKind, Take, ZeroPad
from napari_fcnseg.readers.keras.activations import KERAS_3, placed
from napari_fcnseg.readers.keras.axes import permuted, reshaped
from napari_fcnseg.readers.keras.normalization import affine, constant
from napari_fcnseg.readers.keras.reductions import dropped, reduced, taken
from napari_fcnseg.readers.keras.slices import sliced
from napari_fcnseg.readers.keras.tensor_axes import TRAIN_AGAIN, Tensor, advance
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import JsonFields, is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fcnseg.readers.keras.tensor_axes import Built

#: Names of Keras 3's operations where those of its activations differ.
ACTIVATIONS: Final = {"exp": "exponential", "swish": "silu", "hard_swish": "hard_silu"}
#: Functions of each number alone that are no activations.
FUNCTIONS: Final = {name: name for name in ("sqrt", "rsqrt", "log")}
#: What TensorFlow and Keras weigh red, green and blue with.
_GRAY: Final = (0.2989, 0.5870, 0.1140)

Operands: TypeAlias = "list[Any]"


def with_constant(name: str, tensor: Tensor, stored: Any, *, first: bool) -> Built:
    """Compute with a number or an array: first says that it stands before the tensor."""
    value = constant(stored, "its constant", tensor)
    match name:
        case "add":
            return affine(tensor, 0.0, 1.0, value)
        case "subtract":
            return affine(tensor, 0.0, -1.0, value) if first else affine(tensor, value, 1.0, 0.0)
        case "multiply":
            return affine(tensor, 0.0, value, 0.0)
        case "divide" if first:
            raise RefusedError("it divides by what the network computed", "Leave it out and train again.")
        case "divide":
            with np.errstate(divide="ignore"):
                return affine(tensor, 0.0, 1 / value, 0.0)
    # max(x, c) = c + relu(x - c), and min(x, c) = c - relu(c - x).
    sign = 1.0 if name == "maximum" else -1.0
    start, tensor = affine(tensor, value, sign, 0.0)
    rest, tensor = advance(tensor, Activation("relu", dict(KERAS_3["relu"])))
    end, tensor = affine(tensor, 0.0, sign, value)
    return ((*start, *rest, *end) if np.any(value) or name == "minimum" else rest), tensor


def activation(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    """Apply an activation or another function of each number alone."""
    name = ACTIVATIONS.get(name, name)
    if name in FUNCTIONS:
        return placed(tensor, Activation(FUNCTIONS[name]))
    params: dict[str, Any] = dict(KERAS_3[name])
    given = JsonFields(settings)
    if name == "leaky_relu" and "alpha" in settings:
        given = JsonFields({"negative_slope": settings["alpha"]})
    if constants or given.keys() - params.keys():
        raise RefusedError("it is called with unusual arguments", "Use the layer of the same meaning instead.")
    for key in given.keys():
        if key == "axis":
            params[key] = axis_of(given.raw(key))
        elif isinstance(params[key], bool):
            params[key] = given.flag(key)
        elif given.raw(key) is not None:
            params[key] = given.number(key)
    return placed(tensor, Activation(name, params))


def _negative(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    return affine(tensor, 0.0, -1.0, 0.0)


def _absolute(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    return advance(tensor, Activation("leaky_relu", {"negative_slope": -1.0}))


def _nothing(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    kinds = [settings.get("dtype", "float32"), *constants]
    if any(kind not in ("float32", "float64") for kind in kinds):
        raise RefusedError(f"it rounds to {str(kinds[0])[:40]}", "Leave it out and train again.")
    return advance(tensor, Identity("everything is computed in float32 here"))


def _get_item(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    return sliced(tensor, settings.get("slice_spec", constants[0] if constants else None))


def _reduce(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    fields = JsonFields({"axis": constants[0] if constants else None, **settings})
    keep = fields.flag("keepdims", False)
    axes = fields.axes("axis") if "axis" in fields else tuple(range(1, len(tensor.axes) + 1))
    if "axis" not in fields or not axes:
        raise RefusedError("it reduces the batch too", "Name the axes (axis=(1, 2)) and train again.")
    indices = {tensor.index(axis) for axis in axes}
    own = {i for index in indices for i in tensor.core(index)}
    rest = [index for index in range(len(tensor.axes)) if index not in indices]
    positions = {i for i in range(len(tensor.shape) - 1) if tensor.shape[i] > 1}
    view = tensor.with_channels_at(rest[0]) if len(rest) == 1 and not tensor.cut else None
    if view is not None and name in _POOLS and own == positions and not tensor.is_flat:
        return advance(view, GlobalPool(_POOLS[name], keep), axes=view.axes if keep else ((0,),))
    return reduced(name, tensor, indices, keepdims=keep)


_POOLS: Final[dict[str, PoolKind]] = {"mean": "average", "max": "max"}


def _pad(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    width = settings.get("pad_width", settings.get("paddings", constants[0] if constants else None))
    mode = str(settings.get("mode", "constant")).lower()
    filling = settings.get("constant_values") or 0
    pairs = width if isinstance(width, list) else []
    if len(pairs) != len(tensor.axes) + 1 or not all(
        isinstance(p, list) and len(p) == 2 and all(is_whole(n) and 0 <= n < 2**12 for n in p) for p in pairs
    ):
        raise UnreadableError("it is padded in an unusual way")
    if pairs[0] != [0, 0] or not is_number(filling) or mode not in ("constant", "reflect", "symmetric"):
        raise RefusedError(f"it pads the batch, or in a way that cannot be read ({mode[:20]})", "Use ZeroPadding2D.")
    ops: list[Op] = []
    around: list[tuple[int, int]] = [(0, 0)] * (len(tensor.shape) - 1)
    for index, (before, behind) in enumerate(pairs[1:]):
        if (before, behind) == (0, 0):
            continue
        size = tensor.seen[index]
        if mode != "constant":
            edge = mode == "reflect"
            if max(before, behind) > size - edge:
                raise UnreadableError(f"it mirrors more than the {size} positions of an axis")
            places = [*range(before - (not edge), -(not edge), -1), *range(size)]
            places += range(size - 1 - edge, size - 1 - edge - behind, -1)
            made, tensor = taken(tensor, index, places)
            ops += made
            continue
        own = tensor.own_axis(index + 1) - 1
        if own == len(around):
            raise RefusedError("it pads the channels", "Use Concatenate instead and train again.")
        around[own] = (before, behind)
    if any(pair != (0, 0) for pair in around):
        shift = float(filling)
        start, tensor = affine(tensor, shift, 1.0, 0.0) if shift else ((), tensor)
        made, tensor = advance(tensor, ZeroPad(tuple(around)))
        end, tensor = affine(tensor, -shift, 1.0, 0.0) if shift else ((), tensor)
        ops += (*start, *made, *end)
    return tuple(ops) or (Identity("it pads nothing"),), tensor


def _repeat(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    times = settings.get("repeats", constants[0] if constants else None)
    index = tensor.index(axis_of(settings.get("axis", constants[1] if len(constants) > 1 else None)))
    if not is_whole(times) or not 0 < times < 2**12:
        raise UnreadableError("it repeats in an unusual way")
    return taken(tensor, index, [n for n in range(tensor.seen[index]) for _ in range(times)])


def _tile(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    times = settings.get("repeats", settings.get("multiples", constants[0] if constants else None))
    if not isinstance(times, list) or len(times) != len(tensor.axes) + 1 or times[0] != 1:
        raise RefusedError("it repeats the batch, or adds axes", "Use Concatenate instead and train again.")
    ops: list[Op] = []
    for index, count in enumerate(times[1:]):
        if not is_whole(count) or not 0 < count < 2**12:
            raise UnreadableError("it repeats in an unusual way")
        made, tensor = taken(tensor, index, list(range(tensor.seen[index])) * count)
        ops += made
    return tuple(ops), tensor


def _flip(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    fields = JsonFields({"axis": constants[0] if constants else None, **settings})
    ops: list[Op] = []
    for axis in fields.axes("axis"):
        index = tensor.index(axis)
        made, tensor = taken(tensor, index, range(tensor.seen[index])[::-1])
        ops += made
    return tuple(ops), tensor


def _gray(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    if settings.get("data_format") == "channels_first":
        raise RefusedError("its channels come first", "Use data_format='channels_last' and train again.")
    view = tensor.with_channels_at(len(tensor.axes) - 1)
    if view is None:
        raise RefusedError("it takes something else for colours than the channels", TRAIN_AGAIN)
    if name == "grayscale_to_rgb":
        if view.shape[-1] != 1:
            raise UnreadableError(f"it makes colours of {view.shape[-1]} channels")
        return advance(view, Take((0, 0, 0)))
    if view.shape[-1] != 3:
        raise UnreadableError(f"it takes {view.shape[-1]} channels for red, green and blue")
    return advance(view, Dense(np.asarray(_GRAY, np.float32)[:, None], None))


def _bias(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    stored = settings.get("bias", constants[0] if constants else None)
    values = constant(stored, "its bias", tensor)
    if str(settings.get("data_format") or "N").upper().startswith("NC"):
        values = values.reshape(-1, *(1,) * (len(tensor.axes) - 1))
    return affine(tensor, 0.0, 1.0, values)


def _clip(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    low = settings.get("x_min", settings.get("clip_value_min", constants[0] if constants else None))
    high = settings.get("x_max", settings.get("clip_value_max", constants[1] if len(constants) > 1 else None))
    start, tensor = with_constant("maximum", tensor, low, first=False)
    end, tensor = with_constant("minimum", tensor, high, first=False)
    return (*start, *end), tensor


def _power(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    exponent = constants[0] if len(constants) == 1 else None
    functions = {2: ("square",), 0.5: ("sqrt",), -0.5: ("rsqrt",), 4: ("square", "square"), 1: ()}
    if not is_number(exponent) or exponent not in functions:
        raise RefusedError("it raises numbers to a power other than 1, 2, 4, 0.5 or -0.5", "Use another one.")
    ops = tuple(Activation(function) for function in functions[exponent])
    return advance(tensor, *(ops or (Identity("the power of 1 is the number itself"),)))


def _square(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    return advance(tensor, Activation("square"))


def _reciprocal(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    raise RefusedError("it divides by what the network computed", "Leave it out and train again.")


def _reshape(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    target = settings.get("newshape", settings.get("shape", constants[0] if constants else None))
    whole = isinstance(target, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in target)
    if not isinstance(target, list) or not whole or len(target) < 2 or target[0] not in (-1, 1) or min(target) < -1:
        raise RefusedError("it reshapes the batch too", "Use the layer Reshape and train again.")
    return reshaped(tensor, target[1:])


def _transpose(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    axes = settings.get("axes", settings.get("perm", constants[0] if constants else None))
    if (
        not isinstance(axes, list)
        or axes[:1] != [0]
        or sorted(map(str, axes)) != sorted(map(str, range(len(tensor.axes) + 1)))
    ):
        raise RefusedError("it moves the batch axis", "Use the layer Permute and train again.")
    return permuted(tensor, [axis - 1 for axis in axes[1:]])


def _expand_dims(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    axis = axis_of(settings.get("axis", constants[0] if constants else None))
    place = axis - 1 if axis >= 0 else axis + len(tensor.axes) + 1
    if not 0 <= place <= len(tensor.axes):
        raise RefusedError("it adds an axis beside the batch", "Use the layer Reshape and train again.")
    seen = tensor.seen
    return reshaped(tensor, (*seen[:place], 1, *seen[place:]))


def _squeeze(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> Built:
    stored = settings.get("axis", constants[0] if constants else None)
    fields = JsonFields({"axis": stored})
    named = fields.axes("axis") if "axis" in fields and stored != [] else None
    if named is None:
        raise RefusedError(
            "it drops all axes of length 1, perhaps that of the batch too", "Name the axes: axis=(1, 2)."
        )
    built: Built = ((), tensor)
    for index in sorted({tensor.index(axis) for axis in named}, reverse=True):
        built = dropped(built, index)
    return (Identity("it drops axes of length 1"),), built[1]


def axis_of(stored: Any) -> int:
    """Read the number of one axis."""
    (axis, *more) = JsonFields({"axis": stored}).axes("axis") or (9,)
    if more or abs(axis) > 8:
        raise RefusedError("it acts along several axes at once", "Use axis=-1 and train again.")
    return axis


ALONE: Final[dict[str, Callable[[str, Tensor, Mapping[str, Any], Operands], Built]]] = {
    "negative": _negative,
    "absolute": _absolute,
    "abs": _absolute,
    "bias_add": _bias,
    "cast": _nothing,
    "clip": _clip,
    "expand_dims": _expand_dims,
    "flip": _flip,
    "get_item": _get_item,
    "grayscale_to_rgb": _gray,
    "identity": _nothing,
    **dict.fromkeys(("mean", "max", "min", "sum"), _reduce),
    "amax": lambda name, *rest: _reduce("max", *rest),
    "pad": _pad,
    "pow": _power,
    "reciprocal": _reciprocal,
    "repeat": _repeat,
    "reshape": _reshape,
    "rgb_to_grayscale": _gray,
    "square": _square,
    "squeeze": _squeeze,
    "tile": _tile,
    "transpose": _transpose,
}
