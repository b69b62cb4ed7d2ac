"""A result of this program: what it was made with, and what can be done with it."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Labels
from napari.qt.threading import create_worker
from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.layers.edits import edited_pixels, may_be_edited, pixels_in, with_edits
from napari_fcnseg._napari.layers.files import folder_of
from napari_fcnseg._napari.layers.metadata import METADATA, is_result, real, shows_comparison
from napari_fcnseg._napari.reader import PLUGIN
from napari_fcnseg._napari.segment.results.result_text import (
    copy_result,
    describe_result,
    find_inputs,
    made_with,
    steps_in_words,
    with_axis_names,
)
from napari_fcnseg._napari.segment.run.older import is_kept, keep
from napari_fcnseg._napari.segment.run.saved import stopped_entries
from napari_fcnseg._napari.segment.run.stopped import run_of
from napari_fcnseg._napari.widgets.entry import Entry, more_button
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker, is_expected
from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer
    from qtpy.QtGui import QAction

    from napari_fcnseg._napari.segment.run.request import RunRequest
    from napari_fcnseg._napari.widgets.worker import Outcome

_FILTERS = "TIFF (*.tif);;OME-TIFF (*.ome.tif);;OME-Zarr (*.zarr);;PNG (*.png);;NumPy (*.npy)"
_UNKNOWN = (
    "This result was not computed in this window, so its image is unknown. Choose image and model, and press Run."
)


class ResultBox(QWidget):
    """Shows the selected result layer, or the latest one, and what can be done with it; hidden while there is none.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are looked at.
    more : sequence of QAction
        Further entries of its menu.
    """

    #: Emitted with the layer whose run is to be done again; :meth:`order_again` has the request.
    run_again = Signal(object)
    #: Emitted with the layer that is to be removed.
    remove = Signal(object)
    #: Emitted with an error that is a bug.
    problem = Signal(object)
    #: Emitted with the layer that is shown from now on, or None.
    shown = Signal(object)

    def __init__(self, viewer: Viewer, more: Sequence[QAction] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Layer | None = None
        self._requests: WeakKeyDictionary[Layer, RunRequest] = WeakKeyDictionary()
        self._busy, self._edited, self._hushed = False, 0, False
        self.about, self.message = WrappingLabel(), WrappingLabel()
        self.about.setAccessibleName("The result")
        self.message.setAccessibleName("What became of it")
        self.save = button("Save…", "Save it as TIFF, OME-Zarr, PNG or NumPy, and its provenance in a file beside it.")
        self.compare = button("Compare…", "Compare it with a truth or another mask, in a dock of its own.")
        self.compare.clicked.connect(self._open_compare)
        self.keep = Entry("Keep", "The next run of the same model makes another layer and does not replace this one.")
        self.keep.setCheckable(True)
        self.again = Entry("Run again", "Compute it again with the same image, models and settings, into a new layer.")
        self.python = Entry("Copy as Python", "Copy a script that computes the same result again, bit for bit.")
        self.command = Entry(
            "Copy as command line", "Copy a command for a terminal that computes the same result again."
        )
        self.delete = Entry("Remove", "Remove the layers of this run from the viewer.")
        self.more = more_button(
            "More to do with the result", (self.keep, self.again, self.python, self.command, *more, None, self.delete)
        )
        row = QHBoxLayout()
        row.addWidget(self.save)
        row.addWidget(self.compare)
        row.addStretch()
        row.addWidget(self.more)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 0)
        layout.setSpacing(4)
        layout.addWidget(self.about)
        layout.addLayout(row)
        layout.addWidget(self.message)
        self.save.clicked.connect(self._choose_file)
        self.python.triggered.connect(lambda _=False: self.copy_python())
        self.command.triggered.connect(lambda _=False: self.copy_command())
        self.keep.triggered.connect(lambda _=False: self._keep())
        self.again.triggered.connect(lambda _=False: self.run_again.emit(self._layer))
        self.delete.triggered.connect(lambda _=False: self.remove.emit(self._layer))
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._follow)
        self._say("")
        self._follow()

    @property
    def layer(self) -> Layer | None:
        """The layer that is shown."""
        return self._layer

    def remember(self, layers: Sequence[Layer], request: RunRequest) -> None:
        """Record the request that layers are the result of, as long as they exist."""
        for layer in layers:
            self._requests[layer] = request
        self.refresh()

    def refresh(self) -> None:
        """Show what has become known of the result since, as that it was verified."""
        self.show_layer(self._layer)

    def hush(self, hushed: bool) -> None:
        """Say nothing of a result while another one is computed."""
        self._hushed = hushed
        self.refresh()

    def request_again(self, layer: Layer) -> RunRequest | None:
        """Return a request that gives a layer's result again, bit for bit; None if its image is unknown.

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
        edited = pixels_in(layer.metadata.get(METADATA, {})) if layer is not None else 0
        if layer is not self._layer or edited != self._edited:  # what was saved is not what is shown
            self._say("")
        self._edited = edited
        self._layer = layer
        self.shown.emit(layer)
        self.setVisible(layer is not None and not self._hushed)
        provenance = layer.metadata.get(METADATA, {}) if layer is not None else {}
        self.about.setText(describe_result(layer.name, provenance) if layer is not None else "")
        self.about.setToolTip(f"<p>{escape(made_with(provenance))}</p>")
        self.keep.setChecked(layer is not None and is_kept(layer))
        self._enable()

    def _open_compare(self) -> None:
        """Open the other dock behind this one's tab: side by side both would be too narrow."""
        self._viewer.window.add_plugin_dock_widget(PLUGIN, "Compare masks", tabify=True)

    def _keep(self) -> None:
        """Have the result stay, under a name that tells it from the next one."""
        layer = self._layer
        if layer is None or is_kept(layer):
            self.keep.setChecked(layer is not None)
            return
        layers = self.layers_of(layer)
        keep(layers)
        steps = steps_in_words(layer.metadata.get(METADATA, {}))
        for each in layers:
            each.name = f"{each.name} · {steps}"
        self.refresh()

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
            more = find_inputs(request) | stopped_entries(run_of(layer))
            return write_result(path, data, state, more, replace=replace, inputs=inputs)

        self._work("Saving…", save, self._saved)

    def _follow(self) -> None:
        """Show the selected result, else keep the one that is shown, else the uppermost one."""
        layers, active = list(self._viewer.layers), real(self._viewer.layers.selection.active)
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

        def copy() -> tuple[str, list[str]]:
            edits = edited_pixels(layer) if may_be_edited(layer) else pixels_in(provenance)
            return copy_result(write, with_edits(provenance, edits), request, samples)

        self._work("Looking for the files of image and model…", copy, self._copied)

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
            self._say(f"Saved as {file}" + (f"; provenance in {Path(beside[0]).name}." if beside else "."))

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
        request = self._requests.get(self._layer)
        folder = folder_of(request.source.layers if request is not None else ())
        path, kind = QFileDialog.getSaveFileName(self, "Save the result", str(folder / f"{name}.tif"), _FILTERS)
        if path:
            ending = re.search(r"\*([.\w]+)\)", kind)
            whole = path if Path(path).suffix or ending is None else path + ending[1]
            self.save_as(whole, replace=whole == path)  # the dialog has asked about that name only

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
            self._say("Unexpected error, please report it.", ERROR_STYLE)
            self.problem.emit(error)

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))
