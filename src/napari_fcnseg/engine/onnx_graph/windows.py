"""Convolutions and pools in an ONNX graph, which has channels in front: maps are turned around and back.

ONNX Runtime joins the turns of neighbouring operations, or drops them.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.dense_network import DenseConv, DenseDepthwise, DensePool
    from napari_fcnseg.engine.onnx_graph.builder import Builder, Ints


def add_convolution(build: Builder, xs: Sequence[str], op: DenseConv, stride: Ints) -> str:
    """Add a sum of valid cross-correlations plus bias and return it; windows begin ``stride`` entries apart."""
    waiting, terms = iter(xs), []
    for kernel, dilation, count in zip(op.kernels, op.dilations, op.side_by_side, strict=True):
        maps = [next(waiting) for _ in range(count)]
        x = build.add("Concat", *maps, axis=-1) if count > 1 else maps[0]
        if op.groups == 1 and max(kernel.shape[:-2]) == 1:
            terms.append(_product(build, x, kernel, stride))
        else:
            terms.append(_convolved(build, x, kernel, dilation, stride, op.groups))
    return _with_bias(build, terms, op.bias)


def add_depthwise(build: Builder, xs: Sequence[str], op: DenseDepthwise, stride: Ints) -> str:
    """Add a sum of valid cross-correlations of each channel, one per input, plus bias and return it."""
    terms = []
    for x, kernel, dilation in zip(xs, op.kernels, op.dilations, strict=True):
        *window, channels, multiplier = kernel.shape
        merged = kernel.reshape(*window, 1, channels * multiplier)
        terms.append(_convolved(build, x, merged, dilation, stride, channels))
    return _with_bias(build, terms, op.bias)


def add_pool(build: Builder, xs: Sequence[str], op: DensePool, stride: Ints) -> str:
    """Add the maximum over the windows of all inputs, or their sum divided by a count, and return it."""
    combine = "Max" if op.kind == "max" else "Add"
    parts = []
    for x, sizes in zip(xs, op.sizes, strict=True):
        for axis, (size, step, every) in enumerate(zip(sizes, op.dilation, stride, strict=True), start=1):
            x = _strided(build, x, axis, size, step, every, combine, len(stride))
        parts.append(x)
    result = functools.reduce(lambda a, b: build.add(combine, a, b), parts)
    return result if op.kind == "max" else build.add("Mul", result, build.constant(1.0 / op.count))


def _with_bias(build: Builder, terms: Sequence[str], bias: np.ndarray) -> str:
    return build.add("Add", functools.reduce(lambda a, b: build.add("Add", a, b), terms), build.constant(bias))


def _product(build: Builder, x: str, kernel: np.ndarray, stride: Ints) -> str:
    """Add a convolution whose window is one pixel: a product of matrices."""
    axes = range(1, len(stride) + 1)
    if max(stride) > 1:
        x = build.sliced(x, [0] * len(stride), [None] * len(stride), axes, stride)
    return build.add("MatMul", x, build.constant(kernel.reshape(kernel.shape[-2:])))


def _convolved(build: Builder, x: str, kernel: np.ndarray, dilation: Ints, stride: Ints, groups: int) -> str:
    axes = len(stride)
    weights = build.constant(np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))))
    front = build.add("Transpose", x, perm=(0, axes + 1, *range(1, axes + 1)))
    y = build.add("Conv", front, weights, dilations=dilation, strides=stride, group=groups)
    return build.add("Transpose", y, perm=(0, *range(2, axes + 2), 1))


def _strided(
    build: Builder, x: str, axis: int, size: int, step: int, stride: int, combine: str, axes: int
) -> str:  # fmt: skip
    """Combine ``size`` entries ``step`` apart, in windows that begin ``stride`` entries apart."""
    if stride == 1 or step > 1:  # only a stride that is not the model's needs both
        x = _running(build, x, axis, size, step, combine)
        return x if stride == 1 else build.sliced(x, [0], [None], [axis], [stride])
    window, every = ([n if a == axis else 1 for a in range(1, axes + 1)] for n in (size, stride))
    front = build.add("Transpose", x, perm=(0, axes + 1, *range(1, axes + 1)))
    if combine == "Max":
        y = build.add("MaxPool", front, kernel_shape=window, strides=every)
    else:
        mean = build.add("AveragePool", front, kernel_shape=window, strides=every)
        y = build.add("Mul", mean, build.constant(float(math.prod(window))))
    return build.add("Transpose", y, perm=(0, *range(2, axes + 2), 1))


def _running(build: Builder, x: str, axis: int, size: int, step: int, combine: str) -> str:
    """Combine ``size`` entries ``step`` apart, by doubling: ``2 log2(size)`` passes instead of ``size``."""

    def shorter(y: str, before: int, after: int) -> str:
        return build.sliced(y, [before], [-after if after else None], [axis], [1]) if before or after else y

    result, taken = "", 0  # `taken` entries of the window are in `result`
    width, run = 1, x  # `run` holds windows of `width`
    while True:
        if size & width:
            part = shorter(run, taken * step, (size - width - taken) * step)
            result = build.add(combine, result, part) if result else part
            taken += width
        if taken == size:
            return result
        run = build.add(combine, shorter(run, 0, width * step), shorter(run, width * step, 0))
        width *= 2
