"""Calls of layers in a Functional model, in the notations of Keras 2 and Keras 3."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TENSOR: Final = "__keras_tensor__"
#: Where TFOpLambda has a number instead of a tensor.
_CONSTANT: Final = "_CONSTANT_VALUE"


@dataclass(frozen=True)
class TensorRef:
    """The result of a call, as the file writes it: the layer's name, the numbers of the call and of the result."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class SerializedCall:
    """One use of a layer.

    Attributes
    ----------
    args : tuple
        What it is called with: :class:`TensorRef` for tensors, other JSON values as they are, nested in lists and
        dicts.
    kwargs : mapping
        The same for arguments with a name.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def refs(self) -> tuple[TensorRef, ...]:
        """The tensors among the arguments, in order."""
        return tuple(ref for value in (*self.args, *self.kwargs.values()) for ref in tensor_refs_in(value))


def tensor_refs_in(value: object) -> Iterator[TensorRef]:
    """Walk through the tensors in an argument."""
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from tensor_refs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensor_refs_in(item)


def replaced(value: Any, put: Callable[[TensorRef], object]) -> Any:
    """Give an argument with something else in place of its tensors."""
    if isinstance(value, TensorRef):
        return put(value)
    if isinstance(value, list):
        return [replaced(item, put) for item in value]
    if isinstance(value, dict):
        return {key: replaced(item, put) for key, item in value.items()}
    return value


def read_calls(stored: object) -> tuple[SerializedCall, ...]:
    """Read a layer's ``inbound_nodes``.

    Parameters
    ----------
    stored : object
        The JSON value: ``[[["name", node, tensor, {…}]]]`` (Keras 2) or ``[{"args": […], "kwargs": {…}}]`` (Keras 3).

    Returns
    -------
    tuple of SerializedCall
        Every use of the layer.

    Raises
    ------
    UnreadableError
        It is malformed.
    """
    if not isinstance(stored, list):
        raise UnreadableError("its inbound_nodes are no list")
    return tuple(_keras_3(node) if isinstance(node, dict) and "args" in node else _keras_2(node) for node in stored)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check that a layer is called as when a trained model is applied.

    Parameters
    ----------
    arguments : mapping
        The arguments with a name that hold no tensor.

    Raises
    ------
    RefusedError
        It is called with ``training=True`` or with arguments that have no meaning here.
    """
    for key, value in arguments.items():
        if key == "training" and value is True:
            raise RefusedError(
                "it is called with training=True, so that its result is random or depends on the other patches",
                "Build the model without training=True and save it again.",
            )
        if value is not False and not _is_empty(value):
            raise RefusedError(
                f"it is called with the argument {key[:40]!r}", "Call it with its input alone and save the model again."
            )


def _is_empty(value: Any) -> bool:
    """Say whether an argument is nothing, or nothing for each of several inputs."""
    if isinstance(value, list | dict):
        return all(_is_empty(item) for item in (value.values() if isinstance(value, dict) else value))
    return value is None


def read_ends(stored: object) -> dict[str, TensorRef] | tuple[TensorRef, ...]:
    """Read a model's ``input_layers`` or ``output_layers``.

    Raises
    ------
    UnreadableError
        It is malformed.
    """
    if isinstance(stored, dict):
        return {key: _history(end) for key, end in stored.items()}
    if not isinstance(stored, list):
        raise UnreadableError("its inputs and outputs are not listed")
    # Keras 3 leaves out the outer list around a single one.
    return tuple(_nested_ends([stored] if stored and isinstance(stored[0], str) else stored))


def _nested_ends(stored: list[Any]) -> Iterator[TensorRef]:
    for end in stored:
        if isinstance(end, list) and end and not isinstance(end[0], str):
            yield from _nested_ends(end)
        else:
            yield _history(end)


def _history(stored: object) -> TensorRef:
    match stored:
        case [str(name), node, tensor] if is_whole(node) and is_whole(tensor) and node >= 0 and tensor >= 0:
            return TensorRef(name, node, tensor)
    raise UnreadableError("it refers to another layer in an unusual way")


def _keras_2(node: object) -> SerializedCall:
    if isinstance(node, dict):
        # A model with named inputs.
        calls = {key: _keras_2(value) for key, value in node.items()}
        return SerializedCall(({key: list(call.args) for key, call in calls.items()},), {})
    if not isinstance(node, list):
        raise UnreadableError("its inbound_nodes are malformed")
    # A bare operation has its only tensor without a list around it, and further ones among its arguments.
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for source in [node] if node and isinstance(node[0], str) else node:
        if not isinstance(source, list) or len(source) not in (3, 4):
            raise UnreadableError("its inbound_nodes are malformed")
        args.append(source[2] if source[:2] == [_CONSTANT, -1] else _history(source[:3]))
        extra = source[3] if len(source) == 4 else {}
        if not isinstance(extra, dict):
            raise UnreadableError("its inbound_nodes are malformed")
        kwargs |= {key: _tensors_of_keras_2(value) for key, value in extra.items()}
    return SerializedCall(tuple(args), kwargs)


def _tensors_of_keras_2(value: Any) -> Any:
    match value:
        case [str(), node, tensor] if is_whole(node) and is_whole(tensor) and node >= 0:
            return _history(value)
        case list():
            return [_tensors_of_keras_2(item) for item in value]
    return value


def _keras_3(node: Mapping[str, Any]) -> SerializedCall:
    args, kwargs = node.get("args"), node.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise UnreadableError("its inbound_nodes are malformed")
    return SerializedCall(
        tuple(_tensors_of_keras_3(value) for value in args),
        {key: _tensors_of_keras_3(value) for key, value in kwargs.items()},
    )


def _tensors_of_keras_3(value: Any) -> Any:
    if isinstance(value, list):
        return [_tensors_of_keras_3(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == _TENSOR:
        config = value.get("config")
        return _history(config.get("keras_history") if isinstance(config, dict) else None)
    return {key: _tensors_of_keras_3(item) for key, item in value.items()}
