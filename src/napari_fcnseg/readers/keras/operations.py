"""Bare operations in a Functional model: ``x + y``, ``keras.ops.relu(x)``, and what tf.keras wrote for ``tf.math``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, GlobalPool, Identity, MergeKind, PoolKind
from napari_fcnseg.readers.keras.activations import KERAS_3, placed
from napari_fcnseg.readers.keras.architecture import TENSORFLOW_OPERATIONS, CallResult, LayerCall, call_results_in
from napari_fcnseg.readers.keras.axes import permuted, reshaped
from napari_fcnseg.readers.keras.merges import merged
from napari_fcnseg.readers.keras.normalization import affine, constant
from napari_fcnseg.readers.keras.slices import sliced
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance
from napari_fcnseg.readers.keras.unsupported import refuse
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import JsonFields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fcnseg.readers.keras.merges import Merged
    from napari_fcnseg.readers.keras.tensor_axes import Built

#: What TFOpLambda calls a function -> what Keras 3 calls the operation.
_TENSORFLOW: Final = {
    **{f"{module}.{name}": name for module in ("math", "__operators__") for name in ("add", "subtract", "multiply")},
    **{"math.truediv": "divide", "math.divide": "divide", "math.maximum": "maximum", "math.minimum": "minimum"},
    **{"math.negative": "negative", "math.abs": "absolute", "math.square": "square", "math.exp": "exp"},
    **{"math.reduce_mean": "mean", "math.reduce_max": "max", "concat": "concatenate", "cast": "cast"},
    **{
        "reshape": "reshape",
        "transpose": "transpose",
        "compat.v1.transpose": "transpose",
        "expand_dims": "expand_dims",
        "identity": "identity",
    },
    **{"math.sigmoid": "sigmoid", "math.tanh": "tanh", "math.softplus": "softplus", "nn.silu": "silu"},
    **{f"nn.{name}": name for name in ("relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign")},
    **{"nn.softmax": "softmax", "nn.log_softmax": "log_softmax", "nn.leaky_relu": "leaky_relu", "nn.gelu": "gelu"},
    **{
        "__operators__.getitem": "get_item",
        "nn.swish": "silu",
        "compat.v1.nn.softmax": "softmax",
        "identity_n": "identity",
    },
}
_ARITHMETIC: Final[dict[str, MergeKind]] = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "maximum": "maximum",
    "minimum": "minimum",
}
_POOLS: Final[dict[str, PoolKind]] = {"mean": "average", "max": "max"}
#: Names of Keras 3's operations where those of its activations differ.
_ACTIVATIONS: Final = {"exp": "exponential", "swish": "silu", "hard_swish": "hard_silu"}

_Operands: TypeAlias = "list[Any]"


def is_operation(use: LayerCall) -> bool:
    """Say whether a use is a bare operation that may be read here."""
    return use.leaf.is_operation or use.leaf.layer_type in TENSORFLOW_OPERATIONS


def operation_name(use: LayerCall) -> str | None:
    """Give the name of the operation that a use computes, as Keras 3 calls its function, or None if it is not read."""
    leaf = use.leaf
    if leaf.is_operation:
        name: Any = "".join(f"_{c.lower()}" if c.isupper() else c for c in leaf.layer_type).lstrip("_")
        name = {"true_divide": "divide", "re_l_u": "relu"}.get(name, name)
    else:
        name = _TENSORFLOW.get(str(leaf.config.raw("function")))
    return name if name in _KNOWN else None


def keeps_axes(use: LayerCall) -> bool:
    """Say whether a use is a bare operation whose result has the axes of what it reads."""
    return is_operation(use) and operation_name(use) in _IN_PLACE | {"concatenate"}


def operate(use: LayerCall, tensors: Mapping[str, Tensor]) -> Merged:
    """Turn a bare operation into ours.

    Parameters
    ----------
    use : LayerCall
        The call.
    tensors : mapping
        What it reads, by the names of the uses.

    Returns
    -------
    before : tuple of tuple of Op
        For every input what has to be done to it first.
    ops : tuple of Op
        What it does.
    tensor : Tensor
        What it returns.

    Raises
    ------
    RefusedError, UnreadableError
        It cannot be used, or is malformed.
    """
    name = operation_name(use)
    if name is None:
        raise refuse(use.leaf.layer_type, use.leaf.stored)
    operands = [*use.args, *(v for v in use.kwargs.values() if any(call_results_in(v)))]
    settings = {key: v for key, v in use.kwargs.items() if not any(call_results_in(v)) and v is not None}
    if use.leaf.is_operation:
        settings = {key: use.leaf.config.raw(key) for key in use.leaf.config.keys()} | settings
    settings.pop("name", None)
    found = [tensors[source.name] for source in call_results_in(operands)]
    if name == "concatenate":
        axis = settings.get("axis", operands[1] if len(operands) == 2 else 0)
        return merged("concatenate", found, _axis(axis))
    if name in _ARITHMETIC and len(found) == 2:
        return merged(_ARITHMETIC[name], found)
    if len(found) != 1:
        raise RefusedError("it joins several inputs in a way that cannot be read", "Use a layer of Keras instead.")
    (tensor,) = found
    if name == "square":
        return merged("multiply", [tensor, tensor])
    constants = [v for v in operands if not isinstance(v, CallResult)] + [
        settings[k] for k in ("x", "y") if k in settings
    ]
    if name in _ARITHMETIC or name == "divide":
        if len(constants) != 1:
            raise UnreadableError("it is called in an unusual way")
        built = _with_constant(name, tensor, constants[0], first=not isinstance([*use.args, None][0], CallResult))
    else:
        built = _ALONE.get(name, _activation)(name, tensor, settings, constants)
    return ((),), *built


def _with_constant(name: str, tensor: Tensor, stored: Any, *, first: bool) -> Built:
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


def _activation(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    name = _ACTIVATIONS.get(name, name)
    params: dict[str, Any] = dict(KERAS_3[name])
    given = JsonFields(settings)
    if name == "leaky_relu" and "alpha" in settings:
        given = JsonFields({"negative_slope": settings["alpha"]})
    if constants or given.keys() - params.keys():
        raise RefusedError("it is called with unusual arguments", "Use the layer of the same meaning instead.")
    for key in given.keys():
        if key == "axis":
            params[key] = _axis(given.raw(key))
        elif isinstance(params[key], bool):
            params[key] = given.flag(key)
        elif given.raw(key) is not None:
            params[key] = given.number(key)
    return placed(tensor, Activation(name, params))


def _negative(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    return affine(tensor, 0.0, -1.0, 0.0)


def _absolute(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    return advance(tensor, Activation("leaky_relu", {"negative_slope": -1.0}))


def _nothing(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    kinds = [settings.get("dtype", "float32"), *constants]
    if any(kind not in ("float32", "float64") for kind in kinds):
        raise RefusedError(f"it rounds to {str(kinds[0])[:40]}", "Leave it out and train again.")
    return advance(tensor, Identity("everything is computed in float32 here"))


def _get_item(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    return sliced(tensor, settings.get("slice_spec", constants[0] if constants else None))


def _pool(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    fields = JsonFields({"axis": constants[0] if constants else None, **settings})
    indices = {tensor.index(axis) for axis in fields.axes("axis")}
    own = {i for index in indices for i in tensor.core(index)}
    last = len(tensor.shape) - 1
    rest = [index for index in range(len(tensor.axes)) if index not in indices]
    positions = {i for i in range(last) if tensor.shape[i] > 1}
    if own != positions or tensor.is_flat or len(rest) != 1:
        raise RefusedError(
            "it takes the mean or maximum over something else than all positions",
            "Use a global pooling layer (such as GlobalAveragePooling2D) and train again.",
        )
    view = tensor.with_channels_at(rest[0])
    if view is None:
        raise UnreadableError("its axes cannot be followed")
    keep = fields.flag("keepdims", False)
    return advance(view, GlobalPool(_POOLS[name], keep), axes=view.axes if keep else ((0,),))


def _reshape(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    target = settings.get("newshape", settings.get("shape", constants[0] if constants else None))
    whole = isinstance(target, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in target)
    if not isinstance(target, list) or not whole or len(target) < 2 or target[0] not in (-1, 1) or min(target) < -1:
        raise RefusedError("it reshapes the batch too", "Use the layer Reshape and train again.")
    return reshaped(tensor, target[1:])


def _transpose(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    axes = settings.get("axes", settings.get("perm", constants[0] if constants else None))
    if (
        not isinstance(axes, list)
        or axes[:1] != [0]
        or sorted(map(str, axes)) != sorted(map(str, range(len(tensor.axes) + 1)))
    ):
        raise RefusedError("it moves the batch axis", "Use the layer Permute and train again.")
    return permuted(tensor, [axis - 1 for axis in axes[1:]])


def _expand_dims(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    axis = _axis(settings.get("axis", constants[0] if constants else None))
    place = axis - 1 if axis >= 0 else axis + len(tensor.axes) + 1
    if not 0 <= place <= len(tensor.axes):
        raise RefusedError("it adds an axis beside the batch", "Use the layer Reshape and train again.")
    seen = tensor.seen
    return reshaped(tensor, (*seen[:place], 1, *seen[place:]))


def _squeeze(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: _Operands) -> Built:
    index = tensor.index(_axis(settings.get("axis")))
    seen = tensor.seen
    if seen[index] != 1 or len(seen) == 1:
        raise UnreadableError(f"it removes the axis {index + 1} of {seen}")
    return reshaped(tensor, (*seen[:index], *seen[index + 1 :]))


def _axis(stored: Any) -> int:
    (axis, *more) = JsonFields({"axis": stored}).axes("axis") or (9,)
    if more or abs(axis) > 8:
        raise RefusedError("it acts along several axes at once", "Use axis=-1 and train again.")
    return axis


_ALONE: Final[dict[str, Callable[[str, Tensor, Mapping[str, Any], _Operands], Built]]] = {
    "negative": _negative,
    "absolute": _absolute,
    "abs": _absolute,
    "cast": _nothing,
    "identity": _nothing,
    "get_item": _get_item,
    "mean": _pool,
    "max": _pool,
    "reshape": _reshape,
    "transpose": _transpose,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
}
#: What acts on every number where it is.
_IN_PLACE: Final = frozenset(
    {*_ARITHMETIC, *KERAS_3, *_ACTIVATIONS, "negative", "absolute", "abs", "cast", "identity", "divide", "square"}
)
_KNOWN: Final = frozenset({*_ARITHMETIC, *_ALONE, *KERAS_3, *_ACTIVATIONS, "divide", "square", "concatenate"})
