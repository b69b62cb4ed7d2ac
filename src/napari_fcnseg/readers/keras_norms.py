"""Keras layers that scale: normalisation and rescaling, as pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.graph.ops import Affine, BatchNorm, LayerNorm, Op
from napari_fcnseg.readers.jsonsafe import is_number
from napari_fcnseg.readers.problem import RefusedError, UnreadableError
from napari_fcnseg.readers.shapes import array_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.graph.ops import Array
    from napari_fcnseg.readers.jsonsafe import Fields
    from napari_fcnseg.readers.layer import Layer
    from napari_fcnseg.readers.shapes import Shape
    from napari_fcnseg.readers.weights import Weights

    _Numbers = float | npt.NDArray[np.float64]

#: ``keras.backend.epsilon()``, below which Normalization lets no standard deviation fall.
_LEAST_DEVIATION: Final = 1e-7


def _batch_norm(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config = layer.config
    axes = config.axes("axis", -1)
    if len(axes) != 1:
        raise RefusedError("it normalises along several axes at once", "Use axis=-1 and train again.")
    size = (shape[array_axis(axes[0], shape)],)
    gamma, beta = _scale_and_center(config, size, weights)
    mean = weights.take(size, "moving_mean")
    variance = weights.take(size, "moving_variance")
    if config.flag("renorm", False):
        # Batch renormalisation acts during training only; its bookkeeping is read past.
        for shape_, name in ((size, "moving_stddev"), (size, "renorm_mean"), (size, "renorm_stddev")):
            weights.take(shape_, name)
    if (variance < 0).any():
        raise UnreadableError("its moving variance is negative")
    return (BatchNorm(gamma, beta, mean, variance, _epsilon(config), axes[0]),)


def _layer_norm(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config = layer.config
    if config.flag("rms_scaling", False):
        raise RefusedError("it scales by the root mean square (rms_scaling)", "Use rms_scaling=False and train again.")
    axes = config.axes("axis", -1)
    indices = [array_axis(axis, shape) for axis in axes]
    if not indices or indices != sorted(set(indices)):
        raise RefusedError("its axes are not in rising order", "List its axes in rising order and train again.")
    gamma, beta = _scale_and_center(config, tuple(shape[i] for i in indices), weights)
    return (LayerNorm(gamma, beta, _epsilon(config), axes),)


def _scale_and_center(config: Fields, size: Shape, weights: Weights) -> tuple[Array, Array]:
    gamma = weights.take(size, "gamma") if config.flag("scale", True) else np.ones(size, np.float32)
    beta = weights.take(size, "beta") if config.flag("center", True) else np.zeros(size, np.float32)
    return gamma, beta


def _epsilon(config: Fields) -> float:
    epsilon = config.number("epsilon", 1e-3)
    if epsilon < 0:
        raise UnreadableError("its epsilon is negative")
    return epsilon


def _rescaling(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    scale, offset = (_constant(layer.config, key, shape, default) for key, default in (("scale", None), ("offset", 0)))
    return (_affine(0.0, scale, offset),)


def _normalization(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config = layer.config
    kept = sorted({array_axis(axis, shape) for axis in (config.axes("axis") if "axis" in config else ())})
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
        return (_affine(0.0, deviation, mean),)
    return (_affine(mean, 1 / deviation, 0.0),)


def _broadcast(kept: list[int], size: Shape, rank: int) -> Shape:
    """Give the shape along the axes of the patch: ``()`` for one number, ``(channel,)`` for one per channel."""
    if not kept or kept == [rank - 1]:
        return size
    sizes = dict(zip(kept, size, strict=True))
    return tuple(sizes.get(i, 1) for i in range(rank))


def _kept_constant(config: Fields, key: str, kept: list[int], shape: Shape) -> npt.NDArray[np.float64]:
    """Read a mean or variance given as a setting: aligned to the kept axes from right to left, as Keras does."""
    values = _numbers(config.raw(key), key)
    size = tuple(shape[i] for i in kept)
    if values.ndim > len(kept) or any(n not in (1, size[-i]) for i, n in enumerate(values.shape[::-1], 1)):
        raise UnreadableError(f"its setting {key!r} has the shape {values.shape}, but {size} is needed")
    padded = (1,) * (len(kept) - values.ndim) + values.shape
    return values.reshape(_broadcast(kept, padded, len(shape)))


def _constant(config: Fields, key: str, shape: Shape, default: float | None) -> npt.NDArray[np.float64]:
    values = _numbers(config.raw(key) if key in config else default, key)
    if values.ndim > len(shape) or any(n not in (1, shape[-i]) for i, n in enumerate(values.shape[::-1], 1)):
        raise UnreadableError(f"its setting {key!r} has the shape {values.shape}, but {shape} is needed")
    if values.ndim > 1:
        return values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    return np.broadcast_to(values, shape[-1:]) if values.ndim else values


def _numbers(stored: Any, key: str) -> npt.NDArray[np.float64]:
    """Read a number or a nested list of numbers; Keras 3 writes an array as ``{"class_name": "__numpy__", …}``."""
    if isinstance(stored, dict) and stored.get("class_name") == "__numpy__":
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


def _affine(center: _Numbers, scale: _Numbers, offset: _Numbers) -> Affine:
    with np.errstate(over="ignore"):
        numbers = [np.asarray(n, np.float32) for n in (center, scale, offset)]
    if not all(np.isfinite(n).all() for n in numbers):
        raise UnreadableError("its numbers are beyond single precision")
    return Affine(*numbers)


NORM_LAYERS: Final[dict[str, Callable[[Layer, Shape, Weights], tuple[Op, ...]]]] = {
    "BatchNormalization": _batch_norm,
    "SyncBatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
}
