"""The dense network as data: operations without strides, each dilated by the strides before it.

A dense map is ``(row, col, …, channel)``; every operation shortens an axis by ``(size - 1) * dilation`` and keeps
one value per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from napari_fcnseg.graph.ops import Activation, Array, PoolKind

if TYPE_CHECKING:
    from napari_fcnseg.conversion.report import ConversionReport
    from napari_fcnseg.graph.geometry import Geometry

#: What the network's last operation makes of its numbers; it decides how a class is read off them.
Head: TypeAlias = Literal["softmax", "sigmoid", "scores"]

#: The number by which a step refers to the input image.
IMAGE = -1


@dataclass(frozen=True, eq=False)
class DenseConv:
    """Dilated cross-correlation; ``kernel`` is ``(*window, in // groups, out)``, ``bias`` ``(out,)``."""

    kernel: Array
    bias: Array
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def size(self) -> tuple[int, ...]:
        """Window per axis."""
        return self.kernel.shape[:-2]


@dataclass(frozen=True, eq=False)
class DenseDepthwise:
    """Dilated cross-correlation per channel; ``kernel`` is ``(*window, in, multiplier)``, ``bias`` ``(out,)``."""

    kernel: Array
    bias: Array
    dilation: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Window per axis."""
        return self.kernel.shape[:-2]


@dataclass(frozen=True)
class DensePool:
    """Maximum or mean over a dilated window."""

    kind: PoolKind
    size: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Unfold:
    """All positions of a dilated window side by side as channels, in the order of Keras's ``Flatten``."""

    size: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ChannelAffine:
    """``(x - center) * scale + offset`` with one number per channel."""

    center: Array
    scale: Array
    offset: Array


@dataclass(frozen=True, eq=False)
class ChannelNorm:
    """Layer normalisation over the channels of each pixel."""

    gamma: Array
    beta: Array
    epsilon: float


@dataclass(frozen=True, eq=False)
class ChannelPReLU:
    """``max(x, 0) + alpha * min(x, 0)`` with one ``alpha`` per channel."""

    alpha: Array


DenseOp: TypeAlias = (
    DenseConv | DenseDepthwise | DensePool | Unfold | ChannelAffine | ChannelNorm | ChannelPReLU | Activation
)


@dataclass(frozen=True)
class Step:
    """One operation of the dense network.

    Attributes
    ----------
    op : DenseOp
        What it computes. An :class:`~napari_fcnseg.graph.ops.Activation` here mixes channels at most.
    inputs : tuple of int
        Numbers of the steps it reads, or :data:`IMAGE`.
    layer : str
        Name of the model's layer it comes from.
    channels : int
        Number of channels of its result.
    """

    op: DenseOp
    inputs: tuple[int, ...]
    layer: str
    channels: int


@dataclass(frozen=True)
class DenseNetwork:
    """A dense (fully convolutional) network that equals the patch network at every pixel.

    Attributes
    ----------
    name : str
        The model's own name.
    patch_shape : tuple of int
        Spatial shape of a patch; the pixel it speaks for is at ``patch_shape // 2``.
    reach : tuple of int
        Pixels per axis, from the patch's start, that the answer depends on. Smaller than the patch where a
        stride does not divide and the patch network never looks at its last rows.
    channels, outputs : int
        Number of input channels and of output numbers per pixel.
    steps : tuple of Step
        In an order in which every step follows what it reads; the last is the answer.
    head : {"softmax", "sigmoid", "scores"}
        What the last operation makes of its numbers.
    report : ConversionReport
        What became of each layer and what it costs.
    """

    name: str
    patch_shape: tuple[int, ...]
    reach: tuple[int, ...]
    channels: int
    outputs: int
    steps: tuple[Step, ...]
    head: Head
    report: ConversionReport = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes: one output number separates two."""
        return max(self.outputs, 2)


def window_of(op: DenseOp) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return ``(size, dilation)`` of an operation with a window, None for one that acts at each pixel alone."""
    if isinstance(op, DenseConv | DenseDepthwise | DensePool | Unfold):
        return op.size, op.dilation
    return None


@dataclass(frozen=True)
class Rewrite:
    """What one operation of the patch network becomes: dense operations, with channels, and the new geometry."""

    ops: tuple[tuple[DenseOp, int], ...]
    geometry: Geometry
