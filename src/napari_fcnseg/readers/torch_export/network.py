"""A program that PyTorch exported -> the inert network, by way of ONNX's operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.composing import OPSET, Composer
from napari_fcnseg.readers.onnx.network import advising, network_of
from napari_fcnseg.readers.onnx.onnx_file import OnnxGraph, OnnxInput
from napari_fcnseg.readers.onnx.tensors import PRECISIONS
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import RefusedError, about_layer
from napari_fcnseg.readers.torch_export.archive import DTYPES, SAVE_PROGRAM, ExportArchive
from napari_fcnseg.readers.torch_export.calls import CallContext
from napari_fcnseg.readers.torch_export.pointwise import POINTWISE
from napari_fcnseg.readers.torch_export.program import Name, Program, Unread, parse_program
from napari_fcnseg.readers.torch_export.shapes import SHAPES, VIEWS
from napari_fcnseg.readers.torch_export.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.torch_export.program import Call

#: ATen operator -> translation. One that is not here is not read.
_OPERATORS: Final[Mapping[str, Callable[[CallContext], None]]] = {**WINDOWS, **SHAPES, **POINTWISE}
#: Operators that are known and not read -> that of ONNX which is refused for the same reason.
_REFUSED: Final = {
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), "LSTM"),
    **dict.fromkeys(("scaled_dot_product_attention", "einsum", "bmm", "baddbmm"), "Attention"),
    **dict.fromkeys(("argmax", "argmin", "topk"), "ArgMax"),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle", "gather", "scatter", "grid_sampler", "roll"), "DepthToSpace"),
    **dict.fromkeys(("rand", "randn", "bernoulli", "rand_like", "randn_like"), "RandomNormal"),
    "rms_norm": "RMSNormalization",
}
_QUANTISED: Final = ("quantized", "quantized_decomposed", "torchao")
#: Arithmetic with sizes -> the same of ONNX.
_SIZES: Final = {
    f"operator.{name}": op for name, op in (("mul", "Mul"), ("add", "Add"), ("sub", "Sub"), ("floordiv", "Div"))
}
_IN_PLACE: Final = "Write x = x + y instead of x += y there, and leave out inplace=True, and export the model again."


def read(file: BinaryIO, path: Path, output: str | None = None, options: ReadOptions = PLAIN) -> Network:
    """Read a ``.pt2`` file.

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
        The file is damaged, or no such file.
    """
    with advising(SAVE_PROGRAM):
        archive = ExportArchive(file)
        program = parse_program(archive.program())
        composer = Composer({name: archive.array(stored) for name, stored in program.arrays.items()})
        translation = _Translation(program, composer)
        translation.run()
        inputs = tuple(_input(name, program) for name in program.inputs)
        precisions = archive.precisions | {DTYPES[program.types[name]][1] for name in program.inputs}
        graph = OnnxGraph(
            name=path.stem if archive.name == "model" else archive.name,
            opset=OPSET,
            nodes=tuple(composer.nodes),
            constants=composer.constants,
            inputs=inputs,
            outputs=translation.outputs(),
            precisions=tuple(text for number, text in PRECISIONS.items() if number in precisions),
            with_size="torch.export.export(model, (torch.zeros(2, channels, height, width),)), and leave no axis but "
            "the batch axis dynamic",
        )
        return network_of(graph, output, options)


def _input(name: str, program: Program) -> OnnxInput:
    if program.types.get(name) not in _FLOATS:
        raise UnreadableError(
            f"its input {name[:80]!r} is not an array of floating-point numbers",
            "Export the model so that it takes a batch of patches as floats (batch, channel, height, width).",
        )
    return OnnxInput(name, program.sizes.get(name, ()), channels_last=None)


def _higher_order(name: str) -> RefusedError:
    if name.startswith("wrap"):
        return RefusedError(
            "it is a part of its own (under torch.no_grad or torch.autocast), which is not read",
            "Export the model with torch.export.export(model, (patches,)).run_decompositions(), or without that part.",
        )
    return RefusedError(
        "it chooses or repeats a part of the network while it runs",
        "Export the model without torch.cond and the like.",
    )


class _Translation:
    """Writes each call of a program in ONNX's operators, and follows what works in place."""

    def __init__(self, program: Program, composer: Composer) -> None:
        self._program = program
        self._composer = composer
        #: What was written over by what, and which results lie in the same memory.
        self._now: dict[str, str] = {}
        self._memory: dict[str, set[str]] = {}
        self._stale: set[str] = set()

    def run(self) -> None:
        for call in self._program.calls:
            if call.outputs:  # the others only check something
                self._translate(call)

    def _translate(self, call: Call) -> None:
        package, _, rest = call.target.partition(".")
        name = rest.partition(".")[0]
        in_place = package == "aten" and name.endswith("_") and not name.endswith("__")
        name = name.strip("_") if package == "aten" else call.target
        layer = self._composer.layer(call.layer)
        if package == "higher_order":
            with about_layer(layer, call.target):
                raise _higher_order(rest)
        if name not in _OPERATORS:
            kind = "DequantizeLinear" if package in _QUANTISED else {**_REFUSED, **_SIZES}.get(name, call.target)
            reads = [str(value) for value in call.arguments.values() if isinstance(value, Name)]
            self._composer.add(layer, kind, reads, call.outputs)
            return
        with about_layer(layer, name):
            arguments = {key: self._current(value) for key, value in call.arguments.items()}
            _OPERATORS[name](CallContext(call, name, layer, arguments, self._program.sizes, self._composer))
        read = call.arguments.get("self", call.arguments.get("input"))
        if isinstance(read, Name):
            self._follow(str(read), call.outputs, in_place, name in VIEWS)

    def _current(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._current(entry) for entry in value)
        if isinstance(value, Unread):
            raise _higher_order("")
        if not isinstance(value, Name):
            return value
        if value in self._stale:
            raise RefusedError(f"it reads {value[:60]!r}, a part of which was written over in place", _IN_PLACE)
        return Name(self._now.get(value, value))

    def _follow(self, read: str, made: tuple[str, ...], in_place: bool, view: bool) -> None:
        """Note which results share memory, and which of them a call has changed."""
        shared = self._memory.setdefault(read, {read})
        if view or in_place:
            shared.update(made)
            self._memory.update(dict.fromkeys(made, shared))
        if in_place:
            root = self._now.get(read, read)
            same = {read, root, *(name for name, now in self._now.items() if now == root)}
            self._now.update(dict.fromkeys(same, made[0]))
            self._stale |= shared - same - {*made}

    def outputs(self) -> tuple[str, ...]:
        """Give what the program returns, by the names that it has in the end."""
        with about_layer("output", "output"):
            return tuple(str(self._current(Name(name))) for name in self._program.outputs)


_FLOATS: Final = (6, 7, 8, 13)
