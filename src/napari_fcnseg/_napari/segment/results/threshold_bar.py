"""A slider for a result's threshold: labels change at once, the network is not run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker, Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

from napari_fcnseg._napari.layers.class_colors import with_unsure
from napari_fcnseg._napari.layers.edits import keep_own, pixels_in
from napari_fcnseg._napari.layers.metadata import METADATA, class_names, real
from napari_fcnseg._napari.segment.run.result_layers import in_layer_axes
from napari_fcnseg._napari.segment.run.stopped import run_of
from napari_fcnseg.run.threshold import Threshold

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Layer

#: The slider's unit: a hundredth.
_UNIT = 100
_WAIT_MILLISECONDS = 0


class ThresholdBar(QWidget):
    """Shows the threshold of a result, and changes it."""

    #: Emitted with the layer whose labels are those of another threshold now.
    changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer: Labels | None = None
        self._own: npt.NDArray[Any] | None = None  # of the layer, in its axes; as long as its slider is used
        self._set: WeakKeyDictionary[Layer, Threshold] = WeakKeyDictionary()
        self._waiting: list[tuple[int, ...]] = []  # frames that are to follow
        self._rest = (Threshold(0, 2), Threshold(0, 2), False)  # what is done to them
        self.caption = QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _UNIT)
        self.value = QLabel()
        self.value.setMinimumWidth(self.fontMetrics().horizontalAdvance("100 %"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part, stretch in ((self.caption, 0), (self.slider, 1), (self.value, 0)):
            row.addWidget(part, stretch)
        self.slider.valueChanged.connect(self._moved)
        self._timer = QTimer(self)
        self._timer.setInterval(_WAIT_MILLISECONDS)
        self._timer.timeout.connect(self._go_on)
        self.show_layer(None)

    def show_layer(self, layer: Layer | None) -> None:
        """Show the threshold of a result that has one."""
        layer, run = real(layer), run_of(layer)
        usable = (
            isinstance(layer, Labels)
            and run is not None
            and run.result.sure is not None
            and run.done == run.total
            and layer.data.shape == in_layer_axes(run.result.sure, run.request).shape
        )
        if layer is not self.layer:
            self._finish()
            self._own = None
        self.layer = layer if usable and isinstance(layer, Labels) else None
        self.setVisible(self.layer is not None)
        if self.layer is None or run is None:
            return
        classes = run.result.run.plan.networks[0].classes
        threshold = self._set.get(self.layer, Threshold.neutral(classes))
        names = class_names(self.layer)
        self.caption.setText(f"{names.get(2, 'class 2')} from" if classes == 2 else "Unsure below")
        self.slider.setAccessibleName(self.caption.text())
        self.slider.setToolTip(
            "<p>The least probability of this class for its label.</p>" if classes == 2 else
            "<p>Pixels whose winning class has a lower probability get a colour of their own.</p>"
        )  # fmt: skip
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(_UNIT * threshold.value))
        self._say(threshold)

    def _say(self, threshold: Threshold) -> None:
        self.value.setText(f"{100 * threshold.value:.0f} %" if threshold.changes else "off")

    def _moved(self, value: int) -> None:
        layer, run = self.layer, run_of(self.layer)
        if layer is None or run is None:
            return
        threshold = Threshold(value / _UNIT, run.result.run.plan.networks[0].classes)
        if self._own is None:
            self._own = in_layer_axes(run.result.own.array(), run.request)
        before = self._set.get(layer, Threshold.neutral(threshold.classes))
        edited = bool(pixels_in(layer.metadata.get(METADATA, {})))
        self._set[layer] = threshold
        self._say(threshold)
        if threshold.unsure is not None:
            layer.colormap = with_unsure(layer.colormap, threshold.unsure)
        frames = list(np.ndindex(layer.data.shape[:-2]))
        here = _shown_frame(layer)
        frames.sort(key=lambda frame: frame != here)
        self._frame(layer, frames[0], before, threshold, edited)
        layer.refresh(extent=False)
        self._rest = (before, threshold, edited)
        self._waiting = frames[1:]
        if self._waiting:
            self._timer.start()
        else:
            self._conclude()

    def _frame(
        self, layer: Labels, frame: tuple[int, ...], before: Threshold, threshold: Threshold, edited: bool
    ) -> None:
        """Change the labels of one frame, but not those that were edited by hand."""
        run = run_of(layer)
        assert run is not None, "the bar shows a run"
        assert run.result.sure is not None, "it had room for probabilities"
        assert self._own is not None, "the slider was moved"
        own, sure = self._own[frame], in_layer_axes(run.result.sure, run.request)[frame]
        labels = threshold.apply(own, sure)
        place = layer.data[frame]
        if edited:
            np.copyto(place, labels, where=place == before.apply(own, sure))
        else:
            place[...] = labels

    def _go_on(self) -> None:
        if not self._waiting or self.layer is None:
            self._timer.stop()
            return
        self._frame(self.layer, self._waiting.pop(0), *self._rest)
        if not self._waiting:
            self._timer.stop()
            self._conclude()

    def _finish(self) -> None:
        """Do at once what is waiting: another layer is looked at."""
        while self._waiting and self.layer is not None:
            self._go_on()

    def _conclude(self) -> None:
        """Note it where the result says how it was made."""
        layer, run = self.layer, run_of(self.layer)
        if layer is None or run is None:
            return
        threshold = self._set[layer]
        entry = {name: value for name, value in layer.metadata.get(METADATA, {}).items() if name != "threshold"}
        layer.metadata[METADATA] = entry | ({"threshold": threshold.as_dict()} if threshold.changes else {})
        request, result = run.request, run.result

        def own() -> npt.NDArray[Any]:
            assert result.sure is not None, "it had a slider"
            return in_layer_axes(threshold.apply(result.own.array(), result.sure), request)

        keep_own(layer, own)
        self.changed.emit(layer)


def _shown_frame(layer: Labels) -> tuple[int, ...]:
    """Return the frame of a layer that the view shows, by what napari draws of it; the first where it does not say."""
    first = np.asarray(layer.corner_pixels)[0]
    ahead = layer.data.ndim - 2
    return tuple(int(min(max(i, 0), n - 1)) for i, n in zip(first[:ahead], layer.data.shape, strict=False))
