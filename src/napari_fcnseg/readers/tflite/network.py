"""A TensorFlow Lite model -> the inert network, by way of ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.composing import OPSET, Composer
from napari_fcnseg.readers.onnx.network import advising, network_of
from napari_fcnseg.readers.onnx.onnx_file import OnnxGraph, OnnxInput
from napari_fcnseg.readers.onnx.tensors import PRECISIONS
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import RefusedError, about_layer
from napari_fcnseg.readers.tflite.calls import PLAINLY, Apart, LiteContext, layer_name
from napari_fcnseg.readers.tflite.pointwise import POINTWISE
from napari_fcnseg.readers.tflite.shapes import SHAPES
from napari_fcnseg.readers.tflite.tflite_file import CONVERT_AGAIN, FLOAT16, FLOAT32, LiteModel, load
from napari_fcnseg.readers.tflite.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.onnx.tensors import Constant

#: Operator -> translation. One that is not here is not read.
_OPERATORS: Final[Mapping[str, Callable[[LiteContext], None]]] = {**WINDOWS, **SHAPES, **POINTWISE}
#: Operators that are known and not read -> that of ONNX which is refused for the same reason.
_REFUSED: Final = {
    **dict.fromkeys(
        "LSTM RNN SVDF UNIDIRECTIONAL_SEQUENCE_RNN UNIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN "
        "BIDIRECTIONAL_SEQUENCE_LSTM".split(),
        "LSTM",
    ),
    **dict.fromkeys("IF WHILE CALL_ONCE CALL".split(), "If"),
    **dict.fromkeys(("QUANTIZE", "FAKE_QUANT", "DENSIFY"), "QuantizeLinear"),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "TOPK_V2"), "ArgMax"),
    **dict.fromkeys("DEPTH_TO_SPACE SPACE_TO_DEPTH GATHER_ND SCATTER_ND REVERSE_V2".split(), "DepthToSpace"),
    **dict.fromkeys("RANDOM_STANDARD_NORMAL RANDOM_UNIFORM MULTINOMIAL".split(), "RandomNormal"),
    "LOCAL_RESPONSE_NORMALIZATION": "LRN",
    "L2_NORMALIZATION": "LpNormalization",
    "L2_POOL_2D": "LpPool",
}
#: Types of quantised numbers: 8 bits with and without a sign, 16, 4, 2.
_WHOLE: Final = (3, 9, 7, 17, 19, 20)
_UNQUANTISED: Final = (
    "Convert the model again without converter.optimizations, or save it with model.save('my_model.keras'), where it "
    "was trained, and open that file."
)


def read(file: BinaryIO, path: Path, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read a ``.tflite`` file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    path : Path
        Where it lies, for its name.
    output : str, optional
        Which of several answers to read, by default the first.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network it holds.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        The file is damaged, quantised, or no such file.
    """
    with advising(CONVERT_AGAIN):
        model = load(file)
        _not_quantised(model)
        names = {model.tensors[number].name: values for number, values in model.constants.items()}
        composer = Composer(names)
        _translate(model, composer)
        outputs = _outputs(model, composer)
        half = any(model.tensors[number].kind == FLOAT16 for number in model.constants)
        graph = OnnxGraph(
            name=path.stem,
            opset=OPSET,
            nodes=tuple(composer.nodes),
            constants=composer.constants,
            inputs=tuple(_input(model, number) for number in model.inputs),
            outputs=outputs,
            precisions=(PRECISIONS[10],) * half,
            with_size="with keras.Input((height, width, channels)) in the model that is converted",
        )
        return network_of(graph, output, options)


def _translate(model: LiteModel, composer: Composer) -> None:
    values: dict[int, Constant] = dict(model.constants)
    apart: dict[int, Apart] = {}
    for operator in model.operators:
        layer = composer.layer(layer_name(operator, model.tensors))
        if not operator.outputs:
            continue
        if operator.op_type not in _OPERATORS:
            reads = [model.tensors[number].name for number in operator.inputs if number >= 0]
            made = [model.tensors[number].name for number in operator.outputs if number >= 0]
            composer.add(layer, _REFUSED.get(operator.op_type, operator.op_type), reads, made)
            continue
        with about_layer(layer, operator.op_type):
            if min(operator.outputs) < 0:
                raise UnreadableError("it makes nothing", CONVERT_AGAIN)
            call = LiteContext(operator, layer, model, values, composer, apart)
            _check_layout(call)
            _OPERATORS[operator.op_type](call)


#: What may read a tensor that lies otherwise here than in the file.
_ANY_LAYOUT: Final = frozenset(
    "ADD SUB MUL DIV RELU RELU6 TANH LOGISTIC LEAKY_RELU ELU GELU HARD_SWISH CONV_2D DEPTHWISE_CONV_2D "
    "BATCH_TO_SPACE_ND RESHAPE SHAPE".split()
)


def _check_layout(call: LiteContext) -> None:
    """Hand on how a tensor lies to what acts on each number alone; nothing else may read it."""
    read = [call.layout(index) for index in range(len(call.operator.inputs))]
    layout = next((found for found in read if found != PLAINLY), PLAINLY)
    if layout == PLAINLY:
        return
    name = call.operator.op_type
    plain = [n for n, found in zip(call.operator.inputs, read, strict=True) if found == PLAINLY and n >= 0]
    windows = ("CONV_2D", "DEPTHWISE_CONV_2D")
    if name in ("BATCH_TO_SPACE_ND", "RESHAPE", "SHAPE"):
        return
    if name not in _ANY_LAYOUT or any(n not in call.values for n in plain) or (layout.positions and name in windows):
        raise RefusedError(
            "it moves numbers between the patches of a batch", "Save it with model.save('my_model.keras')."
        )
    call.keeps(layout)


def _not_quantised(model: LiteModel) -> None:
    """Refuse what computes with whole numbers, whose rounding is the processor's own."""
    for operator in model.operators:
        if operator.op_type == "DEQUANTIZE":
            continue
        if any(_is_quantised(model, n) for n in (*operator.outputs, *operator.inputs) if n not in model.constants):
            raise UnreadableError(
                "it is quantised: it computes with whole numbers of few bits, and rounds after every layer",
                _UNQUANTISED,
            )
        if any(_is_quantised(model, n) for n in operator.inputs):
            raise UnreadableError(
                "its weights are quantised to whole numbers of 8 bits, and TensorFlow Lite rounds what it computes to "
                "such numbers, too, as it goes (dynamic-range quantisation)",
                _UNQUANTISED,
            )


def _is_quantised(model: LiteModel, number: int) -> bool:
    return number >= 0 and model.tensors[number].kind in _WHOLE


def _input(model: LiteModel, number: int) -> OnnxInput:
    tensor = model.tensors[number]
    if tensor.kind != FLOAT32:
        raise UnreadableError(
            f"its input {tensor.name[:80]!r} is not an array of floating-point numbers",
            "Convert a model that takes a batch of patches as floats (batch, height, width, channel).",
        )
    sizes = tensor.sizes
    return OnnxInput(tensor.name, sizes, channels_last=True)


def _outputs(model: LiteModel, composer: Composer) -> tuple[str, ...]:
    """Give several answers the names by which callers know them, in their order."""
    known = {tensor.name for tensor in model.tensors}
    called = {number: model.names.get(number, "") for number in model.outputs}
    if len(called) < 2 or not all(called.values()) or not known.isdisjoint(called.values()):
        return tuple(model.tensors[number].name for number in model.outputs)
    for number, name in called.items():
        composer.add(name, "Identity", [model.tensors[number].name], [name])
    return tuple(sorted(called.values()))
