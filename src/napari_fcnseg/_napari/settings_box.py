"""The settings of a run as widgets; they are read into one snapshot and nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from qtpy.QtWidgets import QFormLayout, QGroupBox, QLabel, QSpinBox

from napari_fcnseg._napari.docwords import words
from napari_fcnseg._napari.step_help import step_help
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.tiling import BORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

_LARGEST_TILE = 65536


class SettingsBox(QGroupBox):
    """Preprocessing, border, tile and whether to keep probabilities."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("3  Settings", parent)
        self.preprocess = LineEdit(tooltip=step_help())
        self.preprocess.native.setPlaceholderText("no preprocessing")
        self.border = ComboBox(choices=BORDERS, tooltip=_tooltip(words(RunSettings, "border")))
        self.tile = QSpinBox()  # magicgui's has no word for its lowest value
        self.tile.setRange(0, _LARGEST_TILE)
        self.tile.setSpecialValueText("automatic")
        self.tile.setSuffix(" pixels")
        self.tile.setToolTip(_tooltip(words(RunSettings, "tile") + " It changes speed and memory, never the labels."))
        self.probabilities = CheckBox(
            text="Keep a probability layer per class", tooltip=_tooltip(words(RunSettings, "probabilities"))
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(_caption("Preprocessing, as in training", self.preprocess.native))
        form.addRow(self.preprocess.native)  # a row of its own: two steps are long
        form.addRow(_caption("Border", self.border.native), self.border.native)
        form.addRow(_caption("Tile", self.tile), self.tile)
        form.addRow(self.probabilities.native)

    def set_preprocess(self, steps: Sequence[str]) -> None:
        """Write steps into the text line."""
        self.preprocess.value = ", ".join(steps)
        self.preprocess.native.setCursorPosition(0)

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
            probabilities=self.probabilities.value,
        )


def _caption(text: str, widget: QWidget) -> QLabel:
    label = QLabel(text)
    label.setToolTip(widget.toolTip())
    return label


def _tooltip(text: str) -> str:
    return f"<p>{text}</p>"  # rich text is wrapped, plain text is one long line
