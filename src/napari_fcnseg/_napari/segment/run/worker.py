"""What runs in a worker thread: generators that give the window its turn and never let an error out.

An error that left a worker would end in a traceback dialog, and a ``RuntimeError`` would end the worker without a word
(superqt takes it for a deleted worker). So each of these returns what became of it instead.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fcnseg._napari.segment.run.request import Segmented
from napari_fcnseg._napari.segment.run.result_layers import result_layers
from napari_fcnseg._napari.widgets.worker import POLL, Outcome, elsewhere, in_background
from napari_fcnseg.system.formatting import duration

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator
    from concurrent.futures import Future

    from napari.layers import Layer

    from napari_fcnseg._napari.segment.run.region_of_interest import Place
    from napari_fcnseg._napari.segment.run.request import Order, Progress
    from napari_fcnseg.proof.precision_trial import PrecisionTrial
    from napari_fcnseg.proof.verification import Verification, Witness
    from napari_fcnseg.run.run import Run, Tile


def segmenting(order: Order) -> Generator[Progress | None, None, Outcome]:
    """Segment; yield each finished tile, and None while there is nothing new.

    The value of the outcome is a :class:`Segmented`, after an error or a stop too if the run had begun.
    """
    segmented: Segmented | None = None
    try:
        segmented = yield from elsewhere(lambda: _prepared(order), order.stop)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=order.stop.is_set())


def resuming(segmented: Segmented) -> Generator[Progress | None, None, Outcome]:
    """Go on with a run that was stopped; as :func:`segmenting` otherwise."""
    try:
        yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=segmented.order.stop.is_set())


def following(order: Order, view: Place) -> Generator[Progress | None, None, Outcome]:
    """Begin to segment what the view shows, in small tiles; as :func:`segmenting` otherwise."""
    segmented: Segmented | None = None

    def prepare() -> Segmented:
        run = run_of(order)
        settings = replace(order.settings, tile=order.settings.tile or small_tile(run))
        segmented = _prepared(replace(order, settings=settings, preview=False))
        segmented.witness.run.schedule.separate()  # a view begins anywhere: nothing above it is to be waited for
        segmented.order = order
        segmented.look_at(view)
        return segmented

    try:
        segmented = yield from elsewhere(prepare, order.stop)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=order.stop.is_set())


def small_tile(run: Run) -> tuple[int, ...]:
    """Return the largest tile, in pixels, that takes a fraction of a second."""
    from napari_fcnseg.plan.tile_size import first_tile

    sizes = tuple(stop - start for start, stop in run.extent)
    return tuple(n * run.settings.every for n in first_tile(run.ways, sizes))


def run_of(order: Order) -> Run:
    """Return an order as a run: everything is checked, nothing is read yet but what it has to lie in."""
    from napari_fcnseg.run.run import Run  # here, because importing it takes the window's time anywhere else

    settings = replace(order.settings, channel_axis=order.source.layout.channel_axis)
    mask = order.inside.mask() if order.inside is not None else None
    return Run(order.source.image, order.models, settings, order.focus, mask)


def _prepared(order: Order) -> Segmented:
    from napari_fcnseg._napari.segment.run.live_result import LiveCanvas
    from napari_fcnseg.proof.verification import Witness

    run = run_of(order)
    canvas = LiveCanvas(run)
    return Segmented(order, Witness(run), canvas, run.total, provenance=run.provenance(), forecast=_forecast(run))


def _forecast(run: Run) -> str:
    """Return how long a run will take, in words, where that may be long."""
    if all(way.method == "dense" for way in run.ways):
        return ""
    from napari_fcnseg.run.time_estimate import estimate_run

    estimate = estimate_run(run)
    how = "Patch by patch" if set(estimate.methods) == {"patchwise"} else "Partly patch by patch"
    return f"{how}: about {duration(estimate.seconds)} for {estimate.pixels:,} pixels on {estimate.device}."


def _compute(segmented: Segmented) -> Generator[Progress | None, None, None]:
    """Compute until all tiles are done or the order is to stop; whatever the end, what is done is shown."""
    order, canvas = segmented.order, segmented.canvas
    # The first layers of a session have napari import and compile for seconds; the engine need not wait for them.
    making = in_background(
        lambda: segmented.layers or tuple(result_layers(order, canvas, segmented.provenance)), "napari-fcnseg-layers"
    )
    yield segmented.progress(())
    problem: Exception | None = None
    try:
        yield from _tiles(segmented, making)
    except Exception as error:
        problem = error
    segmented.provenance = segmented.witness.run.provenance() | {"tiles": [segmented.done, segmented.total]}
    if segmented.done:
        segmented.unpainted = canvas.keep_finished()
        while not making.done():
            time.sleep(POLL)
            yield None
        segmented.layers = making.result()
        yield segmented.progress(segmented.layers)
    if problem is not None:
        raise problem


def _tiles(segmented: Segmented, making: Future[tuple[Layer, ...]]) -> Generator[Progress | None, None, None]:
    """Compute tile after tile; yield when there is a new one, and when the layers to show them in are made."""
    from napari_fcnseg.run.preview import previewed

    run = segmented.witness.run
    pace = _Pace(run.plan.pixels - segmented.canvas.finished_pixels)
    layers = segmented.layers
    with closing(previewed(run, POLL) if segmented.order.preview else run.execute(POLL)) as tiles:
        for tile in tiles:
            made = making.done() and not layers
            layers = making.result() if made else layers
            if tile is not None:
                segmented.see(tile)
                pace.see(tile)
            news = tile is not None or (made and segmented.done)
            yield segmented.progress(layers, pace.left) if news else None
            if segmented.order.stop.is_set():
                return


class _Pace:
    """How long the pixels of a run will take, by those done and the time since the preview, or the first tile."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._done = self._before = 0
        self._since = 0.0
        self.left: float | None = None

    def see(self, tile: Tile) -> None:
        """Take notice of a tile."""
        if not tile.preview:
            self._done += tile.labels.size
        if tile.preview or not self._since:
            self._since, self._before = time.perf_counter(), self._done
        else:
            seconds = time.perf_counter() - self._since
            self.left = seconds / (self._done - self._before) * (self._pixels - self._done)


def comparing(order: Order) -> Generator[None, None, Outcome]:
    """Compare the precision of an order with the exact one; the value of the outcome is a ``PrecisionTrial``."""

    def compare() -> PrecisionTrial:
        from napari_fcnseg.proof.precision_trial import try_run

        return try_run(run_of(order))

    try:
        trial: PrecisionTrial | None = yield from elsewhere(compare, order.stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(trial, cancelled=trial is None)


def verifying(witness: Witness, stop: threading.Event) -> Generator[None, None, Outcome]:
    """Compare a run with the patch model itself; the value of the outcome is a ``Verification``."""
    try:
        verification: Verification | None = yield from elsewhere(witness.testify, stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(verification, cancelled=verification is None)
