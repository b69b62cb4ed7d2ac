"""The graph of an exported program as plain data: calls of operators by name, with what they read and make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.torch_export.archive import SAVE_PROGRAM
from napari_fcnseg.system.safe_json import JsonFields, is_number, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    Sizes = tuple[int | None, ...]

_MOST_NODES: Final = 20_000
#: The version of PyTorch's own description of graphs.
_SCHEMA: Final = 8


class Name(str):
    """A result of another call, or an input, by its name: what is no name is a setting."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """One call of an operator.

    Attributes
    ----------
    layer : str
        The name that a person knows: the module's where it is one of PyTorch's own.
    target : str
        The operator, ``aten.conv2d.default`` for example.
    arguments : mapping
        By name: numbers, texts, :class:`Name`, None, and tuples of them.
    outputs : tuple of str
        What it makes.
    """

    layer: str
    target: str
    arguments: Mapping[str, Any]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A graph with what its inputs and outputs are.

    Attributes
    ----------
    calls : tuple of Call
        In order.
    arrays : mapping
        For each input that is an array of the file its name there.
    inputs, outputs : tuple of str
        Those of the user.
    sizes : mapping
        For each result its shape, None for what is not fixed.
    types : mapping
        For each result PyTorch's number of its type.
    """

    calls: tuple[Call, ...]
    arrays: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sizes: Mapping[str, Sizes]
    types: Mapping[str, int]


def parse_program(program: JsonFields) -> Program:
    """Take the JSON of an exported program apart.

    Raises
    ------
    UnreadableError
        It is malformed, or of a version that is not read.
    """
    if program.fields("schema_version").raw("major") != _SCHEMA:
        raise UnreadableError("it is of a version of PyTorch's format that is not read", SAVE_PROGRAM)
    module = program.fields("graph_module")
    graph, signature = module.fields("graph"), module.fields("signature")
    arrays, inputs = _inputs(signature)
    outputs = []
    for spec in _objects(signature.items("output_specs")):
        if "user_output" in spec:
            outputs.append(_tensor(spec.fields("user_output").fields("arg")))
    nodes = graph.items("nodes")
    if len(nodes) > _MOST_NODES:
        raise UnreadableError(f"it has {len(nodes)} nodes, far more than a patch network", SAVE_PROGRAM)
    sizes, types = {}, {}
    values = graph.fields("tensor_values")
    for name in values.keys():
        meta = values.fields(name)
        sizes[name] = tuple(_size(size) for size in meta.items("sizes"))
        types[name] = meta.raw("dtype")
    calls = tuple(_call(node) for node in _objects(nodes))
    return Program(calls, arrays, tuple(inputs), tuple(outputs), sizes, types)


def _objects(items: list[Any]) -> list[JsonFields]:
    if not all(isinstance(item, dict) for item in items):
        raise UnreadableError("it is malformed", SAVE_PROGRAM)
    return [JsonFields(item) for item in items]


def _inputs(signature: JsonFields) -> tuple[dict[str, str], list[str]]:
    arrays: dict[str, str] = {}
    inputs: list[str] = []
    for spec in _objects(signature.items("input_specs")):
        kind = next(iter(spec.keys()), "")
        if kind == "user_input":
            inputs.append(_tensor(spec.fields(kind).fields("arg")))
        elif kind in _STORED:
            arrays[spec.fields(kind).fields("arg").text("name")] = spec.fields(kind).text(_STORED[kind])
        else:
            raise UnreadableError(f"its input of the kind {kind[:40]!r} is not read", SAVE_PROGRAM)
    return arrays, inputs


#: Kind of an input that lies in the file -> the key of its name.
_STORED: Final = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}


def _tensor(argument: JsonFields) -> str:
    if "as_tensor" not in argument:
        raise UnreadableError(
            "one of its inputs or outputs is no array", "Export a model that takes patches and returns scores."
        )
    return argument.fields("as_tensor").text("name")


def _size(size: Any) -> int | None:
    number = size.get("as_int") if isinstance(size, dict) else None
    return number if is_whole(number) and 0 <= number <= 2**24 else None


def _call(node: JsonFields) -> Call:
    arguments = {entry.text("name"): _argument(entry.fields("arg")) for entry in _objects(node.items("inputs"))}
    outputs: list[str] = []
    for entry in _objects(node.items("outputs")):
        made = _argument(entry)
        outputs += [str(name) for name in (made if isinstance(made, tuple) else (made,)) if isinstance(name, Name)]
    own = node.text("name", "") or (outputs[0] if outputs else "")
    target = node.text("target").removeprefix("torch.ops.").removeprefix("_")
    return Call(_module(node) or own, target, arguments, tuple(outputs))


def _module(node: JsonFields) -> str:
    """Give the path of the module that a call belongs to, if it is one of PyTorch's own."""
    metadata = node.raw("metadata")
    stack = metadata.get("nn_module_stack", "") if isinstance(metadata, dict) else ""
    *_, path, kind = ("", "", *str(stack).rpartition(";")[2].split(",", 2))
    return path if kind.startswith("torch.nn.modules.") else ""


def _argument(argument: JsonFields) -> Any:
    """Read one argument; those of kinds that no operator of ours has are None, as if they were left out."""
    kind = next(iter(argument.keys()), "")
    value = argument.raw(kind)
    if kind in _ONE_NAME:
        return _named(value)
    if kind in _NAMES and isinstance(value, list):
        return tuple(_named(entry) for entry in value)
    if kind in ("as_int", "as_bool", "as_string", "as_scalar_type"):
        return value
    if kind == "as_float":
        return _float(value)
    if kind in ("as_ints", "as_bools", "as_floats") and isinstance(value, list):
        return tuple(_float(n) if kind == "as_floats" else n for n in value)
    return Unread(kind) if kind in ("as_graph", "as_custom_obj", "as_operator") else None


@dataclass(frozen=True)
class Unread:
    """An argument that is none of numbers and names: a part of the network, for example."""

    kind: str


_ONE_NAME: Final = ("as_tensor", "as_sym_int", "as_optional_tensor")
_NAMES: Final = ("as_tensors", "as_sym_ints", "as_optional_tensors")


def _named(value: Any) -> Any:
    """Read a tensor or a size by its name, or the number that stands in its place."""
    fields = value if isinstance(value, dict) else {}
    inner = fields.get("as_tensor")
    name = fields.get("name", fields.get("as_name", inner.get("name") if isinstance(inner, dict) else None))
    if isinstance(name, str):
        return Name(name)
    number = fields.get("as_int")
    if is_whole(number):
        return number
    if fields.get("as_none") is not None:
        return None
    raise UnreadableError("one of its arguments is malformed", SAVE_PROGRAM)


def _float(value: Any) -> float:
    if value in ("Infinity", "-Infinity"):
        return math.inf if value == "Infinity" else -math.inf
    if not is_number(value):
        raise UnreadableError("one of its numbers is malformed", SAVE_PROGRAM)
    return float(value)
