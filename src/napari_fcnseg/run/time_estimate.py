"""Estimate how long a run will take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine import engine
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.method_runner import devices_of, usable_of
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.model.patch_model import ModelLike
    from napari_fcnseg.plan.schedule import Skip

#: Seconds from which on a run patch by patch is long, and that a first look at it may take.
_LONG, _LOOK = 300.0, 60.0


@dataclass(frozen=True)
class Estimate:
    """An estimated time.

    Attributes
    ----------
    seconds : float
        Computing time, by the time that a small part took on the device.
    pixels : int
        Pixels that get a label.
    methods : tuple of {"dense", "patchwise", "as it is"}
        The method of each model.
    device : str
        Where it was measured.
    every : int
        Pixels between output pixels.
    axes : int
        Spatial axes of the image.
    """

    seconds: float
    pixels: int
    methods: tuple[str, ...]
    device: str
    every: int = 1
    axes: int = 2

    def __str__(self) -> str:
        method = (
            "Patch by patch" if "patchwise" in self.methods else "Densely" if "dense" in self.methods else "As it is"
        )
        return f"{method}: about {format_duration(self.seconds)} for {self.pixels:,} pixels on {self.device}."

    @property
    def first_look(self) -> str:
        """What gives a first look where a run patch by patch takes long, in words; empty where it does not."""
        if "patchwise" not in self.methods or self.seconds < _LONG:
            return ""
        times = 2 ** math.ceil(math.log2(self.seconds / _LOOK) / self.axes)
        every, seconds = self.every * times, self.seconds / times**self.axes
        return f"For a first look, --every {every} takes about {format_duration(seconds)}."


def estimate(image: Any, model: ModelLike | Sequence[ModelLike], *, mask: Any = None, **settings: Any) -> Estimate:
    """Estimate how long :func:`napari_fcnseg.segment` will take, by computing a small part of it.

    Parameters
    ----------
    image, model, mask
        As for :func:`napari_fcnseg.segment`.
    **settings
        The other arguments of :func:`napari_fcnseg.segment` but ``progress`` and those that end with ``out``.

    Returns
    -------
    Estimate

    Raises
    ------
    FcnSegError
        As for :func:`napari_fcnseg.segment`.
    """
    return estimate_run(Run(make_plan(image, as_ensemble(model), RunSettings.from_dict(settings), mask=mask)))


def estimate_run(run: Run, skip: Skip | None = None) -> Estimate:
    """Estimate how long a run will take, without the tiles that :meth:`~napari_fcnseg.run.run.Run.execute` skips."""
    devices = usable_of(run.plan, engine().devices_for(devices_of(run.plan), run.plan.settings.precision))
    planned = run.plan.schedule.planned(skip)
    seconds = 0.0
    if planned:
        source = run.source(planned[0][0])
        regions = [region for _, parts in planned for _, region in parts]
        seconds = sum(r.estimate(r.method.reader(source), regions, devices[0]) for r in run.runners) / len(devices)
    pixels = run.plan.schedule.pixels_of(planned)
    methods = tuple(method.name for method in run.plan.methods)
    axes = len(run.plan.extent)
    return Estimate(seconds, pixels, methods, ", ".join(map(str, devices)), run.plan.settings.every, axes)
