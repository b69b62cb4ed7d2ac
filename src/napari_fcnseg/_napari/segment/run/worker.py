"""Generators that run in a worker thread: they yield often, and return errors instead of raising them.

An error that left a worker would end in a traceback dialog, and a ``RuntimeError`` would end the worker without a word
(superqt takes it for a deleted worker). So each of these returns what became of it instead.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fcnseg._napari.layers.edits import edited_pixels
from napari_fcnseg._napari.segment.run.request import RunResult
from napari_fcnseg._napari.segment.run.result_layers import result_layers
from napari_fcnseg._napari.segment.run.saved import check_image, in_result_axes
from napari_fcnseg._napari.segment.run.stopped import belong_to
from napari_fcnseg._napari.widgets.worker import POLL, Outcome, wait_in_worker
from napari_fcnseg.system.background import in_background
from napari_fcnseg.system.formatting import format_duration

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from concurrent.futures import Future

    from napari.layers import Layer

    from napari_fcnseg._napari.segment.run.region_of_interest import RegionOfInterest
    from napari_fcnseg._napari.segment.run.request import RunProgress, RunRequest
    from napari_fcnseg._napari.segment.run.saved import SavedRun
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.proof.precision_trial import PrecisionTrial
    from napari_fcnseg.proof.verification import Verification, VerificationSampler
    from napari_fcnseg.run.run import Run, Tile


def segment_worker(request: RunRequest) -> Generator[RunProgress | None, None, Outcome]:
    """Segment; yield each finished tile, and None while there is nothing new.

    The value of the outcome is a :class:`RunResult`, after an error or a stop too if the run had begun.
    """
    segmented: RunResult | None = None
    try:
        segmented = yield from wait_in_worker(lambda: _prepared(request), request.stop)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=request.stop.is_set())


def resume_worker(segmented: RunResult) -> Generator[RunProgress | None, None, Outcome]:
    """Go on with a run that was stopped; as :func:`segment_worker` otherwise."""
    try:
        yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=segmented.request.stop.is_set())


def saved_worker(request: RunRequest, saved: SavedRun) -> Generator[RunProgress | None, None, Outcome]:
    """Go on with a run that was stopped and saved; as :func:`segment_worker` otherwise."""
    segmented: RunResult | None = None

    def prepare() -> RunResult:
        check_image(saved, request.source)
        segmented = _prepared(replace(request, preview=False))
        segmented.result.restore(in_result_axes(saved.labels, request.source), saved.finished)
        segmented.look_at(None)
        segmented.done, segmented.total = segmented.count()
        return segmented

    try:
        segmented = yield from wait_in_worker(prepare, request.stop)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=request.stop.is_set())


def follow_worker(request: RunRequest, view: RegionOfInterest) -> Generator[RunProgress | None, None, Outcome]:
    """Begin to segment what the view shows, in small tiles; as :func:`segment_worker` otherwise."""
    segmented: RunResult | None = None

    def prepare() -> RunResult:
        tile = request.settings.tile or small_tile(plan_of(request))
        small = replace(request, settings=replace(request.settings, tile=tile), preview=False)
        segmented = _prepared(small, separate=True)  # a view begins anywhere: nothing above it is to be waited for
        segmented.request = request
        segmented.look_at(view)
        return segmented

    try:
        segmented = yield from wait_in_worker(prepare, request.stop)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=request.stop.is_set())


def small_tile(plan: RunPlan) -> tuple[int, ...]:
    """Return the largest tile, in pixels, that takes a fraction of a second."""
    from napari_fcnseg.plan.tile_size import first_tile

    sizes = tuple(stop - start for start, stop in plan.extent)
    return tuple(n * plan.settings.every for n in first_tile(plan.methods, sizes))


def plan_of(request: RunRequest, *, separate: bool = False) -> RunPlan:
    """Return how a request is computed: everything is checked, nothing is read yet but what it has to lie in."""
    from napari_fcnseg.plan.run_plan import (
        make_plan,  # imported here: anywhere else it would block the window
    )

    settings = replace(request.settings, channel_axis=request.source.layout.channel_axis)
    mask = request.inside.mask() if request.inside is not None else None
    return make_plan(request.source.image, request.models, settings, request.focus, mask, separate=separate)


def _prepared(request: RunRequest, *, separate: bool = False) -> RunResult:
    from napari_fcnseg._napari.segment.run.live_result import LiveResult
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run.run import Run

    plan = plan_of(request, separate=separate)
    run: Run
    if remote := bool(request.cluster) and not separate:  # a view that is followed is looked at tile by tile
        from napari_fcnseg.run.cluster.fetching import FetchingRun

        run = FetchingRun(plan, request.cluster)
    else:
        run = Run(plan)
    result = LiveResult(run)
    return RunResult(
        request,
        VerificationSampler(run),
        result,
        run.total,
        provenance=run.provenance(),
        forecast="" if remote else _forecast(run),
    )


def _forecast(run: Run) -> str:
    """Return how long a run will take, in words, where that may be long."""
    if all(method.name != "patchwise" for method in run.plan.methods):
        return ""
    from napari_fcnseg.run.time_estimate import estimate_run

    estimate = estimate_run(run)
    how = "Patch by patch" if set(estimate.methods) == {"patchwise"} else "Partly patch by patch"
    return f"{how}: about {format_duration(estimate.seconds)} for {estimate.pixels:,} pixels on {estimate.device}."


def _compute(segmented: RunResult) -> Generator[RunProgress | None, None, None]:
    """Compute until all tiles are done or the request is to stop; whatever the end, what is done is shown."""
    result = segmented.result
    # The first layers of a session have napari import and compile for seconds; the engine need not wait for them.
    making = in_background(lambda: _layers_of(segmented), "napari-fcnseg-layers")
    yield segmented.progress(())
    problem: Exception | None = None
    try:
        yield from _tiles(segmented, making)
    except GeneratorExit:  # the dock was closed
        result.keep_finished()
        raise
    except Exception as error:
        problem = error
    segmented.provenance = segmented.sampler.run.provenance() | {"tiles": [segmented.done, segmented.total]}
    if segmented.done:
        segmented.unpainted = result.keep_finished()
        while not making.done():
            time.sleep(POLL)
            yield None
        segmented.layers = making.result()
        yield segmented.progress(segmented.layers)
    if problem is not None:
        raise problem


def _layers_of(segmented: RunResult) -> tuple[Layer, ...]:
    """Return the layers of a run, made if there are none; they know it from now on, whatever becomes of the dock."""
    if not segmented.layers:
        segmented.layers = tuple(result_layers(segmented.request, segmented.result, segmented.provenance))
        belong_to(segmented.layers, segmented)
    return segmented.layers


def _tiles(segmented: RunResult, making: Future[tuple[Layer, ...]]) -> Generator[RunProgress | None, None, None]:
    """Compute tile after tile; yield when there is a new one, and when the layers to show them in are made."""
    from napari_fcnseg.run.preview import execute_with_preview

    run, skip = segmented.sampler.run, segmented.skip
    pace = _Pace(run.plan.summary.pixels - segmented.result.finished_pixels)
    layers, preview = segmented.layers, segmented.request.preview and not segmented.request.cluster
    with closing(execute_with_preview(run, POLL, skip) if preview else run.execute(POLL, skip)) as tiles:
        for tile in tiles:
            made = making.done() and not layers
            layers = making.result() if made else layers
            if tile is not None:
                segmented.see(tile)
                pace.see(tile)
            news = tile is not None or (made and segmented.done)
            yield segmented.progress(layers, pace.left) if news else None
            if segmented.request.stop.is_set():
                return


class _Pace:
    """How long the pixels of a run will take, by those done and the time since the preview, or the first tile."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._done = self._before = 0
        self._since = 0.0
        self.left: float | None = None

    def see(self, tile: Tile) -> None:
        """Record a tile."""
        if not tile.preview:
            self._done += tile.labels.size
        if tile.preview or not self._since:
            self._since, self._before = time.perf_counter(), self._done
        else:
            seconds = time.perf_counter() - self._since
            self.left = seconds / (self._done - self._before) * (self._pixels - self._done)


def compare_precision_worker(request: RunRequest) -> Generator[None, None, Outcome]:
    """Compare the precision of a request with the exact one; the value of the outcome is a ``PrecisionTrial``."""

    def compare() -> PrecisionTrial:
        from napari_fcnseg.proof.precision_trial import try_run
        from napari_fcnseg.run.run import Run

        return try_run(Run(plan_of(request)))

    try:
        trial: PrecisionTrial | None = yield from wait_in_worker(compare, request.stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(trial, cancelled=trial is None)


def verify_worker(
    sampler: VerificationSampler, layers: tuple[Layer, ...], stop: threading.Event
) -> Generator[None, None, Outcome]:
    """Compare a run with the patch model itself.

    The value of the outcome is a ``Verification``, with how many labels of each layer were edited by hand since.
    """

    def verify() -> tuple[Verification, dict[Layer, int]]:
        return sampler.verify(), {layer: edited_pixels(layer) for layer in layers}

    try:
        verification: tuple[Verification, dict[Layer, int]] | None = yield from wait_in_worker(verify, stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(verification, cancelled=verification is None)
