"""Run a comparison in the background and show it in the viewer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_fcnseg._napari.compare.differences import find_differences, highlight_cell, highlight_object, spatial_of
from napari_fcnseg._napari.compare.latest_task import LatestTask
from napari_fcnseg._napari.compare.placing import viewer_units
from napari_fcnseg._napari.compare.see.camera import go_to
from napari_fcnseg._napari.compare.shown_layers import ComparisonLayers
from napari_fcnseg._napari.compare.walk import RegionWalk, frame_of, in_world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.compare.differences import Differences, Highlight
    from napari_fcnseg._napari.compare.request import CompareRequest
    from napari_fcnseg.comparison import ObjectRow, Study


class CompareController(QObject):
    """Compares masks, shows where they differ, and moves the view there.

    Parameters
    ----------
    viewer : Viewer
        Where it is shown.
    parent : QObject
        The dock.

    Attributes
    ----------
    request : CompareRequest or None
        What the study that is shown was asked.
    study : Study or None
        The study that is shown.
    index : int
        Which of its masks is looked at.
    view : Differences or None
        How that one agrees with the truth; None until it is known.
    """

    #: Emitted when something begins, when it ends, and with the progress.
    begun, ended, advanced = Signal(), Signal(), Signal(int, int)
    #: Emitted when there is another study, another mask of it or another threshold.
    studied = Signal()
    #: Emitted when it is known where the mask differs.
    viewed = Signal()
    #: Emitted when the camera has moved to a region, with the region's description.
    walked = Signal(str)
    #: Emitted with what went wrong.
    problem = Signal(object)

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.request: CompareRequest | None = None
        self.study: Study | None = None
        self.index = 0
        self.view: Differences | None = None
        self.shown = ComparisonLayers(viewer)
        self.agreeing = True  # whether the map of agreement is to be shown
        self._asked: CompareRequest | None = None
        self._walk = RegionWalk()
        self._studies, self._views, self._lights, self._thresholds = (LatestTask(self) for _ in range(4))
        self._studies.done.connect(self._take_study)
        self._studies.advanced.connect(self.advanced)
        self._thresholds.done.connect(self._take_threshold)
        self._views.done.connect(self._take_view)
        self._lights.done.connect(self._take_light)
        for work in (self._studies, self._thresholds, self._views, self._lights):
            work.failed.connect(self._fail)

    @property
    def masks(self) -> tuple[Labels | None, Labels | None]:
        """The layers that are looked at: the truth and one mask, each as long as the viewer has it."""
        if self.request is None:
            return None, None
        a, b = self.request.truth, self.request.masks[self.index]
        layers = self._viewer.layers
        return a if a in layers else None, b if b in layers else None

    @property
    def busy(self) -> bool:
        """Whether masks are being compared."""
        return self._studies.busy

    def compare(self, request: CompareRequest) -> None:
        """Compare masks with a truth."""
        self._asked = request
        self.begun.emit()
        self._studies.ask(request.study)

    def stop(self) -> None:
        """Stop comparing; what was compared before stays."""
        self._studies.give_up()
        self.ended.emit()

    def choose(self, index: int) -> None:
        """Look at another mask of the study."""
        if self.study is not None and index != self.index:
            self.index = index
            self._look()

    def set_threshold(self, threshold: float) -> None:
        """Match single objects from another IoU on."""
        if self.study is not None and threshold != self.study.settings.threshold:
            study = self.study
            self._thresholds.ask(lambda _: study.at(threshold))

    def show_agreement(self, wanted: bool = True) -> None:
        """Show the map of agreement, or not."""
        self.agreeing = wanted
        if not wanted:
            self.shown.hide(self.shown.agreement)
        elif self.view is not None and self.request is not None:
            self.shown.show_agreement(self.request.truth, self.view)

    def highlight(self, a: int, b: int) -> None:
        """Show the pixels that are one label in the truth and another in the mask, and go there."""
        if self.study is not None:
            self._lights.ask(partial(highlight_cell, self.study, self.index, (a, b)))

    def go_to_object(self, row: ObjectRow) -> None:
        """Look at an object, and highlight its outline."""
        self._go(row.centroid, row.box)
        if self.study is not None:
            self._lights.ask(partial(highlight_object, self.study, self.index, row))
        for layer, side in zip(self.masks, "ab", strict=True):
            if layer is not None and side == row.side:
                layer.selected_label = row.label

    def step(self, by: int) -> None:
        """Look at the next region, or the previous one."""
        place = self._walk.step(by)
        if place is not None:
            self._go(place.at, place.box)
        self.walked.emit(self.place_text())

    def place_text(self) -> str:
        """Return the description of the region that is looked at."""
        if self.study is None or self.view is None:
            return ""
        where = ""
        if self._walk.at >= 0 and self._walk.places:
            shape = self.study.aligned.maps[0].shape
            where = frame_of(shape, self._walk.places[self._walk.at].at, spatial_of(self.study))
        return self._walk.text(where)

    def forget(self, layer: Layer) -> None:
        """React to a layer's removal."""
        if self._asked is not None and layer in (self._asked.truth, *self._asked.masks) and self.busy:
            self.stop()
        if layer is self.shown.agreement:
            self.shown.agreement = None
        if layer is self.shown.light:
            self.shown.light = None

    def _take_study(self, study: Study) -> None:
        self._thresholds.give_up()  # of the study before
        self.request, self.study, self.index = self._asked, study, study.best
        self.ended.emit()
        self._look()

    def _take_threshold(self, study: Study) -> None:
        self.study = study
        self._look(keep=True)

    def _look(self, keep: bool = False) -> None:
        """Find where the shown mask differs."""
        assert self.study is not None, "called with one"
        if not keep:
            self._lights.give_up()  # of the mask before
            self.view, self._walk = None, RegionWalk()
            self.shown.hide(self.shown.light)
        self.studied.emit()
        self._views.ask(partial(find_differences, self.study, self.index))

    def _take_view(self, view: Differences) -> None:
        self.view, self._walk = view, RegionWalk(view.places)
        if self.agreeing:
            self.show_agreement()
        self.viewed.emit()
        self.walked.emit(self.place_text())

    def _take_light(self, found: Highlight) -> None:
        if self.request is None or self.study is None:
            return
        self.shown.show_highlight(self.request.truth, self.study, found)
        if found.places:
            self._go(found.places[0].at, found.places[0].box)
        self.walked.emit(found.text)

    def _go(self, point: Sequence[float], box: Sequence[Sequence[int]]) -> None:
        assert self.study is not None, "there is nowhere to go without one"
        assert self.request is not None, "there is no study without one"
        where, extent = in_world(self.study.aligned.affine, point, box)
        factors = viewer_units(self._viewer, self.request.truth, len(where))
        pixel = np.array(self.study.aligned.spacing) * factors
        go_to(self._viewer, (where * factors).tolist(), (extent * factors).tolist(), pixel.tolist())

    def _fail(self, error: Exception) -> None:
        if not self.busy:
            self.ended.emit()
        self.problem.emit(error)
