"""A result of this program: what it was made with, and what can be done with it."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Labels
from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QGridLayout, QGroupBox, QLabel

from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.layers.metadata import METADATA, is_result, shows_comparison
from napari_fcnseg._napari.segment.results.result_text import copy_result, describe_result, find_inputs, with_axis_names
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.sentence import breakable
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker, is_expected
from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.segment.run.request import RunRequest
    from napari_fcnseg._napari.widgets.worker import Outcome

_FILTERS = "TIFF (*.tif);;OME-TIFF (*.ome.tif);;OME-Zarr (*.zarr);;PNG (*.png);;NumPy (*.npy)"
_EMPTY = "No result yet: press Run."
_UNKNOWN = (
    "This result was not computed in this window, so its image is unknown. Choose image and model, and press Run."
)


class ResultBox(QGroupBox):
    """Shows the selected result layer, or the latest one, and what can be done with it.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are looked at.
    """

    #: Emitted with the layer whose run is to be done again; :meth:`order_again` has the request.
    run_again = Signal(object)
    #: Emitted with the layer that is to be removed.
    remove = Signal(object)
    #: Emitted with an error that is a fault of the program.
    problem = Signal(object)

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__("Result", parent)
        self._viewer = viewer
        self._layer: Layer | None = None
        self._requests: WeakKeyDictionary[Layer, RunRequest] = WeakKeyDictionary()
        self._busy = False
        self.about = _wrapped("What the result was made with")
        self.message = _wrapped("What became of it")
        self.save = button(
            "Save…", "Save it as TIFF, OME-Zarr, PNG or NumPy, and where it comes from in a file beside it."
        )
        self.again = button("Run again", "Compute it again with the same image, models and settings, into a new layer.")
        self.python = button("Copy as Python", "Copy a script that computes the same result again, bit for bit.")
        self.delete = button("Remove", "Remove the layers of this run from the viewer.")
        self.command = button(
            "Copy as command line", "Copy a command for a terminal that computes the same result again."
        )
        layout = QGridLayout(self)
        layout.addWidget(self.about, 0, 0, 1, 2)
        for place, each in enumerate((self.save, self.again, self.python, self.delete)):
            layout.addWidget(each, 1 + place // 2, place % 2)
        layout.addWidget(self.command, 3, 0, 1, 2)
        layout.addWidget(self.message, 4, 0, 1, 2)
        self.save.clicked.connect(self._choose_file)
        self.python.clicked.connect(self.copy_python)
        self.command.clicked.connect(self.copy_command)
        self.again.clicked.connect(lambda: self.run_again.emit(self._layer))
        self.delete.clicked.connect(lambda: self.remove.emit(self._layer))
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._follow)
        self._say("")
        self._follow()

    @property
    def layer(self) -> Layer | None:
        """The layer that is shown."""
        return self._layer

    def remember(self, layers: Sequence[Layer], request: RunRequest) -> None:
        """Take notice of the request that layers are the result of, as long as they exist."""
        for layer in layers:
            self._requests[layer] = request
        self.refresh()

    def refresh(self) -> None:
        """Show what has become known of the result since, as that it was verified."""
        self.show_layer(self._layer)

    def request_again(self, layer: Layer) -> RunRequest | None:
        """Return a request that gives a layer's result again, bit for bit; None if nobody knows its image.

        Raises
        ------
        SettingsError
            If its provenance was changed.
        """
        from napari_fcnseg.run.recipe import settings_of

        request = self._requests.get(layer)
        if request is None:
            return None
        return replace(request, settings=settings_of(layer.metadata.get(METADATA, {})), stop=threading.Event())

    def layers_of(self, layer: Layer) -> list[Layer]:
        """Return the layers in the viewer that come from the same run as a layer, itself among them."""
        request = self._requests.get(layer)
        mine = [other for other in self._viewer.layers if request is not None and self._requests.get(other) is request]
        return mine or [other for other in self._viewer.layers if other is layer]

    def show_layer(self, layer: Layer | None) -> None:
        """Show what a result was made with; None for no result."""
        if layer is not self._layer:
            self._say("")
        self._layer = layer
        if layer is None:
            self.about.setText(_EMPTY)
        else:
            self.about.setText(describe_result(layer.name, layer.metadata.get(METADATA, {})))
        for each in (self.save, self.again, self.python, self.delete, self.command):
            each.setVisible(layer is not None)
        self._enable()

    def copy_python(self) -> None:
        """Copy the result as a script."""
        from napari_fcnseg.run.recipe import as_python

        self._copy(as_python, samples=True)

    def copy_command(self) -> None:
        """Copy the result as a command line."""
        from napari_fcnseg.run.recipe import as_command_line

        self._copy(as_command_line, samples=False)

    def save_as(self, path: str, *, replace: bool = False) -> None:
        """Save the result, and beside it where it comes from; say where, or why not.

        Parameters
        ----------
        path : str
            The file.
        replace : bool
            Whether the user was asked whether a file of that name is to be replaced.
        """
        layer = self._layer
        if layer is None:
            return
        data, attributes, _ = layer.as_layer_data_tuple()
        request, inputs = self._requests.get(layer), in_use()

        def save() -> list[str]:
            from napari_fcnseg._napari.segment.results.writer import write_result

            state = with_axis_names(attributes, request, layer.ndim)
            return write_result(path, data, state, find_inputs(request), replace=replace, inputs=inputs)

        self._work("Saving…", save, self._saved)

    def _follow(self) -> None:
        """Show the selected result, else keep the one that is shown, else the uppermost one."""
        layers, active = list(self._viewer.layers), self._viewer.layers.selection.active
        if active is None or not is_result(active) or shows_comparison(active):
            shown = [layer for layer in layers if layer is self._layer]
            results = [layer for layer in layers if is_result(layer) and not shows_comparison(layer)]
            labels = [layer for layer in results if isinstance(layer, Labels)]
            active = next(iter([*shown, *labels[::-1], *results[::-1]]), None)
        self.show_layer(active)

    def _copy(self, write: Callable[..., str], *, samples: bool) -> None:
        layer = self._layer
        request = self._requests.get(layer) if layer is not None else None
        if layer is None or request is None:
            self._complain(ImageError(_UNKNOWN))
            return
        provenance = dict(layer.metadata.get(METADATA, {}))
        self._work(
            "Looking for the files of image and model…",
            lambda: copy_result(write, provenance, request, samples),
            self._copied,
        )

    def _work(self, text: str, function: Callable[[], Any], slot: Callable[[Outcome], None]) -> None:
        self._busy = True
        self._enable()
        self._say(text)
        create_worker(in_worker, function, _connect={"returned": slot}, _ignore_errors=True)

    def _copied(self, outcome: Outcome) -> None:
        if self._ended(outcome):
            text, notes = outcome.value
            clipboard = QGuiApplication.clipboard()
            if clipboard is not None:
                clipboard.setText(text)
                self._say(" ".join(["Copied. It writes labels.tif into the folder where it is run.", *notes]))

    def _saved(self, outcome: Outcome) -> None:
        if self._ended(outcome):
            file, *beside = outcome.value
            self._say(f"Saved as {file}" + f", and where it comes from as {Path(beside[0]).name}." if beside else ".")

    def _ended(self, outcome: Outcome) -> bool:
        """Take the next request; return whether the last one went well."""
        self._busy = False
        self._enable()
        if outcome.error is not None:
            self._complain(outcome.error)
        return outcome.error is None

    def _choose_file(self) -> None:
        if self._layer is None:
            return
        name = re.sub(r"[^\w.\-]+", "-", self._layer.name).strip("-.") or "labels"
        path, kind = QFileDialog.getSaveFileName(self, "Save the result", str(Path.home() / f"{name}.tif"), _FILTERS)
        if path:
            ending = re.search(r"\*([.\w]+)\)", kind)
            whole = path if Path(path).suffix or ending is None else path + ending[1]
            self.save_as(whole, replace=whole == path)  # under another name nobody was asked

    def _enable(self) -> None:
        known = self._layer is not None and self._layer in self._requests
        for each in (self.save, self.delete):
            each.setEnabled(not self._busy)
        for each in (self.again, self.python, self.command):
            each.setEnabled(known and not self._busy)

    def _complain(self, error: Exception) -> None:
        if is_expected(error):
            self._say(str(error), ERROR_STYLE)
        else:
            self._say("Something went wrong that should not have.", ERROR_STYLE)
            self.problem.emit(error)

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(breakable(text))
        self.message.setVisible(bool(text))


def _wrapped(name: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setAccessibleName(name)
    return label
