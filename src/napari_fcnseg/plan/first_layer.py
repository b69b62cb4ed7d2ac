"""What a network does to its input first: its own rescaling, and whether its first layer saturates."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import Activation, Affine, BatchNorm, Conv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.ops import Op

_SATURATED: Final = {"tanh": 3.8, "softsign": 999.0, "sigmoid": 6.9, "hard_sigmoid": 3.0}  # within 0.1 % of the end
_WINDOWS: Final = 4096  # patches whose answers are looked at


def leading(network: Network) -> tuple[Affine | BatchNorm, ...]:
    """Return the rescaling that a network begins with, before anything that was trained to see patterns."""
    return tuple(op for op in itertools.takewhile(_rescales, _first_ops(network)) if _rescales(op))  # type: ignore[misc]


def saturation(entering: npt.NDArray[np.float32], network: Network) -> float:
    """Return the share of the first layer's answers at the end of its activation, 0 to 1; 0 where it has none.

    Parameters
    ----------
    entering : ndarray of float32, shape (*spatial, channel)
        What reaches the first layer after the network's own rescaling.
    network : Network
        The network.
    """
    ops = list(itertools.islice(itertools.dropwhile(_rescales, _first_ops(network)), 2))
    if len(ops) < 2 or not isinstance(ops[0], Conv) or not isinstance(ops[1], Activation):
        return 0.0
    conv, end = ops[0], _SATURATED.get(ops[1].name)
    window = conv.kernel.shape[:-2]
    if (
        end is None
        or conv.groups > 1
        or set(conv.dilation) != {1}
        or any(k > n for k, n in zip(window, entering.shape, strict=False))
    ):
        return 0.0
    views = np.lib.stride_tricks.sliding_window_view(entering, window, axis=tuple(range(len(window))))
    grid = tuple(slice(None, None, max(1, int(n / _WINDOWS ** (1 / len(window))))) for n in views.shape[: len(window)])
    picked = views[grid].reshape(-1, entering.shape[-1], *window)
    kernel = np.moveaxis(conv.kernel, -2, 0).reshape(-1, conv.kernel.shape[-1])
    answers = picked.reshape(len(picked), -1) @ kernel
    answers = answers + (conv.bias if conv.bias is not None else 0)
    return float(np.mean(np.abs(answers) > end))


def _first_ops(network: Network) -> Iterator[Op]:
    """Yield the operations from the input on, as far as they follow each other without a branch."""
    name = INPUT
    while True:
        readers = [node for node in network.nodes if name in node.inputs]
        if len(readers) != 1 or len(readers[0].inputs) != 1:
            return
        yield from readers[0].ops
        name = readers[0].name


def _rescales(op: Op) -> bool:
    return isinstance(op, Affine | BatchNorm)


def rescaled(
    ops: Sequence[Affine | BatchNorm], sample: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], bool]:
    """Return a sample after a network's own rescaling, and whether there was any.

    Parameters
    ----------
    ops : sequence of Affine or BatchNorm
        As :func:`leading` returns them.
    sample : ndarray of float32, shape (*spatial, channel)
        What goes into the network.

    Returns
    -------
    ndarray of float32, shape (*spatial, channel)
    bool
    """
    values, channels = np.asarray(sample, np.float64), sample.shape[-1]
    for op in ops:
        if isinstance(op, Affine):
            center, scale, offset = (_per_channel(part, channels) for part in (op.center, op.scale, op.offset))
            values = (values - center) * scale + offset
        else:
            parts = [np.asarray(part, np.float64) for part in (op.gamma, op.beta, op.mean, op.variance)]
            if any(part.size not in (1, channels) for part in parts):  # along another axis than the channels
                return sample, False
            gamma, beta, mean, variance = (part.reshape(-1) for part in parts)
            values = gamma * (values - mean) / np.sqrt(variance + op.epsilon) + beta
    return values.astype(np.float32), bool(ops)


def _per_channel(part: Any, channels: int) -> npt.NDArray[np.float64]:
    """Return a number of an affine step per channel: the mean where it varies over the patch."""
    part = np.asarray(part, np.float64)
    if part.ndim > 1:
        part = part.mean(axis=tuple(range(part.ndim - 1)))
    return part if part.size in (1, channels) else np.asarray(part.mean())
