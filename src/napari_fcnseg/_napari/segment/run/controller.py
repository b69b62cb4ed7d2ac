"""One run at a time: the worker thread, and what the window shows of it."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.layers.edits import may_be_edited, with_edits
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.segment.run.activity import Activity
from napari_fcnseg._napari.segment.run.leaving import leave
from napari_fcnseg._napari.segment.run.messages import at_the_end, checked, going_on
from napari_fcnseg._napari.segment.run.result_layers import ResultLayers, result_name
from napari_fcnseg._napari.segment.run.stopped import run_of, show_progress
from napari_fcnseg._napari.segment.run.worker import (
    compare_precision_worker,
    follow_worker,
    resume_worker,
    saved_worker,
    segment_worker,
    verify_worker,
)  # fmt: skip
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.problems import notify_error
from napari_fcnseg._napari.widgets.worker import drive, is_expected
from napari_fcnseg.errors import InMemoryError
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.run.region_of_interest import RegionOfInterest
    from napari_fcnseg._napari.segment.run.request import RunProgress, RunRequest, RunResult
    from napari_fcnseg._napari.segment.run.run_box import RunBox
    from napari_fcnseg._napari.segment.run.saved import SavedRun
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.proof.verification import Verification

_LOOK_MILLISECONDS = 50


class RunController(QObject):
    """Runs requests in a worker thread and keeps the dock and the layers up to date.

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
    last : RunResult or None
        The last run, be it whole or stopped.
    verification : Verification or None
        Of the last run.
    """

    #: Emitted when a worker has begun, and when one has ended.
    begun = Signal()
    ended = Signal()
    #: Emitted with the layers of a run, the labels last, at its end.
    shown = Signal(object)

    def __init__(self, viewer: Viewer, box: RunBox, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._box = viewer, box
        self._work: list[Generator[Any, None, Outcome]] = []  # at most one; in a list, which outlives this object
        self._outcome: Outcome | None = None
        self._ended = False
        self._finish: Callable[[Outcome | None], None] | None = None
        self._activity: Activity | None = None
        self._results: ResultLayers | None = None
        self._selected: weakref.ref[Layer] | None = None
        self._latest: RunProgress | None = None
        self._shown: RunProgress | None = None
        self._said = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        self.last: RunResult | None = None
        self.verification: Verification | None = None
        self._made: tuple[Layer, ...] = ()  # by the last run
        self._verify_next = False
        self.follows = False  # whether the last run goes where the view goes
        self.stopped = False  # whether the user stopped it, or it failed
        self._stops = [threading.Event()]  # of what runs; see above
        self._asked = 0.0  # when it was
        stops, work = self._stops, self._work
        self._open: list[Activity | ResultLayers] = []  # what shows the run, in a list that outlives this object
        shown = self._open
        at_end(parent, lambda: leave(stops[-1], work, shown))

    @property
    def running(self) -> bool:
        """Whether a worker is at work."""
        return bool(self._work)

    @property
    def computes(self) -> bool:
        """Whether a result is being computed."""
        return self.running and self._results is not None

    def segment(self, request: RunRequest) -> None:
        """Start a run."""
        self.follows = False
        self._run(segment_worker, (request,), request, f"Preparing {request.source.layers[0].name}…")

    def select(self, layer: Layer | None) -> None:
        """Take notice of the result that the user looks at: if its run was stopped, it is the one to resume."""
        self._selected = weakref.ref(layer) if layer is not None else None
        if not self.running:
            self._offer_resume()

    def resume(self) -> None:
        """Go on with the run of the selected result, else the last one, if it was stopped and is still there."""
        stopped = self._stopped()
        if stopped is not None and not self.running:
            self.follows = False
            stopped.look_at(None)
            self._go_on(stopped, "Resuming…")

    def resume_saved(self, request: RunRequest, saved: SavedRun) -> None:
        """Go on with a run that was stopped and saved."""
        self.follows = False
        self._run(saved_worker, (request, saved), request, f"Resuming {saved.path.name}…")

    def follow(self, request: RunRequest, view: RegionOfInterest) -> None:
        """Segment what the view shows: go on with the last run if it does that, and begin one otherwise."""
        last = self.last
        if self.follows and last is not None and last.request.same_as(request) and self._shows(last):
            if last.look_at(view):
                self._go_on(last, "Following the view…")
        else:
            self.follows = True
            self._run(follow_worker, (request, view), request, "Following the view…")

    @property
    def resumable(self) -> bool:
        """Whether the run of the selected result, or the last one, was stopped and can go on."""
        return not self.running and self._stopped() is not None

    def _offer_resume(self) -> None:
        """Offer to resume, but not what goes where the view goes."""
        self._box.offer_resume(self.resumable and not (self.follows and self._stopped() is self.last))

    def _stopped(self) -> RunResult | None:
        selected = run_of(self._selected()) if self._selected is not None else None
        for segmented in (selected, self.last):
            if segmented is not None and 0 < segmented.done < segmented.total and self._shows(segmented):
                return segmented
        return None

    def _shows(self, segmented: RunResult) -> bool:
        return bool(segmented.layers) and all(layer in self._viewer.layers for layer in segmented.layers)

    def _go_on(self, segmented: RunResult, text: str) -> None:
        segmented.request = replace(segmented.request, stop=threading.Event())
        self._run(resume_worker, (segmented,), segmented.request, text, segmented.layers)

    def _run(
        self,
        function: Callable[..., Generator[Any, None, Outcome]],
        arguments: tuple[Any, ...],
        request: RunRequest,
        text: str,
        layers: tuple[Layer, ...] = (),
    ) -> None:
        self._results, self.last = ResultLayers(self._viewer, layers), None
        if layers:
            show_progress(layers, 1, 1)  # it goes on: nothing is missing for good
        self._box.certificate.setVisible(False)
        self.verification, self._made, self._latest, self._shown, self._said = None, (), None, None, ""
        self.begin(function, arguments, text, self._segmented, request.stop)
        self._activity = Activity(self._box, result_name(request))
        self._open[:] = [self._results, self._activity]

    def verify(self, request: RunRequest) -> None:
        """Verify the last run if it was the same, otherwise a new one."""
        if self.last is not None and self.last.done and self.last.request.same_as(request):
            self._testify(self.last)
        else:
            self._verify_next = True
            self.segment(request)

    def compare(self, request: RunRequest) -> None:
        """Say what the precision of a request would bring and cost."""
        text = f"Comparing {request.settings.precision} with float32 on a part of the image…"
        self.begin(compare_precision_worker, (request,), text, self._compared, request.stop)

    def stop(self) -> None:
        """Stop what runs; finished tiles are kept."""
        self._stops[-1].set()
        self._verify_next, self.stopped = False, True
        if self.running:
            self._box.stopping()

    def interrupt(self) -> None:
        """Stop what runs because something else is to run."""
        self._stops[-1].set()

    def writes_into(self, layer: Layer) -> bool:
        """Whether what runs still writes into a layer."""
        return self.running and self._results is not None and layer in self._results.layers

    def forget(self, layer: Layer) -> None:
        """React to a layer's removal from the viewer: a removed result is not computed any further."""
        if self.running and self._results is not None and self._results.labels is layer:
            self.stop()
        self._box.offer_resume(self.resumable)

    def report_problem(self, error: Exception) -> None:
        """Say what went wrong, once: in the dock where that is in sight, else as a notification as well."""
        seen = is_expected(error) and self._box.in_sight
        self._box.complain(str(error) if seen else notify_error(error), save_image=isinstance(error, InMemoryError))

    def begin(
        self,
        function: Callable[..., Generator[Any, None, Outcome]],
        arguments: tuple[Any, ...],
        text: str,
        finish: Callable[[Outcome | None], None],
        stop: threading.Event,
    ) -> None:
        """Have a worker do something that Cancel stops; what it returns is handed on when it has ended."""
        self._stops[-1], self.stopped = stop, False
        self._outcome, self._ended, self._finish, self._asked = None, False, finish, time.perf_counter()
        self._box.offer_resume(False)
        self._box.busy(text)
        slots = {"yielded": self._on_progress, "returned": self._on_outcome, "finished": self._on_finished}
        self._timer.start()
        self._work.append(function(*arguments))
        create_worker(drive, self._work[-1], _connect=slots, _ignore_errors=True)
        self.begun.emit()

    def _on_progress(self, progress: RunProgress | None) -> None:
        if progress is not None:
            self._latest = progress

    def _look(self) -> None:
        """Show the latest; tiles may come faster than a window can be drawn."""
        if self._activity is not None and self._activity.canceled and not self._stops[-1].is_set():
            self.stop()
        shown = True
        if self._latest is not None and self._results is not None:
            news = self._latest is not self._shown
            shown = self._results.take(self._latest, self._ended)
            if shown:  # both at once: whatever changes has Qt put the whole window together anew
                self._advance(self._latest)
            if self._activity is not None and not (self._results.drew or (shown and news)):
                self._activity.advance(self._latest.done, self._latest.total)
        if self._ended and shown and self.running:  # the event queue has run meanwhile, and may have concluded
            self._conclude()

    def _advance(self, progress: RunProgress) -> None:
        doing = going_on(progress, self._asked)
        if doing != self._said:
            self._said = doing
            self._box.say(doing)
        news, self._shown = progress is not self._shown, progress
        if news and progress.done:
            self._box.advance(progress.done, progress.total, progress.seconds_left)

    def _on_outcome(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def _on_finished(self) -> None:
        self._ended = True
        self._look()

    def _conclude(self) -> None:
        """Leave the dock ready, however the worker ended; without an outcome napari has stopped it."""
        self._timer.stop()
        finish, self._finish = self._finish, None
        in_background(self._work.pop().close, "napari-fcnseg-end")  # napari may have stopped the worker in the middle
        if self._activity is not None:
            self._activity.close()
            self._activity = None
        self._open.clear()
        self._box.ready()
        if finish is not None:
            finish(self._outcome)
        self._offer_resume()
        self.ended.emit()

    def _segmented(self, outcome: Outcome | None) -> None:
        segmented: RunResult | None = outcome.value if outcome is not None else None
        if segmented is not None:
            segmented.waited += time.perf_counter() - self._asked
            if self.follows:  # what the view does not show counted as done
                segmented.done, segmented.total = segmented.count()
        if self._results is not None:
            self._results.finish(self._latest, segmented.provenance if segmented is not None else None)
            self._made = self._results.layers
            if segmented is not None and not self.follows:
                show_progress(self._made, segmented.done, segmented.total)
        self._results, self._latest, self.last = None, None, segmented
        if self._made:
            self.shown.emit(self._made)
        verify, self._verify_next = self._verify_next, False
        if outcome is not None and outcome.error is not None:
            self.stopped = True
            self.report_problem(outcome.error)
        else:
            self._box.say(*at_the_end(segmented, follows=self.follows))
            if verify and segmented is not None and segmented.done == segmented.total:
                self._testify(segmented)

    def came(self, outcome: Outcome | None) -> bool:
        """Say why nothing came of a request; return whether something did."""
        if outcome is None or outcome.cancelled:
            self._box.say("Stopped.")
        elif outcome.error is not None:
            self.report_problem(outcome.error)
        return outcome is not None and not outcome.cancelled and outcome.error is None

    def _compared(self, outcome: Outcome | None) -> None:
        if self.came(outcome) and outcome is not None:
            self._box.say(str(outcome.value))

    def _testify(self, segmented: RunResult) -> None:
        stop, layers = threading.Event(), tuple(layer for layer in segmented.layers if may_be_edited(layer))
        arguments = (segmented.sampler, layers, stop)
        self.begin(verify_worker, arguments, "Checking against the original model…", self._verified, stop)

    def _verified(self, outcome: Outcome | None) -> None:
        if self.came(outcome) and outcome is not None:
            self.verification, edits = outcome.value
            certificate = self.verification.certificate.as_dict()
            for layer in self._made:
                entry = {**layer.metadata.get(METADATA, {}), "certificate": certificate}
                layer.metadata[METADATA] = with_edits(entry, edits.get(layer, 0))
            self._box.certificate.setVisible(True)
            said = checked(self.verification, sum(edits.values()))
            self._box.say(said)
            if not self._box.in_sight:
                show_info(said)
