"""The inputs of an ONNX graph: the size of a patch, and where its channels are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import SAY_SIZE, ConversionError, PatchSizeError, UnreadableError
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.shapes import MAX_ELEMENTS

if TYPE_CHECKING:
    from napari_fcnseg.readers.onnx.onnx_file import OnnxGraph, OnnxInput, OnnxNode
    from napari_fcnseg.readers.shapes import Shape

_FIXED_SIZE: Final = (
    "Say the size of the patches that it was trained on (--patch-size 61 61 on the command line, patch_size=(61, 61) "
    'in Python, or "patch_size": [61, 61] in the sidecar), or export it again with a patch of that size, '
)


def of_size(graph: OnnxGraph, patch: Shape) -> OnnxGraph:
    """Put the sizes that the user said in place of those that inputs leave open, the batch aside."""
    inputs = []
    for value in graph.inputs:
        batch, *sizes = value.sizes or (None,)
        if sizes.count(None) == len(patch):
            given = iter(patch)
            sizes = [next(given) if n is None else n for n in sizes]
        inputs.append(replace(value, sizes=(batch, *sizes) if value.sizes else ()))
    return replace(graph, inputs=tuple(inputs))


def is_channels_last(nodes: tuple[OnnxNode, ...], value: OnnxInput) -> bool:
    """Say whether the first thing done with an input is to move its last axis to where windows expect the channels."""
    if value.channels_last is not None:
        return value.channels_last
    rank = len(value.sizes)
    readers = [node for node in nodes if value.name in node.inputs]
    moved = {name for node in readers for name in node.outputs}
    order = (0, rank - 1, *range(1, rank - 1))
    moves = all(node.op_type == "Transpose" and node.attributes.get("perm") == order for node in readers)
    return rank > 2 and moves and any(node.op_type in _WINDOWS and moved & {*node.inputs[:1]} for node in nodes)


#: What reads the channels from the axis behind the batch axis.
_WINDOWS: Final = ("Conv", "BatchNormalization", "MaxPool", "AveragePool", "Pad")


def patch_of(graph: OnnxGraph, last: tuple[bool, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Give the shape of a patch, channels last, and what the file calls each channel's input."""
    if not graph.inputs:
        raise UnreadableError("it has no input", EXPORT_AGAIN)
    shapes = [_patch_shape(graph, value, at_end) for value, at_end in zip(graph.inputs, last, strict=True)]
    for value, shape in zip(graph.inputs, shapes, strict=True):
        if shape[:-1] != shapes[0][:-1]:
            raise ConversionError(
                f"The inputs {graph.inputs[0].name!r} and {value.name!r} of the model {graph.name!r} are patches of "
                f"different sizes, {shapes[0][:-1]} and {shape[:-1]}. Use patches of one size for all inputs and train "
                "again."
            )
    names = tuple(v.name for v, shape in zip(graph.inputs, shapes, strict=True) for _ in range(shape[-1]))
    return (*shapes[0][:-1], len(names)), names


def _patch_shape(graph: OnnxGraph, value: OnnxInput, channels_last: bool) -> tuple[int, ...]:
    name = graph.name
    channels, *sizes = value.sizes[1:] or (None,)
    if channels_last:
        *sizes, channels = value.sizes[1:]
    shown = "(" + ", ".join("?" if n is None else str(n) for n in value.sizes) + ")"
    if not 1 <= len(sizes) <= 3:
        usual = "(batch, height, width, channel)" if channels_last else "(batch, channel, height, width)"
        raise ConversionError(
            f"The model {name!r} does not take image patches: its input {value.name[:80]!r} has the shape {shown} "
            f"instead of {usual}. Open a model that classifies patches of an image."
        )
    shape = tuple(n for n in (*sizes, channels) if n is not None)
    if len(shape) != len(sizes) + 1:
        said = f"The model {name!r} has no fixed patch size: its input {value.name[:80]!r} has the shape {shown}. "
        free = sum(n is None for n in sizes)
        raise PatchSizeError(f"{said}{_FIXED_SIZE}{graph.with_size}.", free, f"{said}{SAY_SIZE}" if free else "")
    if math.prod(shape) > MAX_ELEMENTS or channels is None or channels > _MOST_CHANNELS:
        raise UnreadableError(f"the shape of its input, {shown}, is too large to be true", EXPORT_AGAIN)
    return shape


_MOST_CHANNELS: Final = 4096
