"""ATen's operators on single numbers, with matrices, and with statistics."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.torch_export.calls import CallContext

_SELU: Final = (1.6732632423543772, 1.0507009873554805)


def _plain(op_type: str, call: CallContext, **settings: Any) -> None:
    call.finish(op_type, [call.read("self")], **settings)


def _binary(op_type: str, call: CallContext) -> None:
    left, right = call.read("self"), call.read("other")
    alpha = call.number("alpha", 1)
    if alpha != 1:
        right = call.step("Mul", [right, call.constant(float(alpha))])
    if call.has("rounding_mode"):
        raise RefusedError("it rounds a quotient", "Divide without rounding_mode and train again.")
    call.finish(op_type, [right, left] if call.name == "rsub" else [left, right])


def _power(call: CallContext) -> None:
    exponent = 2.0 if call.name == "square" else call.number("exponent", math.nan)
    call.finish("Pow", [call.read("self"), call.constant(float(exponent))])


def _clamp(call: CallContext) -> None:
    low, high = {"relu6": (0.0, 6.0), "hardtanh": (-1.0, 1.0)}.get(call.name, (None, None))
    if call.name == "hardtanh":
        low, high = call.number("min_val", -1.0), call.number("max_val", 1.0)
    elif call.name != "relu6":
        low = call.number("min", 0) if call.has("min") else None
        high = call.number("max", 0) if call.has("max") else None
    limits = ["" if n is None or math.isinf(n) else call.constant(float(n)) for n in (low, high)]
    call.finish("Clip", [call.read("self"), *limits])


def _leaky(call: CallContext) -> None:
    _plain("LeakyRelu", call, alpha=call.number("negative_slope", 0.01))


def _elu(call: CallContext) -> None:
    alpha, scale, within = (call.number(key, 1.0) for key in ("alpha", "scale", "input_scale"))
    if call.name == "selu":
        alpha, scale = _SELU
    if within != 1 and call.name != "celu":
        raise RefusedError("it scales what it reads", "Use nn.ELU, nn.CELU or nn.SELU and train again.")
    if call.name == "celu":
        _plain("Celu", call, alpha=alpha)
    elif scale == 1:
        _plain("Elu", call, alpha=alpha)
    else:
        _plain("Selu", call, alpha=alpha, gamma=scale)


def _gated(op_type: str, call: CallContext) -> None:
    x = call.read("self")
    call.finish("Mul", [x, call.composer.add(f"{call.layer} gate", op_type, [x])])


def _glu(call: CallContext) -> None:
    axis = call.axis("dim", -1)
    half = (*call.shape(call.call.outputs[0]), None)[axis]
    if half is None:
        raise RefusedError("it halves an axis whose size is not fixed", "Use it along the channels and export again.")
    parts = [f"{call.layer} half {n}" for n in (1, 2)]
    call.composer.add(call.layer, "Split", [call.read("self"), call.constant([half, half])], parts, axis=axis)
    call.finish("Mul", [parts[0], call.composer.add(f"{call.layer} gate", "Sigmoid", parts[1:])])


def _softplus(call: CallContext) -> None:
    if call.number("beta", 1) != 1 or call.number("threshold", 20) < 17:
        raise RefusedError("its beta is not 1, or it is cut early", "Use nn.Softplus() and train again.")
    _plain("Softplus", call)


def _log_sigmoid(call: CallContext) -> None:
    call.finish("Log", [call.composer.add(f"{call.layer} sigmoid", "Sigmoid", [call.read("self")])])


def _log1p(call: CallContext) -> None:
    call.finish("Log", [call.composer.add(f"{call.layer} sum", "Add", [call.read("self"), call.constant(1.0)])])


def _threshold(call: CallContext) -> None:
    x = call.read("self")
    above = call.step("Greater", [x, call.read("threshold")])
    call.finish("Where", [above, x, call.read("value")])


def _tanh_shrink(call: CallContext) -> None:
    x = call.read("self")
    call.finish("Sub", [x, call.composer.add(f"{call.layer} tanh", "Tanh", [x])])


def _shrink(call: CallContext) -> None:
    limit = call.number("lambd", 0.5)
    _plain("Shrink", call, lambd=limit, bias=limit if call.name == "softshrink" else 0.0)


def _prelu(call: CallContext) -> None:
    slopes = call.read("weight")
    behind = call.rank("self") - 2
    if behind > 0:
        slopes = call.step("Reshape", [slopes, call.constant([-1] + [1] * behind)])
    call.finish("PRelu", [call.read("self"), slopes])


def _along(op_type: str, call: CallContext) -> None:
    _plain(op_type, call, axis=call.axis("dim", -1))


def _linear(call: CallContext) -> None:
    x, weight, bias = call.read("input"), call.read("weight"), call.optional("bias")
    if call.rank("input") == 2:
        call.finish("Gemm", [x, weight, bias][: 3 if bias else 2], transB=1)
        return
    turned = call.step("Transpose", [weight], perm=(1, 0))
    if not bias:
        call.finish("MatMul", [x, turned])
        return
    call.finish("Add", [call.step("MatMul", [x, turned]), bias])


def _matrices(call: CallContext) -> None:
    if call.name == "addmm":
        alpha, beta = call.number("alpha", 1), call.number("beta", 1)
        call.finish("Gemm", [call.read("mat1"), call.read("mat2"), call.read("self")], alpha=alpha, beta=beta)
        return
    call.finish("MatMul", [call.read("self"), call.read("other" if call.has("other") else "mat2")])


def _batch_norm(call: CallContext) -> None:
    running = [call.optional(key) for key in ("running_mean", "running_var")]
    if call.flag("training", False) or not all(running):
        raise RefusedError("it was exported while training", "Call model.eval() before torch.export.export.")
    _finish_batch_norm(call, running)


def _finish_batch_norm(call: CallContext, running: list[str]) -> None:
    inputs = [call.read("input"), *_parameters(call), *running]
    call.finish("BatchNormalization", inputs, epsilon=call.number("eps", 1e-5))


def _parameters(call: CallContext) -> tuple[str, str]:
    """Give the factor and the summand of each channel, one and zero where they are left out."""
    channels = (*call.own_shape()[1:2], None)[0]
    if channels is None:
        raise call.malformed("input")
    return (
        call.optional("weight") or call.constant(np.ones(channels, np.float32)),
        call.optional("bias") or call.constant(np.zeros(channels, np.float32)),
    )


def _instance_norm(call: CallContext) -> None:
    if not call.flag("use_input_stats", True):
        _finish_batch_norm(call, [call.read("running_mean"), call.read("running_var")])
        return
    inputs = [call.read("input"), *_parameters(call)]
    call.finish("InstanceNormalization", inputs, epsilon=call.number("eps", 1e-5))


def _group_norm(call: CallContext) -> None:
    groups = call.whole("num_groups" if call.has("num_groups") else "group")
    inputs = [call.read("input"), *_parameters(call)]
    call.finish("GroupNormalization", inputs, num_groups=groups, epsilon=call.number("eps", 1e-5))


def _layer_norm(call: CallContext) -> None:
    axes = len(call.wholes("normalized_shape"))
    inputs = [call.read("input"), call.optional("weight"), call.optional("bias")]
    call.finish("LayerNormalization", inputs, axis=-axes, epsilon=call.number("eps", 1e-5))


def _reduce(op_type: str, call: CallContext) -> None:
    axes = [call.constant(list(call.wholes("dim")))] if call.get("dim", ()) != () else []
    call.finish(op_type, [call.read("self"), *axes], keepdims=int(call.flag("keepdim", False)))


#: Operator -> translation.
POINTWISE: Final[dict[str, Callable[[CallContext], None]]] = {
    **{name: partial(_binary, op) for name, op in (("add", "Add"), ("sub", "Sub"), ("rsub", "Sub"), ("mul", "Mul"))},
    **{name: partial(_binary, op) for name, op in (("div", "Div"), ("maximum", "Max"), ("minimum", "Min"))},
    **{name: partial(_binary, op) for name, op in (("gt", "Greater"), ("le", "LessOrEqual"))},
    "where": lambda call: call.finish("Where", [call.read("condition"), call.read("self"), call.read("other")]),
    **{
        name: partial(_plain, op)
        for name, op in (
            *(("neg", "Neg"), ("abs", "Abs"), ("erf", "Erf"), ("log", "Log"), ("sqrt", "Sqrt"), ("exp", "Exp")),
            *(
                ("reciprocal", "Reciprocal"),
                ("relu", "Relu"),
                ("sigmoid", "Sigmoid"),
                ("tanh", "Tanh"),
                ("mish", "Mish"),
            ),
            *(("hardswish", "HardSwish"), ("softsign", "Softsign")),
        )
    },
    "hardsigmoid": partial(_plain, "HardSigmoid", alpha=1 / 6, beta=0.5),
    **dict.fromkeys(("pow", "square"), _power),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max", "clip", "relu6", "hardtanh"), _clamp),
    "leaky_relu": _leaky,
    **dict.fromkeys(("elu", "selu", "celu"), _elu),
    "gelu": lambda call: _plain("Gelu", call, approximate=str(call.get("approximate", "none"))),
    "silu": partial(_gated, "Sigmoid"),
    "glu": _glu,
    "softplus": _softplus,
    **dict.fromkeys(("log_sigmoid", "log_sigmoid_forward"), _log_sigmoid),
    "log1p": _log1p,
    "threshold": _threshold,
    "tanhshrink": _tanh_shrink,
    **dict.fromkeys(("hardshrink", "softshrink"), _shrink),
    **dict.fromkeys(("prelu", "prelu_kernel"), _prelu),
    "softmax": partial(_along, "Softmax"),
    "log_softmax": partial(_along, "LogSoftmax"),
    "linear": _linear,
    **dict.fromkeys(("addmm", "mm", "matmul"), _matrices),
    **dict.fromkeys(("batch_norm", "native_batch_norm", "native_batch_norm_legit_no_training"), _batch_norm),
    "instance_norm": _instance_norm,
    **dict.fromkeys(("group_norm", "native_group_norm"), _group_norm),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), _layer_norm),
    "mean": partial(_reduce, "ReduceMean"),
    "sum": partial(_reduce, "ReduceSum"),
    **dict.fromkeys(("amax", "max"), partial(_reduce, "ReduceMax")),
}
