"""An ONNX file -> its nodes and arrays as plain data; whatever is not on the list of what may be there is refused."""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.tensors import PRECISIONS, Companion, Constant, bring_inside, read_tensor
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN, check_size
from napari_fcnseg.readers.problem import RefusedError, about_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from google.protobuf.message import Message
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

#: Versions of the operators whose meaning is known.
OPSETS: Final = (7, 26)
_IR_VERSIONS: Final = (3, 14)
_MOST_BYTES: Final = 2**31 - 1  # what a protocol buffer can hold
_MOST_NODES: Final = 20_000
_OWN_DOMAINS: Final = ("", "ai.onnx")
_MODEL_FIELDS: Final = frozenset(
    "ir_version opset_import producer_name producer_version domain model_version doc_string graph "
    "metadata_props".split()
)
_GRAPH_FIELDS: Final = frozenset(
    "node name initializer doc_string input output value_info quantization_annotation metadata_props".split()
)
_NODE_FIELDS: Final = frozenset("input output name op_type domain attribute doc_string metadata_props".split())
_NO_CODE: Final = "Export the model without custom operators or functions; only ONNX's own operators are read."


@dataclass(frozen=True)
class OnnxNode:
    """One node: ``name`` is unique and readable, ``attributes`` are numbers, texts, arrays or tuples of them."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxInput:
    """One input: its sizes with None for those that are not fixed, the batch axis first.

    ``channels_last`` says where its channels are; None where only the operators tell.
    """

    name: str
    sizes: tuple[int | None, ...]
    channels_last: bool | None = None


@dataclass(frozen=True)
class OnnxGraph:
    """What a file holds, as plain data.

    ``nodes`` are in the file's order; ``constants`` are its arrays by name; ``precisions`` are what the user should
    know of how they are stored; ``files`` are the names of those beside the file that were read; ``with_size`` is how
    the model is exported with a patch of one size.
    """

    name: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Constant]
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]
    precisions: tuple[str, ...]
    files: tuple[str, ...] = ()
    with_size: str = (
        "torch.onnx.export(model, torch.zeros(1, channels, height, width), 'my_model.onnx'), and leave no axis but the "
        "batch axis dynamic"
    )


def load(file: BinaryIO, path: Path) -> OnnxGraph:
    """Read an ONNX file and check all of it.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.
    path : Path
        Where it lies, for the file of arrays beside it.

    Returns
    -------
    OnnxGraph
        What it holds.

    Raises
    ------
    UnreadableError, UnsupportedLayerError
        It is damaged, or holds something that is not read.
    """
    model = _parse(file)
    _only(model, _MODEL_FIELDS, "the model")
    _only(model.graph, _GRAPH_FIELDS, "the graph")
    opset = _opset(model)
    if len(model.graph.node) > _MOST_NODES:
        raise UnreadableError(f"it has {len(model.graph.node)} nodes, far more than a patch network", EXPORT_AGAIN)
    companion = Companion(path)
    try:
        constants = _constants(model.graph, companion)
    finally:
        companion.close()
    types = {tensor.data_type for tensor in model.graph.initializer}
    name = _text(model.graph.name)
    name = name if name not in _NAMELESS else path.stem
    return OnnxGraph(
        name=readable(name) or "model",
        opset=opset,
        nodes=_nodes(model.graph.node),
        constants=constants,
        inputs=tuple(_input(value) for value in model.graph.input if value.name not in constants),
        outputs=tuple(_text(value.name) for value in model.graph.output),
        precisions=tuple(text for number, text in PRECISIONS.items() if number in types),
        files=companion.opened,
    )


def load_whole(file: BinaryIO, path: Path) -> tuple[ModelProto, tuple[OnnxNode, ...], tuple[str, ...]]:
    """Read an ONNX file that is to be run as it is, and check all of it.

    Parameters
    ----------
    file, path
        As for :func:`load`.

    Returns
    -------
    (ModelProto, tuple of OnnxNode, tuple of str)
        The model with all its arrays inside, its nodes as plain data, and the names of files beside it that were read.

    Raises
    ------
    UnreadableError, UnsupportedLayerError
        It is damaged, or has anything that is none of ONNX's own operators.
    """
    model = _parse(file)
    _only(model, _MODEL_FIELDS, "the model")
    _only(model.graph, _GRAPH_FIELDS, "the graph")
    _opset(model)
    if len(model.graph.node) > _MOST_NODES:
        raise UnreadableError(
            f"it has {len(model.graph.node):,} nodes, far more than a network for images", EXPORT_AGAIN
        )
    nodes, companion = _nodes(model.graph.node), Companion(path)
    try:
        for stored in model.graph.initializer:
            bring_inside(stored, companion)
    finally:
        companion.close()
    for entry in [entry for entry in model.opset_import if entry.domain not in _OWN_DOMAINS]:
        model.opset_import.remove(entry)  # no node is of it
    return model, nodes, companion.opened


#: What exporters call every graph.
_NAMELESS: Final = ("", "main_graph", "main", "torch_jit", "torch-jit-export")


def _parse(file: BinaryIO) -> ModelProto:
    size = os.fstat(file.fileno()).st_size
    if size > _MOST_BYTES:
        raise UnreadableError("it is larger than an ONNX file can be", EXPORT_AGAIN)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        check_size(content)
    import onnx
    from google.protobuf.message import DecodeError

    file.seek(0)
    try:
        return onnx.load_model_from_string(file.read())
    except DecodeError:
        raise UnreadableError("it is damaged or no ONNX file after all", EXPORT_AGAIN) from None


def _only(message: Message, allowed: frozenset[str], where: str) -> None:
    for field, _ in message.ListFields():
        if field.name not in allowed:
            raise UnreadableError(f"{where} holds {_WORDS.get(field.name, field.name)}, which is not read", _NO_CODE)


_WORDS: Final = {
    "functions": "functions of its own",
    "training_info": "a training procedure",
    "sparse_initializer": "sparse arrays",
}


def _opset(model: ModelProto) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in _OWN_DOMAINS]
    if not _IR_VERSIONS[0] <= model.ir_version <= _IR_VERSIONS[1] or len(versions) != 1:
        raise UnreadableError("it is of a version of the ONNX format that is not read", EXPORT_AGAIN)
    low, high = OPSETS
    if not low <= versions[0] <= high:
        raise UnreadableError(
            f"its operators are of version {versions[0]}, and those from {low} to {high} are read",
            "Export the model again with torch.onnx.export(..., opset_version=18).",
        )
    return int(versions[0])


def _constants(graph: GraphProto, companion: Companion) -> dict[str, Constant]:
    constants: dict[str, Constant] = {}
    for stored in graph.initializer:
        if _text(stored.name) in constants or not stored.name:
            raise UnreadableError(f"two of its arrays are named {stored.name[:80]!r}, or one has no name", EXPORT_AGAIN)
        constants[stored.name] = read_tensor(stored, companion)
    return constants


def _input(value: Any) -> OnnxInput:
    name, kind = _text(value.name), value.type.tensor_type
    if not value.type.HasField("tensor_type") or kind.elem_type not in (1, *PRECISIONS):
        raise UnreadableError(
            f"its input {name[:80]!r} is not an array of floating-point numbers",
            "Export the model so that it takes a batch of patches as floats (batch, channel, height, width).",
        )
    sizes = (d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim)
    return OnnxInput(name, tuple(sizes))


def _nodes(stored: Iterable[NodeProto]) -> tuple[OnnxNode, ...]:
    used: dict[str, int] = {}
    nodes = []
    for node in stored:
        name = unique_name(_name(node), used)
        with about_layer(name, readable(_text(node.op_type))):
            _only(node, _NODE_FIELDS, "it")
            if _text(node.domain) not in _OWN_DOMAINS:
                raise RefusedError(f"it is no operator of ONNX itself but of {node.domain[:60]!r}", _NO_CODE)
            attributes = {_text(a.name): _attribute(a) for a in node.attribute}
            if len(attributes) != len(node.attribute):
                raise UnreadableError("it has the same setting twice", EXPORT_AGAIN)
        inputs, outputs = (tuple(_text(n) for n in names) for names in (node.input, node.output))
        nodes.append(OnnxNode(name, node.op_type, inputs, outputs, attributes))
    return tuple(nodes)


def _attribute(stored: AttributeProto) -> Any:
    kinds = stored.AttributeType
    if stored.ref_attr_name:
        raise UnreadableError(f"its setting {stored.name[:60]!r} belongs to a function", _NO_CODE)
    if stored.type == kinds.INT:
        return stored.i
    if stored.type == kinds.FLOAT:
        return stored.f
    if stored.type == kinds.STRING:
        return stored.s.decode("utf-8", "replace")
    if stored.type == kinds.INTS:
        return tuple(stored.ints)
    if stored.type == kinds.FLOATS:
        return tuple(stored.floats)
    if stored.type == kinds.TENSOR:
        return read_tensor(stored.t, None)
    if stored.type in (kinds.GRAPH, kinds.GRAPHS):
        raise RefusedError(
            "it chooses or repeats a part of the network while it runs",
            "Export the model without if and for statements that depend on the data.",
        )
    raise RefusedError(f"its setting {stored.name[:60]!r} is of a kind that is not read", _NO_CODE)


def _name(node: NodeProto) -> str:
    """Prefer the name that a person knows; the newer exporter numbers some nodes and names their results."""
    stored = _text(node.name)
    name = "" if re.fullmatch(r"n\d+", stored) else stored.removeprefix("node_")
    result = next((_text(name) for name in node.output if name), "")
    return readable(name or result) or readable(_text(node.op_type)) or "node"


def _text(stored: str | bytes) -> str:
    """Check a name; the library hands on as bytes what is no UTF-8."""
    if isinstance(stored, bytes):
        raise UnreadableError("it is damaged: one of its names is no text", EXPORT_AGAIN)
    return stored


def readable(name: str) -> str:
    """Leave out of a name what cannot be shown, and most of a very long one."""
    return "".join(letter for letter in name[:100] if letter.isprintable()).removesuffix("_output_0")


def unique_name(name: str, used: dict[str, int]) -> str:
    """Add a number to a name that was there before."""
    numbered = name
    while numbered in used:
        used[name] += 1
        numbered = f"{name} ({used[name]})"
    used[numbered] = 1
    return numbered
