"""Bare operations in a Functional model: ``x + y``, ``keras.ops.relu(x)``, and what tf.keras wrote for ``tf.math``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Identity, MergeKind
from napari_fcnseg.readers.keras.activations import KERAS_3
from napari_fcnseg.readers.keras.architecture import TENSORFLOW_OPERATIONS, CallResult, LayerCall, call_results_in
from napari_fcnseg.readers.keras.merges import merged
from napari_fcnseg.readers.keras.operation_functions import (
    ACTIVATIONS,
    ALONE,
    FUNCTIONS,
    activation,
    axis_of,
    with_constant,
)
from napari_fcnseg.readers.keras.reductions import dropped, taken
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance
from napari_fcnseg.readers.keras.unsupported import refuse
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.readers.keras.merges import Merged
    from napari_fcnseg.readers.keras.operation_functions import Operands
    from napari_fcnseg.readers.keras.tensor_axes import Built

#: What TFOpLambda calls a function -> what Keras 3 calls the operation. Many modules offer the same function.
_MODULES: Final = ("", "math.", "__operators__.", "nn.", "compat.v1.", "compat.v1.nn.", "compat.v1.math.", "image.")
_TF_NAMES: Final = {
    **{name: name for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "negative", "square")},
    **{name: name for name in ("reshape", "transpose", "expand_dims", "squeeze", "identity", "cast", "pad", "repeat")},
    **{name: name for name in ("split", "stack", "unstack", "tile", "bias_add", "sqrt", "rsqrt", "log", "clip", "pow")},
    **{name: name for name in ("relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "softmax")},
    **{name: name for name in ("log_softmax", "leaky_relu", "gelu", "silu", "rgb_to_grayscale", "grayscale_to_rgb")},
    **{f"reduce_{name}": name for name in ("mean", "max", "min", "sum")},
    "abs": "absolute",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "exp": "exp",
    "getitem": "get_item",
    "identity_n": "identity",
    "mul": "multiply",
    "reciprocal": "reciprocal",
    "reverse": "flip",
    "sub": "subtract",
    "swish": "silu",
    "truediv": "divide",
}
_TENSORFLOW: Final = {f"{module}{name}": known for name, known in _TF_NAMES.items() for module in _MODULES}
_ARITHMETIC: Final[dict[str, MergeKind]] = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "maximum": "maximum",
    "minimum": "minimum",
}
_MERGES: Final[dict[str, MergeKind]] = {**_ARITHMETIC, "divide": "divide"}
#: Operations that return several tensors.
SEVERAL: Final = ("split", "unstack")
_MOST_PIECES: Final = 4_096
#: Operations that may read channels cut into pieces.
KNOW_PIECES: Final = frozenset(
    "reshape transpose mean max min sum amax get_item split unstack squeeze expand_dims".split()
)


def is_operation(use: LayerCall) -> bool:
    """Say whether a use is a bare operation that may be read here."""
    return use.leaf.is_operation or use.leaf.layer_type in TENSORFLOW_OPERATIONS


def operation_name(use: LayerCall) -> str | None:
    """Give the name of the operation that a use computes, as Keras 3 calls its function, or None if it is not read."""
    leaf = use.leaf
    if leaf.is_operation:
        name: Any = "".join(f"_{c.lower()}" if c.isupper() else c for c in leaf.layer_type).lstrip("_")
        name = {
            "true_divide": "divide",
            "re_l_u": "relu",
            "power": "pow",
            "r_g_b_to_grayscale": "rgb_to_grayscale",
            "concat": "concatenate",
        }.get(name, name)
    else:
        name = _TENSORFLOW.get(str(leaf.config.raw("function")))
    return name if name in _KNOWN else None


def keeps_axes(use: LayerCall) -> bool:
    """Say whether a use is a bare operation whose result has the axes of what it reads."""
    return is_operation(use) and operation_name(use) in _IN_PLACE | {"concatenate", "split"}


def operate(use: LayerCall, tensors: Mapping[str, Tensor]) -> list[Merged]:
    """Turn a bare operation into ours.

    Parameters
    ----------
    use : LayerCall
        The call.
    tensors : mapping
        What it reads, by the keys of the results.

    Returns
    -------
    list of (before, ops, tensor)
        For each of its results, most often one: for every input what has to be done to it first, what it does, and
        what it returns.

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
    found = [tensors[source.key] for source in call_results_in(operands)]
    constants = [v for v in operands if not any(call_results_in(v))] + [
        settings[k] for k in ("x", "y") if k in settings
    ]
    if name in ("concatenate", "stack"):
        axis = settings.get("axis", constants[0] if constants else 0)
        return [_side_by_side(name, found, axis_of(axis))]
    if name in _MERGES and len(found) == 2:
        return [merged(_MERGES[name], found)]
    if len(found) != 1:
        raise RefusedError("it joins several inputs in a way that cannot be read", "Use a layer of Keras instead.")
    (tensor,) = found
    if name in SEVERAL:
        return [(((),), *built) for built in _several(name, tensor, settings, constants)]
    if name in _MERGES:
        if len(constants) != 1:
            raise UnreadableError("it is called in an unusual way")
        built = with_constant(name, tensor, constants[0], first=not isinstance([*use.args, None][0], CallResult))
    else:
        built = ALONE.get(name, activation)(name, tensor, settings, constants)
    return [(((),), *built)]


def _side_by_side(name: str, tensors: list[Tensor], axis: int) -> Merged:
    if name == "stack":
        seen = {tensor.seen for tensor in tensors}
        rank = len(tensors[0].axes) + 1
        place = axis - 1 if axis >= 0 else axis + rank
        if len(seen) > 1 or not 0 <= place < rank:
            raise UnreadableError("it stacks tensors of different shapes, or along an axis that there is not")
        tensors = [replace(t, axes=(*t.axes[:place], (), *t.axes[place:])) for t in tensors]
        axis = place + 1
        if any(t.shape[-1] > 1 for t in tensors):
            raise RefusedError(
                "it stacks maps of several channels along a new axis", "Use Concatenate instead and train again."
            )
        channels = [t.with_channels_at(place) for t in tensors]
        tensors = [view or t for view, t in zip(channels, tensors, strict=True)]
    if len(tensors) == 1:
        ops, result = advance(tensors[0], Identity("there is nothing to join"))
        return ((),), ops, result
    return merged("concatenate", tensors, axis)


def _several(name: str, tensor: Tensor, settings: Mapping[str, Any], constants: Operands) -> list[Built]:
    """Cut a tensor into pieces along an axis."""
    axis = settings.get("axis", constants[1] if len(constants) > 1 else 0)
    index = tensor.index(axis_of(axis))
    size = tensor.seen[index]
    if name == "unstack":
        return [dropped(taken(tensor, index, (n,)), index) for n in range(min(size, _MOST_PIECES))]
    how = settings.get("indices_or_sections", settings.get("num_or_size_splits", constants[0] if constants else None))
    if is_whole(how):
        if how < 1 or size % how:
            raise UnreadableError(f"it splits {size} into {how} equal parts")
        ends = [size // how * n for n in range(1, how + 1)]
    elif isinstance(how, list) and all(is_whole(n) and 0 <= n <= size for n in how) and len(how) < _MOST_PIECES:
        # Keras 3 lists where to cut, TensorFlow how long the parts are.
        ends = [*how, size] if "indices_or_sections" in settings else np.cumsum(how).tolist()
    else:
        raise UnreadableError("it is split in an unusual way")
    starts = [0, *ends[:-1]]
    if ends[-1] != size or any(a >= b for a, b in zip(starts, ends, strict=True)):
        raise UnreadableError(f"its parts are not the {size} that it splits")
    return [taken(tensor, index, range(a, b)) for a, b in zip(starts, ends, strict=True)]


#: What acts on every number where it is.
_IN_PLACE: Final = frozenset(
    {*_MERGES, *KERAS_3, *ACTIVATIONS, *FUNCTIONS, "negative", "absolute", "abs", "cast", "identity", "square"}
    | {"bias_add", "clip", "pow"}
)
_KNOWN: Final = frozenset({*_MERGES, *ALONE, *KERAS_3, *ACTIVATIONS, *FUNCTIONS, *SEVERAL, "concatenate", "stack"})
