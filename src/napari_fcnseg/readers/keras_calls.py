"""How the layers of a Functional model are called, in the notations of Keras 2 and Keras 3."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass
from typing import Any

from napari_fcnseg.readers.problem import RefusedError, UnreadableError

_TENSOR = "__keras_tensor__"


@dataclass(frozen=True)
class Call:
    """One use of a layer.

    Attributes
    ----------
    sources : tuple of str
        Names of the layers whose results it is called with.
    arguments : mapping
        Its other arguments.
    """

    sources: tuple[str, ...]
    arguments: Mapping[str, Any]


def read_calls(stored: object) -> tuple[Call, ...]:
    """Read a layer's ``inbound_nodes``.

    Parameters
    ----------
    stored : object
        The JSON value: ``[[["name", node, tensor, {…}]]]`` (Keras 2) or ``[{"args": […], "kwargs": {…}}]`` (Keras 3).

    Returns
    -------
    tuple of Call
        Every use of the layer.

    Raises
    ------
    UnreadableError
        It is malformed.
    """
    if not isinstance(stored, list):
        raise UnreadableError("its inbound_nodes are no list")
    return tuple(_keras_3(node) if isinstance(node, dict) else _keras_2(node) for node in stored)


def check_arguments(call: Call) -> None:
    """Check that a layer is called as when a trained model is applied.

    Raises
    ------
    RefusedError
        It is called with ``training=True`` or with arguments that have no meaning here.
    """
    for key, value in call.arguments.items():
        if key == "training" and value is True:
            raise RefusedError(
                "it is called with training=True, so that its result is random or depends on the other patches",
                "Build the model without training=True and save it again.",
            )
        if value is not None and value is not False:
            raise RefusedError(
                f"it is called with the argument {key[:40]!r}", "Call it with its input alone and save the model again."
            )


def read_ends(stored: object) -> tuple[str, ...]:
    """Read a model's ``input_layers`` or ``output_layers`` as names of layers.

    Raises
    ------
    UnreadableError
        It is malformed.
    """
    if isinstance(stored, dict):
        stored = list(stored.values())
    if not isinstance(stored, list):
        raise UnreadableError("its inputs and outputs are not listed")
    # Keras 3 leaves out the outer list around a single one.
    ends = [stored] if stored and isinstance(stored[0], str) else stored
    return tuple(_history(end) for end in ends)


def _history(stored: object) -> str:
    """Read ``["name", node, tensor]``; both numbers are 0 for a layer that is used once."""
    match stored:
        case [str(name), 0, 0]:
            return name
    raise UnreadableError("it refers to another layer in an unusual way")


def _keras_2(node: object) -> Call:
    if not isinstance(node, list):
        raise UnreadableError("its inbound_nodes are malformed")
    sources, arguments = [], {}
    for source in node:
        if not isinstance(source, list):
            raise UnreadableError("its inbound_nodes are malformed")
        sources.append(_history(source[:3]))
        match source[3:]:
            case []:
                pass
            case [dict(extra)]:
                arguments.update(extra)
            case _:
                raise UnreadableError("its inbound_nodes are malformed")
    return Call(tuple(sources), arguments)


def _keras_3(node: Mapping[str, Any]) -> Call:
    args, arguments = node.get("args"), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(arguments, dict):
        raise UnreadableError("its inbound_nodes are malformed")
    # A call written as layer(inputs=x) keeps its tensor among the keyword arguments.
    by_name = {key: value for key, value in arguments.items() if _is_tensor(value)}
    rest = {key: value for key, value in arguments.items() if key not in by_name}
    found: list[str] = []
    for value in (*args, *by_name.values()):
        found += _tensors(value)
    return Call(tuple(found), rest)


def _is_tensor(value: object) -> bool:
    return isinstance(value, dict) and value.get("class_name") == _TENSOR


def _tensors(value: object) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in _tensors(item)]
    if isinstance(value, dict) and _is_tensor(value):
        config = value.get("config")
        return [_history(config.get("keras_history") if isinstance(config, dict) else None)]
    raise UnreadableError("it is called with something that is no result of another layer")
