"""What the dock says of a run: while it goes on, when it was stopped, when it is done, when it was checked."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from napari_fcnseg._napari.layers.edits import in_words
from napari_fcnseg.system.formatting import format_duration, format_shape

if TYPE_CHECKING:
    from napari_fcnseg._napari.segment.run.request import RunProgress, RunResult
    from napari_fcnseg.proof.verification import Verification


def going_on(progress: RunProgress, asked: float) -> str:
    """Return what goes on; before the first tile also for how long, since it was asked for."""
    doing = progress.result.run.doing
    if not progress.done:
        return f"{progress.said} {doing}… {time.perf_counter() - asked:.0f} s".lstrip()
    tiles = "" if progress.total == 1 else f" {progress.total} tiles"
    return f"{progress.said} {doing}{tiles}…".lstrip()


def at_the_end(segmented: RunResult | None, *, follows: bool) -> tuple[str, str]:
    """Return what came of a run that did not fail, in a sentence, and where its time went."""
    if follows and segmented is not None:
        return f"Following the view: {segmented.done} of {segmented.total} tiles are done.", ""
    if segmented is None or segmented.done < segmented.total:
        return _stopped(segmented), ""
    return _summary(segmented), f"{segmented.sampler.run.spent.of(segmented.waited).capitalize()}."


def _stopped(segmented: RunResult | None) -> str:
    """Return what there is of a run that did not end."""
    if segmented is None:
        return "Stopped."
    back = " The preview is taken back where no tile was done." * segmented.unpainted
    return f"Stopped: {segmented.done} of {segmented.total} tiles are done and kept.{back}"


def checked(verification: Verification, edited: int) -> str:
    """Return what a check has found, and how many pixels of the layer are not what was checked."""
    return f"{verification}{f' The layer was {in_words(edited)}: it is not what was checked.' * bool(edited)}"


def _summary(segmented: RunResult) -> str:
    """Return what was done, how long it took since the click, and where."""
    seconds, device = segmented.waited, segmented.provenance["device"]
    run, request = segmented.sampler.run, segmented.request
    shape = format_shape(run.plan.result_shape)
    if request.settings.region is not None or request.settings.frames is not None:
        frames = request.settings.frames or [(0, n) for n in run.plan.result_shape[: -len(run.plan.extent)]]
        shape = f"{format_shape(stop - start for start, stop in (*frames, *run.plan.extent))} of {shape}"
    where = f" inside {request.inside.name!r}" if request.inside is not None else ""
    return " ".join(
        [f"Done: {shape} pixels{where} in {format_duration(seconds)} on {short_device(device)}.", *run.notes]
    )


def short_device(names: str) -> str:
    """Return the names of devices without what their makers call them."""
    return re.sub(r" \([^,]*\)(?=,|$)", "", names)
