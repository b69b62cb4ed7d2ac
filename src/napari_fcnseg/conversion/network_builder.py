"""Collect the dense network's operations during the conversion, equal ones only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.dense_network import IMAGE, DenseOp, Zeros
from napari_fcnseg.conversion.feature_maps import MapRef

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

#: More operations than this are not worth building: patch by patch is the better way then. MobileNetV2 on patches of
#: 96 x 96 has 4,128 and is three times as fast on 160 x 160 pixels; ResNet50 on 64 x 64 has 5,538 and gains nothing.
MAX_OPERATIONS = 5_000


class TooLargeError(Exception):
    """The dense form takes too many operations or channels to be worth it."""


@dataclass(frozen=True)
class Operation:
    """A dense operation before it is known which entries of its result are needed.

    Attributes
    ----------
    op : DenseOp
        What it computes.
    inputs : tuple of MapRef
        What it reads; entry ``e`` of the result reads from entry ``e + offset`` on.
    layer : str
        Name of the model's layer it comes from.
    channels : int
        Number of channels of its result.
    """

    op: DenseOp
    inputs: tuple[MapRef, ...]
    layer: str
    channels: int


class NetworkBuilder:
    """The operations emitted so far.

    Parameters
    ----------
    axes : int
        Number of spatial axes.
    dry : bool
        Whether nothing is kept: only the shapes are wanted.
    """

    def __init__(self, axes: int, dry: bool = False) -> None:
        self.axes = axes
        self.dry = dry
        self.layer = ""
        self.operations: list[Operation] = []
        self._known: dict[Hashable, int] = {}

    def emit(self, op: DenseOp, inputs: Sequence[MapRef], channels: int, same: Hashable = None) -> MapRef:
        """Append an operation, or return an equal one.

        Parameters
        ----------
        op : DenseOp
            What it computes.
        inputs : sequence of MapRef
            What it reads.
        channels : int
            Number of channels of its result.
        same : hashable, optional
            Operations that are given the same thing here and read the same compute the same.

        Raises
        ------
        TooLargeError
            If there are too many.
        """
        if self.dry:
            return MapRef(IMAGE, (0,) * self.axes)
        first = inputs[0].offset
        relative = tuple(ref.shifted([-o for o in first]) for ref in inputs)
        known = (same, relative) if same is not None else None
        if known is not None and known in self._known:
            return MapRef(self._known[known], first)
        if len(self.operations) >= MAX_OPERATIONS:
            raise TooLargeError
        self.operations.append(Operation(op, relative, self.layer, channels))
        if known is not None:
            self._known[known] = len(self.operations) - 1
        return MapRef(len(self.operations) - 1, first)

    def zeros(self, channels: int) -> MapRef:
        """Return a map of zeros."""
        return self.emit(Zeros(), (MapRef(IMAGE, (0,) * self.axes),), channels, same=(Zeros, channels))
