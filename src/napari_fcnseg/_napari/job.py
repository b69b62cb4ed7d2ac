"""What runs in a worker thread: generators that give the window its turn and never let an error out.

An error that left a worker would end in a traceback dialog, and a ``RuntimeError`` would end the worker without a word
(superqt takes it for a deleted worker). So each of these returns what became of it instead.
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_fcnseg._napari.orders import Loaded, Outcome, Segmented
from napari_fcnseg._napari.result import result_layers
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.wording import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Layer

    from napari_fcnseg._napari.orders import Order, Progress
    from napari_fcnseg._napari.sample_data import LayerData
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.precision import PrecisionTrial
    from napari_fcnseg.run import Run, Tile
    from napari_fcnseg.verification import Verification, Witness

T = TypeVar("T")

#: Seconds after which a worker looks whether it should stop.
POLL = 0.05


def segmenting(order: Order) -> Generator[Progress | None, None, Outcome]:
    """Segment; yield each finished tile, and None while there is nothing new.

    The value of the outcome is a :class:`Segmented`, after an error or a stop too if the run had begun.
    """
    segmented: Segmented | None = None
    try:
        segmented = yield from _prepare(order)
        if segmented is not None:
            yield from _compute(segmented)
    except Exception as error:
        return Outcome(segmented, error)
    return Outcome(segmented, cancelled=order.stop.is_set())


def _prepare(order: Order) -> Generator[None, None, Segmented | None]:
    """Check everything; return None if asked to stop."""
    from napari_fcnseg._napari.canvas import LiveCanvas
    from napari_fcnseg.run import Run  # here, because importing them takes the window's time anywhere else
    from napari_fcnseg.verification import Witness

    settings = replace(order.settings, channel_axis=order.source.layout.channel_axis)

    def prepare() -> Segmented:
        run = Run(order.source.image, order.models, settings, order.focus)
        canvas = LiveCanvas(run)
        return Segmented(order, Witness(run), canvas, run.total, provenance=run.provenance(), forecast=_forecast(run))

    return (yield from _elsewhere(prepare, order.stop))


def _forecast(run: Run) -> str:
    """Return how long a run will take, in words, where that may be long."""
    if all(way.method == "dense" for way in run.ways):
        return ""
    from napari_fcnseg.estimation import estimate_run

    estimate = estimate_run(run)
    how = "Patch by patch" if set(estimate.methods) == {"patchwise"} else "Partly patch by patch"
    return f"{how}: about {duration(estimate.seconds)} for {estimate.pixels:,} pixels on {estimate.device}."


def _compute(segmented: Segmented) -> Generator[Progress | None, None, None]:
    """Compute until all tiles are done or the order is to stop; whatever the end, what is done is shown."""
    order, canvas = segmented.order, segmented.canvas
    # The first layers of a session have napari import and compile for seconds; the engine need not wait for them.
    making = in_background(lambda: tuple(result_layers(order, canvas, segmented.provenance)), "napari-fcnseg-layers")
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
        yield segmented.progress(making.result())
    if problem is not None:
        raise problem


def _tiles(segmented: Segmented, making: Future[tuple[Layer, ...]]) -> Generator[Progress | None, None, None]:
    """Compute tile after tile; yield when there is a new one, and when the layers to show them in are made."""
    from napari_fcnseg.preview import previewed

    run, pace = segmented.witness.run, _Pace(math.prod(segmented.labels.shape))
    layers: tuple[Layer, ...] = ()
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
    """How long a run will take, by the pixels done and the time since the preview, or since the first tile."""

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
        from napari_fcnseg.precision import try_run
        from napari_fcnseg.run import Run

        settings = replace(order.settings, channel_axis=order.source.layout.channel_axis)
        return try_run(Run(order.source.image, order.models, settings))

    try:
        trial: PrecisionTrial | None = yield from _elsewhere(compare, order.stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(trial, cancelled=trial is None)


def verifying(witness: Witness, stop: threading.Event) -> Generator[None, None, Outcome]:
    """Compare a run with the patch model itself; the value of the outcome is a ``Verification``."""
    try:
        verification: Verification | None = yield from _elsewhere(witness.testify, stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(verification, cancelled=verification is None)


def loading(paths: tuple[str, ...], output: str, request: int) -> Generator[None, None, Loaded]:
    """Read and convert model files, several as an ensemble, and the sidecars beside them.

    Parameters
    ----------
    paths : tuple of str
        The files.
    output : str
        Which answer of models with several; empty for the first.
    request : int
        Number that is handed back.
    """

    def load() -> tuple[PatchModel, ...]:
        from napari_fcnseg.model import as_ensemble, load_model

        models = as_ensemble([load_model(path, output) for path in paths] if output else paths)
        for model in models:
            _ = model.sidecar  # read here; it is remembered
        return models

    outcome = yield from working(load)
    return Loaded(paths, outcome.value or (), outcome.error, request)


def sampling(name: str) -> Generator[None, None, Outcome]:
    """Make a sample's layers; the value of the outcome is their data."""

    def make() -> list[LayerData]:
        from napari_fcnseg._napari.sample_data import sample_layers

        return sample_layers(name)

    return (yield from working(make))


def working(function: Callable[[], Any]) -> Generator[None, None, Outcome]:
    """Call a function; its result is the value of the outcome. napari may close in the meantime."""
    try:
        return Outcome((yield from _elsewhere(function, threading.Event())))
    except Exception as error:
        return Outcome(error=error)


def is_expected(error: Exception) -> bool:
    """Whether an error is a sentence for the user, and no fault of the program."""
    return isinstance(error, FcnSegError)


def in_background(function: Callable[[], T], name: str) -> Future[T]:
    """Call a function in a thread that nobody has to wait for, not even at the end of the program."""
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name=name, daemon=True).start()
    return future


def _elsewhere(function: Callable[[], T], stop: threading.Event) -> Generator[None, None, T | None]:
    """Wait for a function that cannot be interrupted, yielding None; return None at once when asked to stop."""
    future = in_background(function, "napari-fcnseg-work")
    while not stop.is_set():
        try:
            return future.result(timeout=POLL)
        except TimeoutError:
            if future.done():
                raise
            yield None
    return None
