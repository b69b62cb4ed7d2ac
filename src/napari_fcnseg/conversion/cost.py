"""Floating-point operations, counted the usual way: a multiply-add is two, a comparison or an addition one.

Activations and normalisations are left out on both sides: they are bound by memory, not by arithmetic, and there is no
agreed count for an exponential. They change the ratio of the two totals by less than a percent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.dense_network import IMAGE, DenseConv, DenseDepthwise, DenseMerge, DenseOp, DensePool
from napari_fcnseg.conversion.feature_maps import FeatureMaps, Value, Vector
from napari_fcnseg.graph.ops import Conv, ConvTranspose, Dense, DepthwiseConv, GlobalPool, Merge, Op, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork, Step


def dense_flop(op: DenseOp, inputs: int, channels: int) -> int:
    """Return the FLOP that a dense operation with ``channels`` results spends on one pixel."""
    if isinstance(op, DenseConv | DenseDepthwise):
        return 2 * sum(kernel.size for kernel in op.kernels)
    if isinstance(op, DensePool):
        # one axis after the other
        return (sum(k - 1 for size in op.sizes for k in size) + inputs - 1) * channels
    if isinstance(op, DenseMerge):
        return (inputs - 1) * channels
    return 0


def flop_per_pixel(network: DenseNetwork) -> int:
    """Return the FLOP that a dense network spends on one output pixel, without halos."""
    return sum(dense_flop(step.op, len(step.inputs), step.channels) * math.prod(step.density) for step in network.steps)


def dense_bytes(steps: Sequence[Step], image_channels: int) -> int:
    """Return the bytes that the dense network reads and writes for one output pixel; inputs side by side are copied."""
    channels = {IMAGE: image_channels, **{number: step.channels for number, step in enumerate(steps)}}
    total = 0
    for step in steps:
        read = sum(channels[source.step] for source in step.inputs)
        entries = math.prod(n * s for n, s in zip(step.density, step.stride, strict=True))
        total += entries * read * (1 + (len(step.inputs) > 1)) + math.prod(step.density) * step.channels
    return 4 * total


def patch_flop(op: Op, before: Sequence[Value], after: Value) -> int:
    """Return the FLOP that an operation of the patch network spends on one patch."""
    source = before[0]
    if isinstance(op, Conv | DepthwiseConv) and isinstance(after, FeatureMaps):
        return 2 * op.kernel.size * after.positions
    if isinstance(op, ConvTranspose) and isinstance(source, FeatureMaps):
        return 2 * op.kernel.size * source.positions
    if isinstance(op, Dense):
        return 2 * op.kernel.size * (1 if isinstance(source, Vector) else source.positions)
    if isinstance(op, Pool) and isinstance(after, FeatureMaps):
        return (math.prod(op.size) - 1) * after.positions * after.channels
    if isinstance(op, GlobalPool) and isinstance(source, FeatureMaps):
        return (source.positions - 1) * source.channels
    if isinstance(op, Merge) and op.kind != "concatenate":
        return (len(before) - 1) * (after.length if isinstance(after, Vector) else after.positions * after.channels)
    return 0
