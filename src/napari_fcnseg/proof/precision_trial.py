"""Measure speed and error of tf32, bfloat16 or float16 against float32, on a part of the user's image."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine import engine
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.labels import labels_of
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import EXACT, RunSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.engine import Device
    from napari_fcnseg.model.patch_model import ModelLike
    from napari_fcnseg.plan.run_plan import RunPlan

#: Work of one pass over the compared regions, in FLOP: about a second.
_WORK: Final = {True: 3e10, False: 2e12}  # on a processor, on an accelerator
_SIDE: Final = 512  # output pixels per axis of a region, at most
_ROUNDS: Final = 3
_ENOUGH: Final = 4.0  # seconds of a pass that is not repeated


@dataclass(frozen=True)
class PrecisionTrial:
    """How an arithmetic compares with exact float32 on some of an image's pixels.

    Attributes
    ----------
    precision : str
        The arithmetic asked for.
    computed : str
        The arithmetic that the device has for it: ``"float32"`` where it has no TF32, or runs patch by patch.
    device : str
        Where it was measured.
    speed : float
        Time of float32 divided by its time.
    label_agreement : float
        Share of the pixels that get the same label, 0 to 1.
    max_abs_difference : float
        Largest difference in any class at any of them.
    pixels : int
        How many.
    """

    precision: str
    computed: str
    device: str
    speed: float
    label_agreement: float
    max_abs_difference: float
    pixels: int

    def __str__(self) -> str:
        if self.computed == EXACT:
            return f"{self.precision}: {self.device} computes this in float32, which is exact."
        agree = math.floor(self.label_agreement * 10_000) / 100  # never round up to 100 %
        labels = "all labels agree" if self.label_agreement == 1 else f"{agree:.2f} % of labels agree"
        return (
            f"{self.precision}: {self.speed:.1f} × as fast as float32; {labels}, largest difference "
            f"{self.max_abs_difference:.1g}, on {self.pixels:,} pixels of this image."
        )


def try_precision(
    image: Any, model: ModelLike | Sequence[ModelLike], precision: str, *, mask: Any = None, **settings: Any
) -> PrecisionTrial:
    """Compute a small part of an image in some arithmetic and in float32, and compare.

    Parameters
    ----------
    image, model, mask
        As for :func:`napari_fcnseg.segment`. A mask chooses frames; in these, windows are tried wherever they lie.
    precision : {"tf32", "bfloat16", "float16"}
        The arithmetic.
    **settings
        The other arguments of :func:`napari_fcnseg.segment` but ``progress``.

    Returns
    -------
    PrecisionTrial

    Raises
    ------
    FcnSegError
        As for :func:`napari_fcnseg.segment`, and if the image's numbers are too large for float16.
    """
    chosen = RunSettings.from_dict({**settings, "precision": precision})
    return try_run(Run(make_plan(image, as_ensemble(model), chosen, mask=mask)))


def try_run(run: Run) -> PrecisionTrial:
    """Compare the arithmetic that a run asks for with float32, on a small part of its image."""
    precision = run.plan.settings.precision
    device = engine().device(run.plan.settings.device, precision)
    computed = device.precision if any(method.name == "dense" for method in run.plan.methods) else EXACT
    exact = replace(device, precision=EXACT)
    if computed == EXACT:
        return PrecisionTrial(precision, EXACT, str(device), 1.0, 1.0, 0.0, 0)
    frames = run.plan.schedule.frames
    source = run.source(frames[len(frames) // 2])
    readers = [method.reader(source) for method in run.plan.methods]
    regions = _trial_regions(run.plan, device)
    answers: dict[Device, list[npt.NDArray[np.float32]]] = {}
    seconds = dict.fromkeys((exact, device), math.inf)
    for round_ in range(_ROUNDS + 1):  # the first round compiles
        for one in (exact, device):
            start = time.perf_counter()
            answers[one] = [_scores(run, readers, region, one) for region in regions]
            taken = time.perf_counter() - start
            seconds[one] = taken if round_ == 1 else min(seconds[one], taken)
        if round_ and max(seconds.values()) > _ENOUGH:
            break
    ours = np.concatenate([a.reshape(-1, run.plan.outputs) for a in answers[device]])
    truth = np.concatenate([a.reshape(-1, run.plan.outputs) for a in answers[exact]])
    head, dtype = run.plan.networks[0].head, run.plan.label_dtype
    return PrecisionTrial(
        precision,
        computed,
        str(device),
        seconds[exact] / seconds[device],
        float((labels_of(ours, head, dtype) == labels_of(truth, head, dtype)).mean()),
        float(np.abs(ours - truth).max()),
        len(ours),
    )


def _scores(run: Run, readers: Sequence[WindowReader], region: Region, device: Device) -> npt.NDArray[np.float32]:
    """Return the mean numbers of a run's models at a region."""
    waiting = [runner.begin(reader, region, device) for runner, reader in zip(run.runners, readers, strict=True)]
    answers = [runner.finish(future.result()) for runner, future in zip(run.runners, waiting, strict=True)]
    mean: npt.NDArray[np.float32] = np.mean(answers, axis=0, dtype=np.float32)
    return mean


def _trial_regions(plan: RunPlan, device: Device) -> list[Region]:
    """Return up to two regions per axis, apart from each other and away from the border if possible."""
    per_place = sum(method.flop((64,) * len(plan.patch)) / 64 ** len(plan.patch) for method in plan.methods)
    side = (_WORK[device.is_cpu] / per_place / 2 ** len(plan.patch)) ** (1 / len(plan.patch))
    most = min(max(int(side), 8), _SIDE, *plan.tile)
    spans = []
    for start, stop in plan.extent:
        length = stop - start
        if length < 4 * most:
            spans.append([(start + max(length - most, 0) // 2, start + max(length - most, 0) // 2 + min(most, length))])
        else:
            spans.append([(start + length * k // 4 - most // 2, start + length * k // 4 + most // 2) for k in (1, 3)])
    return [tuple(region) for region in itertools.product(*spans)]
