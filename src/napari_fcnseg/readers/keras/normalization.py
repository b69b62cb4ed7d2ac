"""Keras layers that scale: normalisation and rescaling, as pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Affine, BatchNorm, GroupNorm, LayerNorm
from napari_fcnseg.readers.keras.activations import placed
from napari_fcnseg.readers.keras.tensor_axes import TRAIN_AGAIN, Tensor, advance
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_number

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_fcnseg.graph.ops import Array
    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Builder, Built
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.weights import Weights
    from napari_fcnseg.system.safe_json import JsonFields

    _Numbers = float | npt.NDArray[np.floating[Any]]

#: ``keras.backend.epsilon()``, below which Normalization lets no standard deviation fall.
_LEAST_DEVIATION: Final = 1e-7
#: What UnitNormalization takes a vector's length for at least.
_SHORTEST: Final = 1e-12


def _batch_norm(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config = layer.config
    axes = config.axes("axis", -1)
    if len(axes) != 1:
        raise RefusedError("it normalises along several axes at once", "Use axis=-1 and train again.")
    if config.raw("mode") in (1, 2):
        raise RefusedError(
            f"its mode={config.raw('mode')} (of Keras 1) normalises by the statistics of the patches at hand",
            "Use mode=0 and train again.",
        )
    index = tensor.index(axes[0])
    size = (tensor.seen[index],)
    gamma, beta = _scale_and_center(config, size, weights)
    mean = weights.take(size, "moving_mean")
    variance = weights.take(size, "moving_variance")
    if config.flag("renorm", False):
        # Batch renormalisation acts during training only; its bookkeeping is read past.
        for shape_, name in ((size, "moving_stddev"), (size, "renorm_mean"), (size, "renorm_stddev")):
            weights.take(shape_, name)
    if (variance < 0).any():
        raise UnreadableError("its moving variance is negative")
    epsilon = _epsilon(config)
    if len(tensor.core(index)) == 1 or (tensor.axes[index] and not tensor.core(index)):
        return advance(tensor, BatchNorm(gamma, beta, mean, variance, epsilon, tensor.own_axis(axes[0])))
    # An axis in which several of ours were joined, or none: the same arithmetic with one number for each place.
    column = (-1,) + (1,) * (len(tensor.axes) - 1 - index)
    with np.errstate(divide="ignore"):
        scale = gamma / np.sqrt(variance.astype(np.float64) + epsilon)
    return affine(tensor, *(values.reshape(column) for values in (mean, scale, beta)))


def _layer_norm(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config = layer.config
    if config.flag("rms_scaling", False):
        raise RefusedError("it scales by the root mean square (rms_scaling)", "Use rms_scaling=False and train again.")
    axes = config.axes("axis", -1)
    indices = [tensor.index(axis) for axis in axes]
    if not indices or indices != sorted(set(indices)):
        raise RefusedError("its axes are not in rising order", "List its axes in rising order and train again.")
    gamma, beta = _scale_and_center(config, tuple(tensor.seen[i] for i in indices), weights)
    epsilon = _epsilon(config)
    if all(len(group) == 1 for group in tensor.axes) and tensor.order() is None:
        return advance(tensor, LayerNorm(gamma, beta, epsilon, tuple(tensor.own_axis(axis) for axis in axes)))
    broadcast = tuple(tensor.seen[i] if i in indices else 1 for i in range(len(tensor.axes)))
    own = sorted(a for i in indices for a in tensor.axes[i])
    if not own:
        raise RefusedError("it normalises a single number", "Leave it out, and train again.")
    size = tuple(tensor.shape[a] for a in own)
    gamma, beta = (tensor.array(values.reshape(broadcast)).reshape(size) for values in (gamma, beta))
    return advance(tensor, LayerNorm(gamma, beta, epsilon, tuple(a + 1 for a in own)))


def _group_norm(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config = layer.config
    axes = config.axes("axis", -1)
    view = tensor.with_channels_at(tensor.index(axes[0])) if len(axes) == 1 else None
    if view is None:
        raise RefusedError("it makes groups of something else than channels", TRAIN_AGAIN)
    channels = view.shape[-1]
    groups = channels if config.raw("groups") == -1 else config.whole("groups", 32)
    if channels % groups:
        raise UnreadableError(f"its {groups} groups do not divide {channels} channels")
    gamma, beta = _scale_and_center(config, (channels,), weights)
    return advance(view, GroupNorm(gamma, beta, _epsilon(config), groups))


def _scale_and_center(config: JsonFields, size: Shape, weights: Weights) -> tuple[Array, Array]:
    gamma = weights.take(size, "gamma") if config.flag("scale", True) else np.ones(size, np.float32)
    beta = weights.take(size, "beta") if config.flag("center", True) else np.zeros(size, np.float32)
    return gamma, beta


def _epsilon(config: JsonFields) -> float:
    epsilon = config.number("epsilon", 1e-3)
    if epsilon < 0:
        raise UnreadableError("its epsilon is negative")
    return epsilon


def _layer_scale(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Read what ConvNeXt has at the end of each block: a number for each channel."""
    width = tensor.seen[-1]
    if layer.config.whole("projection_dim", width) != width:
        raise UnreadableError(f"its projection_dim is not the {width} channels that it reads")
    # Keras gives this array no name, so that the backend's stands in the file.
    return affine(tensor, 0.0, weights.take((width,), "gamma", "variable", "Variable"), 0.0)


def _unit_norm(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    return _along("unit_norm", layer.config.axes("axis", -1), _SHORTEST, tensor)


def _rms_norm(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    axes = layer.config.axes("axis", -1)
    ops, result = _along("rms_norm", axes, layer.config.number("epsilon", 1e-6), tensor)
    size = tensor.seen[tensor.index(axes[0])]
    if size not in (1, tensor.seen[-1]):
        raise UnreadableError(f"its {size} numbers are multiplied with the last axis of {tensor.seen}, as Keras does")
    # Whichever axis it is, Keras lays the scale along the last one.
    more, result = affine(result, 0.0, weights.take((size,), "scale"), 0.0)
    return (*ops, *more), result


def _along(name: str, axes: tuple[int, ...], epsilon: float, tensor: Tensor) -> Built:
    if len(axes) != 1:
        raise RefusedError("it normalises along several axes at once", "Use axis=-1 and train again.")
    return placed(tensor, Activation(name, {"axis": axes[0], "epsilon": epsilon}))


def _rescaling(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    scale, offset = (constant(layer.config.raw(key), key, tensor, default) for key, default in _RESCALING)
    return affine(tensor, 0.0, scale, offset)


_RESCALING: Final = (("scale", None), ("offset", 0))


def _normalization(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config, shape = layer.config, tensor.seen
    kept = sorted({tensor.index(axis) for axis in (config.axes("axis") if "axis" in config else ())})
    if "mean" in config:
        mean, variance = (_kept_constant(config, key, kept, shape) for key in ("mean", "variance"))
    else:
        size = tuple(shape[i] for i in kept)
        broadcast = _broadcast(kept, size, len(shape))
        mean = weights.take(size, "mean").astype(np.float64).reshape(broadcast)
        variance = weights.take(size, "variance").astype(np.float64).reshape(broadcast)
        weights.take((), "count")
    if (variance < 0).any():
        raise UnreadableError("its variance is negative")
    deviation = np.maximum(np.sqrt(variance), _LEAST_DEVIATION)
    if config.flag("invert", False):
        return affine(tensor, 0.0, deviation, mean)
    return affine(tensor, mean, 1 / deviation, 0.0)


def _broadcast(kept: list[int], size: Shape, rank: int) -> Shape:
    """Give the shape along the axes of the patch: ``()`` for one number, ``(channel,)`` for one per channel."""
    if not kept or kept == [rank - 1]:
        return size
    sizes = dict(zip(kept, size, strict=True))
    return tuple(sizes.get(i, 1) for i in range(rank))


def _kept_constant(config: JsonFields, key: str, kept: list[int], shape: Shape) -> npt.NDArray[np.float64]:
    """Read a mean or variance given as a setting: aligned to the kept axes from right to left, as Keras does."""
    values = _numbers(config.raw(key), key)
    size = tuple(shape[i] for i in kept)
    if values.ndim > len(kept) or any(n not in (1, size[-i]) for i, n in enumerate(values.shape[::-1], 1)):
        raise UnreadableError(f"its setting {key!r} has the shape {values.shape}, but {size} is needed")
    padded = (1,) * (len(kept) - values.ndim) + values.shape
    return values.reshape(_broadcast(kept, padded, len(shape)))


def constant(stored: Any, key: str, tensor: Tensor, default: float | None = None) -> npt.NDArray[np.float64]:
    """Read a number or an array that broadcasts against a tensor as the model sees it."""
    values, shape = _numbers(default if stored is None else stored, key), tensor.seen
    if values.ndim == len(shape) + 1 and values.shape[0] == 1:  # the same for every patch of a batch
        values = values[0]
    if values.ndim > len(shape) or any(n not in (1, shape[-i]) for i, n in enumerate(values.shape[::-1], 1)):
        raise UnreadableError(f"its setting {key!r} has the shape {values.shape}, but {shape} is needed")
    return values


def _numbers(stored: Any, key: str) -> npt.NDArray[np.float64]:
    """Read a number or a nested list of numbers; Keras 3 writes an array as ``{"class_name": "__numpy__", …}``."""
    if isinstance(stored, dict) and stored.get("class_name") in ("__numpy__", "__tensor__"):
        config = stored.get("config")
        stored = config.get("value") if isinstance(config, dict) else None
    _check_numbers(stored, key, depth=0)
    try:
        values = np.asarray(stored, dtype=np.float64)
    except (ValueError, OverflowError):
        raise UnreadableError(f"its setting {key!r} is no regular table of numbers") from None
    return values


def _check_numbers(stored: Any, key: str, depth: int) -> None:
    if is_number(stored) and math.isfinite(stored):
        return
    if not isinstance(stored, list) or not stored or depth > 5:
        raise UnreadableError(f"its setting {key!r} is neither a number nor a list of numbers")
    for item in stored:
        _check_numbers(item, key, depth + 1)


def affine(tensor: Tensor, center: _Numbers, scale: _Numbers, offset: _Numbers) -> Built:
    """Compute ``(x - center) * scale + offset``, with what broadcasts against the tensor as the model sees it."""
    with np.errstate(over="ignore"):
        numbers = [np.asarray(n, np.float32) for n in (center, scale, offset)]
    if not all(np.isfinite(n).all() for n in numbers):
        raise UnreadableError("its numbers are beyond single precision")
    return advance(tensor, Affine(*(_own(n, tensor) for n in numbers)))


def _own(values: npt.NDArray[np.float32], tensor: Tensor) -> npt.NDArray[np.float32]:
    """Lay out an array for our own axes: one number, one for each channel, or all."""
    if not values.ndim:
        return values
    own: npt.NDArray[np.float32] = tensor.array(values)
    if own.size == own.shape[-1]:
        return np.ascontiguousarray(np.broadcast_to(own.reshape(-1), tensor.shape[-1:]))
    return own


NORM_LAYERS: Final[dict[str, Builder]] = {
    "BatchNormalization": _batch_norm,
    "SyncBatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "LayerScale": _layer_scale,
    "RMSNormalization": _rms_norm,
    "UnitNormalization": _unit_norm,
}
