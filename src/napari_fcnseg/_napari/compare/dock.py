"""The compare dock: its parts and how they are wired.

What goes on is in ``controller``, what is shown of it in ``shown_layers``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QGroupBox, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.controller import CompareController
from napari_fcnseg._napari.compare.export_box import ExportBox
from napari_fcnseg._napari.compare.label_style import colors_of, look_of
from napari_fcnseg._napari.compare.masks_box import MasksBox
from napari_fcnseg._napari.compare.measure.measure_box import MeasureBox
from napari_fcnseg._napari.compare.probability_box import ProbabilityBox
from napari_fcnseg._napari.compare.request import CompareRequest
from napari_fcnseg._napari.compare.see.see_box import SeeBox
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_events import LayerEvents
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.panel import Panel
from napari_fcnseg._napari.widgets.problems import notify_error
from napari_fcnseg._napari.widgets.section import Section
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from napari.viewer import Viewer

_CHANGED = "A label map has changed since it was compared. Press Compare again."
_PROBABILITIES = "Hold maps of probabilities against the truth: precision and recall, the best threshold, calibration."


class CompareMasks(Panel):
    """The compare dock: choose masks, see and measure how they differ, save the scores.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose Labels layers are compared.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.masks = MasksBox()
        self.see = SeeBox(napari_viewer)
        self.measure = MeasureBox()
        self.keep = ExportBox()
        self.probability = ProbabilityBox(napari_viewer)
        self.controller = CompareController(napari_viewer, self)
        self._painted = LayerEvents(self)
        self._watch = LayerWatch(napari_viewer.layers, self)
        self._arrange()
        self._connect()
        self._offer()
        at_end(
            self.see, partial(self.controller.shown.hide_temporarily, False)
        )  # which has brought the layers back before

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width at which the tables are readable."""
        return QSize(60 * self.fontMetrics().averageCharWidth(), super().sizeHint().height())

    def _connect(self) -> None:
        """Connect signals; nothing is decided here."""
        controller = self.controller
        self.masks.compare.clicked.connect(self.start)
        self.masks.cancel.clicked.connect(self._cancel)
        self.masks.changed.connect(lambda: self.probability.set_truth(self.masks.first))
        controller.begun.connect(self.masks.busy)
        controller.advanced.connect(self.masks.advance)
        controller.ended.connect(self.masks.ready)
        controller.studied.connect(self._show_study)
        controller.viewed.connect(self._show_view)
        controller.walked.connect(self.see.say_place)
        controller.problem.connect(self.report_problem)
        self.see.agreement_wanted.connect(controller.show_agreement)
        self.see.bare.connect(controller.shown.hide_temporarily)
        self.see.next_place.connect(lambda: controller.step(1))
        self.see.previous_place.connect(lambda: controller.step(-1))
        self.measure.cell_clicked.connect(controller.highlight)
        self.measure.object_clicked.connect(controller.go_to_object)
        self.measure.threshold_changed.connect(controller.set_threshold)
        self.measure.mask_chosen.connect(controller.choose)
        self._painted.changed.connect(self._note_change)
        self._watch.changed.connect(self._offer)
        self._watch.removed.connect(controller.forget)

    def _arrange(self) -> None:
        """Lay out the steps in a column."""
        folded = Section("Probability maps", self.probability, _PROBABILITIES)
        groups = (_group("2  See", self.see), _group("3  Measure", self.measure), _group("4  Keep", self.keep))
        self.lay_out((self.masks, *groups, folded))

    def start(self) -> None:
        """Compare what is chosen."""
        try:
            request = CompareRequest.of(
                self.masks.first, self.masks.chosen, self.masks.form.settings(self.measure.threshold)
            )
        except FcnSegError as error:
            self.report_problem(error)
            return
        self._painted.listen_to((request.truth, *request.masks))
        self.controller.compare(request)

    def report_problem(self, error: Exception) -> None:
        """Report an error in the dock and as a notification."""
        self.masks.complain(notify_error(error))

    def _cancel(self) -> None:
        self.controller.stop()
        self.masks.say("Stopped. What was compared before is still shown." if self.controller.study else "Stopped.")

    def _offer(self) -> None:
        self.masks.offer(list(self.viewer.layers))
        self.see.take(*self.controller.masks)

    def _show_study(self) -> None:
        """Show the numbers; where the masks differ follows."""
        controller = self.controller
        study, request = controller.study, controller.request
        assert study is not None, "emitted with one"
        assert request is not None, "emitted with one"
        self.measure.set_colors(colors_of(request, study))
        self.measure.show_study(study, controller.index)
        self.see.take(*controller.masks)
        self.see.say_place("Looking where they differ…")
        self.keep.take(study, controller.index, look_of(request, study, self.viewer))
        self.masks.say(" ".join(study.notes))

    def _show_view(self) -> None:
        view = self.controller.view
        assert view is not None, "emitted with one"
        self.see.say_agreement(view.counts)

    def _note_change(self, data: bool) -> None:
        if data and not self.controller.busy:
            self.masks.say(_CHANGED)


def _group(title: str, part: QWidget) -> QGroupBox:
    group = QGroupBox(title)
    layout = QVBoxLayout(group)
    layout.addWidget(part)
    return group
