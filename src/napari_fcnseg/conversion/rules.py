"""What each operation of the patch network becomes in the dense one: a pure function per operation.

The rules follow Li, Zhao and Wang 2014 (arXiv 1412.4526): a stride becomes 1, every window is dilated by the strides
before it, a ``Dense`` after a ``Flatten`` becomes a convolution as large as the map it flattened. A rule raises
:class:`Refusal` when no exact dense form exists.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.fcn import (
    ChannelAffine,
    ChannelNorm,
    ChannelPReLU,
    DenseConv,
    DenseDepthwise,
    DenseOp,
    DensePool,
    Rewrite,
    Unfold,
)
from napari_fcnseg.graph.geometry import Geometry, WindowError
from napari_fcnseg.graph.ops import (
    AXIS_ACTIVATIONS,
    Activation,
    Affine,
    Array,
    BatchNorm,
    Conv,
    Dense,
    DepthwiseConv,
    Flatten,
    GlobalPool,
    Identity,
    LayerNorm,
    Op,
    Padding,
    Pool,
    PReLU,
)

_Floats: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]


class Refusal(Exception):  # noqa: N818 - it is turned into an UnsupportedLayerError where the layer's name is known
    """No exact dense form exists: the reason (a clause) and what the user can do (a sentence)."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice


@singledispatch
def rewrite(op: Op, geometry: Geometry) -> Rewrite:
    """Return the dense form of one operation of the patch network.

    Parameters
    ----------
    op : Op
        The operation.
    geometry : Geometry
        Of the tensor it is applied to.

    Raises
    ------
    Refusal
        If it has no exact dense form.
    """
    raise TypeError(f"no rule for {type(op).__name__}")


@rewrite.register
def _conv(op: Conv, geometry: Geometry) -> Rewrite:
    _require_map(geometry, "a convolution")
    _require_valid(op.padding)
    *size, _, out = op.kernel.shape
    after = _window(geometry, tuple(size), op.strides, op.dilation, out)
    conv = DenseConv(op.kernel, _bias(op.bias, out), _times(op.dilation, geometry.steps), op.groups)
    return Rewrite(((conv, out),), after)


@rewrite.register
def _depthwise(op: DepthwiseConv, geometry: Geometry) -> Rewrite:
    _require_map(geometry, "a convolution")
    _require_valid(op.padding)
    *size, channels, multiplier = op.kernel.shape
    out = channels * multiplier
    after = _window(geometry, tuple(size), op.strides, op.dilation, out)
    conv = DenseDepthwise(op.kernel, _bias(op.bias, out), _times(op.dilation, geometry.steps))
    return Rewrite(((conv, out),), after)


@rewrite.register
def _pool(op: Pool, geometry: Geometry) -> Rewrite:
    _require_map(geometry, "a pooling")
    _require_valid(op.padding)
    after = _window(geometry, op.size, op.strides, (1,) * len(op.size), geometry.channels)
    return Rewrite(((DensePool(op.kind, op.size, geometry.steps), geometry.channels),), after)


@rewrite.register
def _global_pool(op: GlobalPool, geometry: Geometry) -> Rewrite:
    _require_map(geometry, "a global pooling")
    after = geometry.collapsed(geometry.channels, flat=not op.keepdims)
    return Rewrite(((DensePool(op.kind, geometry.sizes, geometry.steps), geometry.channels),), after)


@rewrite.register
def _flatten(op: Flatten, geometry: Geometry) -> Rewrite:
    return Rewrite((), Geometry(geometry.axes, geometry.channels, flat=True))


@rewrite.register
def _identity(op: Identity, geometry: Geometry) -> Rewrite:
    return Rewrite((), geometry)


@rewrite.register
def _dense(op: Dense, geometry: Geometry) -> Rewrite:
    inputs, out = op.kernel.shape
    if not geometry.flat:  # Keras applies it at every position alone: a convolution with a window of 1
        kernel = op.kernel.reshape((1,) * len(geometry.axes) + (inputs, out))
        conv = DenseConv(kernel, _bias(op.bias, out), (1,) * len(geometry.axes))
        return Rewrite(((conv, out),), Geometry(geometry.axes, out))
    kernel = op.kernel.reshape((*geometry.sizes, geometry.channels, out))
    conv = DenseConv(kernel, _bias(op.bias, out), geometry.steps)
    return Rewrite(((conv, out),), geometry.collapsed(out, flat=True))


@rewrite.register
def _batch_norm(op: BatchNorm, geometry: Geometry) -> Rewrite:
    axis = _normal_axis(op.axis, geometry)
    if axis != _last_axis(geometry):
        raise Refusal(
            f"it normalises along axis {axis}, a spatial axis of the patch, so that its result depends on where in "
            "the patch a pixel lies",
            "Train the network with BatchNormalization over the channels (axis=-1).",
        )
    scale = op.gamma.astype(np.float64) / np.sqrt(op.variance.astype(np.float64) + op.epsilon)
    offset = op.beta - op.mean * scale
    return _affine_per_channel(np.zeros(1), scale, offset, geometry=geometry)


@rewrite.register
def _affine(op: Affine, geometry: Geometry) -> Rewrite:
    return _affine_per_channel(op.center, op.scale, op.offset, geometry=geometry)


@rewrite.register
def _layer_norm(op: LayerNorm, geometry: Geometry) -> Rewrite:
    axes = {_normal_axis(axis, geometry) for axis in op.axes}
    mixed = [axis for axis in axes if axis != _last_axis(geometry) and geometry.sizes[axis - 1] > 1]
    if mixed or _last_axis(geometry) not in axes:
        raise Refusal(
            "it normalises over positions of the patch, so that each number depends on where the patch ends",
            "Train the network with LayerNormalization(axis=-1), over the channels alone, or with BatchNormalization.",
        )
    norm, channels, after = _at_one_position(geometry)
    gamma, beta = (np.ascontiguousarray(a, np.float32).reshape(-1) for a in (op.gamma, op.beta))
    return Rewrite((*norm, (ChannelNorm(gamma, beta, op.epsilon), channels)), after)


@rewrite.register
def _prelu(op: PReLU, geometry: Geometry) -> Rewrite:
    unfold, alpha, after = _per_channel("its slopes differ", op.alpha, geometry=geometry)
    return Rewrite((*unfold, (ChannelPReLU(alpha[0]), after.channels)), after)


@rewrite.register
def _activation(op: Activation, geometry: Geometry) -> Rewrite:
    if op.name not in AXIS_ACTIVATIONS:
        return Rewrite(() if op.name == "linear" else ((op, geometry.channels),), geometry)
    axis = _normal_axis(int(op.params.get("axis", -1) or 0), geometry)
    if axis != _last_axis(geometry):
        raise Refusal(
            f"its {op.name} runs along axis {axis}, a spatial axis of the patch, and so mixes positions",
            "Train the network with the activation over the channels (axis=-1).",
        )
    unfold, channels, after = _at_one_position(geometry)
    if op.name == "glu":
        channels //= 2
        after = Geometry(after.axes, channels, after.flat)
    return Rewrite((*unfold, (Activation(op.name, {**op.params, "axis": -1}), channels)), after)


def _affine_per_channel(*center_scale_offset: _Floats, geometry: Geometry) -> Rewrite:
    unfold, numbers, after = _per_channel("its factors differ", *center_scale_offset, geometry=geometry)
    return Rewrite((*unfold, (ChannelAffine(*numbers), after.channels)), after)


def _per_channel(
    what: str, *params: _Floats, geometry: Geometry
) -> tuple[tuple[tuple[DenseOp, int], ...], list[Array], Geometry]:
    """Bring parameters that broadcast against the patch tensor to one number per channel.

    Where they differ from position to position, a flattened tensor is unfolded first: then every position of the
    patch has channels of its own.
    """
    shape = (*geometry.sizes, geometry.channels)
    full = [
        np.broadcast_to(p.reshape(shape) if geometry.flat and p.size > 1 else p, shape).reshape(-1, geometry.channels)
        for p in params
    ]
    if all(np.array_equal(f, np.broadcast_to(f[:1], f.shape)) for f in full):
        return (), [f[0].astype(np.float32) for f in full], geometry
    if not geometry.flat:
        raise Refusal(
            f"{what} from position to position inside the patch",
            "Train the network with one number per channel (shared_axes=[1, 2] for PReLU, axis=-1 otherwise).",
        )
    unfold, _, after = _at_one_position(geometry)
    return unfold, [f.reshape(-1).astype(np.float32) for f in full], after


def _at_one_position(geometry: Geometry) -> tuple[tuple[tuple[DenseOp, int], ...], int, Geometry]:
    """Unfold a flattened tensor of several positions, so that what mixes its numbers mixes channels alone."""
    if not geometry.flat or geometry.positions == 1:
        return (), geometry.channels, geometry
    channels = geometry.positions * geometry.channels
    unfold = Unfold(geometry.sizes, geometry.steps)
    return ((unfold, channels),), channels, geometry.collapsed(channels, flat=True)


def _window(
    geometry: Geometry, size: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], channels: int
) -> Geometry:
    try:
        return geometry.window(size, strides, dilation, channels)
    except WindowError as error:
        raise Refusal(f"{error} positions", "The file contradicts itself; save the model again.") from None


def _require_valid(padding: Padding) -> None:
    if padding != "valid":
        raise Refusal(
            f'padding="{padding}" surrounds each patch with zeros where the image has pixels, so that the answer '
            "depends on where the patch ends",
            'This version converts networks with padding="valid" only: train the network with it.',
        )


def _require_map(geometry: Geometry, what: str) -> None:
    if geometry.flat:
        raise Refusal(f"{what} needs spatial axes and the network was flattened before it", _FOREIGN)


_FOREIGN = "The file contradicts itself; save the model again with Keras."


def _last_axis(geometry: Geometry) -> int:
    return 1 if geometry.flat else len(geometry.axes) + 1


def _normal_axis(axis: int, geometry: Geometry) -> int:
    """Count a Keras axis from the batch axis, 0."""
    last = _last_axis(geometry)
    normal = axis if axis >= 0 else last + 1 + axis
    if not 1 <= normal <= last:
        _foreign_axis(axis, last)
    return normal


def _foreign_axis(axis: int, last: int) -> NoReturn:
    raise Refusal(f"its axis {axis} is not one of the tensor's axes 1 to {last}", _FOREIGN)


def _times(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x * y for x, y in zip(a, b, strict=True))


def _bias(bias: Array | None, out: int) -> Array:
    return np.zeros(out, np.float32) if bias is None else bias
