"""A run with a preview: first a tile, then every Nth pixel of the whole frame, then all pixels.

Where those pixels are as far apart as the product of the model's strides, computing them is running the patch network
in its own strides over the whole frame: a fraction of the work, and exact where computed.
"""

from __future__ import annotations

import math
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.output_kinds import OUTPUT_KINDS
from napari_fcnseg.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_fcnseg.arrays.frame_source import FrameSource
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Skip
    from napari_fcnseg.run.run import Tile

_WORTH = 3e11  # FLOP; a run of less, about two seconds on a laptop, needs no preview
_SHARE = 0.25  # share of the run's work on a frame that a preview may take
_FINEST, _COARSEST = 4, 32  # pixels; coarser than the model's strides only where these cost too much


class CoarsePass(Run):
    """A run over the first frame of another one, at every Nth pixel only, which shares the frame that is read already.

    Parameters
    ----------
    run : Run
        The other one.
    every : int
        Pixels between output pixels: a multiple of the other run's.
    """

    def __init__(self, run: Run, every: int) -> None:
        plan, first = run.plan, run.plan.schedule.frames[0]
        settings = replace(plan.settings, every=every, tile=None, frames=tuple((i, i + 1) for i in first))
        mask = plan.mask.at_every(every) if plan.mask is not None else None
        super().__init__(make_plan(plan.image, plan.models, settings, plan.focus, mask, early=False))
        self._run = run
        self._step = every // plan.settings.every

    def source(self, index: tuple[int, ...]) -> FrameSource:
        """Return the frame that the other run has read."""
        return self._run.opened if self._run.opened is not None else super().source(index)

    def placed(self, tile: Tile) -> Tile:
        """Return a tile of this run as a preview tile of the other: ``where`` has steps, and it is not counted."""
        stack = len(tile.where) - len(self.plan.extent)
        where = tuple(
            slice(s.start * self._step, (s.stop - 1) * self._step + 1, self._step)
            for s in tile.where[stack:]
            if isinstance(s, slice)
        )
        return replace(
            tile, where=(*tile.where[:stack], *where), done=self._run.done, total=self._run.total, preview=True
        )


def coarse_pass(run: Run, skip: Skip | None = None) -> CoarsePass | None:
    """Return the preview of a run; None if absent.

    That is so where the run is too short for one, where a preview would take too long, where the frame that the user
    looks at is not computed, and where tiles are skipped since they are there already.
    """
    plan = run.plan
    work, first, stack = _work(plan), plan.schedule.frames[0], len(plan.layout.stack_shape)
    seen = plan.focus[:stack] if plan.focus is not None else first
    if work < _WORTH or skip is not None or first != seen:
        return None
    strides = [stride for network in plan.networks for stride in network.strides]
    every = math.lcm(plan.settings.every, *strides)
    while every < _FINEST:
        every *= 2
    while every <= _COARSEST and every > plan.settings.every:
        try:
            coarse = CoarsePass(run, every)
        except SettingsError:  # a small region, or a mask, has no such pixel
            return None
        if _work(coarse.plan) <= _SHARE * work:
            return coarse
        every *= 2
    return None


def execute_with_preview(
    run: Run, poll: float | None = None, skip: Skip | None = None
) -> Generator[Tile | None, None, None]:
    """Execute a run: its first tile, a preview of the frame if it is worth it, and then the other tiles.

    Parameters
    ----------
    run : Run
        What to execute.
    poll, skip
        As for :meth:`~napari_fcnseg.run.run.Run.execute`.

    Yields
    ------
    Tile or None
        ``labels[tile.where] = tile.labels`` is right for every one of them, in this order.
    """
    coarse = coarse_pass(run, skip)
    if coarse is None:
        yield from run.execute(poll, skip)
        return
    hold: Future[None] = Future()
    with closing(run.execute(poll, hold=hold)) as tiles:
        for tile in tiles:
            yield tile
            if tile is not None and not hold.done():
                with closing(coarse.execute(poll)) as parts:
                    for part in parts:
                        yield _continued(coarse.placed(part), tile) if part is not None else None
                hold.set_result(None)


def _continued(part: Tile, first: Tile) -> Tile:
    """Return a preview tile with the first tile's numbers where they overlap: another cut rounds differently."""
    axes = part.labels.ndim
    if part.where[:-axes] != first.where[:-axes]:
        return part
    here, there = [], []
    for a, b in zip(part.where[-axes:], first.where[-axes:], strict=True):
        assert isinstance(a, slice)
        assert isinstance(b, slice)
        pixels = np.arange(a.start, a.stop, a.step)
        inside = np.flatnonzero((pixels >= b.start) & (pixels < b.stop))
        here.append(inside)
        there.append(pixels[inside] - b.start)
    changed: dict[str, Any] = {}
    for kind in OUTPUT_KINDS:
        array, finished = getattr(part, kind.array), getattr(first, kind.array)
        if array is not None:
            changed[kind.array] = np.array(array)
            changed[kind.array][np.ix_(*here)] = finished[np.ix_(*there)]
    return replace(part, **changed)


def _work(plan: RunPlan) -> int:
    """Return the FLOP of a run's computations on one frame, halos included."""
    sizes = [tuple(b - a for a, b in region) for _, region in plan.schedule.parts(plan.schedule.frames[0])]
    return sum(method.flop(size) for method in plan.methods for size in sizes)
