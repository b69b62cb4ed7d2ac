"""Layers that are several steps with branches in between, as pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Affine, Conv, Dense, DepthwiseConv, GlobalPool, Identity, Merge, Op
from napari_fcnseg.readers.keras.activations import activation_ops
from napari_fcnseg.readers.keras.convolutions import grid_of
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Tensor
    from napari_fcnseg.readers.weights import Weights

#: The number by which a step reads what the layer reads; others are steps before it.
INPUT: Final = -1
#: One step: its operations, and what it reads.
Step: TypeAlias = "tuple[tuple[Op, ...], tuple[int, ...]]"
#: What is done to the input first, all steps, the last of which is the result, and the result as the model sees it.
Compound: TypeAlias = "tuple[tuple[Op, ...], list[Step], Tensor]"

#: What deepcell-tf adds to a standard deviation: ``keras.backend.epsilon()``.
_EPSILON: Final = 1e-7


def _number(center: float, scale: float, offset: float) -> Affine:
    return Affine(*(np.asarray(n, np.float32) for n in (center, scale, offset)))


def _highway(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Compound:
    """Read Keras 1's Highway: a gate between a dense layer's answer and its input."""
    if not tensor.is_flat or len(tensor.axes) != 1:
        raise UnreadableError("it reads something else than a vector")
    (width,) = tensor.shape
    kernel, carry = weights.take((width, width), "kernel"), weights.take((width, width), "W_carry")
    biased = layer.config.flag("use_bias", True)
    bias = weights.take((width,), "bias") if biased else None
    gate_bias = weights.take((width,), "b_carry") if biased else None
    steps: list[Step] = [
        ((Dense(carry, gate_bias), Activation("sigmoid")), (INPUT,)),
        ((Dense(kernel, bias), *activation_ops(layer.config.raw("activation"), layer.generation)), (INPUT,)),
        ((Merge("multiply"),), (0, 1)),
        ((_number(0.0, -1.0, 1.0),), (0,)),
        ((Merge("multiply"),), (3, INPUT)),
        ((Merge("add"),), (2, 4)),
    ]
    return (), steps, tensor


def _image_normalization(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Compound:
    """Read deepcell-tf's ImageNormalization2D and 3D."""
    grid, method = grid_of(rank, layer, tensor), layer.config.raw("norm_method")
    if not method:
        return grid.before, [((Identity("it has no norm_method, so that it does nothing"),), (INPUT,))], grid.tensor
    if method == "whole_image":
        mean = GlobalPool("average", keepdims=True)
        return grid.before, [
            ((mean,), (INPUT,)),
            ((Merge("subtract"),), (INPUT, 0)),
            ((Activation("square"), mean, Activation("sqrt"), _number(0.0, 1.0, _EPSILON)), (1,)),
            ((Merge("divide"),), (1, 2)),
        ], grid.tensor  # fmt: skip
    if method != "std":
        raise RefusedError(
            f"its norm_method={str(method)[:40]!r} divides by a number of the whole batch",
            "Build the model with norm_method=None, do this step on the image before, and load the weights.",
        )
    box = _box(rank, layer, grid.tensor.shape, weights)
    return grid.before, [
        ((box,), (INPUT,)),
        ((Merge("subtract"),), (INPUT, 0)),
        ((box,), (1,)),
        ((Activation("square"),), (2,)),
        ((Activation("square"), box), (1,)),
        ((Merge("subtract"),), (4, 3)),
        ((Activation("sqrt"), _number(0.0, 1.0, _EPSILON)), (5,)),
        ((Merge("divide"),), (1, 6)),
    ], grid.tensor  # fmt: skip


def _box(rank: int, layer: LayerSpec, shape: tuple[int, ...], weights: Weights) -> Conv | DepthwiseConv:
    """Give the mean over a window, which it divides by the number of channels too, as deepcell-tf does."""
    size, channels, ones = layer.config.whole("filter_size", 61), shape[-1], (1,) * rank
    window = (size, size) if rank == 2 else (shape[0], size, size)
    full = (*window, channels, 1)
    # Some versions keep the kernel among their arrays, some make it anew.
    kernel = weights.take(full, "kernel") if weights.left else np.full(full, 1 / np.prod(full), np.float32)
    if rank == 2:
        return DepthwiseConv(kernel, None, ones, ones, "same")
    return Conv(kernel, None, ones, ones, padding="same")


#: Class -> function of (layer, what it reads, its arrays).
COMPOUNDS: Final[dict[str, Callable[[LayerSpec, Tensor, Weights], Compound]]] = {
    "Highway": _highway,
    "ImageNormalization2D": lambda *given: _image_normalization(2, *given),
    "ImageNormalization3D": lambda *given: _image_normalization(3, *given),
}
