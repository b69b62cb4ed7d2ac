"""The dense network as data: operations without strides, each dilated by the strides before it.

A dense map is ``(row, col, …, channel)`` with one value per pixel and some more along the axes, since every window
shortens them by ``(size - 1) * dilation``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from napari_fcnseg.graph.ops import Activation, Array, Channels, GroupNorm, LayerNorm, MergeKind, PoolKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.report import ConversionReport

#: What the network's last operation makes of its numbers; it decides how a class is read off them.
Head: TypeAlias = Literal["softmax", "sigmoid", "scores"]

#: The number by which a step refers to the input image.
IMAGE = -1


@dataclass(frozen=True, eq=False)
class DenseConv:
    """Sum of dilated cross-correlations plus ``bias`` ``(out,)``.

    A kernel is ``(*window, in // groups, out)`` and has a dilation. There is more than one where an edge variant reads
    several maps. ``side_by_side`` inputs go to each kernel, as channels; they are more than one only where the window
    is one pixel, so that all such inputs are one matrix product.
    """

    kernels: tuple[Array, ...]
    dilations: tuple[tuple[int, ...], ...]
    bias: Array
    groups: int = 1
    side_by_side: tuple[int, ...] = (1,)

    @classmethod
    def of(
        cls, reads: Sequence[tuple[Array, tuple[int, ...]]], bias: Array, groups: int = 1
    ) -> tuple[DenseConv, list[int]]:
        """Return the operation for a kernel and dilation per input, and the order in which it takes its inputs."""
        pixels = [n for n, (kernel, _) in enumerate(reads) if max(kernel.shape[:-2]) == 1 and groups == 1]
        rest = [n for n in range(len(reads)) if n not in pixels]
        kernels, dilations, counts = [reads[n][0] for n in rest], [reads[n][1] for n in rest], [1] * len(rest)
        if pixels:
            kernels.append(np.concatenate([reads[n][0] for n in pixels], axis=-2))
            dilations.append((1,) * len(reads[pixels[0]][1]))
            counts.append(len(pixels))
        return cls(tuple(kernels), tuple(dilations), bias, groups, tuple(counts)), rest + pixels


@dataclass(frozen=True, eq=False)
class DenseDepthwise:
    """The same per channel; a kernel is ``(*window, in, multiplier)``, ``bias`` ``(out,)``."""

    kernels: tuple[Array, ...]
    dilations: tuple[tuple[int, ...], ...]
    bias: Array


@dataclass(frozen=True)
class DensePool:
    """Maximum, or sum divided by ``count``, over dilated windows, one of ``sizes`` per input."""

    kind: PoolKind
    sizes: tuple[tuple[int, ...], ...]
    dilation: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class DenseMerge:
    """Join inputs pixel by pixel; an input of one channel is repeated. ``kind`` is not ``concatenate``."""

    kind: MergeKind


@dataclass(frozen=True)
class Join:
    """Inputs side by side as channels; then, if there is an ``order``, channel ``i`` is number ``order[i]`` of them."""

    order: tuple[int, ...] | None = None


@dataclass(frozen=True)
class PerPatch:
    """Apply an operation of the patch network at each pixel to its channels, seen as a tensor ``(*sizes, channel)``."""

    op: LayerNorm | GroupNorm | Activation
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Zeros:
    """A map of zeros, as large as the image."""


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
    DenseConv | DenseDepthwise | DensePool | DenseMerge | Join | PerPatch | Zeros | ChannelAffine | ChannelNorm
    | ChannelPReLU | Activation | Channels
)  # fmt: skip


@dataclass(frozen=True)
class StepInput:
    """What a step reads: a step's result, with so many entries cut off per axis.

    Attributes
    ----------
    step : int
        Number of the step, or :data:`IMAGE`.
    before, after : tuple of int
        Entries cut off at either end, per axis.
    stride : tuple of int
        Of the entries between, every Nth is read.
    """

    step: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation of the dense network.

    Attributes
    ----------
    op : DenseOp
        What it computes. An :class:`~napari_fcnseg.graph.ops.Activation` here mixes channels at most.
    inputs : tuple of StepInput
        What it reads.
    layer : str
        Name of the model's layer it comes from.
    channels : int
        Number of channels of its result.
    stride : tuple of int
        Windows begin so many entries apart; 1 in a network that answers at every pixel.
    density, extra : tuple of int
        Entries of its result along each axis: so many per place of a tile, and so many more (or less).
    """

    op: DenseOp
    inputs: tuple[StepInput, ...]
    layer: str
    channels: int
    stride: tuple[int, ...]
    density: tuple[int, ...]
    extra: tuple[int, ...]

    def shape(self, tile: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial shape of its result for a tile of so many output pixels."""
        return tuple(t * n + e for t, n, e in zip(tile, self.density, self.extra, strict=True))


@dataclass(frozen=True)
class DenseNetwork:
    """A dense (fully convolutional) network that equals the patch network at every pixel, or at every Nth.

    Attributes
    ----------
    name : str
        The model's own name.
    patch_shape : tuple of int
        Spatial shape of a patch; the pixel it speaks for is at ``patch_shape // 2``.
    every : tuple of int
        Distance of the output pixels in image pixels; 1 is every pixel.
    strides : tuple of int
        The product of the patch network's strides.
    origin, reach : tuple of int
        Per axis, the first pixel of the patch that the answer depends on, and how many from there. Less than the
        patch where a stride does not divide and the patch network never looks at its last rows.
    channels, outputs : int
        Number of input channels and of output numbers per pixel.
    steps : tuple of Step
        In an order in which every step follows what it reads; the last is the answer. Empty where a dense form would
        be so large that patch by patch is the better way.
    head : {"softmax", "sigmoid", "scores"}
        What the last operation makes of its numbers.
    report : ConversionReport
        What became of each layer and what it costs.
    ways : str
        How convolutions and pools are computed on a processor, as :mod:`napari_fcnseg.conversion.ways` writes it; the
        quickest ways where it is empty.
    """

    name: str
    patch_shape: tuple[int, ...]
    every: tuple[int, ...]
    strides: tuple[int, ...]
    origin: tuple[int, ...]
    reach: tuple[int, ...]
    channels: int
    outputs: int
    steps: tuple[Step, ...]
    head: Head
    report: ConversionReport = field(repr=False)
    ways: str = ""

    def window(self, tile: tuple[int, ...]) -> tuple[int, ...]:
        """Return the spatial shape of the image that a tile of so many output pixels needs."""
        return tuple((t - 1) * k + r for t, k, r in zip(tile, self.every, self.reach, strict=True))

    @property
    def around(self) -> tuple[tuple[int, int], ...]:
        """Pixels before and after each one that its answer depends on, per axis; negative if it is not one of them."""
        centres = (p // 2 - o for p, o in zip(self.patch_shape, self.origin, strict=True))
        return tuple((before, reach - 1 - before) for before, reach in zip(centres, self.reach, strict=True))

    @property
    def classes(self) -> int:
        """Number of classes: one output number separates two."""
        return max(self.outputs, 2)


def windows_of(op: DenseOp) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] | None:
    """Return ``(size, dilation)`` per input of an operation with windows, None for one at each pixel alone."""
    if isinstance(op, DensePool):
        return tuple((size, op.dilation) for size in op.sizes)
    if isinstance(op, DenseConv):
        found = zip(op.kernels, op.dilations, op.side_by_side, strict=True)
        return tuple((kernel.shape[:-2], dilation) for kernel, dilation, count in found for _ in range(count))
    if isinstance(op, DenseDepthwise):
        return tuple((k.shape[:-2], d) for k, d in zip(op.kernels, op.dilations, strict=True))
    return None
