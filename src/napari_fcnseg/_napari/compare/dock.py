"""The compare dock: its parts and how they are wired.

What goes on is in ``controller``, what is shown of it in ``shown_layers``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QGroupBox, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.controller import LiveComparison
from napari_fcnseg._napari.compare.export_box import KeepBox
from napari_fcnseg._napari.compare.looks import colors_of, look_of
from napari_fcnseg._napari.compare.masks_box import MasksBox
from napari_fcnseg._napari.compare.measure.measure_box import MeasureBox
from napari_fcnseg._napari.compare.probability_box import ProbabilityBox
from napari_fcnseg._napari.compare.request import Order
from napari_fcnseg._napari.compare.see.see_box import SeeBox
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_events import LayerEvents
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.panel import Panel
from napari_fcnseg._napari.widgets.problems import tell
from napari_fcnseg._napari.widgets.section import Section
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from napari.viewer import Viewer

_CHANGED = "A label map has changed since it was compared. Press Compare again."
_PROBABILITIES = "Hold maps of probabilities against the truth: precision and recall, the best threshold, calibration."


class CompareMasks(Panel):
    """See and measure how masks differ: which masks, where, by how much, and what is kept of it.

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
        self.keep = KeepBox()
        self.probability = ProbabilityBox(napari_viewer)
        self.live = LiveComparison(napari_viewer, self)
        self._painted = LayerEvents(self)
        self._watch = LayerWatch(napari_viewer.layers, self)
        self._arrange()
        self._connect()
        self._offer()
        at_end(self.see, partial(self.live.shown.veil, False))  # which has brought the layers back before

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a width at which the tables can be read."""
        return QSize(60 * self.fontMetrics().averageCharWidth(), super().sizeHint().height())

    def _connect(self) -> None:
        """Say what happens when; nothing is decided here."""
        live = self.live
        self.masks.compare.clicked.connect(self.start)
        self.masks.cancel.clicked.connect(self._cancel)
        self.masks.changed.connect(lambda: self.probability.set_truth(self.masks.first))
        live.begun.connect(self.masks.busy)
        live.advanced.connect(self.masks.advance)
        live.ended.connect(self.masks.ready)
        live.studied.connect(self._show_study)
        live.viewed.connect(self._show_view)
        live.walked.connect(self.see.say_place)
        live.problem.connect(self.report_problem)
        self.see.agreement_wanted.connect(live.show_agreement)
        self.see.bare.connect(live.shown.veil)
        self.see.next_place.connect(lambda: live.step(1))
        self.see.previous_place.connect(lambda: live.step(-1))
        self.measure.cell_clicked.connect(live.light_up)
        self.measure.object_clicked.connect(live.go_to_object)
        self.measure.threshold_changed.connect(live.set_threshold)
        self.measure.mask_chosen.connect(live.choose)
        self._painted.changed.connect(self._note_change)
        self._watch.changed.connect(self._offer)
        self._watch.removed.connect(live.forget)

    def _arrange(self) -> None:
        """Put the steps below each other."""
        folded = Section("Probability maps", self.probability, _PROBABILITIES)
        groups = (_group("2  See", self.see), _group("3  Measure", self.measure), _group("4  Keep", self.keep))
        self.lay_out((self.masks, *groups, folded))

    def start(self) -> None:
        """Compare what is chosen."""
        try:
            order = Order.of(self.masks.first, self.masks.chosen, self.masks.form.settings(self.measure.threshold))
        except FcnSegError as error:
            self.report_problem(error)
            return
        self._painted.listen_to((order.truth, *order.masks))
        self.live.compare(order)

    def report_problem(self, error: Exception) -> None:
        """Say what went wrong, in the dock and as a notification."""
        self.masks.complain(tell(error))

    def _cancel(self) -> None:
        self.live.stop()
        self.masks.say("Stopped. What was compared before is still shown." if self.live.study else "Stopped.")

    def _offer(self) -> None:
        self.masks.offer(list(self.viewer.layers))
        self.see.take(*self.live.masks)

    def _show_study(self) -> None:
        """Show the numbers; where the masks differ follows."""
        live = self.live
        study, order = live.study, live.order
        assert study is not None, "emitted with one"
        assert order is not None, "emitted with one"
        self.measure.set_colors(colors_of(order, study))
        self.measure.show_study(study, live.index)
        self.see.take(*live.masks)
        self.see.say_place("Looking where they differ…")
        self.keep.take(study, live.index, look_of(order, study, self.viewer))
        self.masks.say(" ".join(study.notes))

    def _show_view(self) -> None:
        view = self.live.view
        assert view is not None, "emitted with one"
        self.see.say_agreement(view.counts)

    def _note_change(self, data: bool) -> None:
        if data and not self.live.busy:
            self.masks.say(_CHANGED)


def _group(title: str, part: QWidget) -> QGroupBox:
    group = QGroupBox(title)
    layout = QVBoxLayout(group)
    layout.addWidget(part)
    return group
