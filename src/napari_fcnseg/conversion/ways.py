"""Which way of computing each convolution and pool is the quickest on a processor: decided at once, by what each costs.

A way may do less arithmetic and still lose, by the memory it moves and by what it does beside its products. What the
formulas below say was measured on one core with AVX-512; with shorter vectors all ways take longer alike. So nothing is
measured on a user's time, and every computer computes the same way. The ways round differently: what was taken is
plain data, to be written down and to be asked for again.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from napari_fcnseg.conversion.dense_network import DenseConv, DensePool
from napari_fcnseg.conversion.shared_sums import sharings
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork, DenseOp
    from napari_fcnseg.conversion.shared_sums import Sharing

#: The definition's sum or maximum, as the framework computes it.
PLAIN: Final = "plain"
DIRECT: Final = "direct"
WINOGRAD: Final = "winograd"
FOURIER: Final = "fourier"
POOLING: Final = "pooling"
SHARED: Final = "shared"
#: Environment variable that names the way for every operation that it can compute, for tests and for those who want the
#: plain sum; ``quickest`` is the quickest of all however little there is to compute.
WAY: Final = "NAPARI_FCNSEG_CONVOLUTION"
QUICKEST: Final = "quickest"

#: Winograd's multiplications per axis and block.
WINOGRAD_LENGTH: Final = 6
_LARGE = 5  # entries per axis from which on the Fourier transform is tried
_WEIGHTS = 2**30  # bytes of transformed weights, at most
_VECTOR = 16  # outputs that are computed together, in vain where there are fewer


def fourier_length(window: int) -> int:
    """Return the block for a window: twice its size, about where the arithmetic per result is least for its memory."""
    return 2 * window


def ways_of(network: DenseNetwork, *, quick: bool = True) -> str:
    """Return the ways of computing a network, as text: of each convolution and pool in turn, ``"2 winograd, direct"``.

    Parameters
    ----------
    network : DenseNetwork
        The network.
    quick : bool
        Whether the quickest ways are taken; the plain ones otherwise.
    """
    wanted = os.environ.get(WAY, "auto")
    if wanted == PLAIN or (not quick and wanted == "auto"):
        return PLAIN
    together = {n for one in sharings(network) if _together(network, one, wanted) for n in one.steps}
    return _text(
        SHARED if number in together else _quickest(step.op, wanted) if max(step.stride) == 1 else PLAIN
        for number, step in enumerate(network.steps)
        if isinstance(step.op, DenseConv | DensePool)
    )


def with_ways(network: DenseNetwork, ways: str) -> DenseNetwork:
    """Return a network that is computed in these ways.

    Raises
    ------
    SettingsError
        If they are none of this network's.
    """
    found = replace(network, ways=ways)
    found.__dict__["_keys"] = network.__dict__.setdefault("_keys", {})  # its arrays are the same: they are hashed once
    by_step(found)
    return found


def by_step(network: DenseNetwork) -> dict[int, str]:
    """Return the way of each convolution and pool, by the number of its step; the quickest where none is named.

    Raises
    ------
    SettingsError
        If the network's ways are not of this network.
    """
    numbers = [n for n, step in enumerate(network.steps) if isinstance(step.op, DenseConv | DensePool)]
    names = _names(network.ways or ways_of(network), len(numbers))
    if len(names) != len(numbers):
        raise SettingsError(
            f"The ways of computing {network.ways!r} name {len(names)}, and the model {network.name!r} has "
            f"{len(numbers)} convolutions and pools here: give one for each, as a result's provenance has them, or "
            f"{PLAIN!r} for all, or leave them out for the quickest."
        )
    named = dict(zip(numbers, names, strict=True))
    together = [one.steps for one in sharings(network)] if SHARED in names else []
    shared = {n for steps in together if all(named[n] == SHARED for n in steps) for n in steps}
    for number, name in named.items():
        step = network.steps[number]
        if name != PLAIN and number not in shared and (max(step.stride) > 1 or name not in possible(step.op)):
            raise SettingsError(
                f"The layer {step.layer!r} of the model {network.name!r} cannot be computed by {name!r}. Choose one "
                f"of: {', '.join((*possible(step.op), PLAIN))}; or leave the ways out for the quickest."
            )
    return named


def _together(network: DenseNetwork, sharing: Sharing, wanted: str) -> bool:
    """Return whether convolutions are quicker together, or wanted to be."""
    if wanted not in ("auto", QUICKEST):
        return wanted == SHARED
    ops = [op for n in sharing.steps if isinstance(op := network.steps[n].op, DenseConv)]
    quickest = [_quickest(op, wanted) for op in ops]
    alone = sum(_nanoseconds(op, way) for op, way in zip(ops, quickest, strict=True))
    wide = -(-ops[0].bias.size // _VECTOR) * _VECTOR
    products = sum(term.depth for terms in sharing.columns for term in terms)
    sums = sum(use.column in sharing.shared for uses in sharing.uses for use in uses)
    return wide * (0.0145 * products + 0.1 * sums) < alone


def possible(op: DenseOp) -> tuple[str, ...]:
    """Return our own ways of computing an operation."""
    if isinstance(op, DensePool):
        return (POOLING,)
    if not isinstance(op, DenseConv) or op.groups != 1:
        return ()
    ways, large = [DIRECT], by_transform(op)
    if len(op.kernels) != 1 or op.side_by_side != (1,):
        return (DIRECT, FOURIER) if any(large) and not all(large) else (DIRECT,)
    window = op.kernels[0].shape[:-2]
    if len(window) in (2, 3) and all(2 <= k < WINOGRAD_LENGTH for k in window[-2:]):
        ways.append(WINOGRAD)
    if large[0]:
        ways.append(FOURIER)
    return tuple(ways)


def by_transform(op: DenseConv) -> list[bool]:
    """Return which kernels of a convolution can be computed by Fourier transforms; the others of a sum are not."""
    found = []
    for kernel in op.kernels:
        *window, inputs, outputs = kernel.shape
        can = len(window) == 2 and min(window) >= _LARGE and _weight_bytes(window, inputs, outputs) <= _WEIGHTS
        found.append(can)
    return found


def nanoseconds(way: str, shape: tuple[int, ...]) -> float:
    """Return about how long a way takes for a pixel on one core.

    Parameters
    ----------
    way : {"direct", "winograd", "fourier"}
        Which one.
    shape : tuple of int
        Of the kernel, ``(*window, in, out)``.
    """
    *window, inputs, outputs = shape
    wide = -(-outputs // _VECTOR) * _VECTOR
    if way == DIRECT:
        return 0.0145 * math.prod(window) * inputs * wide
    high, long = window[-2:]
    if way == WINOGRAD:
        # Numbers in a block's transform per result.
        grown = WINOGRAD_LENGTH**2 / ((WINOGRAD_LENGTH + 1 - high) * (WINOGRAD_LENGTH + 1 - long))
        deep, transformed = math.prod(window[:-2]), -(-inputs // _VECTOR) * _VECTOR
        return grown * (0.0135 * deep * inputs * wide + 0.32 * deep * transformed + 0.35 * wide + 3)
    turned = 16 * high * long / (long + 1)  # multiplications per result and channel of a transform
    return 0.019 * 6 * long / (long + 1) * inputs * wide + turned * (0.13 * inputs + 0.07 * outputs)


def _weight_bytes(window: Sequence[int], inputs: int, outputs: int) -> int:
    """Return the bytes that weights take that are transformed by Fourier."""
    rows, columns = map(fourier_length, window)
    return 3 * 4 * (rows // 2 + 1) * columns * inputs * outputs


def _quickest(op: DenseConv | DensePool, wanted: str) -> str:
    ways = possible(op)
    if wanted not in ("auto", QUICKEST) and POOLING not in ways:
        ways = (wanted,) if wanted in ways else ()
    if len(ways) < 2:
        return ways[0] if ways else PLAIN
    assert isinstance(op, DenseConv)
    return min(ways, key=lambda way: _nanoseconds(op, way))


def _nanoseconds(op: DenseConv, way: str) -> float:
    """Return about how long a way takes for a pixel on one core, for all kernels."""
    large = by_transform(op) if way == FOURIER else [False] * len(op.kernels)
    names = (way if way != FOURIER or is_large else DIRECT for is_large in large)
    return sum(nanoseconds(name, kernel.shape) for name, kernel in zip(names, op.kernels, strict=True))


def _text(names: Iterable[str]) -> str:
    """Return names one after the other as a text; plain ones alone are one word."""
    runs = [(name, len(list(run))) for name, run in itertools.groupby(names)]
    if all(name == PLAIN for name, _ in runs):
        return PLAIN
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in runs)


def _names(text: str, most: int) -> list[str]:
    """Return the names in a text; as many as there are, and one more, at most.

    Raises
    ------
    SettingsError
        If it is no such text.
    """
    if text == PLAIN:
        return [PLAIN] * most
    names: list[str] = []
    for part in text.split(","):
        count, _, name = part.strip().rpartition(" ")
        if name not in (PLAIN, DIRECT, WINOGRAD, FOURIER, POOLING, SHARED) or not (count or "1").isdecimal():
            raise SettingsError(
                f"{text!r} are no ways of computing. Write them as a result's provenance has them, "
                f"'2 winograd, direct', or {PLAIN!r} for all, or leave them out for the quickest."
            )
        names += [name] * min(int(count or 1), most + 1 - len(names))
    return names
