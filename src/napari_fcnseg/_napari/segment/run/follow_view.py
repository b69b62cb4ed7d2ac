"""Segmenting what the view shows, wherever it goes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_fcnseg._napari.segment.run.region_of_interest import region_in_view
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import disconnect
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer
    from qtpy.QtWidgets import QCheckBox

    from napari_fcnseg._napari.segment.run.controller import RunController
    from napari_fcnseg._napari.segment.run.request import RunRequest

#: A view that moves is looked at when it has stood still for so long; napari has drawn it by then.
_STILL_MILLISECONDS = 200


class FollowView(QObject):
    """Has the view's pixels computed whenever it has moved; what it has left is not waited for.

    Parameters
    ----------
    viewer : Viewer
        Whose view is followed.
    controller : RunController
        What computes.
    switch : QCheckBox
        Turns it on and off.
    request : callable
        Returns what is chosen now; raises FcnSegError if something is missing.
    parent : QObject
        What it belongs to.
    """

    def __init__(
        self,
        viewer: Viewer,
        controller: RunController,
        switch: QCheckBox,
        request: Callable[[], RunRequest],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._controller, self._switch, self._request = viewer, controller, switch, request
        self._waiting = False  # for what runs to end
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self._look)
        switch.toggled.connect(self._switched)
        controller.ended.connect(self._go_on)
        camera = getattr(viewer, "scene", viewer).camera  # it moved there in napari 0.9
        emitters = [camera.events.center, camera.events.zoom, viewer.dims.events.current_step, viewer.dims.events.order]
        callbacks: list[tuple[Any, Any]] = [(emitter, self._on_move) for emitter in emitters]
        for emitter, callback in callbacks:
            emitter.connect(callback)
        at_end(parent, partial(disconnect, callbacks))

    def refresh(self) -> None:
        """Look again: something else than the view has changed."""
        if self._switch.isChecked():
            self._timer.start()

    def _on_move(self, event: Any = None) -> None:
        self.refresh()

    def _switched(self, on: bool) -> None:
        self._waiting = False
        if on:
            self._look()
        elif self._controller.running and self._controller.follows:
            self._controller.stop()

    def _look(self) -> None:
        if not self._switch.isChecked():
            return
        if self._controller.running:
            self._waiting = True
            if self._controller.follows:
                self._controller.interrupt()  # what it computes may have left the view
            return
        try:
            request = self._request()
            self._controller.follow(request, region_in_view(request.source, self._viewer))
        except FcnSegError as error:
            self._switch.setChecked(False)
            self._controller.report_problem(error)

    def _go_on(self) -> None:
        """Look at the view that has come up while something ran; what was cancelled or failed is not gone on with."""
        if self._waiting:
            self._waiting = False
            self.refresh()
        elif self._controller.follows and self._controller.stopped:
            self._switch.setChecked(False)
