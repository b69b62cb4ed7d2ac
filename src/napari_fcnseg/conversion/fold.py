"""Fold a channel-wise scale and offset into the convolution right before it.

``(conv(x) + b) * scale + offset`` is one convolution with the kernel times the scale. Nothing lies between the two, so
the result is the same up to rounding; the products are formed in double precision.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_fcnseg.conversion.fcn import ChannelAffine, DenseConv, DenseDepthwise, Step


def fold_affine(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], dict[str, str]]:
    """Fold every :class:`ChannelAffine` that follows a convolution nobody else reads.

    Parameters
    ----------
    steps : tuple of Step
        A dense network.

    Returns
    -------
    steps : tuple of Step
        The same network with fewer steps.
    folded : dict of str to str
        For each layer that was folded away, the layer whose convolution took it in.
    """
    readers = [0] * len(steps)
    for step in steps:
        for source in step.inputs:
            if source >= 0:
                readers[source] += 1
    kept: list[Step] = []
    moved: dict[int, int] = {-1: -1}  # old number -> new number
    folded: dict[str, str] = {}
    for number, step in enumerate(steps):
        source = step.inputs[0]
        before = kept[moved[source]] if source >= 0 else None
        if isinstance(step.op, ChannelAffine) and before is not None and readers[source] == 1:
            conv = _folded(before.op, step.op)
            if conv is not None:
                kept[moved[source]] = replace(before, op=conv)
                moved[number] = moved[source]
                folded[step.layer] = before.layer
                continue
        kept.append(replace(step, inputs=tuple(moved[i] for i in step.inputs)))
        moved[number] = len(kept) - 1
    return tuple(kept), folded


def _folded(conv: object, affine: ChannelAffine) -> DenseConv | DenseDepthwise | None:
    if not isinstance(conv, DenseConv | DenseDepthwise):
        return None
    scale = affine.scale.astype(np.float64)
    bias = (conv.bias - affine.center.astype(np.float64)) * scale + affine.offset
    per_channel = scale.reshape(conv.kernel.shape[-2:]) if isinstance(conv, DenseDepthwise) else scale
    return replace(conv, kernel=(conv.kernel * per_channel).astype(np.float32), bias=bias.astype(np.float32))
