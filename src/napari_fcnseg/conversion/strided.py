"""The dense network that answers at every Nth pixel only, and computes of every map what these pixels need.

Where these are as far apart as the product of the patch network's strides, this is the patch network in its own
strides, run over the whole image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from napari_fcnseg.conversion.dense_network import (
    IMAGE,
    DenseConv,
    DenseDepthwise,
    DenseNetwork,
    DenseOp,
    DensePool,
    Step,
    StepInput,
    windows_of,
)


@dataclass(frozen=True)
class _Comb:
    """The entries of a map along one axis that a tile needs: from ``first`` on, ``gap`` apart.

    For a tile of ``n`` output pixels ``every`` pixels apart the last one is ``last + (n - 1) * every``.
    """

    first: int
    last: int
    gap: int

    def joined(self, other: _Comb | None) -> _Comb:
        """Return the comb that has the teeth of both."""
        if other is None:
            return self
        gap = math.gcd(self.gap, other.gap, self.first - other.first)
        return _Comb(min(self.first, other.first), max(self.last, other.last), gap)


_Combs: TypeAlias = tuple[_Comb, ...]


def subsampled(network: DenseNetwork, every: tuple[int, ...]) -> DenseNetwork:
    """Return the network that answers at every ``every``-th pixel alone, with the least work.

    Parameters
    ----------
    network : DenseNetwork
        One that answers at every pixel.
    every : tuple of int
        Pixels between output pixels, per axis.

    Returns
    -------
    DenseNetwork
        Entry ``i`` of its answer is entry ``i * every`` of the given network's, from the same window of the image.
        Where the taps of a later window lie ``d`` pixels apart and its results ``every``, only entries of their
        greatest common divisor apart are computed of what it reads.
    """
    needed: dict[int, _Combs] = {len(network.steps) - 1: tuple(_Comb(0, 0, k) for k in every)}
    for number in reversed(range(len(network.steps))):
        step = network.steps[number]
        for source, combs in zip(step.inputs, _read(step, needed[number]), strict=True):
            before = needed.get(source.step, (None,) * len(every))
            needed[source.step] = tuple(a.joined(b) for a, b in zip(combs, before, strict=True))
    needed[IMAGE] = tuple(_Comb(0, reach - 1, 1) for reach in network.reach)
    steps = tuple(_thinned(step, needed[number], needed, every) for number, step in enumerate(network.steps))
    return replace(network, steps=steps, every=every)


def _thinned(step: Step, mine: _Combs, needed: dict[int, _Combs], every: tuple[int, ...]) -> Step:
    """Return a step that computes these entries of its result and no others."""
    gaps = _gaps(step, mine)
    inputs = []
    for source, read in zip(step.inputs, _read(step, mine), strict=True):
        there = needed[source.step]
        before = tuple((r.first - t.first) // t.gap for r, t in zip(read, there, strict=True))
        after = tuple((t.last - r.last) // t.gap for r, t in zip(read, there, strict=True))
        stride = tuple(gap // t.gap for gap, t in zip(gaps, there, strict=True))
        inputs.append(StepInput(source.step, before, after, stride))
    return replace(
        step,
        op=_closer(step.op, gaps),
        inputs=tuple(inputs),
        stride=tuple(c.gap // gap for c, gap in zip(mine, gaps, strict=True)),
        density=tuple(k // c.gap for k, c in zip(every, mine, strict=True)),
        extra=tuple((c.last - c.first - k) // c.gap + 1 for k, c in zip(every, mine, strict=True)),
    )


def _read(step: Step, mine: _Combs) -> list[_Combs]:
    """Return which entries of each input go into these entries of the result."""
    gaps = _gaps(step, mine)
    windows = windows_of(step.op) or (((1,) * len(mine),) * 2,) * len(step.inputs)
    return [
        tuple(
            _Comb(c.first + before, c.last + before + (size - 1) * dilation, gap)
            for c, before, size, dilation, gap in zip(mine, source.before, *window, gaps, strict=True)
        )
        for source, window in zip(step.inputs, windows, strict=True)
    ]


def _gaps(step: Step, mine: _Combs) -> tuple[int, ...]:
    """Return per axis how far apart the entries lie that a step reads."""
    gaps = [comb.gap for comb in mine]
    for sizes, dilations in windows_of(step.op) or ():
        gaps = [math.gcd(g, d) if k > 1 else g for g, k, d in zip(gaps, sizes, dilations, strict=True)]
    return tuple(gaps)


def _closer(op: DenseOp, gaps: tuple[int, ...]) -> DenseOp:
    """Return an operation on maps of which only entries so far apart are kept."""
    if isinstance(op, DensePool):
        return replace(op, dilation=_divided(op.dilation, gaps))
    if isinstance(op, DenseConv | DenseDepthwise):
        return replace(op, dilations=tuple(_divided(dilation, gaps) for dilation in op.dilations))
    return op


def _divided(dilation: tuple[int, ...], gaps: tuple[int, ...]) -> tuple[int, ...]:
    """Return a dilation in kept entries; 1 where it does not divide, which is where the window is one entry."""
    return tuple(d // g if d % g == 0 else 1 for d, g in zip(dilation, gaps, strict=True))
