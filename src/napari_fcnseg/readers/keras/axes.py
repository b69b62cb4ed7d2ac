"""Keras layers that only move numbers: flattening, another order of the axes, borders, repetition."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Crop, DepthwiseConv, Expand, Flatten, Identity, Op, Pick, UpSample, ZeroPad
from napari_fcnseg.readers.keras.convolutions import channels_first, grid_of
from napari_fcnseg.readers.keras.grid import settled
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance, expanded, joined
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Builder, Built
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.weights import Weights

_RELABELS: Final = Identity("it only gives the axes another order or shape")
_NO_RESHAPE: Final = "Leave it out, or flatten the map (Flatten) and go on with Dense layers, and train again."


def flatten(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Make a vector in the order of the model's axes, the channels last."""
    if channels_first(layer) and len(tensor.axes) > 1:
        # As Keras does, so that the arrays of a Dense layer fit both data formats.
        tensor = tensor.permuted([*range(1, len(tensor.axes)), 0])
    return _flattened(tensor)


def _flattened(tensor: Tensor) -> Built:
    if tensor.cut:
        before, tensor = settled(replace(tensor, axes=(tuple(i for group in tensor.axes for i in group),)))
        ops, result = _flattened(tensor)
        return (*before, *ops), result
    op: Op = Identity("it reads a vector already") if tensor.is_flat else Flatten(tensor.order())
    return advance(tensor, op, axes=((0,),))


def reshape(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """See the same numbers with another shape."""
    target = layer.config.raw("target_shape")
    if not isinstance(target, list) or not all(is_whole(n) and n >= -1 for n in target):
        raise UnreadableError("its target_shape is no list of whole numbers")
    return reshaped(tensor, target)


def reshaped(tensor: Tensor, target: Sequence[int]) -> Built:
    """See a tensor with another shape, in which one length may be left open (-1).

    Raises
    ------
    RefusedError
        Positions or channels would be cut into pieces.
    """
    shape = _resolved(tensor, target)
    if len(shape) == 1:
        return _flattened(tensor)
    view = tensor.regrouped(shape)
    if view is None:
        raise RefusedError(
            f"it cuts an axis of {tensor.seen} into pieces to make {shape}, which puts channels or features where "
            "positions were",
            _NO_RESHAPE,
        )
    if tensor.is_flat and len(shape) == tensor.rank + 1 and not view.cut:
        return (Expand(),), expanded(view)
    return advance(view, _RELABELS)


def _resolved(tensor: Tensor, target: Sequence[int]) -> Shape:
    count, lengths = math.prod(tensor.shape), list(target)[:9]  # more would only cost time
    known = math.prod(n for n in lengths if n != -1)
    shape = tuple(count // known if n == -1 and known else n for n in lengths)
    if not 0 < len(shape) < 9 or lengths.count(-1) > 1 or math.prod(shape) != count or min(shape) < 1:
        raise UnreadableError(f"it makes {list(target)[:8]} of {tensor.seen}, which has another number of values")
    return shape


def _permute(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    dims = layer.config.axes("dims")
    if sorted(dims) != list(range(1, len(tensor.axes) + 1)):
        raise UnreadableError(f"its dims {dims} are no order of the {len(tensor.axes)} axes that it reads")
    return permuted(tensor, [i - 1 for i in dims])


def permuted(tensor: Tensor, order: Sequence[int]) -> Built:
    """See a tensor with its axes in another order."""
    return advance(tensor.permuted(order), _RELABELS)


def _repeat(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    count = layer.config.whole("n")
    if len(tensor.axes) != 1:
        raise UnreadableError(f"it repeats a vector, but its input has {len(tensor.axes)} axes")
    if count == 1:
        return reshaped(tensor, (1, *tensor.seen))
    before, flat = joined(tensor) if not tensor.is_flat else ((), tensor)
    rank = tensor.rank
    wide = Tensor((1,) * rank + flat.shape, ((0,), (rank,)), rank)
    ops, result = advance(wide, UpSample((count,) + (1,) * (rank - 1)))
    return (*before, Expand(), *ops), result


def _center_crop(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    grid = grid_of(2, layer, tensor)
    wanted = grid.sort([layer.config.whole("height"), layer.config.whole("width")], 1)
    spare = [n - m for n, m in zip(grid.tensor.shape, wanted, strict=False)]
    if min(spare) < 0:
        raise RefusedError(
            f"its input {grid.tensor.shape[:-1]} is smaller than {wanted}, so that it would resize it",
            "Crop to a size that is not larger than the patch and train again.",
        )
    ops, result = advance(grid.tensor, Crop(tuple((n // 2, n - n // 2) for n in spare)))
    return (*grid.before, *ops), result


def _reflection(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Read deepcell-tf's mirrored border."""
    grid = grid_of(rank, layer, tensor)
    width = grid.sort(_widths(layer.config.raw("padding"), rank, "padding"), (0, 0))
    places = []
    for size, (before, behind) in zip(grid.tensor.shape[:-1], width, strict=True):
        if max(before, behind) >= size:
            raise UnreadableError(f"it mirrors {max(before, behind)} positions of {size}")
        places.append((*range(before, 0, -1), *range(size), *range(size - 2, size - 2 - behind, -1)))
    ops, result = advance(grid.tensor, Pick(tuple(places)))
    return (*grid.before, *ops), result


def _border(
    kind: type[ZeroPad | Crop], key: str, rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights
) -> Built:
    grid = grid_of(rank, layer, tensor)
    width = _widths(layer.config.raw(key), rank, key)
    ops, result = advance(grid.tensor, kind(grid.sort(width, (0, 0))))
    return (*grid.before, *ops), result


def _widths(stored: Any, rank: int, key: str) -> tuple[tuple[int, int], ...]:
    """Read a number, one for each axis, or a pair for each axis; in one dimension a pair is that axis's."""
    if rank == 1 and isinstance(stored, list) and len(stored) == 2:
        stored = [stored]
    sides = [stored] * rank if is_whole(stored) else stored
    pairs = [[side, side] if is_whole(side) else side for side in sides] if isinstance(sides, list) else []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(is_whole(n) and 0 <= n < 2**16 for n in pair):
            raise UnreadableError(f"its setting {key!r} is malformed")
    if len(pairs) != rank:
        raise UnreadableError(f"its setting {key!r} is not made for {rank} axes")
    return tuple((before, behind) for before, behind in pairs)


def _up_sample(rank: int, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    method = layer.config.text("interpolation", "nearest")
    if method not in ("nearest", "bilinear"):
        raise RefusedError(
            f"it interpolates ({method[:40]}) in a way that has no exact form here",
            'Use interpolation="nearest" or "bilinear" and train again.',
        )
    grid = grid_of(rank, layer, tensor)
    size = grid.sort(layer.config.wholes("size", rank, 2), 1)
    found = (UpSample(size),) if method == "nearest" else _bilinear(grid.tensor.shape, size)
    ops, result = advance(grid.tensor, *found)
    return (*grid.before, *ops), result


def _bilinear(shape: Shape, size: tuple[int, ...]) -> tuple[Op, ...]:
    """Interpolate between the centres of positions, as TensorFlow does: positions repeated, then a mean that moves.

    A line between two values is the mean of ``size`` repeated ones; of an even number the outermost count half. At
    the border the outermost value goes on.
    """
    places, kernel = [], np.ones((1,) * len(size))
    for axis, (n, times) in enumerate(zip(shape, size, strict=False)):
        half = times // 2
        places.append(tuple(min(max(i, 0), n * times - 1) // times for i in range(-half, n * times + half)))
        weights = np.full(times + (times % 2 == 0), 1 / times)
        if times % 2 == 0:
            weights[[0, -1]] /= 2
        kernel = kernel * weights.reshape([-1 if i == axis else 1 for i in range(len(size))])
    ones = (1,) * len(size)
    full = np.broadcast_to(kernel[..., None, None], (*kernel.shape, shape[-1], 1)).astype(np.float32)
    return Pick(tuple(places)), DepthwiseConv(full, None, ones, ones)


AXIS_LAYERS: Final[dict[str, Builder]] = {
    "CenterCrop": _center_crop,
    **{f"ReflectionPadding{n}D": partial(_reflection, n) for n in (2, 3)},
    "Flatten": flatten,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Reshape": reshape,
    **{f"ZeroPadding{n}D": partial(_border, ZeroPad, "padding", n) for n in (1, 2, 3)},
    **{f"Cropping{n}D": partial(_border, Crop, "cropping", n) for n in (1, 2, 3)},
    **{f"UpSampling{n}D": partial(_up_sample, n) for n in (1, 2, 3)},
}
