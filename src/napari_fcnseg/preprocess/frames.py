"""Prepare a frame: take the statistics that the steps need, then compute any part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_fcnseg.arrays.frame_source import FrameSource, MappedSource, hold_if_small
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.preprocess.statistics import ChannelStatistics, KnownStatistics, NotedStatistics, Statistics
from napari_fcnseg.preprocess.steps import halo_of_local_mean
from napari_fcnseg.preprocess.text import STEPS, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.arrays.frame_source import Image, Region
    from napari_fcnseg.preprocess.statistics import Elsewhere

#: What was asked of each channel's statistics, in order: plain data.
Numbers: TypeAlias = "Sequence[Sequence[Sequence[float]]]"


@dataclass(frozen=True)
class Bound:
    """A step with the numbers of one frame in it.

    Attributes
    ----------
    functions : tuple of callable
        What is done to the pixels of each channel.
    halo : int
        How many pixels to each side they look at.
    numbers : sequence
        The frame's numbers alone; :func:`bind_known` makes the same of them in another process.
    """

    functions: tuple[Callable[[Image], Image], ...]
    halo: int
    numbers: Numbers = ()


def prepare(source: FrameSource, steps: Sequence[Step], bound: list[Bound] | None = None) -> FrameSource:
    """Apply steps in order to each channel of a whole frame, or have them applied to what is read of a large one.

    Parameters
    ----------
    source : FrameSource
        The frame.
    steps : sequence of Step
        The steps.
    bound : list of Bound, optional
        The steps with this frame's numbers in them, as an earlier call has left them here: they are not taken again.

    Raises
    ------
    SettingsError
        If a step's arguments do not fit the frame.
    ImageError
        If values are not finite, before or after; of a large frame when they are read.
    """
    bound = [] if bound is None else bound
    source = hold_if_small(source)
    for number, step in enumerate(steps):
        if number == len(bound):
            bound.append(_bind(step, source))
        source = hold_if_small(_Prepared(source, bound[number], step))
    return source


def bind_known(step: Step, numbers: Numbers) -> Bound:
    """Return a step with numbers in it that were taken elsewhere (:attr:`Bound.numbers`)."""
    return _bound(step, [KnownStatistics(answers) for answers in numbers], numbers)


def bind_elsewhere(step: Step, source: FrameSource, elsewhere: Elsewhere) -> Bound:
    """Return a step with the numbers of a frame in it, at which others look.

    Parameters
    ----------
    step : Step
        The step.
    source : FrameSource
        The frame, of which the shape alone is looked at.
    elsewhere : callable
        As :class:`~napari_fcnseg.preprocess.statistics.Statistics` takes it; it looks at the frame after the steps
        before this one.
    """
    return _bind(step, source, elsewhere)


def _bind(step: Step, source: FrameSource, elsewhere: Elsewhere | None = None) -> Bound:
    statistics = Statistics(source, step.joint, elsewhere)
    noted = [NotedStatistics(statistics.of(channel)) for channel in range(source.shape[-1])]
    bound = _bound(step, noted)
    return replace(bound, numbers=[one.answers for one in noted])


def _bound(step: Step, statistics: Sequence[ChannelStatistics], numbers: Numbers = ()) -> Bound:
    arguments = zip(statistics, _per_channel(step, len(statistics)), strict=True)
    functions = tuple(STEPS[step.name](channel, *a) for channel, a in arguments)
    halo = halo_of_local_mean(*next(_per_channel(step, 1))) if step.name == "subtract_local_mean" else 0
    return Bound(functions, halo, numbers)


class _Prepared(MappedSource):
    """A frame after a step, looked at wherever it is read."""

    def __init__(self, source: FrameSource, bound: Bound, step: Step) -> None:
        super().__init__(source, bound.functions, bound.halo)
        self._step = step

    def read(self, region: Region) -> Image:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the result is looked at below
            pixels = super().read(region)
        if not np.isfinite(pixels.sum(dtype=np.float64)):
            raise ImageError(f"Preprocessing ({self._step}) made values that are not finite. Choose other steps.")
        return pixels


def _per_channel(step: Step, channels: int) -> Iterator[tuple[float, ...]]:
    for argument in step.arguments:
        if isinstance(argument, tuple) and len(argument) != channels:
            raise SettingsError(
                f"The preprocessing step {str(step)!r} has numbers for {len(argument)} channels, and the image "
                f"{channels}: write one number for each channel, or a single one for all."
            )
    for c in range(channels):
        yield tuple(a[c] if isinstance(a, tuple) else a for a in step.arguments)
