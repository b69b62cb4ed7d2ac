"""Floating-point operations, counted the usual way: a multiply-add is two, a comparison or an addition one.

Activations and normalisations are left out on both sides: they are bound by memory, not by arithmetic, and there is no
agreed count for an exponential. They change the ratio of the two totals by less than a percent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.fcn import DenseConv, DenseDepthwise, DenseOp, DensePool
from napari_fcnseg.graph.ops import Conv, Dense, DepthwiseConv, GlobalPool, Op, Pool

if TYPE_CHECKING:
    from napari_fcnseg.graph.geometry import Geometry


def dense_flop(op: DenseOp, channels: int) -> int:
    """Return the FLOP that a dense operation with ``channels`` results spends on one pixel."""
    if isinstance(op, DenseConv | DenseDepthwise):
        return 2 * op.kernel.size
    if isinstance(op, DensePool):
        # one axis after the other
        return sum(k - 1 for k in op.size) * channels
    return 0


def patch_flop(op: Op, before: Geometry, after: Geometry) -> int:
    """Return the FLOP that an operation of the patch network spends on one patch."""
    if isinstance(op, Conv | DepthwiseConv):
        return 2 * op.kernel.size * after.positions
    if isinstance(op, Dense):
        return 2 * op.kernel.size * (1 if before.flat else before.positions)
    if isinstance(op, Pool):
        return (math.prod(op.size) - 1) * after.positions * after.channels
    if isinstance(op, GlobalPool):
        return (before.positions - 1) * before.channels
    return 0
