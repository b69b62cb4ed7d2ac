"""One run at a time: the worker thread, and what the window shows of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils import cancelable_progress
from napari.utils.notifications import notification_manager, show_error, show_info
from qtpy.QtCore import QObject, QTimer

from napari_fcnseg._napari.channels import METADATA
from napari_fcnseg._napari.geometry import looked_at, placed
from napari_fcnseg._napari.job import comparing, is_expected, segmenting, verifying
from napari_fcnseg._napari.orders import Order
from napari_fcnseg._napari.result import ResultLayers, result_name
from napari_fcnseg._napari.spinner import set_spinning
from napari_fcnseg.wording import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.channels import Source
    from napari_fcnseg._napari.hints import Hints
    from napari_fcnseg._napari.orders import Outcome, Progress, Segmented
    from napari_fcnseg._napari.run_box import RunBox
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.verification import Verification

_LOOK_MILLISECONDS = 50


class LiveRun(QObject):
    """Runs orders in a worker thread and keeps the dock and the layers up to date.

    Parameters
    ----------
    viewer : Viewer
        Where results appear.
    box : RunBox
        Where progress and messages appear.
    parent : QObject
        What it belongs to; a run stops when that ends.

    Attributes
    ----------
    last : Segmented or None
        The last run, be it whole or stopped.
    verification : Verification or None
        Of the last run.
    """

    def __init__(self, viewer: Viewer, box: RunBox, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._box = box
        self._worker: Any = None
        self._outcome: Outcome | None = None
        self._ended = False
        self._finish: Callable[[Outcome | None], None] | None = None
        self._bar: cancelable_progress | None = None
        self._results: ResultLayers | None = None
        self._latest: Progress | None = None
        self._shown: Progress | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        self.last: Segmented | None = None
        self.verification: Verification | None = None
        self._made: tuple[Layer, ...] = ()  # by the last run
        self._verify_next = False
        self._stops = [threading.Event()]  # of what runs; in a list that outlives this object
        parent.destroyed.connect(lambda _=None, stops=self._stops: stops[-1].set())

    @property
    def running(self) -> bool:
        """Whether a worker is at work."""
        return self._worker is not None

    def order(
        self, source: Source, models: tuple[PatchModel, ...], settings: RunSettings, hints: Hints, preview: bool = False
    ) -> Order:
        """Return the snapshot that a run works from."""
        layer, dropped = source.layers[0], source.dropped_axis
        place, spanned = placed(layer, dropped, source.need.spatial, settings.every)
        focus = looked_at(layer, dropped, self._viewer)
        return Order(source, models, settings, hints, place, spanned, focus, preview)

    def segment(self, order: Order) -> None:
        """Start a run."""
        self._results, self.last = ResultLayers(self._viewer), None
        self.verification, self._made = None, ()
        self._box.certificate.hide()
        self._latest = self._shown = None
        self._stops[-1] = order.stop
        self._begin(segmenting, (order,), f"Preparing {order.source.layers[0].name}…", self._segmented)
        self._bar = cancelable_progress(total=0, desc=result_name(order))
        set_spinning(self._box, fast=False)

    def verify(self, order: Order) -> None:
        """Verify the last run if it was the same, otherwise a new one."""
        if self.last is not None and self.last.done and self.last.order.same_as(order):
            self._testify(self.last)
        else:
            self._verify_next = True
            self.segment(order)

    def compare(self, order: Order) -> None:
        """Say what the precision of an order would bring and cost."""
        self._stops[-1] = order.stop
        text = f"Comparing {order.settings.precision} with float32 on a part of the image…"
        self._begin(comparing, (order,), text, self._compared)

    def stop(self) -> None:
        """Stop what runs; finished tiles are kept."""
        self._stops[-1].set()
        self._verify_next = False
        if self.running:
            self._box.stopping()

    def forget(self, layer: Layer) -> None:
        """Take notice that a layer was removed from the viewer: nobody waits for a removed result."""
        if self.running and self._results is not None and self._results.labels is layer:
            self.stop()

    def report_problem(self, error: Exception) -> None:
        """Say what went wrong, in the dock and as a notification; never end the session for it."""
        if is_expected(error):
            self._box.complain(str(error))
            show_error(str(error))
        else:
            self._box.complain(f"Something went wrong that should not have: {type(error).__name__}: {error}")
            notification_manager.receive_error(type(error), error, error.__traceback__)

    def _begin(
        self,
        function: Callable[..., Generator[Any, None, Outcome]],
        arguments: tuple[Any, ...],
        text: str,
        finish: Callable[[Outcome | None], None],
    ) -> None:
        self._outcome, self._ended, self._finish = None, False, finish
        self._box.busy(text)
        slots = {"yielded": self._on_progress, "returned": self._on_outcome, "finished": self._on_finished}
        self._timer.start()
        self._worker = create_worker(function, *arguments, _connect=slots, _ignore_errors=True)

    def _on_progress(self, progress: Progress | None) -> None:
        if progress is not None:
            self._latest = progress

    def _look(self) -> None:
        """Show the latest; tiles may come faster than a window can be drawn."""
        if self._bar is not None and self._bar.is_canceled and not self._stops[-1].is_set():
            self.stop()
        shown = True
        if self._latest is not None and self._results is not None:
            shown = self._results.take(self._latest, self._ended)
            if shown:  # both at once: whatever changes has Qt put the whole window together anew
                self._advance(self._latest)
        if self._ended and shown:
            self._conclude()

    def _advance(self, progress: Progress) -> None:
        if progress is self._shown:
            return
        if self._shown is None or self._shown.said != progress.said:
            tiles = "" if progress.total == 1 else f" {progress.total} tiles"
            self._box.say(f"{progress.said} Computing{tiles}…".lstrip())
        self._shown = progress
        if progress.done:
            self._box.advance(progress.done, progress.total, progress.seconds_left)
        if self._bar is not None:
            self._bar.total = progress.total
            self._bar.update(progress.done - self._bar.n)  # napari lets the whole event queue run in this

    def _on_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _on_finished(self) -> None:
        self._ended = True
        self._look()

    def _conclude(self) -> None:
        """Leave the dock ready, however the worker ended; without an outcome napari has stopped it."""
        self._timer.stop()
        finish, self._finish, self._worker = self._finish, None, None
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            set_spinning(self._box, fast=True)
        self._box.ready()
        if finish is not None:
            finish(self._outcome)

    def _segmented(self, outcome: Outcome | None) -> None:
        segmented: Segmented | None = outcome.value if outcome is not None else None
        if self._results is not None:
            self._results.finish(self._latest, segmented.provenance if segmented is not None else None)
            self._made = self._results.layers
        self._results, self._latest, self.last = None, None, segmented
        verify, self._verify_next = self._verify_next, False
        if outcome is not None and outcome.error is not None:
            self.report_problem(outcome.error)
        elif segmented is None or segmented.done < segmented.total:
            kept = f": {segmented.done} of {segmented.total} tiles are done and kept" if segmented is not None else ""
            back = " The preview is taken back where no tile was done." if segmented and segmented.unpainted else ""
            self._box.say(f"Stopped{kept}.{back}")
        else:
            self._box.say(_summary(segmented))
            if verify:
                self._testify(segmented)

    def _compared(self, outcome: Outcome | None) -> None:
        if outcome is None or outcome.cancelled:
            self._box.say("Stopped.")
        elif outcome.error is not None:
            self.report_problem(outcome.error)
        else:
            self._box.say(str(outcome.value))

    def _testify(self, segmented: Segmented) -> None:
        self._stops[-1] = threading.Event()
        self._begin(verifying, (segmented.witness, self._stops[-1]), "Asking the patch model itself…", self._verified)

    def _verified(self, outcome: Outcome | None) -> None:
        if outcome is None or outcome.cancelled:
            self._box.say("Stopped.")
        elif outcome.error is not None:
            self.report_problem(outcome.error)
        else:
            self.verification = outcome.value
            certificate = outcome.value.certificate.as_dict()
            for layer in self._made:
                layer.metadata[METADATA] = {**layer.metadata.get(METADATA, {}), "certificate": certificate}
            self._box.certificate.show()
            self._box.say(str(outcome.value))
            show_info(str(outcome.value))


def _summary(segmented: Segmented) -> str:
    """Return what was done, how long it took, and where."""
    seconds, device = segmented.provenance["seconds"], segmented.provenance["device"]
    shape = " × ".join(map(str, segmented.witness.run.result_shape))
    return " ".join(
        [
            f"Done: {shape} pixels in {duration(seconds)} on {device}.",
            *segmented.witness.run.notes,
            "Press Verify to compare with the patch model itself.",
        ]
    )
