"""TensorFlow Lite's operators that look through a window: convolutions, pooling, borders, enlarging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.readers.tflite.calls import Apart, moved
from napari_fcnseg.readers.tflite.tflite_file import CONVERT_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.tflite.calls import LiteContext

_BORDERS: Final = {0: "SAME_UPPER", 1: "VALID"}


def _border(call: LiteContext) -> str:
    kind = call.option(0, "b")
    if kind not in _BORDERS:
        raise UnreadableError("its border is of an unknown kind", CONVERT_AGAIN)
    return _BORDERS[kind]


def _kernel(call: LiteContext, rank: int, data: int = 0) -> Constant:
    kernel = call.constant(1)
    if kernel.ndim != rank or call.rank(data) != rank:
        raise UnreadableError(f"its array has {kernel.ndim} axes instead of {rank}", CONVERT_AGAIN)
    return kernel


def _options(call: LiteContext, fields: tuple[int, ...], default: int = 0) -> Shape:
    """Give one setting for each axis, in the order of the image's axes."""
    return tuple(call.option(field, "i", default) for field in fields)


def _convolution(call: LiteContext) -> None:
    volume = call.operator.op_type == "CONV_3D"
    kernel = _kernel(call, 5 if volume else 4)
    kernel = kernel.transpose(4, 3, 0, 1, 2) if volume else kernel.transpose(0, 3, 1, 2)
    strides, dilation, fused = ((1, 3, 2), (5, 7, 6), 4) if volume else ((2, 1), (5, 4), 3)
    if kernel.shape[1] == 0:
        raise UnreadableError("its array is empty", CONVERT_AGAIN)
    _convolve(call, kernel, strides, dilation, fused, call.size(-1) // kernel.shape[1])


def _depthwise(call: LiteContext) -> None:
    kernel = _kernel(call, 4).transpose(3, 0, 1, 2)
    _convolve(call, kernel, (2, 1), (6, 5), 4, call.size(-1))


def _convolve(call: LiteContext, kernel: Constant, strides: Shape, dilation: Shape, fused: int, groups: int) -> None:
    inputs = [call.first(), call.fixed(kernel), *([call.read(2)] if call.has(2) else [])]
    steps, apart, border = _options(call, strides), _options(call, dilation, 1), _border(call)
    if blocks := call.layout().blocks:
        if border != "VALID" or any(n != 1 for n in (*steps, *apart)):
            raise RefusedError("it sees blocks of a map by themselves", "Convert the model again.")
        apart = blocks
    result = call.step("Conv", inputs, strides=steps, dilations=apart, auto_pad=border, group=groups)
    call.finish(call.last(result, call.rank()), call.option(fused, "b"))


def _transposed(call: LiteContext) -> None:
    kernel = _kernel(call, 4, data=2)
    strides = _options(call, (2, 1))
    border, crop, more = _border(call), [], []
    for axis, (width, stride) in enumerate(zip(kernel.shape[1:3], strides, strict=True), 1):
        over = (call.size(axis, 2) - 1) * stride + width - call.made(axis)
        crop.append((over // 2 if border == "SAME_UPPER" else 0) if over > 0 else 0)
        more.append(max(-over, 0))
        crop.append(max(over, 0) - crop[-1])
    inputs = [call.first(2), call.fixed(kernel.transpose(3, 0, 1, 2)), *([call.read(3)] if call.has(3) else [])]
    result = call.step(
        "ConvTranspose", inputs, strides=strides, pads=(*crop[::2], *crop[1::2]), output_padding=tuple(more)
    )
    call.finish(call.last(result, 4), call.option(3, "b"))


def _pool(call: LiteContext) -> None:
    if call.rank() != 4:
        raise UnreadableError("what it reads is no map", CONVERT_AGAIN)
    kind = "MaxPool" if call.operator.op_type.startswith("MAX") else "AveragePool"
    window, strides = _options(call, (4, 3)), _options(call, (2, 1))
    result = call.step(kind, [call.first()], kernel_shape=window, strides=strides, auto_pad=_border(call))
    call.finish(call.last(result, 4), call.option(5, "b"))


def _pad(call: LiteContext) -> None:
    rank, widths = call.rank(), call.wholes(1)
    if len(widths) != 2 * rank:
        raise UnreadableError("its border is malformed", CONVERT_AGAIN)
    pads = [0] * (2 * rank)
    for axis in range(rank):
        pads[moved(axis, rank)], pads[moved(axis, rank) + rank] = widths[2 * axis : 2 * axis + 2]
    value = [call.read(2)] if call.operator.op_type == "PADV2" else []
    mode = "reflect" if call.operator.op_type == "MIRROR_PAD" else "constant"
    result = call.step("Pad", [call.first(), call.fixed(pads), *value], mode=mode)
    call.finish(call.last(result, rank))


def _resize(call: LiteContext) -> None:
    linear = call.operator.op_type == "RESIZE_BILINEAR"
    corners, rank = call.option(2 if linear else 0, "?"), call.rank()
    if rank != 4 or not call.size(1) or not call.size(2):
        raise UnreadableError("what it reads is no map", CONVERT_AGAIN)
    scales = np.array([1, 1, call.made(1) / call.size(1), call.made(2) / call.size(2)], np.float32)
    result = call.step(
        "Resize",
        [call.first(), "", call.fixed(scales)],
        mode="linear" if linear else "nearest",
        coordinate_transformation_mode="align_corners" if corners else "asymmetric",
        nearest_mode="floor",  # (i + 1/2) / n and i / n are the same once they are rounded down
    )
    call.finish(call.last(result, rank))


def _to_blocks(call: LiteContext) -> None:
    """Surround the map; that its positions are dealt out to blocks is a dilation of the convolution that follows."""
    blocks, widths = tuple(call.wholes(1)), call.wholes(2)
    if call.rank() != 4 or len(blocks) != 2 or len(widths) != 4 or not all(0 < n < 2**20 for n in blocks):
        raise UnreadableError("its blocks are malformed", CONVERT_AGAIN)
    pads = [0, 0, widths[0], widths[2], 0, 0, widths[1], widths[3]]
    call.finish(call.last(call.step("Pad", [call.first(), call.fixed(pads)]), 4))
    call.keeps(Apart(blocks=blocks))


def _from_blocks(call: LiteContext) -> None:
    blocks, widths = tuple(call.wholes(1)), call.wholes(2)
    if call.layout().blocks != blocks or len(widths) != 4:
        raise RefusedError("it puts blocks together that were not taken apart", "Convert the model again.")
    pads = [0, 0, -widths[0], -widths[2], 0, 0, -widths[1], -widths[3]]
    call.finish(call.last(call.step("Pad", [call.first(), call.fixed(pads)]), 4))


#: Operator -> translation.
WINDOWS: Final[dict[str, Callable[[LiteContext], None]]] = {
    "CONV_2D": _convolution,
    "CONV_3D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), _pool),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), _resize),
    "SPACE_TO_BATCH_ND": _to_blocks,
    "BATCH_TO_SPACE_ND": _from_blocks,
}
