"""TensorFlow Lite's operators on single numbers, with matrices, and over axes."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.tflite.calls import Apart, moved
from napari_fcnseg.readers.tflite.tflite_file import CONVERT_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.tflite.calls import LiteContext
    from napari_fcnseg.readers.tflite.tflite_file import LiteTensor


def _plain(op_type: str, call: LiteContext, **settings: Any) -> None:
    call.finish(call.step(op_type, [call.read()], **settings))


def _binary(op_type: str, call: LiteContext) -> None:
    call.finish(call.step(op_type, [call.read(0), call.read(1)]), call.option(0, "b"))


def _compared(op_type: str, call: LiteContext) -> None:
    call.finish(call.step(op_type, [call.read(i) for i in range(len(call.operator.inputs))]))


def _clip(low: float, high: float, call: LiteContext) -> None:
    call.finish(call.step("Clip", [call.read(), call.fixed(low), call.fixed(high)]))


def _square(call: LiteContext) -> None:
    x = call.read()
    if call.operator.op_type == "SQUARED_DIFFERENCE":
        x = call.composer.add(f"{call.layer} difference", "Sub", [x, call.read(1)])
    call.finish(call.step("Pow", [x, call.fixed(2.0)]))


def _rsqrt(call: LiteContext) -> None:
    call.finish(call.step("Reciprocal", [call.step("Sqrt", [call.read()])]))


def _softmax(call: LiteContext) -> None:
    rank, beta = call.rank(), call.real(0) if call.operator.op_type == "SOFTMAX" else 1.0
    x = call.first() if rank > 2 else call.read()
    if beta != 1:
        x = call.step("Mul", [x, call.fixed(float(beta))])
    kind = "Softmax" if call.operator.op_type == "SOFTMAX" else "LogSoftmax"
    result = call.step(kind, [x], axis=1)
    call.finish(call.last(result, rank) if rank > 2 else result)


def _fully_connected(call: LiteContext) -> None:
    if call.option(1, "b"):
        raise RefusedError("its weights are shuffled for one kind of processor", "Convert the model again.")
    kernel, x = call.constant(1), call.read()
    bias = [call.read(2)] if call.has(2) else []
    if kernel.ndim != 2:
        raise UnreadableError(f"its array has {kernel.ndim} axes instead of 2", CONVERT_AGAIN)
    on_map = _positions(call, kernel.shape[1])
    if on_map is not None or (call.rank() > 2 and call.option(2, "?")):
        if on_map is not None:
            x = on_map.name
            call.keeps(Apart(positions=on_map.sizes[:-1]))
        result = call.step("MatMul", [x, call.fixed(kernel.T)])
        result = call.step("Add", [result, *bias]) if bias else result
    else:
        sizes = [call.size(axis) for axis in range(1, call.rank())]
        if math.prod(sizes) != kernel.shape[1]:
            raise RefusedError("it moves numbers between the patches of a batch", "Flatten each patch by itself.")
        x = call.step("Flatten", [x], axis=1) if len(sizes) > 1 else x
        result = call.step("Gemm", [x, call.fixed(kernel), *bias], transB=1)
    call.finish(result, call.option(0, "b"))


def _positions(call: LiteContext, channels: int) -> LiteTensor | None:
    """Give the map whose every position the layer acts on, where the file puts positions into the batch for that."""
    maker = call.maker() if call.rank() == 2 else None
    before = call.model.tensors[maker.inputs[0]] if maker and maker.op_type == "RESHAPE" and maker.inputs else None
    if before is None or len(before.sizes) < 3 or before.sizes[-1] != channels:
        return None
    return before if any(n != 1 for n in before.sizes[1:-1]) else None


def _product(call: LiteContext) -> None:
    if call.operator.inputs[1] not in call.values or call.option(0, "?"):
        call.composer.add(call.layer, "Attention", [call.read(0), call.read(1)], [_made(call)])
        return
    kernel = call.constant(1)
    kernel = kernel.reshape(kernel.shape[-2:]) if kernel.size == math.prod(kernel.shape[-2:]) else kernel
    kernel = kernel.swapaxes(-1, -2) if call.option(1, "?") else kernel
    call.finish(call.step("MatMul", [call.read(), call.fixed(kernel)]))


def _made(call: LiteContext) -> str:
    return call.model.tensors[call.operator.outputs[0]].name


def _reduce(op_type: str, call: LiteContext) -> None:
    rank, keep = call.rank(), bool(call.option(0, "?"))
    axes = [call.axis(axis) for axis in call.wholes(1)]
    if rank < 3:
        call.finish(call.step(op_type, [call.read(), call.fixed(axes)], keepdims=int(keep)))
        return
    result = call.step(op_type, [call.first(), call.fixed([moved(axis, rank) for axis in axes])], keepdims=1)
    result = call.last(result, rank)
    call.finish(result if keep else call.step("Squeeze", [result, call.fixed(sorted(set(axes)))]))


def _several(op_type: str, call: LiteContext) -> None:
    call.finish(call.step(op_type, [call.read(i) for i in range(len(call.operator.inputs))]))


def _dequantize(call: LiteContext) -> None:
    """Compute the weights that are kept in fewer bits: in floating point that is exact."""
    number, tensor = call.operator.inputs[0], call.tensor(0)
    if number not in call.values:
        call.composer.add(call.layer, "DequantizeLinear", [tensor.name], [_made(call)])
        return
    values = call.values[number].astype(np.float32)
    if tensor.scale:
        shape = [1] * values.ndim
        zeros = len(tensor.zero) or len(tensor.scale)
        if len(tensor.scale) > 1:
            shape[call.axis(tensor.axis)] = len(tensor.scale)
        if zeros != len(tensor.scale) or (len(tensor.scale) > 1 and shape[tensor.axis] != values.shape[tensor.axis]):
            raise UnreadableError("its scales do not fit its array", CONVERT_AGAIN)
        scale = np.asarray(tensor.scale, np.float32).reshape(shape)
        zero = np.asarray(tensor.zero or [0] * len(tensor.scale), np.float32).reshape(shape)
        values = (values - zero) * scale
    call.values[call.operator.outputs[0]] = call.composer.constants[_made(call)] = values


#: Operator -> translation.
POINTWISE: Final[dict[str, Callable[[LiteContext], None]]] = {
    **{name: partial(_binary, name.title()) for name in ("ADD", "SUB", "MUL", "DIV")},
    "ADD_N": partial(_several, "Sum"),
    "MAXIMUM": partial(_compared, "Max"),
    "MINIMUM": partial(_compared, "Min"),
    "POW": partial(_compared, "Pow"),
    "PRELU": partial(_compared, "PRelu"),
    "GREATER": partial(_compared, "Greater"),
    "LESS_EQUAL": partial(_compared, "LessOrEqual"),
    **dict.fromkeys(("SELECT", "SELECT_V2"), partial(_compared, "Where")),
    **{name: partial(_plain, name.title()) for name in ("RELU", "TANH", "EXP", "LOG", "SQRT", "ABS", "NEG", "ELU")},
    "LOGISTIC": partial(_plain, "Sigmoid"),
    "HARD_SWISH": partial(_plain, "HardSwish"),
    "RELU6": partial(_clip, 0.0, 6.0),
    "RELU_N1_TO_1": partial(_clip, -1.0, 1.0),
    "RELU_0_TO_1": partial(_clip, 0.0, 1.0),
    "LEAKY_RELU": lambda call: _plain("LeakyRelu", call, alpha=call.real(0)),
    "GELU": lambda call: _plain("Gelu", call, approximate="tanh" if call.option(0, "?") else "none"),
    **dict.fromkeys(("SQUARE", "SQUARED_DIFFERENCE"), _square),
    "RSQRT": _rsqrt,
    **dict.fromkeys(("SOFTMAX", "LOG_SOFTMAX"), _softmax),
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _product,
    "MEAN": partial(_reduce, "ReduceMean"),
    "SUM": partial(_reduce, "ReduceSum"),
    "REDUCE_MAX": partial(_reduce, "ReduceMax"),
    "DEQUANTIZE": _dequantize,
}
