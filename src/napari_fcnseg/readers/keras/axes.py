"""Keras layers that only move numbers: flattening, another order of the axes, borders, repetition."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Crop, Expand, Flatten, Identity, Op, UpSample, ZeroPad
from napari_fcnseg.readers.keras.convolutions import channels_first, grid_of
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance, expanded
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
    if tensor.is_flat and len(shape) == tensor.rank + 1:
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
    if layer.config.whole("n") > 1 or len(tensor.axes) != 1:
        raise RefusedError("it copies features to several positions", _NO_RESHAPE)
    return reshaped(tensor, (1, *tensor.seen))


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
    if method != "nearest":
        raise RefusedError(
            f"it interpolates ({method[:40]}), which mixes neighbouring positions by weights that depend on the place",
            'Use interpolation="nearest" and train again.',
        )
    grid = grid_of(rank, layer, tensor)
    ops, result = advance(grid.tensor, UpSample(grid.sort(layer.config.wholes("size", rank, 2), 1)))
    return (*grid.before, *ops), result


AXIS_LAYERS: Final[dict[str, Builder]] = {
    "Flatten": flatten,
    "Permute": _permute,
    "RepeatVector": _repeat,
    "Reshape": reshape,
    **{f"ZeroPadding{n}D": partial(_border, ZeroPad, "padding", n) for n in (1, 2, 3)},
    **{f"Cropping{n}D": partial(_border, Crop, "cropping", n) for n in (1, 2, 3)},
    **{f"UpSampling{n}D": partial(_up_sample, n) for n in (1, 2, 3)},
}
