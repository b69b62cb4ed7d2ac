"""The settings of a run as widgets; they are read into one snapshot and nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QGroupBox, QLabel, QLineEdit, QSpinBox

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
        self.preprocess = QLineEdit()
        self.preprocess.setPlaceholderText("no preprocessing")
        self.border = QComboBox()
        self.border.addItems(BORDERS)
        self.border.setToolTip(_tooltip(words(RunSettings, "border")))
        self.tile = QSpinBox()
        self.tile.setRange(0, _LARGEST_TILE)
        self.tile.setSpecialValueText("automatic")
        self.tile.setSuffix(" pixels")
        self.tile.setToolTip(_tooltip(words(RunSettings, "tile") + " It changes speed and memory, never the labels."))
        self.probabilities = QCheckBox("Keep a probability layer per class")
        self.probabilities.setToolTip(_tooltip(words(RunSettings, "probabilities")))
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._steps = QLabel("Preprocessing, as in training")
        for explained in (self.preprocess, self._steps):
            explained.setToolTip(step_help())
        form.addRow(self._steps)
        form.addRow(self.preprocess)  # a row of its own: two steps are long
        for label, widget in (("Border", self.border), ("Tile", self.tile)):
            caption = QLabel(label)
            caption.setToolTip(widget.toolTip())
            form.addRow(caption, widget)
        form.addRow(self.probabilities)

    def set_preprocess(self, steps: Sequence[str]) -> None:
        """Write steps into the text line."""
        self.preprocess.setText(", ".join(steps))
        self.preprocess.setCursorPosition(0)

    def settings(self) -> RunSettings:
        """Return what the user chose.

        Raises
        ------
        SettingsError
            If a value is not one of the possible ones.
        """
        text = self.preprocess.text().strip()
        return RunSettings(
            preprocess=(text,) if text else (),
            border=self.border.currentText(),
            tile=self.tile.value() or None,
            probabilities=self.probabilities.isChecked(),
        )


def _tooltip(text: str) -> str:
    return f"<p>{text}</p>"  # rich text is wrapped, plain text is one long line
