"""Keras's activations, from a name, an object, or a layer of their own: an allow-list, never a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import AXIS_ACTIVATIONS, Activation
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance
from napari_fcnseg.readers.keras.unsupported import CUSTOM_ADVICE, is_builtin
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import JsonFields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_fcnseg.readers.keras.architecture import Generation
    from napari_fcnseg.readers.keras.tensor_axes import Built

Params: TypeAlias = "Mapping[str, float | bool | None]"

#: The activations of Keras 3 that go by a name, with the defaults of ``keras.activations``.
KERAS_3: Final[Mapping[str, Params]] = {
    "celu": {"alpha": 1.0},
    "elu": {"alpha": 1.0},
    "exponential": {},
    "gelu": {"approximate": False},
    "glu": {"axis": -1},
    "hard_shrink": {"threshold": 0.5},
    "hard_sigmoid": {},
    "hard_silu": {},
    "hard_tanh": {},
    "leaky_relu": {"negative_slope": 0.2},
    "linear": {},
    "log_sigmoid": {},
    "log_softmax": {"axis": -1},
    "mish": {},
    "relu": {"negative_slope": 0.0, "max_value": None, "threshold": 0.0},
    "relu6": {},
    "selu": {},
    "sigmoid": {},
    "silu": {},
    "soft_shrink": {"threshold": 0.5},
    "softmax": {"axis": -1},
    "softplus": {},
    "softsign": {},
    "sparse_plus": {},
    "sparse_sigmoid": {},
    "sparsemax": {"axis": -1},
    "squareplus": {"b": 4.0},
    "tanh": {},
    "tanh_shrink": {},
}
_KERAS_3_ALIASES: Final = {"swish": "silu", "hard_swish": "hard_silu"}

#: The same for Keras 2, as file name -> name of the operation. The last row are TensorFlow's own functions, which
#: Keras 2 stored by their bare names.
_KERAS_2: Final = {
    **{name: name for name in ("elu", "exponential", "gelu", "linear", "mish", "relu", "selu", "sigmoid", "silu")},
    **{name: name for name in ("softmax", "softplus", "softsign", "tanh")},
    "swish": "silu",
    "hard_sigmoid": "hard_sigmoid_keras2",
    **{
        "softmax_v2": "softmax",
        "log_softmax": "log_softmax",
        "log_softmax_v2": "log_softmax",
        "leaky_relu": "leaky_relu",
        "relu6": "relu6",
    },
    # Registered names of the add-ons' functions, as far as they mean what Keras's of the same name mean.
    **{"Addons>mish": "mish", "Addons>hardshrink": "hard_shrink", "Addons>softshrink": "soft_shrink"},
    "Addons>tanhshrink": "tanh_shrink",
    "FixedSwish": "silu",
    "hard_swish": "hard_silu",
    "swish_f32": "silu",
}


def activation_ops(stored: Any, generation: Generation) -> tuple[Activation, ...]:
    """Read a layer's ``activation`` setting.

    Parameters
    ----------
    stored : object
        The JSON value: a name, an object, or None.
    generation : {2, 3}
        Which Keras wrote it: ``hard_sigmoid`` changed its meaning.

    Returns
    -------
    tuple of Activation
        Empty where nothing happens (``linear``).

    Raises
    ------
    RefusedError
        It is a function or an object of the user's own.
    UnreadableError
        It is malformed.
    """
    if stored is None:
        return ()
    activation = _by_name(stored, generation) if isinstance(stored, str) else _by_object(stored, generation)
    return () if activation.name == "linear" else (activation,)


def activated(stored: Any, generation: Generation, tensor: Tensor) -> Built:
    """Apply a layer's ``activation`` setting, as :func:`activation_ops` reads it, to a tensor."""
    return placed(tensor, *activation_ops(stored, generation))


def placed(tensor: Tensor, *activations: Activation) -> Built:
    """Apply activations to a tensor; what Keras says of its axes becomes what holds for ours.

    Raises
    ------
    RefusedError
        One acts along an axis that is none of ours.
    """
    ops = []
    for op in activations:
        if op.name in AXIS_ACTIVATIONS:
            axis = tensor.own_axis(int(op.params["axis"] or 0))
            op = Activation(op.name, {**op.params, "axis": axis})
        ops.append(op)
    return advance(tensor, *ops)


def _by_name(name: str, generation: Generation) -> Activation:
    if generation == 2:
        known = _KERAS_2.get(name)
        # hard_sigmoid_keras2 takes no parameters.
        params: Params = KERAS_3.get(known or "", {})
    else:
        known = _KERAS_3_ALIASES.get(name, name)
        params = KERAS_3.get(known, {})
        known = known if known in KERAS_3 else None
    if known is None:
        raise RefusedError(f"its activation {name[:60]!r} is none of Keras's own", CUSTOM_ADVICE)
    return Activation(known, dict(params))


def _by_object(stored: Any, generation: Generation) -> Activation:
    if not isinstance(stored, dict) or not isinstance(stored.get("class_name"), str):
        raise UnreadableError("its activation is neither a name nor an object")
    class_name, config = stored["class_name"], stored.get("config")
    if class_name == "function" and isinstance(config, str):
        return _by_name(config, generation)
    build = ACTIVATION_LAYERS.get(class_name)
    if build is None or not is_builtin(stored):
        raise RefusedError(f"its activation is an object of the type {class_name[:60]!r}", CUSTOM_ADVICE)
    if not isinstance(config, dict):
        raise UnreadableError("its activation has no settings")
    return build(JsonFields(config))


def _relu(config: JsonFields) -> Activation:
    ceiling = config.number("max_value") if "max_value" in config else None
    slope, threshold = config.number("negative_slope", 0.0), config.number("threshold", 0.0)
    return Activation("relu", {"negative_slope": slope, "max_value": ceiling, "threshold": threshold})


def _leaky_relu(config: JsonFields) -> Activation:
    # Keras 2 calls the slope alpha.
    key = "alpha" if "alpha" in config else "negative_slope"
    return Activation("leaky_relu", {"negative_slope": config.number(key, 0.3)})


def _elu(config: JsonFields) -> Activation:
    return Activation("elu", {"alpha": config.number("alpha", 1.0)})


def _softmax(config: JsonFields) -> Activation:
    axes = config.axes("axis", -1)
    if len(axes) != 1:
        raise RefusedError("it normalises over several axes at once", "Use axis=-1 and train again.")
    return Activation("softmax", {"axis": axes[0]})


def _thresholded_relu(config: JsonFields) -> Activation:
    return Activation("threshold", {"threshold": config.number("theta", 1.0), "default_value": 0.0})


#: Layers that are nothing but a stateless activation.
ACTIVATION_LAYERS: Final[Mapping[str, Callable[[JsonFields], Activation]]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "ThresholdedReLU": _thresholded_relu,
}
