"""The forecast above Run: tiles, memory, time and device."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer

from napari_fcnseg._napari.segment.run.messages import short_device
from napari_fcnseg._napari.segment.run.worker import plan_of
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.worker import is_expected, wait_in_worker
from napari_fcnseg.engine import engine
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.system.formatting import format_bytes, format_duration, format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_fcnseg._napari.segment.run.controller import RunController
    from napari_fcnseg._napari.segment.run.request import RunRequest
    from napari_fcnseg._napari.segment.run.run_box import RunBox
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan

#: Choices that come quickly after each other are waited for.
_STILL_MILLISECONDS = 500
_ENGINE_MILLISECONDS = 250


class PlanPreview(QObject):
    """Keeps the line above Run up to date: the plan at once, and the time once a small part was computed.

    Parameters
    ----------
    box : RunBox
        Where the line is.
    controller : RunController
        What runs: nothing is foretold meanwhile.
    request : callable
        Returns what is chosen now; raises FcnSegError if something is missing.
    parent : QObject
        What it belongs to.
    """

    def __init__(
        self, box: RunBox, controller: RunController, request: Callable[[], RunRequest], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._box, self._controller, self._request = box, controller, request
        self._stops = [threading.Event()]  # of the latest question; in a list, which outlives this object
        self._number = 0
        self._open = False  # whether the last question has no whole answer yet
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        controller.begun.connect(self._hush)
        controller.ended.connect(self._go_on)
        stops = self._stops
        at_end(parent, lambda: stops[-1].set())

    def refresh(self) -> None:
        """Ask again soon: something that was chosen has changed."""
        self._hush()
        self._open = True
        self._timer.start(_STILL_MILLISECONDS)

    def _go_on(self) -> None:
        """Ask what a run came before."""
        if self._open:
            self.refresh()

    def _hush(self) -> None:
        """Want no answer to the last question any more."""
        self._timer.stop()
        self._stops[-1].set()
        self._number += 1

    def _ask(self) -> None:
        if self._controller.running or not self._box.isEnabled():  # a batch or the doctor has the engine
            return
        try:
            request = self._request()
        except FcnSegError:
            self._open = False
            self._box.show_forecast("")  # image and model say themselves what is missing
            return
        if not engine().warm:  # starting takes a processor core for seconds: a plan can wait
            self._timer.start(_ENGINE_MILLISECONDS)
            return
        self._stops[-1] = request.stop
        slots = {"yielded": self._take, "returned": self._take_last}
        create_worker(preview_worker, request, self._number, _connect=slots, _ignore_errors=True)

    def _take(self, answer: Forecast | None) -> None:
        if answer is not None and answer.number == self._number:
            self._box.show_forecast(answer.text, answer.detail)

    def _take_last(self, answer: Forecast | None) -> None:
        self._open = self._open and (answer is None or answer.number != self._number)
        self._take(answer)


class Forecast(NamedTuple):
    """What a run will take, in words.

    Attributes
    ----------
    number : int
        Of the question.
    text, detail : str
        In a line, and more of it.
    """

    number: int
    text: str
    detail: str = ""


def _unusual(plan: RunPlan) -> str:
    """Return what a run does otherwise than is usual."""
    settings = plan.settings
    said = [
        "patch by patch" if any(method.name == "patchwise" for method in plan.methods) else "",
        f"every {settings.every} px" if settings.every > 1 else "",
        settings.precision if settings.precision != "float32" else "",
        "with what is taught" if any(_taught_now(model) for model in plan.models) else "",
    ]
    return "".join(f" · {each}" for each in said if each)


def _taught_now(model: PatchModel) -> bool:
    """Return whether a model is being taught and is in no file yet."""
    return model.path is None and model.sidecar is not None and "taught" in model.sidecar.other


def preview_worker(request: RunRequest, number: int) -> Generator[Forecast | None, None, Forecast | None]:
    """Yield the plan of a request, with a number; the value is the same with the time it will take."""

    def measure(plan: RunPlan, said: str) -> str:
        from napari_fcnseg.run.run import Run
        from napari_fcnseg.run.time_estimate import estimate_run

        estimate = estimate_run(Run(plan))
        return f"About {format_duration(estimate.seconds)} on {short_device(str(estimate.device))} · {said}"

    try:
        plan = yield from wait_in_worker(lambda: plan_of(request), request.stop)
        if plan is None:
            return None
        what = plan.summary
        said = f"{what.pixels:,} px · {what.tiles:,} tile{'s' * (what.tiles > 1)}{_unusual(plan)}"
        detail = f"tiles of {format_shape(what.tile)} pixels, {format_bytes(what.bytes)} of memory"
        yield Forecast(number, said, detail)
        text = yield from wait_in_worker(lambda: measure(plan, said), request.stop)
        return None if text is None else Forecast(number, text, detail)
    except Exception as error:
        return Forecast(number, str(error) if is_expected(error) else "")
