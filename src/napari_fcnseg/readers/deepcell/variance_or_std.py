"""Decide whether ``running_std`` of Keras 1 is a standard deviation or a variance, by running the network.

Keras up to 1.0.6 kept a running standard deviation under that name, Keras 1.0.7 and later a variance, and a file of
weights alone has no version. But each channel's spread before a normalisation follows from the weights: here drawn
pictures of cells go through the network, every normalisation with the picture's own statistics, so that the stored
ones play no part. Whatever the picture, the deeper channels spread much as they did in training. So on a
logarithmic scale two things tell: from channel to channel standard deviations vary about as much as the measured ones,
variances twice as much; and the stored numbers are on the whole as large as the measured ones, or as their squares.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import BatchNorm, Conv, Dense, Flatten, Merge, Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from napari_fcnseg.graph.network import Node

    Array = npt.NDArray[np.float32]
    Stored = Sequence[npt.NDArray[Any]]
    #: A map and its stride in pixels of the picture.
    Map = tuple[Array, int]
RunningStatistic = Literal["deviation", "variance"]

#: Positions of the last map along an axis.
_POSITIONS: Final = 10
#: Exponents below and above which the numbers are believed to be the one or the other. In all trained networks that
#: were tried (five published, eight of ours) the estimate was 0.78 to 1.14 for standard deviations, twice that for
#: variances.
_DEVIATION: Final = 1.25
_VARIANCE: Final = 1.45
#: Correlation of stored and measured numbers below which neither is believed.
_CORRELATION: Final = 0.35
#: A channel that is always zero, or nearly, says nothing.
_DEAD: Final = 1e-3
_POOL: Final = 2
#: Convolutions with windows as wide as the rest of the patch are computed only where they are read.
_WIDE: Final = 8


def running_statistic_of(nodes: Iterable[Node], patch: int, channels: int, stored: Stored) -> RunningStatistic | None:
    """Tell what the stored numbers are.

    Parameters
    ----------
    nodes : iterable of Node
        The network, convolutions channels last; what its normalisations hold for the spread is not looked at.
    patch, channels : int
        Edge of the patch, and the number of its channels.
    stored : sequence of array
        ``running_std`` of every normalisation, in the nodes' order.

    Returns
    -------
    str or None
        None where the signs do not agree, or are weak.
    """
    layers = list(_compared(tuple(nodes), patch, channels, stored))
    if len(layers) < 3:
        return None
    correlation = np.mean([np.corrcoef(x, y)[0, 1] for x, y in layers])
    if correlation < _CORRELATION:
        return None
    # The measured numbers are the less exact: the ratio of the variations alone would be too small, and the inverse
    # slope of the measured on the stored ones (the ratio over the correlation) too large. Between the two:
    exponent = math.exp(np.mean([math.log(y.std() / x.std()) for x, y in layers])) / math.sqrt(correlation)
    off = [np.mean([(y - power * x).mean() ** 2 for x, y in layers]) for power in (1, 2)]
    if exponent < _DEVIATION and off[0] < off[1]:
        return "deviation"
    return "variance" if exponent > _VARIANCE and off[1] < off[0] else None


def _compared(nodes: Sequence[Node], patch: int, channels: int, stored: Stored) -> Iterator[tuple[Array, Array]]:
    """Give the logarithms of the measured and of the stored numbers of every normalisation but the first.

    What is before the first one depends on the picture more than on the network.
    """
    last = math.prod(_POOL for node in nodes for op in node.ops if isinstance(op, Pool))
    pictures = _pictures(patch + last * (_POSITIONS - 1), patch, channels)
    measured = zip(*(_measure(nodes, picture, last) for picture in pictures), strict=True)
    for number, (found, kept) in enumerate(zip(measured, stored, strict=True)):
        alive = np.all([values > _DEAD * values.max() for values in (*found, kept)], axis=0)
        x, y = np.log([values[alive] for values in found]).mean(0), np.log(kept[alive])
        if number and alive.sum() > 10 and min(x.std(), y.std()) > 0.01:
            yield x, y


def _measure(nodes: Sequence[Node], picture: Array, last: int) -> list[Array]:
    """Give each channel's standard deviation before every normalisation; the last map has the given stride."""
    maps: dict[str, Map] = {INPUT: (picture, 1)}
    found: list[Array] = []
    for node in nodes:
        x, stride = _joined([maps[name] for name in node.inputs])
        for op in node.ops:
            match op:
                case Conv():
                    step = last // stride if min(op.kernel.shape[:2]) > _WIDE else 1
                    x, stride = _convolved(x, op, step), stride * step
                case Dense():
                    x = x @ op.kernel + (0 if op.bias is None else op.bias)
                case Pool():
                    x, stride = _pooled(x), stride * _POOL
                case BatchNorm():
                    found.append(x.std(tuple(range(x.ndim - 1))))
                    x = _normalized(x, op)
                case Flatten() | Merge():  # one position is left of a patch
                    pass
                case _ if node.layer_type == "Activation" and node.name.startswith("relu"):
                    x = np.maximum(x, 0)
        maps[node.name] = (x, stride)
    return found


def _joined(inputs: list[Map]) -> Map:
    """Put maps side by side at the positions that all have."""
    stride = max(stride for _, stride in inputs)
    thinned = [x[:: stride // own, :: stride // own] for x, own in inputs]
    rows, columns = (min(x.shape[axis] for x in thinned) for axis in (0, 1))
    return np.concatenate([x[:rows, :columns] for x in thinned], axis=-1), stride


def _convolved(x: Array, op: Conv, step: int) -> Array:
    rows, columns = op.kernel.shape[:2]
    height, width = ((n - k) // step + 1 for n, k in zip(x.shape, (rows, columns), strict=False))
    out = np.zeros((height * width, op.kernel.shape[-1]), np.float32)
    for i in range(rows):
        for j in range(columns):
            seen = x[i : i + step * height : step, j : j + step * width : step][:height, :width]
            out += seen.reshape(len(out), -1) @ op.kernel[i, j]
    out = out.reshape(height, width, -1)
    return out if op.bias is None else out + op.bias


def _pooled(x: Array) -> Array:
    rows, columns = x.shape[0] // _POOL, x.shape[1] // _POOL
    largest: Array = x[: rows * _POOL, : columns * _POOL].reshape(rows, _POOL, columns, _POOL, -1).max((1, 3))
    return largest


def _normalized(x: Array, op: BatchNorm) -> Array:
    axes = tuple(range(x.ndim - 1))
    normed: Array = (x - x.mean(axes)) / (x.std(axes) + np.float32(1e-6)) * op.gamma + op.beta
    return normed


def _pictures(size: int, patch: int, channels: int) -> list[Array]:
    """Draw the same cells twice: bright in the last channel with textured others, and as outlines in all."""
    random = np.random.default_rng(0)
    place = np.arange(size, dtype=np.float32)
    cells = np.zeros((size, size), np.float32)
    for _ in range(max(20, size * size // 900)):
        y, x = random.uniform(0, size, 2)
        (a, b), turn = random.uniform(5, 12, 2), random.uniform(0, np.pi)
        u = (place[:, None] - y) * np.cos(turn) + (place - x) * np.sin(turn)
        v = (place - x) * np.cos(turn) - (place[:, None] - y) * np.sin(turn)
        cells += random.uniform(0.5, 2) / (1 + np.exp(np.minimum(6 * (np.hypot(u / a, v / b) - 1), 30)))
    slopes = np.gradient(_blurred(cells, 5))
    made: list[Array] = []
    for outlined in (False, True):
        images = []
        for channel in range(channels):
            noise = random.normal(size=(2, size, size))
            image = cells
            if outlined:
                image = 3 * np.hypot(*slopes)
            elif channel < channels - 1:
                image = 2 * np.abs(slopes[0]) + (0.3 + (cells > 0.2)) * _blurred(_blurred(noise[0], 5), 5)
            image = image + 0.02 * noise[1]
            images.append(image - _blurred(image, patch))
        made.append(np.stack(images, axis=-1).astype(np.float32))
    return made


def _blurred(image: npt.NDArray[Any], window: int) -> npt.NDArray[Any]:
    """Give the local mean."""
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (window // 2 + 1, window - window // 2 - 1)
        total = np.cumsum(np.pad(image, width, mode="reflect"), axis=axis, dtype=np.float64)
        n = image.shape[axis]
        image = (np.take(total, range(window, window + n), axis) - np.take(total, range(n), axis)) / window
    return image
