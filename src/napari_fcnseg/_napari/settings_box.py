"""The settings of a run as widgets; they are read into one snapshot and nothing is decided here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QGroupBox, QHBoxLayout, QLabel, QPushButton, QSpinBox

from napari_fcnseg._napari.docwords import words
from napari_fcnseg._napari.step_help import step_help
from napari_fcnseg.settings import EXACT, PRECISIONS, RunSettings
from napari_fcnseg.tiling import BORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

_LARGEST_TILE = 65536
_LARGEST_STEP = 10_000
_LONGEST_NAME = 30
_CAPTION = "Preprocessing, as in training"
_COMPARE = (
    "Compute a part of the chosen image in this precision and in float32, and say how much faster it is and how many "
    "labels agree."
)
_PREVIEW = (
    "After the tile in the middle of the view, label every so-manieth pixel of the image, as exactly as all the "
    "others, and fill in the rest tile by tile. It takes a tenth to a fifth of a run's time more. A run of a few "
    "seconds goes without."
)
#: What a method is called in the window.
_METHODS = {"auto": "automatic", "dense": "dense", "patchwise": "patch by patch"}


class SettingsBox(QGroupBox):
    """Preprocessing, border, method, which pixels, precision, device, tile, and what to show and to keep."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("3  Settings", parent)
        self.preprocess = LineEdit(tooltip=step_help())
        self.preprocess.native.setPlaceholderText("no preprocessing")
        self.preprocess.changed.connect(self._show_origin)
        self._filled, self._origin = "", ""
        self.border = ComboBox(choices=BORDERS, tooltip=_tooltip(words(RunSettings, "border")))
        self.method = ComboBox(
            choices=[(text, method) for method, text in _METHODS.items()],
            tooltip=_tooltip(words(RunSettings, "method")),
        )
        self.every = _spin_box(1, _LARGEST_STEP, "pixel")
        self.every.setToolTip(_tooltip(words(RunSettings, "every")))
        self.precision = ComboBox(choices=PRECISIONS, tooltip=_tooltip(words(RunSettings, "precision")))
        self.compare = QPushButton("Compare…")
        self.compare.setToolTip(_tooltip(_COMPARE))
        self.precision.changed.connect(self._show_whether_exact)
        self.device = LineEdit(tooltip=_tooltip(words(RunSettings, "device")))
        self.device.native.setPlaceholderText("the fastest")
        self.tile = _spin_box(0, _LARGEST_TILE, "automatic")
        self.tile.setToolTip(_tooltip(words(RunSettings, "tile") + " It changes speed and memory, never the labels."))
        self.probabilities = CheckBox(
            text="Keep a probability layer per class", tooltip=_tooltip(words(RunSettings, "probabilities"))
        )
        self.preview = CheckBox(value=True, text="Coarse picture of the whole image first", tooltip=_tooltip(_PREVIEW))
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.caption = _caption(_CAPTION, self.preprocess.native)
        self.caption.setWordWrap(True)
        self.caption.setTextFormat(Qt.TextFormat.PlainText)  # a file's name may look like markup
        form.addRow(self.caption)
        form.addRow(self.preprocess.native)  # a row of its own: two steps are long
        form.addRow(_caption("Border", self.border.native), self.border.native)
        form.addRow(_caption("Method", self.method.native), self.method.native)
        form.addRow(_caption("Every", self.every), self.every)
        precision = QHBoxLayout()
        precision.addWidget(self.precision.native)
        precision.addWidget(self.compare)
        form.addRow(_caption("Precision", self.precision.native), precision)
        form.addRow(_caption("Device", self.device.native), self.device.native)
        form.addRow(_caption("Tile", self.tile), self.tile)
        form.addRow(self.probabilities.native)
        form.addRow(self.preview.native)
        self._show_whether_exact()

    def set_preprocess(self, steps: Sequence[str], origin: str = "") -> None:
        """Write steps into the text line, and say where they come from for as long as they stand there."""
        self._filled, self._origin = ", ".join(steps), origin
        self.preprocess.value = self._filled
        self.preprocess.native.setCursorPosition(0)
        self._show_origin()

    def forget_preprocess(self) -> None:
        """Take back what was filled in for another model; what the user wrote stays."""
        if self.preprocess.value == self._filled:
            self.set_preprocess(())

    def _show_origin(self) -> None:
        filled = self._origin if self.preprocess.value == self._filled else ""
        self.caption.setText(f"Preprocessing, from {_shortened(filled)}" if filled else _CAPTION)
        note = f"<p>Filled in from {escape(filled)}. Change it here, or under Names and colours.</p>" if filled else ""
        self.preprocess.tooltip = note + step_help()
        self.caption.setToolTip(self.preprocess.tooltip)

    def _show_whether_exact(self) -> None:
        self.compare.setEnabled(self.precision.value != EXACT)

    def settings(self) -> RunSettings:
        """Return what the user chose.

        Raises
        ------
        SettingsError
            If a value is not one of the possible ones.
        """
        text = self.preprocess.value.strip()
        return RunSettings(
            preprocess=(text,) if text else (),
            border=self.border.value,
            tile=self.tile.value() or None,
            method=self.method.value,
            every=self.every.value(),
            probabilities=self.probabilities.value,
            precision=self.precision.value,
            device=self.device.value.strip() or None,
        )


def _shortened(name: str) -> str:
    """Return a file's name with its middle left out where it is long: it cannot be wrapped."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 2 :]}"


def _spin_box(lowest: int, highest: int, lowest_means: str) -> QSpinBox:
    """Return a box for a number of pixels; magicgui's has no word for its lowest value."""
    box = QSpinBox()
    box.setRange(lowest, highest)
    box.setSpecialValueText(lowest_means)
    box.setSuffix(" pixels")
    return box


def _caption(text: str, widget: QWidget) -> QLabel:
    label = QLabel(text)
    label.setToolTip(widget.toolTip())
    return label


def _tooltip(text: str) -> str:
    return f"<p>{text}</p>"  # rich text is wrapped, plain text is one long line
