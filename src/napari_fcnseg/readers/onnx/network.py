"""An ONNX model -> the inert network."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from napari_fcnseg.errors import AS_A_PACKAGE, SAVE_AGAIN, ConversionError, UnreadableError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Channels
from napari_fcnseg.readers.bands import with_bands
from napari_fcnseg.readers.onnx.activations import POINTWISE_OPERATORS
from napari_fcnseg.readers.onnx.arithmetic import ARITHMETIC_OPERATORS
from napari_fcnseg.readers.onnx.builder import GraphBuilder, NodeContext
from napari_fcnseg.readers.onnx.constant_folding import fold
from napari_fcnseg.readers.onnx.convolutions import WINDOW_OPERATORS
from napari_fcnseg.readers.onnx.formulas import FORMULA_OPERATORS
from napari_fcnseg.readers.onnx.inputs import is_channels_last, of_size, patch_of
from napari_fcnseg.readers.onnx.normalization import NORM_OPERATORS
from napari_fcnseg.readers.onnx.onnx_file import OnnxGraph, OnnxNode, load
from napari_fcnseg.readers.onnx.shapes import SHAPE_OPERATORS
from napari_fcnseg.readers.onnx.slices import CUT_OPERATORS
from napari_fcnseg.readers.onnx.unsupported import refuse
from napari_fcnseg.readers.onnx.values import (
    BATCH,
    PLAIN,
    GroupedMap,
    PendingFormula,
    SplitMap,
    Tensor,
    Value,
    channels_first,
)
from napari_fcnseg.readers.onnx.whole_images import gives_a_map
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.options import PLAIN as PLAIN_OPTIONS
from napari_fcnseg.readers.problem import RefusedError, about_layer, with_overview

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from napari_fcnseg.readers.onnx.shapes import Result
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.options import ReadOptions

_MOST_FOLDED: Final = 2**28  # bytes of all constants that are computed
#: Operator -> translation. An operator that is not here is not read.
OPERATORS: Final[Mapping[str, Callable[[NodeContext], Result]]] = {
    **WINDOW_OPERATORS,
    **SHAPE_OPERATORS,
    **CUT_OPERATORS,
    **ARITHMETIC_OPERATORS,
    **POINTWISE_OPERATORS,
    **NORM_OPERATORS,
    **FORMULA_OPERATORS,
}


def read(file: BinaryIO, path: Path, output: str | None = None, options: ReadOptions = PLAIN_OPTIONS) -> Network:
    """Read an ONNX file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    path : Path
        Where it lies: PyTorch's exporter keeps large arrays in a file beside it.
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
    with advising(EXPORT_AGAIN):
        return network_of(load(file, path), output, options)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Give what is damaged in a file of one kind the advice of that kind."""
    try:
        yield
    except UnreadableError as problem:
        if problem.advice in (SAVE_AGAIN, EXPORT_AGAIN):
            raise UnreadableError(problem.reason, advice) from None
        raise


def network_of(graph: OnnxGraph, output: str | None = None, options: ReadOptions = PLAIN_OPTIONS) -> Network:
    """Translate a graph of ONNX's operators, whichever file it comes from.

    Parameters
    ----------
    graph : OnnxGraph
        Checked for its size, not for its meaning.
    output : str, optional
        Which of several answers to read, by default the first.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        The model cannot be used.
    UnreadableError
        The file is damaged.
    """
    graph = of_size(graph, options.patch_shape)
    return _network(graph, _chosen(graph, output), options)


def _network(graph: OnnxGraph, chosen: str, options: ReadOptions) -> Network:
    needed = _needed(graph, chosen)
    with with_overview(_layers(needed), graph.outputs):
        return _translated(graph, chosen, needed, options)


def _layers(nodes: tuple[OnnxNode, ...]) -> list[tuple[str, str]]:
    """Give each layer's name and operator; of one that was written in several operators, the one that counts."""
    layers: dict[str, str] = {}
    for node in nodes:
        if layers.get(node.name, "Transpose") == "Transpose":
            layers[node.name] = node.op_type
    return list(layers.items())


def _translated(graph: OnnxGraph, chosen: str, needed: tuple[OnnxNode, ...], options: ReadOptions) -> Network:
    """Translate the nodes that an answer needs."""
    last = tuple(is_channels_last(needed, value) for value in graph.inputs)
    if any(None in value.sizes[1:] for value in graph.inputs) and gives_a_map(needed, graph.constants, chosen):
        raise ConversionError(
            f"The model {graph.name!r} takes images of any size and answers with a map of each: it is an "
            f"image-to-image network (such as a U-Net) and no patch classifier. {AS_A_PACKAGE}"
        )
    shape, names = patch_of(graph, last)
    used = frozenset(name for node in needed for name in node.inputs) | {chosen}
    builder = GraphBuilder(len(shape) - 1, graph.opset, graph.inputs[0].sizes[0], used)
    values = _inputs(graph, names, shape, last, builder)
    _translate(graph, needed, values, builder)
    answer = values[chosen]
    if not isinstance(answer, Tensor) or answer.source == INPUT:
        raise _no_answer(chosen, answer)
    notes = [
        f"The model was saved in {precision}; this program computes it in single precision (float32), so that its "
        "numbers may differ slightly from those seen in training."
        for precision in graph.precisions
    ]
    several = graph.outputs if len(graph.outputs) > 1 else ()
    if several:
        notes.append(f"The model has {len(several)} answers; this is {chosen!r}.")
    nodes = _alive(builder.nodes, answer.source)
    by_channel = names if len(graph.inputs) > 1 else ()
    network = Network(graph.name, shape, nodes, answer.source, tuple(notes), several, by_channel, files=graph.files)
    return with_bands(network, options)


def _chosen(graph: OnnxGraph, output: str | None) -> str:
    names = graph.outputs
    if not names or len(set(names)) != len(names):
        raise UnreadableError("it has no result, or two of the same name", EXPORT_AGAIN)
    if output is not None and output not in names:
        raise UnreadableError(
            f"it has no output {output[:80]!r}", f"Choose one of {', '.join(repr(n[:80]) for n in names[:20])}."
        )
    return names[0] if output is None else output


def _needed(graph: OnnxGraph, chosen: str) -> tuple[OnnxNode, ...]:
    """Give the nodes on which an answer depends, after checking that names are made once and before they are read."""
    known = {"", *graph.constants, *(value.name for value in graph.inputs)}
    if len(known) != 1 + len(graph.constants) + len(graph.inputs):
        raise UnreadableError("two of its inputs have the same name, or one has none", EXPORT_AGAIN)
    for node in graph.nodes:
        missing = next((name for name in node.inputs if name not in known), None)
        if missing is not None:
            raise UnreadableError(
                f"its node {node.name!r} reads {missing[:80]!r} before anything makes it", EXPORT_AGAIN
            )
        for name in filter(None, node.outputs):
            if name in known:
                raise UnreadableError(f"two of its nodes make {name[:80]!r}", EXPORT_AGAIN)
            known.add(name)
    if chosen not in known:
        raise UnreadableError(f"nothing makes its output {chosen[:80]!r}", EXPORT_AGAIN)
    wanted, needed = {chosen}, []
    for node in reversed(graph.nodes):
        if wanted.intersection(filter(None, node.outputs)):
            wanted.update(filter(None, node.inputs))
            needed.append(node)
    return tuple(needed[::-1])


def _inputs(
    graph: OnnxGraph, names: tuple[str, ...], shape: tuple[int, ...], last: tuple[bool, ...], builder: GraphBuilder
) -> dict[str, Value | Constant]:
    """Give every input as a view of the network's one input, or of a node that takes its channels from that."""
    values: dict[str, Value | Constant] = {}
    start = 0
    for value, at_end in zip(graph.inputs, last, strict=True):
        stop = start + names.count(value.name)
        part, source = (*shape[:-1], stop - start), INPUT
        if part != shape:
            source = builder.add(value.name[:100], "Input", (Channels(start, stop),), (INPUT,))
        usual = channels_first(part)
        values[value.name] = Tensor(source, part, (*usual[1:], usual[0]) if at_end else usual)
        start = stop
    return values


def _translate(
    graph: OnnxGraph, nodes: tuple[OnnxNode, ...], values: dict[str, Value | Constant], builder: GraphBuilder
) -> None:
    """Add to ``values`` what every node makes."""
    for name, constant in graph.constants.items():
        if constant.dtype == np.int64 and (constant == BATCH).any():
            raise UnreadableError(f"array {name[:80]!r} holds an absurd number", EXPORT_AGAIN)
        values[name] = constant
    folded = 0
    for node in nodes:
        with about_layer(node.name, node.op_type):
            call = NodeContext(node, tuple(values[name] if name else None for name in node.inputs), builder)
            results = _results(call)
            if builder.used.intersection(filter(None, node.outputs[len(results) :])):
                raise RefusedError("another of its results than the first is used, which is not read", PLAIN)
            for name, result in zip(node.outputs, results, strict=False):
                values[name] = result
                folded += result.nbytes if isinstance(result, np.ndarray) else 0
            if folded > _MOST_FOLDED:
                raise UnreadableError("its constants grow too large to be true", EXPORT_AGAIN)


def _results(call: NodeContext) -> tuple[Value | Constant, ...]:
    if all(value is None or isinstance(value, np.ndarray) for value in call.values):
        constant = fold(call)
        if constant is not None:
            return (constant,)
        raise RefusedError("it computes with constants alone in a way that is not read", PLAIN)
    if call.node.op_type not in OPERATORS:
        raise refuse(call.node.op_type)
    result = OPERATORS[call.node.op_type](call)
    return result if isinstance(result, tuple) else (result,)


def _no_answer(name: str, answer: Value | Constant) -> Exception:
    if isinstance(answer, PendingFormula):
        return UnreadableError(f"its output {name[:80]!r} is a formula that is not read", EXPORT_AGAIN)
    what = "groups of channels" if isinstance(answer, GroupedMap | SplitMap) else "the same for every patch"
    return UnreadableError(f"its output {name[:80]!r} is {what}", "Open a model that classifies patches of an image.")


def _alive(nodes: dict[str, Node], output: str) -> tuple[Node, ...]:
    """Leave out what was made on the way and is not needed in the end."""
    wanted = {output}
    for node in reversed(nodes.values()):
        if node.name in wanted:
            wanted.update(node.inputs)
    return tuple(node for node in nodes.values() if node.name in wanted)
