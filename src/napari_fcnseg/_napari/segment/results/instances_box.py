"""Instances in the dock: found in a worker, and kept up to date in one layer while the user tries settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari.layers import Labels
from napari.qt.threading import create_worker
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.edits import keep_own
from napari_fcnseg._napari.layers.metadata import class_names
from napari_fcnseg._napari.segment.results.instance_form import InstanceForm
from napari_fcnseg._napari.segment.results.instance_worker import (
    InstanceRequest,
    candidates,
    classes_in,
    instance_layer,
    measure_layer,
    spatial_axes,
)
from napari_fcnseg._napari.segment.results.object_dialog import ObjectDialog
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.form import QuietCombo
from napari_fcnseg._napari.widgets.layer_events import LayerEvents
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer
    from qtpy.QtGui import QShowEvent

    from napari_fcnseg._napari.segment.results.instance_worker import FoundInstances
    from napari_fcnseg._napari.widgets.worker import Outcome

_DEBOUNCE = 250  # milliseconds after the last change
_EMPTY = "Run a segmentation first, or open a Labels layer with classes."
_READING = "Looking which classes the labels have…"
_LABELS = "The layer with the classes: a result, or any other Labels layer."
_FIND = (
    "Show each object in a colour of its own. After that, every change here shows at once; the network is not "
    "computed again."
)


class InstancesBox(QWidget):
    """Finds instances in a Labels layer, and finds them again whenever something is changed.

    Parameters
    ----------
    viewer : Viewer
        Where the instances appear.
    """

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layers: list[Labels] = []
        self._shown: Labels | None = None  # the layer whose classes are offered
        self._by_hand = self._unread = False
        self._targets: WeakKeyDictionary[Labels, Labels] = WeakKeyDictionary()
        self._current: InstanceRequest | None = None
        self._next: InstanceRequest | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DEBOUNCE)
        self._timer.timeout.connect(self.find_now)
        self.labels = QuietCombo("Labels", _LABELS)
        self.form = InstanceForm(self.labels)
        self.button = button("Find objects", _FIND)
        self.table = button("Table…", "Measure the objects: a table to sort, filter, correct and save, and outlines.")
        self.table.clicked.connect(self.open_table)
        self.table.setEnabled(False)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setAccessibleName("Objects found")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons = QHBoxLayout()
        for each in (self.button, self.table):
            buttons.addWidget(each)
        layout.addWidget(self.form)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        self._painted = LayerEvents(self)
        self._painted.changed.connect(lambda data: self._changed() if data else None)
        self.labels.activated.connect(self._layer_chosen)
        self.labels.currentIndexChanged.connect(self._show_layer)
        self.form.changed.connect(self._changed)
        self.button.clicked.connect(self._find_pressed)
        at_end(self, self._give_up)
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._offer)
        self._offer()

    @property
    def layer(self) -> Labels | None:
        """The chosen layer."""
        index = self.labels.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    @property
    def busy(self) -> bool:
        """Whether instances are being found, or are about to be."""
        return self._current is not None or self._timer.isActive()

    def _offer(self) -> None:
        """Offer the viewer's layers; the newest result is chosen unless the user chose another."""
        chosen = self.layer
        self._layers = candidates(self._viewer.layers)
        kept = next((i for i, layer in enumerate(self._layers) if layer is chosen), None)
        self._by_hand = self._by_hand and kept is not None
        with QSignalBlocker(self.labels):
            self.labels.clear()
            self.labels.addItems([layer.name for layer in self._layers])
            if self._by_hand and kept is not None:
                self.labels.setCurrentIndex(kept)
        for request in (self._current, self._next):
            if request is not None and not self._has(request.parent):
                request.stop.set()
        self._show_layer()

    def recompute(self, layer: Layer) -> None:
        """Find the instances of a layer again, if they are shown, because its labels have changed."""
        if layer is self.layer and self._target(layer) is not None:
            self.find_now()

    def inherit(self, older: Sequence[Layer], layer: Layer) -> None:
        """Have the instances of results that are taken away be those of the one in their place."""
        for old in older:
            target = self._targets.pop(old, None)
            if target is not None and isinstance(layer, Labels):
                self._targets[layer] = target

    def find_now(self) -> None:
        """Find instances as chosen; what is being found meanwhile is dropped."""
        self._timer.stop()
        try:
            request = self._request()
        except FcnSegError as error:
            self._give_up()
            self._say(str(error), ERROR_STYLE)
            return
        self._give_up()
        self._next = request
        self._say("Finding objects…")
        if self._current is None:
            self._begin()

    def open_table(self) -> None:
        """Open the table of the objects that are shown."""
        parent = self.layer
        target = self._target(parent) if parent is not None else None
        if parent is not None and target is not None:
            ObjectDialog(self._viewer, target, partial(measure_layer, parent, target), self).show()

    def _find_pressed(self) -> None:
        self.form.keep()
        self.find_now()

    def _request(self) -> InstanceRequest:
        layer = self.layer
        if layer is None:
            raise SettingsError(f"No labels were chosen. {_EMPTY}")
        if not self.form.names:
            raise SettingsError(f"It is not known yet which classes {layer.name!r} has, or it has none. Choose others.")
        spatial = 3 if self.form.volume.isChecked() else 2
        settings = self.form.settings(spatial)
        target = self._target(layer)
        return InstanceRequest(layer, full_resolution(layer), settings, spatial, self.form.names, target)

    def _target(self, layer: Layer) -> Labels | None:
        """Return the layer with the instances of a layer, as long as the viewer has it."""
        target = self._targets.get(layer)
        return target if target is not None and self._has(target) else None

    def _has(self, layer: Layer) -> bool:
        return any(layer is other for other in self._viewer.layers)

    def _give_up(self) -> None:
        for request in (self._current, self._next):
            if request is not None:
                request.stop.set()

    def _begin(self) -> None:
        """Have the next request done; there is only one worker at a time."""
        request, self._next = self._next, None
        self._current = request
        assert request is not None, "called for one"
        create_worker(
            in_worker, partial(instance_layer, request), _connect={"returned": self._take}, _ignore_errors=True
        )

    def _take(self, outcome: Outcome) -> None:
        request, self._current = self._current, None
        if self._next is not None and not self._next.stop.is_set():
            self._begin()
        elif request is None or request.stop.is_set() or not self._has(request.parent):
            self._next = None
        elif outcome.error is not None:
            self._complain(outcome.error)
        else:
            self._show(request, outcome.value)

    def _show(self, request: InstanceRequest, result: FoundInstances) -> None:
        """Put instances into their layer; one that the user has removed meanwhile stays away.

        Instances that people have corrected stay, in a layer of their own.
        """
        target, said = request.target, result.said
        if target is not None and self._target(request.parent) is not target:
            self._say("")
            return
        if result.layer is not None:
            if target is not None:
                target.name, target.visible = f"{target.name} · corrected", False
                said = f"{said} Your corrections are kept in {target.name!r}."
            keep_own(result.layer, result.own.array)
            self._targets[request.parent] = result.layer
            self._viewer.add_layer(result.layer)
        elif target is not None:
            keep_own(target, result.own.array)
            target.data, target.features = result.labels, result.features
            target.metadata.update(result.metadata)
        self._offer_table()
        self._say(said)

    def _offer_table(self) -> None:
        layer = self.layer
        self.table.setEnabled(layer is not None and self._target(layer) is not None)
        self._painted.listen_to([layer] if layer is not None else [])

    def _layer_chosen(self) -> None:
        self._by_hand = True

    def _show_layer(self, _: int = 0) -> None:
        """Offer the classes of the chosen layer, unless they are offered."""
        layer = self.layer
        self.button.setEnabled(layer is not None)
        self._offer_table()
        if layer is None:
            self._say(_EMPTY)
        if layer is self._shown:
            return
        self._give_up()
        self._shown = layer
        names = class_names(layer) if layer is not None else {}
        self.form.offer_volume(layer is not None and layer.ndim > 2, layer is not None and spatial_axes(layer) == 3)
        self.form.offer_classes(names)
        self._timer.stop()
        self._unread = layer is not None and not names
        if layer is not None:
            self._say("")
        self._read_classes()

    def _read_classes(self) -> None:
        """Find out which classes the labels have, unless they say so; only while visible, since all are read."""
        if not self._unread or not self.isVisibleTo(self.window()):
            return
        self._unread = False
        self._say(_READING)
        slot = {"returned": self._take_classes}
        create_worker(in_worker, partial(classes_in, self._shown), _connect=slot, _ignore_errors=True)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Do what was put off until the box is visible."""
        super().showEvent(event)
        self._read_classes()

    def _take_classes(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._complain(outcome.error)
            return
        layer, names, problem = outcome.value
        if layer is self._shown:  # no other one was chosen meanwhile
            self._say(problem, ERROR_STYLE)
            self.form.offer_classes(names)

    def _changed(self) -> None:
        """Find the instances again a moment after the last change, if they are shown or about to be."""
        layer = self.layer
        if layer is None:
            return
        if self.message.styleSheet():  # what was missing may be there now
            self._say("")
        coming = any(o is not None and o.parent is layer and not o.stop.is_set() for o in (self._current, self._next))
        if coming or self._target(layer) is not None:
            self._timer.start()

    def _complain(self, error: Exception) -> None:
        self._say(error_sentence(error), ERROR_STYLE)

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))
