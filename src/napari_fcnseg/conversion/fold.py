"""Fold a channel-wise scale and offset into the convolution right before it.

``(conv(x) + b) * scale + offset`` is one convolution with the kernel times the scale. Nothing lies between the two, so
the result is the same up to rounding; the products are formed in double precision. It is never folded into the
convolution after it: padding inside the patch is zero after the normalisation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.conversion.dense_network import IMAGE, ChannelAffine, DenseConv, DenseDepthwise
from napari_fcnseg.conversion.feature_maps import MapRef

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from napari_fcnseg.conversion.network_builder import Operation


def fold_affine(
    operations: Sequence[Operation], answer: MapRef, needed: Container[int]
) -> tuple[list[Operation], MapRef, dict[str, str]]:
    """Fold every :class:`ChannelAffine` that follows a convolution nobody else reads.

    Parameters
    ----------
    operations : sequence of Operation
        A dense network.
    answer : MapRef
        Its answer.
    needed : container of int
        The operations that the answer depends on.

    Returns
    -------
    operations : list of Operation
        The same network without what is not needed, and with fewer operations.
    answer : MapRef
        Its answer.
    folded : dict of str to str
        For each layer that was folded away, the layer whose convolution took it in.
    """
    readers = [0] * len(operations)
    for number, operation in enumerate(operations):
        for ref in operation.inputs:
            if ref.step != IMAGE and number in needed:
                readers[ref.step] += 1
    if answer.step != IMAGE:
        readers[answer.step] += 1
    kept: list[Operation] = []
    moved: dict[int, int] = {IMAGE: IMAGE}  # old number -> new number
    folded: dict[str, str] = {}
    for number, operation in enumerate(operations):
        if number not in needed:
            continue
        source = operation.inputs[0].step
        if isinstance(operation.op, ChannelAffine) and source != IMAGE and readers[source] == 1:
            before = kept[moved[source]]
            conv = _folded(before.op, operation.op)
            if conv is not None:
                kept[moved[source]] = replace(before, op=conv)
                moved[number] = moved[source]
                folded[operation.layer] = before.layer
                continue
        kept.append(replace(operation, inputs=tuple(MapRef(moved[r.step], r.offset) for r in operation.inputs)))
        moved[number] = len(kept) - 1
    return kept, MapRef(moved[answer.step], answer.offset), folded


def _folded(conv: object, affine: ChannelAffine) -> DenseConv | DenseDepthwise | None:
    if not isinstance(conv, DenseConv | DenseDepthwise):
        return None
    scale = affine.scale.astype(np.float64)
    bias = (conv.bias - affine.center.astype(np.float64)) * scale + affine.offset
    multiplier = conv.kernels[0].shape[-2:]
    per_channel = scale.reshape(multiplier) if isinstance(conv, DenseDepthwise) else scale
    kernels = tuple((kernel * per_channel).astype(np.float32) for kernel in conv.kernels)
    return replace(conv, kernels=kernels, bias=bias.astype(np.float32))
