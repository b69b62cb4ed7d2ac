"""Dispatch to one rule per operation, and the refusal that a rule returns where no exact form exists."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING, Final

from napari_fcnseg.conversion.feature_maps import FeatureMaps, Value, Vector

if TYPE_CHECKING:
    from napari_fcnseg.conversion.network_builder import NetworkBuilder
    from napari_fcnseg.graph.ops import Op

FOREIGN: Final = "The file contradicts itself; save the model again."


class Refusal(Exception):  # noqa: N818 - it is turned into an UnsupportedLayerError where the layer's name is known
    """No exact dense form exists: the reason (a clause) and what the user can do (a sentence)."""

    def __init__(self, reason: str, advice: str = FOREIGN) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice


@singledispatch
def rewrite(op: Op, values: tuple[Value, ...], emitter: NetworkBuilder) -> Value:
    """Return the dense form of one operation of the patch network.

    Parameters
    ----------
    op : Op
        The operation.
    values : tuple of Value
        What it is applied to: several for a ``Merge``, one otherwise.
    emitter : NetworkBuilder
        Takes the dense operations.

    Raises
    ------
    Refusal
        If it has no exact dense form.
    TooLargeError
        If the dense form is not worth building.
    """
    raise TypeError(f"no rule for {type(op).__name__}")


def as_map(values: tuple[Value, ...], what: str) -> FeatureMaps:
    """Return the single input of an operation that needs spatial axes."""
    (value,) = values
    if isinstance(value, Vector):
        raise Refusal(f"{what} needs spatial axes and the network was flattened before it")
    return value


def last_axis(value: Value) -> int:
    """Return the number of the channel axis as Keras counts, the batch axis being 0."""
    return 1 if isinstance(value, Vector) else len(value.axes) + 1


def normal_axis(axis: int, value: Value) -> int:
    """Count a Keras axis from the batch axis, 0."""
    last = last_axis(value)
    normal = axis if axis >= 0 else last + 1 + axis
    if not 1 <= normal <= last:
        raise Refusal(f"its axis {axis} is not one of the tensor's axes 1 to {last}")
    return normal
