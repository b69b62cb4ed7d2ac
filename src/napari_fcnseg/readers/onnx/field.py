"""What an ONNX model of ONNX's own operators sees around a pixel, and takes: from the shapes of its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto

    from napari_fcnseg.readers.onnx.onnx_file import OnnxNode

Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
#: Per axis the pixels between two entries of a tensor, and how many to either side of one it depends on.
_Seen: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]

_MOST_BYTES: Final = 2**20  # per pixel of the image: real networks take a few thousand
_LARGEST: Final = 2**31
_FLOAT: Final = 4
_WINDOWS: Final = ("Conv", "MaxPool", "AveragePool", "LpPool", "ConvInteger", "QLinearConv")
#: Operators whose result depends on all of their input's pixels.
_WHOLE: Final = frozenset({
    "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "InstanceNormalization", "GroupNormalization", "Gemm",
    "Flatten",
})  # fmt: skip


@dataclass(frozen=True)
class Field:
    """What a network sees and takes.

    Attributes
    ----------
    halo : tuple of int
        Pixels to either side of one that its answer depends on, at most.
    grid : tuple of int
        The product of the strides, and so how far an image has to be shifted to have all of it shifted alike.
    whole : bool
        Whether an answer depends on all pixels (a normalisation over the image, for example).
    bytes_per_pixel, flop_per_pixel : float
        What computing takes.
    """

    halo: tuple[int, ...]
    grid: tuple[int, ...]
    whole: bool
    bytes_per_pixel: float
    flop_per_pixel: float


def shapes_of(model: ModelProto, source: str, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's tensors for an input of a shape, as far as they follow from it.

    The shapes that the model states of its own are forgotten: they may be those of another input, or not true.
    """
    import onnx
    from onnx.shape_inference import infer_shapes

    set_shape(model, source, shape)
    try:
        inferred = infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return {}
    found = {stored.name: tuple(stored.dims) for stored in model.graph.initializer}
    for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    return found


def set_shape(model: ModelProto, source: str, shape: Sequence[int | str]) -> None:
    """Set the shape of a model's input, names for sizes that are free; forget those of all other tensors."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in model.graph.input:
        if value.name == source:
            del value.type.tensor_type.shape.dim[:]
            for size in shape:
                dim = value.type.tensor_type.shape.dim.add()
                if isinstance(size, str):
                    dim.dim_param = size
                else:
                    dim.dim_value = size


def field_of(nodes: Sequence[OnnxNode], shapes: Shapes, source: str, answer: str, probe: tuple[int, ...]) -> Field:
    """Return what a network sees and takes.

    Parameters
    ----------
    nodes : sequence of OnnxNode
        In the order in which they are computed.
    shapes : mapping
        Of its tensors for an image of ``probe`` pixels, those that are known.
    source, answer : str
        Its input and its output.
    probe : tuple of int
        Pixels per axis.

    Raises
    ------
    UnreadableError
        If it takes more memory than any network for images does.
    """
    axes = len(probe)
    seen: dict[str, _Seen] = {source: ((1.0,) * axes, (0.0,) * axes)}
    grid, whole, flop = [1] * axes, False, 0.0
    for node in nodes:
        read = [seen[name] for name in node.inputs if name in seen]
        if not read:
            continue
        apart = tuple(max(steps) for steps in zip(*(a for a, _ in read), strict=True))
        radius = tuple(max(pixels) for pixels in zip(*(r for _, r in read), strict=True))
        now, more = _through(node, shapes, apart)
        whole = whole or _is_whole(node)
        flop += _flop(node, shapes)
        grid = [math.lcm(g, max(1, round(n))) for g, n in zip(grid, now, strict=True)]
        seen.update(dict.fromkeys(node.outputs, (now, tuple(map(sum, zip(radius, more, strict=True))))))
    halo = tuple(math.ceil(n) for n in seen[answer][1]) if answer in seen else (0,) * axes
    pixels = math.prod(probe)
    return Field(halo, tuple(grid), whole, _bytes(nodes, shapes, source) / pixels, flop / pixels)


def _through(node: OnnxNode, shapes: Shapes, apart: tuple[float, ...]) -> _Seen:
    """Return how far entries of a node's result are apart, and how many more pixels they depend on."""
    axes = len(apart)
    size, stride = _window(node, shapes, axes), _per_axis(node.attributes.get("strides"), axes)
    if node.op_type in _WINDOWS:
        gaps = _per_axis(node.attributes.get("dilations"), axes)
        return (
            tuple(a * s for a, s in zip(apart, stride, strict=True)),
            tuple(n // 2 * d * a for n, d, a in zip(size, gaps, apart, strict=True)),
        )
    if node.op_type == "ConvTranspose":
        return (
            tuple(a / s for a, s in zip(apart, stride, strict=True)),
            tuple(math.ceil(n / s) * a for n, s, a in zip(size, stride, apart, strict=True)),
        )
    if node.op_type in ("Resize", "Upsample", "DepthToSpace", "SpaceToDepth"):
        now = tuple(a / r for a, r in zip(apart, _growth(node, shapes, axes), strict=True))
        return now, tuple(2 * max(pair) for pair in zip(apart, now, strict=True))
    return apart, (0.0,) * axes


def _per_axis(stored: Any, axes: int) -> tuple[int, ...]:
    """Return a setting of a window; 1 along each axis where it is left out or is for other axes."""
    good = isinstance(stored, tuple) and len(stored) == axes and all(isinstance(n, int) and n > 0 for n in stored)
    return stored if good else (1,) * axes


def _window(node: OnnxNode, shapes: Shapes, axes: int) -> tuple[int, ...]:
    stored = node.attributes.get("kernel_shape")
    if stored is None and node.op_type in ("Conv", "ConvTranspose") and len(node.inputs) > 1:
        stored = shapes.get(node.inputs[1], ())[2:]
    return _per_axis(stored, axes)


def _growth(node: OnnxNode, shapes: Shapes, axes: int) -> tuple[float, ...]:
    """Return how many times as long the axes of a node's result are; twice where nobody knows."""
    before, after = (shapes.get(name, ())[-axes:] for name in (node.inputs[0], node.outputs[0]))
    if len(before) == len(after) == axes and min(*before, *after) > 0:
        return tuple(b / a for a, b in zip(before, after, strict=True))
    return (0.5 if node.op_type == "SpaceToDepth" else 2.0,) * axes


def _is_whole(node: OnnxNode) -> bool:
    if node.op_type.startswith("Reduce"):
        along = node.attributes.get("axes")
        return not isinstance(along, tuple) or any(axis not in (1, -3) for axis in along)
    return node.op_type in _WHOLE


def _flop(node: OnnxNode, shapes: Shapes) -> float:
    if node.op_type not in ("Conv", "ConvTranspose") or len(node.inputs) < 2:
        return 0.0
    weights = shapes.get(node.inputs[1], ())
    counted = shapes.get(node.outputs[0] if node.op_type == "Conv" else node.inputs[0], ())
    return 2.0 * math.prod(weights[1:]) * math.prod(counted) if weights and counted else 0.0


def _bytes(nodes: Sequence[OnnxNode], shapes: Shapes, source: str) -> float:
    """Return the bytes of all results that are alive at once, at the worst node.

    Raises
    ------
    UnreadableError
        If they are more than any network for images has.
    """
    last = {name: number for number, node in enumerate(nodes) for name in node.inputs}
    sizes = {name: _FLOAT * math.prod(shape) for name, shape in shapes.items()}
    alive, worst = {source}, 0
    for number, node in enumerate(nodes):
        alive.update(node.outputs)
        now = sum(sizes.get(name, 0) for name in alive)
        worst = max(worst, now)
        alive -= {name for name in alive if last.get(name, -1) <= number}
    most = _MOST_BYTES * math.prod(shapes.get(source, (1,)))
    if worst > most or max(sizes.values(), default=0) > _FLOAT * _LARGEST:
        raise UnreadableError(
            f"its tensors would take {worst / 2**30:,.0f} GiB for {math.prod(shapes.get(source, (1,))):,} pixels, "
            "far more than a network for images takes",
            EXPORT_AGAIN,
        )
    return float(worst)
