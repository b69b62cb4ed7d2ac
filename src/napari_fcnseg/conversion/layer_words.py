"""Texts of the conversion report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.conversion.cost import dense_flop
from napari_fcnseg.conversion.dense_network import (
    ChannelAffine,
    ChannelNorm,
    ChannelPReLU,
    DenseConv,
    DenseDepthwise,
    DenseMerge,
    DenseOp,
    DensePool,
    Join,
    PerPatch,
    Zeros,
    windows_of,
)
from napari_fcnseg.conversion.feature_maps import FeatureMaps, Value
from napari_fcnseg.conversion.report import LayerReport
from napari_fcnseg.graph.ops import Channels, Identity
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.network_builder import Operation
    from napari_fcnseg.graph.network import Node


def layer_report(
    node: Node, result: Value, patch_cost: int, folded_into: str | None,
    operations: Sequence[tuple[Operation, tuple[int, ...]]],
) -> LayerReport:  # fmt: skip
    """Return what became of a layer.

    Parameters
    ----------
    node : Node
        The layer.
    result : Value
        What it returns.
    patch_cost : int
        FLOP that it takes for one patch.
    folded_into : str or None
        The layer whose convolution took it in.
    operations : sequence of (Operation, receptive field)
        The dense operations it became.
    """
    became = _words([operation.op for operation, _ in operations])
    if folded_into is not None and folded_into != node.name:
        became.insert(0, f"folded into {folded_into}")
    if not became:
        reasons = [op.reason for op in node.ops if isinstance(op, Identity)]
        became = reasons or ["nothing: positions keep their place"]
    fields = [field for _, field in operations]
    return LayerReport(
        layer=node.name,
        layer_type=node.layer_type,
        became=", ".join(became),
        dilation=_dilation([operation.op for operation, _ in operations]),
        receptive_field=tuple(map(max, zip(*fields, strict=True))) if fields else (),
        channels=_channels(result),
        maps=_maps(result),
        flop_per_pixel=sum(dense_flop(o.op, len(o.inputs), o.channels) for o, _ in operations),
        flop_per_patch=patch_cost,
    )


def patch_layer_report(node: Node, result: Value, patch_cost: int) -> LayerReport:
    """Return the report of a layer that is run patch by patch."""
    return LayerReport(
        node.name, node.layer_type, "run patch by patch", None, (), _channels(result), _maps(result), 0, patch_cost
    )


def _tables(value: Value) -> list[FeatureMaps]:
    return [value] if isinstance(value, FeatureMaps) else [block.table for block in value.blocks]


def _channels(value: Value) -> int:
    return sum(table.channels for table in _tables(value))


def _maps(value: Value) -> int:
    return sum(len(table.maps) for table in _tables(value))


def _dilation(ops: Sequence[DenseOp]) -> tuple[int, ...] | None:
    """Return the dilation along each axis of the windows that are longer than one there."""
    windows = [window for op in ops for window in windows_of(op) or () if max(window[0]) > 1]
    if not windows:
        return None
    axes = range(len(windows[0][0]))
    return tuple(max([dilation[a] for size, dilation in windows if size[a] > 1], default=1) for a in axes)


def _words(ops: Sequence[DenseOp]) -> list[str]:
    """Return what a layer's operations are called, each kind once and with the largest of its windows."""
    windows: dict[str, tuple[int, ...]] = {}
    several: set[str] = set()
    for op in ops:
        name = _name(op)
        found = windows_of(op) or (((), ()),)
        several |= {name} if len(found) > 1 else set()
        for size, _ in found:
            known = windows.get(name, size)
            windows[name] = tuple(map(max, zip(known, size, strict=True)))
    return [
        (f"{name} {format_shape(size)}" if size else name) + " and edge variants" * (name in several)
        for name, size in windows.items()
        if name
    ]


def _name(op: DenseOp) -> str:
    match op:
        case DenseConv():
            return f"convolution in {op.groups} groups of" if op.groups > 1 else "convolution"
        case DenseDepthwise():
            return "depthwise convolution"
        case DensePool():
            return f"{op.kind} over"
        case DenseMerge():
            return op.kind
        case Join():
            return "side by side as channels"
        case PerPatch():
            return f"computed over all {format_shape(op.sizes)} positions of each patch"
        case ChannelAffine():
            return "scale and offset per channel"
        case ChannelNorm():
            return "normalisation over the channels"
        case ChannelPReLU():
            return "PReLU with a slope per channel"
        case Channels():
            return "some of the channels"
        case Zeros():
            return ""
    return op.name
