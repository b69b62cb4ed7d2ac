"""ATen's operators that look through a window: convolutions, pooling, borders, enlarging."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.torch_export.calls import CallContext


def _convolution(call: CallContext) -> None:
    rank = call.rank("weight") - 2
    inputs = [call.read("input"), call.read("weight"), call.optional("bias")]
    settings: dict[str, Any] = {
        "strides": call.wholes("stride", rank, 1),
        "dilations": call.wholes("dilation", rank, 1),
        "group": call.whole("groups", 1),
    }
    if call.name.startswith("conv_transpose") or call.flag("transposed", False):
        pads = call.wholes("padding", rank, 0) * 2
        more = call.wholes("output_padding", rank, 0)
        call.finish("ConvTranspose", inputs, pads=pads, output_padding=more, **settings)
        return
    call.finish("Conv", inputs, pads=_pads(call, rank, settings["dilations"]), **settings)


def _pads(call: CallContext, rank: int, dilation: Shape) -> Shape:
    border = call.get("padding", 0)
    if border == "valid":
        return (0,) * 2 * rank
    if border != "same":
        return call.wholes("padding", rank, 0) * 2
    window = call.fixed_sizes(str(call.get("weight")))
    total = [step * (width - 1) for step, width in zip(dilation, window, strict=True)]
    return (*(n // 2 for n in total), *(n - n // 2 for n in total))


def _axes(call: CallContext) -> int:
    return int(re.findall(r"(\d)d", call.name)[0])


def _pool(call: CallContext) -> None:
    rank, average = _axes(call), "avg" in call.name
    window = call.wholes("kernel_size", rank)
    stride = call.wholes("stride", rank) if call.get("stride", ()) != () else window
    settings: dict[str, Any] = {
        "kernel_shape": window,
        "strides": stride,
        "pads": call.wholes("padding", rank, 0) * 2,
        "ceil_mode": int(call.flag("ceil_mode", False)),
    }
    if not average:
        call.finish("MaxPool", [call.read("self")], dilations=call.wholes("dilation", rank, 1), **settings)
        return
    if call.has("divisor_override"):
        raise RefusedError("it divides by a number of its own", "Leave out divisor_override and train again.")
    counted = int(call.flag("count_include_pad", True))
    call.finish("AveragePool", [call.read("self")], count_include_pad=counted, **settings)


def _adaptive_pool(call: CallContext) -> None:
    rank, average = _axes(call), "avg" in call.name
    wanted = call.wholes("output_size", rank)
    if all(n == 1 for n in wanted):
        call.finish("GlobalAveragePool" if average else "GlobalMaxPool", [call.read("self")])
        return
    sizes = call.fixed_sizes(str(call.get("self")))
    if len(sizes) != rank or any(n < 1 or size % n for size, n in zip(sizes, wanted, strict=True)):
        raise RefusedError(
            f"its windows are of different sizes: it makes {wanted} positions of {sizes}",
            "Choose an output size that divides the map, or 1, and train again.",
        )
    window = tuple(size // n for size, n in zip(sizes, wanted, strict=True))
    kind = "AveragePool" if average else "MaxPool"
    call.finish(kind, [call.read("self")], kernel_shape=window, strides=window)


def _pad(call: CallContext) -> None:
    mode = call.get("mode", "constant")
    if call.name.endswith("d") and call.name.startswith(("reflection", "replication")):
        mode = "reflect" if call.name.startswith("reflection") else "edge"
    key = "pad" if call.has("pad") else "padding"
    widths, rank = call.wholes(key), call.rank("self")
    if len(widths) % 2 or len(widths) > 2 * rank:
        raise call.malformed(key)
    before, behind = [0] * rank, [0] * rank
    for n in range(len(widths) // 2):  # the last axis comes first
        before[rank - 1 - n], behind[rank - 1 - n] = widths[2 * n : 2 * n + 2]
    inputs = [call.read("self"), call.constant([*before, *behind]), call.constant(float(call.number("value", 0)))]
    call.finish("Pad", inputs, mode=str(mode))


def _nearest(call: CallContext) -> None:
    factors = [1.0, 1.0, *_enlarged(call)]
    call.finish(
        "Resize",
        [call.read("input" if call.has("input") else "self"), "", call.constant(factors)],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _enlarged(call: CallContext) -> list[float]:
    scales = call.get("scale_factors")
    if isinstance(scales, tuple) and scales:
        return [float(n) for n in scales]
    before = call.fixed_sizes(str(call.get("input") or call.get("self")))
    after = call.fixed_sizes(call.call.outputs[0])
    return [n / max(m, 1) for n, m in zip(after, before, strict=False)]


def _interpolated(call: CallContext) -> None:
    mode = "cubic" if "cubic" in call.name else "linear"
    call.finish("Resize", [call.read("input" if call.has("input") else "self")], mode=mode)


#: Operator -> translation.
WINDOWS: Final[dict[str, Callable[[CallContext], None]]] = {
    **dict.fromkeys(("convolution", "conv1d", "conv2d", "conv3d"), _convolution),
    **{f"conv_transpose{n}d": _convolution for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": _pool for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": _pool for n in (2, 3)},
    **{f"adaptive_{kind}_pool{n}d": _adaptive_pool for kind in ("max", "avg") for n in (1, 2, 3)},
    **{f"{kind}_pad{n}d": _pad for kind in ("reflection", "replication") for n in (1, 2, 3)},
    "constant_pad_nd": _pad,
    "pad": _pad,
    **{f"upsample_{kind}{n}d": _nearest for kind in ("nearest", "nearest_exact") for n in (1, 2, 3)},
    **{f"upsample_{kind}": _interpolated for kind in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")},
}
