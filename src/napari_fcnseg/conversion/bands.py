"""Spectral bands: an axis that the patch network slides over inside the patch, and nobody over the image.

The walk through the network has the axis from the beginning with every band as a map of its own, so that no window
ever runs along it in the dense network. Afterwards it is left out of everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_fcnseg.conversion.dense_network import IMAGE, DenseConv, DenseDepthwise, DenseOp, DensePool
from napari_fcnseg.conversion.feature_maps import FeatureMaps, Key, MapRef, maps_of
from napari_fcnseg.graph.geometry import Axis
from napari_fcnseg.graph.ops import Channels

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork, Step, StepInput
    from napari_fcnseg.conversion.network_builder import NetworkBuilder
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.ops import Array

T = TypeVar("T")


def input_of(network: Network, emitter: NetworkBuilder) -> FeatureMaps:
    """Return the network's input; of bands each is a map of its own."""
    if network.bands is None:
        return FeatureMaps.of_image(network.input_shape, only_shapes=emitter.dry)
    shape, (axis, count) = network.tensor_shape, network.bands
    axes = [Axis.of_patch(n) for n in shape[:-1]]
    axes[axis] = Axis.of_variants(count)
    image = MapRef(IMAGE, (0,) * len(axes))
    width = shape[-1]

    def band(key: Key) -> MapRef | None:
        cut = Channels(key[axis] * width, (key[axis] + 1) * width)
        return emitter.emit(cut, (image,), width, same=cut)

    return FeatureMaps(tuple(axes), width, maps_of(axes, band, image if emitter.dry else None))


def without_axis(network: DenseNetwork, axis: int) -> DenseNetwork:
    """Return a dense network without an axis along which nothing happens."""
    return replace(
        network,
        every=(1,) * len(network.patch_shape),
        strides=_less(network.strides, axis),
        origin=_less(network.origin, axis),
        reach=_less(network.reach, axis),
        steps=tuple(_step(step, axis) for step in network.steps),
        report=replace(network.report, receptive_field=_less(network.report.receptive_field, axis)),
    )


def _less(values: tuple[T, ...], axis: int) -> tuple[T, ...]:
    return (*values[:axis], *values[axis + 1 :])


def _step(step: Step, axis: int) -> Step:
    return replace(
        step,
        op=_op(step.op, axis),
        inputs=tuple(_input(source, axis) for source in step.inputs),
        stride=_less(step.stride, axis),
        density=_less(step.density, axis),
        extra=_less(step.extra, axis),
    )


def _input(source: StepInput, axis: int) -> StepInput:
    before, after, stride = (_less(n, axis) for n in (source.before, source.after, source.stride))
    return replace(source, before=before, after=after, stride=stride)


def _op(op: DenseOp, axis: int) -> DenseOp:
    if isinstance(op, DenseConv | DenseDepthwise):
        dilations = tuple(_less(dilation, axis) for dilation in op.dilations)
        return replace(op, kernels=tuple(_kernel(kernel, axis) for kernel in op.kernels), dilations=dilations)
    if isinstance(op, DensePool):
        sizes = tuple(_less(size, axis) for size in op.sizes)
        return replace(op, sizes=sizes, dilation=_less(op.dilation, axis))
    return op


def _kernel(kernel: Array, axis: int) -> Array:
    assert kernel.shape[axis] == 1, "no window runs along the bands"
    return np.ascontiguousarray(kernel.reshape(_less(kernel.shape, axis)))
